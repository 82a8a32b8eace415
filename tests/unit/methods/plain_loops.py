"""A linear network and cross-entropies in Python floats, sample by sample: what references need, free of goe's code."""

from math import exp, log

from stub_nets import LinearNet

Row = list[float]
Image = list[list[Row]]
"""Channels of rows of pixels."""
Head = tuple[list[Row], Row]
"""The weights of each class, and the biases."""


def logits_of(net: Head, image: Image) -> Row:
    pixels = [value for channel in image for row in channel for value in row]
    weights, bias = net
    return [b + sum(w * v for w, v in zip(row, pixels, strict=True)) for row, b in zip(weights, bias, strict=True)]


def head_of(net: LinearNet) -> Head:
    return net.head.weight.tolist(), net.head.bias.tolist()


def log_sum_exp(z: Row) -> float:
    top = max(z)
    return top + log(sum(exp(v - top) for v in z))


def cross(target: Row, z: Row) -> float:
    """H(target, softmax(z))."""
    total = log_sum_exp(z)
    return -sum(t * (v - total) for t, v in zip(target, z, strict=True))
