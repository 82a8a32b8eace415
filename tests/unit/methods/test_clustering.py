"""Whitening and k-means: closed forms, scikit-learn as a reference, guards."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from goe.methods import clustering
from goe.methods.clustering import clustering_space, fill_empty, k_means, lloyd_step, nearest, whiten


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(n: int, d: int) -> Tensor:
    return normal(n, d) @ normal(d, d, seed=1) + 3


def covariance(x: Tensor) -> Tensor:
    return torch.cov(x.double().T, correction=0)


def whole(monkeypatch: pytest.MonkeyPatch, compute: Any) -> tuple[Any, Any]:
    """The result in one block, and in blocks of a few rows."""
    one = compute()
    monkeypatch.setattr(clustering, "BLOCK_BYTES", 500)
    return one, compute()


@pytest.mark.parametrize("dims", [6, 256])
def test_whitened_features_have_mean_0_and_the_identity_as_covariance(dims: int) -> None:
    x = whiten(correlated(200, 6), dims)
    assert x.shape == (200, 6)
    assert x.dtype == torch.float32
    assert torch.allclose(x.mean(0), torch.zeros(6), atol=1e-5)
    assert torch.allclose(covariance(x), torch.eye(6).double(), atol=1e-5)


def test_whitening_keeps_the_directions_of_largest_variance() -> None:
    # Variances 9, 1 and 4, by hand: rows +-(3, 0, 0), +-(0, 1, 0), +-(0, 0, 2), each a third of the time, shifted.
    x = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 2], [0, 0, -2]]) + 5
    found = whiten(x, 2).abs()
    root = 3**0.5
    expected = torch.tensor([[root, 0], [root, 0], [0, 0], [0, 0], [0, root], [0, root]])
    assert torch.allclose(found, expected, atol=1e-6)


def test_directions_without_variance_are_left_out() -> None:
    x = correlated(200, 4)
    flat = torch.cat([x, x[:, :1] + x[:, 1:2], torch.full((200, 2), 7.0)], dim=1)  # a sum and two dead features
    found = whiten(flat, 256)
    assert found.shape == (200, 4)
    assert torch.allclose(covariance(found), torch.eye(4).double(), atol=1e-4)
    assert whiten(correlated(3, 10), 256).shape == (3, 2)  # 3 points span a plane
    assert whiten(torch.ones(5, 4), 256).shape == (5, 0)


def test_blocks_whiten_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    one, several = whole(monkeypatch, lambda: whiten(correlated(50, 5), 5))
    assert torch.allclose(one.abs(), several.abs(), atol=1e-5)  # an eigenvector's sign is arbitrary


def test_the_space_of_clustering_has_rows_of_length_1() -> None:
    features = correlated(100, 5).bfloat16()
    found = clustering_space(features, 3)
    assert found.shape == (100, 3)
    assert found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=1), torch.ones(100))
    whitened = whiten(features.float(), 3)
    assert torch.allclose(found * whitened.norm(dim=1, keepdim=True), whitened, atol=1e-5)


def test_what_cannot_be_whitened_is_only_scaled() -> None:
    equal = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    assert torch.allclose(clustering_space(equal, 2), torch.tensor([[0.6, 0.8], [0.6, 0.8]]))
    nan = torch.tensor([[3.0, 4.0], [float("nan"), -2.0], [float("inf"), 1.0], [0.0, 0.0]])
    found = clustering_space(nan, 2)
    assert found.isfinite().all()
    assert torch.allclose(found[[0, 1, 3]], torch.tensor([[0.6, 0.8], [0.0, -1.0], [0.0, 0.0]]))


def test_a_point_in_the_mean_stays_there() -> None:
    found = clustering_space(torch.tensor([[0.0, 0.0], [1.0, 2.0], [-1.0, -2.0], [2.0, 1.0], [-2.0, -1.0]]), 2)
    assert found[0].tolist() == [0.0, 0.0]
    assert torch.allclose(found[1:].norm(dim=1), torch.ones(4))


def test_nearest_is_the_least_distance() -> None:
    x, centres = normal(300, 4), normal(9, 4, seed=1)
    expected = torch.cdist(x.double(), centres.double()).argmin(1)
    assert torch.equal(nearest(x, centres), expected)


def test_one_iteration_by_hand() -> None:
    # 0, 1 and 2 go to the centre 2, 10 to 7: means 1 and 10.
    x = torch.tensor([[0.0], [10.0], [1.0], [2.0]])
    assert lloyd_step(x, torch.tensor([[2.0], [7.0]])).tolist() == [[1.0], [10.0]]


@pytest.mark.parametrize(("n", "d", "clusters"), [(400, 5, 7), (90, 3, 20), (300, 16, 2)])
def test_centres_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, n: int, d: int, clusters: int) -> None:
    x = clustering_space(correlated(n, d), d)
    start = x[torch.randperm(n, generator=torch.Generator().manual_seed(2))[:clusters]]

    def ours() -> Tensor:
        centres = start
        for _ in range(100):
            centres = lloyd_step(x, centres)
        return centres

    reference = KMeans(clusters, init=start.numpy(), n_init=1, algorithm="lloyd", max_iter=100, tol=0.0).fit(x.numpy())
    for found in whole(monkeypatch, ours):
        assert np.allclose(found.numpy(), reference.cluster_centers_, atol=1e-6)
        assert nearest(x, found).tolist() == reference.labels_.tolist()


@pytest.mark.parametrize("iterations", [1, 3])
def test_k_means_against_plain_loops(iterations: int) -> None:
    x = normal(40, 2)
    found = k_means(x, 5, iterations, np.random.default_rng(3))
    points = x.double().numpy()
    centres = points[np.random.default_rng(3).choice(40, 5, replace=False)]

    def closest() -> Any:
        return np.array([np.argmin([np.sum((p - c) ** 2) for c in centres]) for p in points])

    for _ in range(iterations):
        chosen = closest()
        assert len(set(chosen)) == 5
        centres = np.array([points[chosen == c].mean(0) for c in range(5)])
    assert found.dtype == torch.int64
    assert found.tolist() == closest().tolist()


def test_the_same_draws_give_the_same_clusters() -> None:
    x = normal(500, 8)
    first, again, other = (k_means(x, 20, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_separate_clouds_are_found() -> None:
    # With a start in each; random starts needn't hit all, and nothing splits a cloud's two centres again.
    truth = torch.arange(400) % 4
    x = 100.0 * torch.eye(4)[truth] + normal(400, 4)
    start = x[:4]
    for _ in range(5):
        start = lloyd_step(x, start)
    assert torch.equal(nearest(x, start), truth)


def test_every_point_its_own_cluster() -> None:
    found = k_means(normal(30, 3), 30, 4, np.random.default_rng(0))
    assert sorted(found.tolist()) == list(range(30))


def test_fewer_different_points_than_clusters() -> None:
    x = torch.eye(3).repeat(4, 1)
    found = k_means(x, 7, 20, np.random.default_rng(0))
    assert ((found >= 0) & (found < 7)).all()
    groups = {tuple(found[i::3].tolist()) for i in range(3)}
    assert all(len(set(group)) == 1 for group in groups)  # equal points are together
    assert len(groups) == 3


def test_the_first_empty_clusters_share_the_largest() -> None:
    # Sizes 0, 5, 1, 0, 9: cluster 0 shares 4, cluster 3 shares 1. Columns move in opposite directions.
    centres = torch.tensor([[-1.0, -1], [1024, 2048], [3, 3], [-1, -1], [4096, 1024]])
    found = fill_empty(centres, torch.tensor([0, 5, 1, 0, 9]))
    assert found.tolist() == [[4100, 1023], [1023, 2050], [3, 3], [1025, 2046], [4092, 1025]]


def test_a_cluster_of_one_is_not_shared() -> None:
    centres = torch.tensor([[-1.0], [1024], [3], [-2]])
    found = fill_empty(centres, torch.tensor([0, 2, 1, 0]))
    assert found.tolist() == [[1025], [1023], [3], [-2]]


def test_an_empty_cluster_that_shares_none_keeps_its_centre() -> None:
    found = lloyd_step(torch.tensor([[0.0], [9.0]]), torch.tensor([[1.0], [-5], [8]]))
    assert found.tolist() == [[0], [-5], [9]]


def test_an_empty_cluster_gets_members_again() -> None:
    # The centre at 100 has none; both split what 0 to 3 are.
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    centres = torch.tensor([[1.0], [100.0]])
    for _ in range(3):
        centres = lloyd_step(x, centres)
    assert sorted(centres.flatten().tolist()) == [0.5, 2.5]
