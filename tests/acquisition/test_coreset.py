"""Lazy k-center picks against a naive greedy rule in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimax_al.acquisition import bounded_products, coreset, k_center_greedy
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError


def naive(features, budget, centers=None, first=None):
    """One pass over the pool a pick, by differences, ties by index."""
    features = features.double().numpy()
    centers = np.empty((0, features.shape[1])) if centers is None else centers.double().numpy()
    nearest = np.full(len(features), np.inf)
    for center in centers:
        nearest = np.minimum(nearest, np.square(features - center).sum(1))
    if first is None and len(centers) == 0:
        first = int(np.square(features - features.mean(0)).sum(1).argmin())
    picks = []
    while len(picks) < budget:
        pick = int(nearest.argmax()) if first is None or picks else first
        picks.append(pick)
        nearest = np.minimum(nearest, np.square(features - features[pick]).sum(1))
        nearest[picks] = -1
    return picks


def random(n, d, generator):
    return torch.randn(n, d, generator=generator)


def clustered(n, d, generator):
    means = 4 * torch.randn(12, d, generator=generator)
    spread = torch.rand(n, 1, generator=generator)
    return means[torch.randint(12, (n,), generator=generator)] + spread * torch.randn(n, d, generator=generator)


def low_rank(n, d, generator):
    return torch.randn(n, 4, generator=generator) @ torch.randn(4, d, generator=generator)


def far_from_the_origin(n, d, generator):
    return 1000 + clustered(n, d, generator)


def tight_far_clusters(n, d, generator):
    """Distances within a cluster are lost in the rounding of squared norms in float32."""
    means = 1000 * torch.randn(5, d, generator=generator)
    return means[torch.randint(5, (n,), generator=generator)] + 0.01 * torch.randn(n, d, generator=generator)


def unit_length(n, d, generator):
    return torch.nn.functional.normalize(low_rank(n, d, generator) + 0.1 * random(n, d, generator))


KINDS = [random, clustered, low_rank, far_from_the_origin, tight_far_clusters, unit_length]


@pytest.fixture(autouse=True)
def _bfloat16(monkeypatch):
    """Low precision also for small pools and on any machine."""
    monkeypatch.setattr(bounded_products, "WORTHWHILE", 0)
    monkeypatch.setattr(bounded_products, "multiplies_bfloat16", lambda _: True)


@pytest.fixture
def small_blocks(monkeypatch):
    """Many blocks, windows and short lists also on a small pool."""
    monkeypatch.setattr(coreset, "WINDOW", 7)
    monkeypatch.setattr(coreset, "FIRST_CENTERS", (3, 5))
    monkeypatch.setattr(coreset, "PILOTS", 20)
    monkeypatch.setattr(coreset, "BLOCK_SIZES", (8, 64))
    monkeypatch.setattr(coreset, "MOST_AT_ONCE", (16, 16))
    monkeypatch.setattr(coreset, "SHORTLIST", 40)
    monkeypatch.setattr(coreset, "POOL_SHARE", 4)
    monkeypatch.setattr(coreset, "CHUNK_ROWS", 50)
    monkeypatch.setattr(bounded_products, "CHUNK_ROWS", 50)
    monkeypatch.setattr(coreset, "PAIR_CHUNK", {"cpu": 5})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("labelled", "fast"), [(0, True), (1, True), (60, True), (60, False)])
def test_picks_are_those_of_a_naive_greedy_rule(kind, labelled, fast, monkeypatch):
    monkeypatch.setattr(bounded_products, "multiplies_bfloat16", lambda _: fast)
    samples = kind(1500 + labelled, 40, torch.Generator().manual_seed(labelled))
    pool, centers = samples[labelled:], samples[:labelled] if labelled else None
    assert k_center_greedy(pool, 150, centers).tolist() == naive(pool, 150, centers)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labelled", [0, 25])
def test_blocks_windows_and_short_lists_change_nothing(kind, labelled):
    samples = kind(400 + labelled, 9, torch.Generator().manual_seed(labelled))
    pool, centers = samples[labelled:], samples[:labelled] if labelled else None
    assert k_center_greedy(pool, 400, centers).tolist() == naive(pool, 400, centers)


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_ties_go_to_the_lower_index_and_duplicates_are_picked_once(data):
    size, width, labelled = (data.draw(st.integers(*bounds)) for bounds in ((1, 60), (1, 3), (0, 4)))
    values = data.draw(
        st.lists(st.integers(-2, 2), min_size=(size + labelled) * width, max_size=(size + labelled) * width)
    )
    samples = torch.tensor(values, dtype=torch.float32).reshape(-1, width)
    pool, centers = samples[labelled:], samples[:labelled] if labelled else None
    budget = data.draw(st.integers(1, size))
    first = data.draw(st.none() | st.integers(0, size - 1))
    # The mean is rounded differently here and there: name the first pick where it would decide.
    first = 0 if first is None and not labelled else first
    assert k_center_greedy(pool, budget, centers, first=first).tolist() == naive(pool, budget, centers, first)


def test_real_duplicates_go_to_the_lower_index():
    generator = torch.Generator().manual_seed(3)
    distinct = torch.randn(100, 17, generator=generator)
    pool = distinct.repeat(3, 1)[torch.randperm(300, generator=generator)]
    picks = k_center_greedy(pool, 300, distinct[:1])
    assert picks.tolist() == naive(pool, 300, distinct[:1])


def test_a_pool_of_one_point_is_taken_by_index():
    assert k_center_greedy(torch.full((3000, 5), 7.5), 3000, torch.full((4, 5), 7.5)).tolist() == list(range(3000))


def test_one_dimension_with_many_equal_distances():
    pool = torch.arange(600.0)[torch.randperm(600, generator=torch.Generator().manual_seed(0)), None]
    assert k_center_greedy(pool, 300, pool[:2]).tolist() == naive(pool, 300, pool[:2])


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_a_huge_offset_where_float32_cancels(offset):
    # Features as float32 has them at that offset: few values, many equal distances.
    pool = offset + clustered(500, 6, torch.Generator().manual_seed(5))
    assert k_center_greedy(pool, 120, pool[:30]).tolist() == naive(pool, 120, pool[:30])


def test_a_pool_at_zero_is_taken_by_index():
    assert k_center_greedy(torch.zeros(5, 2), 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_equal_the_naive_rule_on_the_same_numbers(dtype):
    samples = clustered(800, 24, torch.Generator().manual_seed(1)).to(dtype)
    picks = k_center_greedy(samples[50:], 100, samples[:50])
    assert picks.tolist() == naive(samples[50:], 100, samples[:50])


def test_centers_of_another_precision_and_arrays():
    samples = random(300, 8, torch.Generator().manual_seed(1))
    expected = k_center_greedy(samples[50:], 20, samples[:50])
    assert torch.equal(k_center_greedy(samples[50:].numpy(), 20, samples[:50].double().numpy()), expected)
    half = samples.half()
    assert torch.equal(
        k_center_greedy(half[50:], 20, half[:50].float()), k_center_greedy(half[50:].float(), 20, half[:50])
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e37])
def test_squares_that_leave_the_range_of_float32_change_nothing(scale):
    samples = clustered(300, 8, torch.Generator().manual_seed(2))
    assert k_center_greedy(samples * scale, 50).tolist() == naive(samples.double() * scale, 50)


def test_the_smallest_numbers_still_differ():
    tiny = torch.tensor([[0.0], [3e-45], [1e-44], [7e-45]])
    assert k_center_greedy(tiny, 3, tiny[:1]).tolist() == [2, 1, 3]


def test_centers_of_another_precision_far_from_the_origin():
    samples = 1e6 + clustered(400, 8, torch.Generator().manual_seed(2))
    centers = samples[:40].double() + 1e-3
    assert k_center_greedy(samples[40:], 60, centers).tolist() == naive(samples[40:], 60, centers)
    assert k_center_greedy(centers, 30, samples[40:]).tolist() == naive(centers, 30, samples[40:])


def test_one_huge_row_does_not_change_the_order_of_the_others():
    samples = clustered(300, 8, torch.Generator().manual_seed(2))
    samples[17] = 1e12
    assert k_center_greedy(samples, 60, samples[:1]).tolist() == naive(samples, 60, samples[:1])


def test_picks_are_equivariant_under_permutation():
    samples = random(500, 12, torch.Generator().manual_seed(4))
    permutation = torch.randperm(500, generator=torch.Generator().manual_seed(5))
    assert torch.equal(permutation[k_center_greedy(samples[permutation], 80)], k_center_greedy(samples, 80))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_precision_products_change_nothing(precision):
    samples = clustered(600, 16, torch.Generator().manual_seed(6))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        assert k_center_greedy(samples, 60).tolist() == naive(samples, 60)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_cuda_device_picks_the_same(kind):
    samples = kind(2000, 40, torch.Generator().manual_seed(0))
    picks = k_center_greedy(samples[100:].cuda(), 200, samples[:100].cuda())
    assert picks.is_cuda
    assert picks.tolist() == naive(samples[100:], 200, samples[:100])


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_bounds_and_the_error_bound_hold(kind):
    samples = kind(300, 12, torch.Generator().manual_seed(8))
    greedy = coreset.LazyGreedy(samples[40:], samples[:40])
    greedy.bound_all(10)
    exact = (
        torch.cdist(samples[40:].double(), samples[:40].double(), compute_mode="donot_use_mm_for_euclid_dist")
        .square()
        .amin(dim=1)
        * greedy.products.scale**2
    )
    assert bool((greedy.bound >= exact).all())
    greedy.refresh(greedy.everyone, 0.0)
    torch.testing.assert_close(greedy.bound, exact, rtol=1e-12, atol=0)


def test_the_features_stay_as_they_are():
    samples = random(300, 8, torch.Generator().manual_seed(1))
    before = samples.clone()
    k_center_greedy(samples[50:], 20, samples[:50])
    assert torch.equal(samples, before)


def test_the_first_pick_can_be_named():
    samples = random(300, 8, torch.Generator().manual_seed(1))
    assert k_center_greedy(samples, 20, first=299).tolist() == naive(samples, 20, first=299)
    assert k_center_greedy(samples, 20, samples[:9], first=0).tolist() == naive(samples, 20, samples[:9], 0)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: k_center_greedy(x, 6), BudgetError, r"budget of 6 is outside 1 … 5"),
        (lambda x: k_center_greedy(x, 0), BudgetError, r"budget of 0 is outside 1 … 5"),
        (lambda x: k_center_greedy(x[:0], 1), BudgetError, "the pool is empty"),
        (lambda x: k_center_greedy(x[0], 1), ShapeError, r"features must have the shape \(N, D\), not \(3,\)"),
        (lambda x: k_center_greedy(x[:, :0], 1), ShapeError, "nothing along D"),
        (lambda x: k_center_greedy(x, 1, x[0]), ShapeError, r"centers must have the shape \(N, D\)"),
        (lambda x: k_center_greedy(x, 1, x[:, :2]), ShapeError, "centers have 2 features each, the images have 3"),
        (lambda x: k_center_greedy(x, 1, first=5), ConfigurationError, "first=5 is not an index of a pool of 5"),
        (lambda x: k_center_greedy(x, 1, first=-1), ConfigurationError, "first=-1 is not an index"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(torch.arange(15.0).reshape(5, 3))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_features_raise(bad):
    features = torch.zeros(5000, 3)
    features[4321, 2] = bad
    with pytest.raises(NonFiniteScoreError, match=r"features are NaN .* 1 of 5000 .* 4321;") as caught:
        k_center_greedy(features, 2)
    assert caught.value.positions == (4321,)
    with pytest.raises(NonFiniteScoreError, match="centers are NaN or infinite"):
        k_center_greedy(torch.zeros(5, 3), 2, features)


@pytest.mark.parametrize(("dtype", "largest"), [(torch.float32, 3e38), (torch.float64, 1.5e308)])
def test_values_near_the_largest_number_do_not_overflow(dtype, largest):
    samples = torch.tensor([[1.0]] * 6 + [[-1.0], [0.0], [0.3]], dtype=dtype)
    small = k_center_greedy(samples, 3, samples[:1])
    assert k_center_greedy(samples * largest, 3, samples[:1] * largest).tolist() == small.tolist() == [6, 7, 8]


@pytest.mark.parametrize("seed", range(20))
def test_the_first_pick_does_not_depend_on_the_layout(seed):
    generator = torch.Generator().manual_seed(seed)
    few = torch.randn(5, 301, generator=generator)
    samples = few[torch.randint(5, (37,), generator=generator)]
    assert k_center_greedy(samples, 1).tolist() == k_center_greedy(samples.T.contiguous().T, 1).tolist()


def test_rows_on_disk_give_the_same_picks(tmp_path):
    pool = torch.randn(900, 12, generator=torch.Generator().manual_seed(0)).half()
    mapped = np.memmap(tmp_path / "pool", np.float16, "w+", shape=tuple(pool.shape))
    mapped[:] = pool.numpy()

    class Rows:
        shape = tuple(pool.shape)

        def __len__(self):
            return len(pool)

        def __getitem__(self, which):
            return torch.from_numpy(np.asarray(mapped[which if isinstance(which, slice) else which.numpy()])).float()

    for centers in (None, pool[:40].float()):
        expected = k_center_greedy(pool, 30, centers)
        for form in (mapped, Rows(), pool.double()):
            assert torch.equal(k_center_greedy(form, 30, centers), expected)
