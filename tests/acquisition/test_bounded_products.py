"""Bounds from products in low precision against distances in float64."""

from types import SimpleNamespace

import pytest
import torch

from minimax_al.acquisition import bounded_products, coreset, k_center_greedy
from minimax_al.acquisition.bounded_products import Products, accumulating_in_float32


def spread(n, d, generator):
    return torch.randn(n, d, generator=generator)


def far_away(n, d, generator):
    return 1e5 + torch.randn(n, d, generator=generator)


def tight_clusters(n, d, generator):
    means = 1000 * torch.randn(5, d, generator=generator)
    return means[torch.randint(5, (n,), generator=generator)] + 0.01 * torch.randn(n, d, generator=generator)


def wide_range(n, d, generator):
    return torch.randn(n, d, generator=generator) * 10.0 ** torch.randint(-20, 3, (n, 1), generator=generator)


def one_giant(n, d, generator):
    rows = torch.randn(n, d, generator=generator)
    rows[3] *= 1e15
    return rows


def same_sign(n, d, generator):
    """Every term of a product errs in the same direction: near the worst case of rounding."""
    return 1.00390625 + 2.0**-9 * torch.rand(n, d, generator=generator)


KINDS = [spread, far_away, tight_clusters, wide_range, one_giant, same_sign]
DTYPES = [torch.bfloat16, torch.float32]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 6, 200])
@pytest.mark.parametrize("centred", [True, False])
def test_no_distance_is_beyond_its_reach(dtype, kind, width, centred):
    rows = kind(300, width, torch.Generator().manual_seed(width))
    bounds = Products(rows, rows[:0])
    bounds.dtype = dtype
    if not centred:
        bounds.mean.zero_()
    samples, centers = bounds.row_factors(rows, torch.arange(200)), bounds.center_factors(rows, torch.arange(150, 300))
    entries = bounds.entries(samples, torch.arange(200), centers)
    for begin in (0, 1, 50, 149):
        distances = bounds.distances(rows[:200], rows[150 + begin].expand(200, -1))
        assert bool((entries[:, begin] <= bounds.reach(samples, centers, distances)).all())


@pytest.mark.parametrize("dtype", DTYPES)
def test_reach_is_tight_where_distances_are_large(dtype):
    rows = spread(300, 512, torch.Generator().manual_seed(0))
    bounds = Products(rows, rows[:0])
    bounds.dtype = dtype
    everyone = torch.arange(300)
    samples, centers = bounds.row_factors(rows, everyone), bounds.center_factors(rows, everyone)
    distances = torch.cdist(rows.double(), rows.double()).square() * bounds.scale**2
    # A distance 2 % below the true one is told to be impossible.
    reach = bounds.reach(samples, centers, 0.98 * distances[:, 7])
    possible = bounds.entries(samples, everyone, centers)[:, 7] <= reach
    assert possible.nonzero().flatten().tolist() == [7]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_precision_changes_no_pick(fast, kind, monkeypatch):
    rows = kind(500, 20, torch.Generator().manual_seed(1))
    monkeypatch.setattr(bounded_products, "WORTHWHILE", 0)
    monkeypatch.setattr(bounded_products, "multiplies_bfloat16", lambda _: not fast)
    other = k_center_greedy(rows[50:], 120, rows[:50])
    monkeypatch.setattr(bounded_products, "multiplies_bfloat16", lambda _: fast)
    assert torch.equal(k_center_greedy(rows[50:], 120, rows[:50]), other)


def test_low_precision_is_skipped_where_its_bounds_are_useless(monkeypatch):
    monkeypatch.setattr(bounded_products, "WORTHWHILE", 0)
    monkeypatch.setattr(bounded_products, "multiplies_bfloat16", lambda _: True)
    monkeypatch.setattr(coreset, "PATIENCE", (1000, 64))
    generator = torch.Generator().manual_seed(1)
    dtypes = {}
    for kind in (spread, tight_clusters):
        rows = kind(3000, 64, generator)
        greedy = coreset.LazyGreedy(rows[1500:], rows[:1500])
        greedy.run(50, None)
        dtypes[kind] = greedy.products.dtype
    assert dtypes == {spread: torch.bfloat16, tight_clusters: torch.float32}


def test_products_in_bfloat16_add_up_in_float32():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_bf16_reduced_precision_reduction
    with accumulating_in_float32():
        assert matmul.allow_bf16_reduced_precision_reduction is False
    assert matmul.allow_bf16_reduced_precision_reduction == before


@pytest.mark.parametrize("setting", [True, False])
def test_blocks_that_overlap_give_the_users_setting_back_when_the_last_is_left(setting, monkeypatch):
    matmul = SimpleNamespace(allow_bf16_reduced_precision_reduction=setting)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    first, second = accumulating_in_float32(), accumulating_in_float32()  # as two threads interleave them
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert matmul.allow_bf16_reduced_precision_reduction is False
    second.__exit__(None, None, None)
    assert matmul.allow_bf16_reduced_precision_reduction is setting


def test_bfloat16_units_are_the_devices():
    assert bounded_products.multiplies_bfloat16(torch.device("meta")) is False
    assert bounded_products.multiplies_bfloat16(torch.device("cpu")) in {True, False}
