"""Batch norm over the rows of all ranks, also on the CPU, which torch's own refuses."""

from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SyncNorm(_BatchNorm):
    """What `nn.BatchNorm1d` and `nn.BatchNorm2d` do to the rows of all ranks together (Ioffe and Szegedy, ICML 2015).

    Input (n, C) or (n, C, H, W) with n >= 0 rows on a rank, of any floating type; statistics are taken in float32 at
    least. The same parameters, buffers and `state_dict` as theirs. One message a layer forward, one backward.
    """

    @classmethod
    def convert(cls, net: nn.Module) -> None:
        """Put one in the place of each batch norm of `net`, on a GPU torch's, with the same parameters and buffers."""
        for module in list(net.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(module, name, cls._like(child))

    @classmethod
    def _like(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Self | nn.Module:
        if norm.weight.is_cuda:
            converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
            return converted
        made = cls(norm.num_features, norm.eps, norm.momentum)
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        made.training = norm.training
        return made

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 -- torch's name
        if input.ndim not in {2, 4}:
            raise ValueError(f"input: {input.ndim} dimensions; expected 2 or 4")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalised rows, (n, C, …)."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        found = _statistics(input.detach())
        mean, var, count = found[0], found[1], found[2]
        self.num_batches_tracked.add_(1)
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        normalised: Tensor = _Normalise.apply(input, self.weight, self.bias, mean, var, count, self.eps)
        return normalised


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in {torch.bfloat16, torch.float16} else x


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), biased variance (C,) and number () of the values of each channel over all ranks.

    Each rank's are put together as by Chan et al. (1979): sums of squares would cancel.
    """
    x = _wide(x)
    count = x.new_tensor([x.numel() // x.shape[1]])
    if len(x):
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    else:
        mean = var = x.new_zeros(x.shape[1])
    sent = torch.cat([mean, var, count])
    every = sent.new_empty((dist.get_world_size(), len(sent)))
    dist.all_gather(list(every.unbind()), sent)
    means, variances, counts = torch.split(every, [len(mean), len(mean), 1], dim=1)
    total = counts.sum()
    share = counts / total
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0), total


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, where mean and variance are of all ranks' rows."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        wide = _wide(x)
        out: Tensor = torch.native_batch_norm(
            wide, weight.to(wide.dtype), bias.to(wide.dtype), mean, var, False, 0.0, eps
        )[0]
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        wide, grad = _wide(x), _wide(grads[0])
        # As if the statistics were given: the gradients of weight and bias, and a part of that of x.
        of_x, of_weight, of_bias = torch.empty_like(wide), torch.zeros_like(mean), torch.zeros_like(mean)
        if len(x):  # torch crashes where there are none
            of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                grad, wide, weight.to(wide.dtype), mean, var, None, None, False, ctx.eps, [True, True, True]
            )
        sums = torch.stack([of_weight, of_bias])
        dist.all_reduce(sums)
        # The rest, by way of the statistics: -(weight / sqrt(var + eps)) * (xhat * mean(dy * xhat) + mean(dy)).
        inverse = (var + ctx.eps).rsqrt()
        scale = weight.to(wide.dtype) * inverse / count
        slope = -scale * inverse * sums[0]
        shape = (1, -1, *(1,) * (x.ndim - 2))
        of_x.addcmul_(wide, slope.view(shape)).add_((-scale * sums[1] - slope * mean).view(shape))
        own = weight.dtype
        return of_x.to(x.dtype), of_weight.to(own), of_bias.to(own), None, None, None, None
