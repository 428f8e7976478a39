"""BatchBALD against joint entropies by brute force in float64."""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch

from minimax_al.acquisition import bald, batchbald
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError

# The package gives this name to the function.
module = importlib.import_module("minimax_al.acquisition.batchbald")


def brute_information(probs, batch):
    """I[y_1 … y_b; ω] of one batch by listing all joint labels; probs is (T, N, K)."""
    joint_entropy = 0.0
    for labels in itertools.product(range(probs.shape[2]), repeat=len(batch)):
        p = np.prod([probs[:, i, y] for i, y in zip(batch, labels, strict=True)], axis=0).mean()
        joint_entropy -= p * math.log(p) if p > 0 else 0
    return joint_entropy + sum((probs[:, i] * np.log(probs[:, i])).sum(1).mean() for i in batch)


def brute_batchbald(logits, budget):
    probs, batch = logits.double().softmax(2).numpy(), []
    for _ in range(budget):
        others = [i for i in range(probs.shape[1]) if i not in batch]
        batch.append(max(others, key=lambda i: brute_information(probs, [*batch, i])))
    return batch


def passes(t=6, n=12, k=3, seed=0, spread=2.0):
    return spread * torch.randn(t, n, k, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("candidates", [2, 256])
def test_exact_batches_equal_brute_force(seed, candidates, monkeypatch):
    monkeypatch.setattr(module, "CANDIDATES", candidates)
    logits = passes(seed=seed)
    assert batchbald(logits, 4).tolist() == brute_batchbald(logits, 4)


def test_added_information_is_the_difference_of_joint_informations():
    logits = passes()
    probs = logits.double().softmax(2).numpy()
    search = module._GreedySearch(logits, 10_000, 1 << 30, None)
    batch = [search.pick() for _ in range(3)]
    rest = [i for i in range(12) if i not in batch]
    expected = [brute_information(probs, [*batch, i]) - brute_information(probs, batch) for i in rest]
    torch.testing.assert_close(
        search.added_information(torch.tensor(rest), search.joint.mixture),
        torch.tensor(expected, dtype=torch.float64),
        rtol=1e-9,
        atol=1e-12,
    )


def test_drawn_configurations_estimate_the_same_scores():
    logits = passes(n=10, spread=3.0)
    exact = module._GreedySearch(logits, 10_000, 1 << 30, None)
    drawn = module._GreedySearch(logits, 8, 1 << 30, torch.Generator().manual_seed(0))
    drawn.joint.most = 4000
    for search in (exact, drawn):
        search.joint.exact = search is exact
        if search is drawn:
            search.joint.log_probs_TC = torch.zeros(6, 4000, dtype=torch.float64)
            search.joint.posterior_TC = search.joint.log_probs_TC.softmax(0)
            search.joint.weights_C = torch.full((4000,), 1 / 4000, dtype=torch.float64)
        for pick in (1, 5, 2):
            search.joint.extend(logits[:, pick].double().log_softmax(1))
    everyone = torch.arange(10)
    torch.testing.assert_close(
        drawn.added_information(everyone, drawn.joint.mixture),
        exact.added_information(everyone, exact.joint.mixture),
        rtol=0,
        atol=0.02,
    )


def test_the_change_from_listed_to_drawn_configurations_keeps_the_best_sample():
    # Samples 0 … 4 ask five independent questions about the model, the others repeat the first.
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
    columns = torch.cat([bits, bits[:, :1].expand(-1, 10)], dim=1)
    logits = torch.stack([columns * 60 - 30, 30 - columns * 60], dim=2)
    picks = batchbald(logits, 5, num_samples=6, generator=torch.Generator().manual_seed(0))
    assert picks.tolist() == [0, 1, 2, 3, 4]


def test_duplicates_are_not_picked_where_bald_picks_them():
    first, second = passes(t=20, n=1, seed=1, spread=8.0), passes(t=20, n=1, seed=2, spread=2.0)
    logits = torch.cat([first, first, first, second], dim=1)
    assert bald(logits).argsort(descending=True, stable=True)[:2].tolist() == [0, 1]
    assert batchbald(logits, 2).tolist() == [0, 3]


def test_the_first_pick_equals_bald():
    logits = passes(n=300, k=7)
    assert batchbald(logits, 1).item() == bald(logits.double()).argmax().item()


@pytest.mark.parametrize("num_samples", [1, 5, 1000])
def test_a_batch_of_the_whole_pool_takes_every_sample_once(num_samples):
    picks = batchbald(passes(), 12, num_samples=num_samples, generator=torch.Generator().manual_seed(0))
    assert sorted(picks.tolist()) == list(range(12))
    assert picks.dtype == torch.int64


@pytest.mark.parametrize("classes", [1, 3])
def test_equal_samples_are_taken_by_index(classes):
    logits = passes(n=1, k=classes).expand(-1, 9, -1)
    assert batchbald(logits, 9).tolist() == list(range(9))


def test_exact_batches_are_equivariant_under_permutation():
    logits = passes(n=40)
    permutation = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(permutation[batchbald(logits[:, permutation], 4)], batchbald(logits, 4))


def test_one_seed_gives_one_batch_on_arrays_and_tensors():
    logits = passes(n=40, k=10)
    draws = [
        batchbald(x, 6, num_samples=50, generator=torch.Generator().manual_seed(3))
        for x in (logits, logits.numpy(), logits.double())
    ]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], draws[2])


def alike(t, n, k, seed, spread=0.7):
    """Passes that mostly agree, as dropout's do."""
    generator = torch.Generator().manual_seed(seed)
    shared = 3 * torch.randn(1, n, k, generator=generator)
    return shared + spread * torch.rand(1, n, 1, generator=generator) * torch.randn(t, n, k, generator=generator)


@pytest.mark.parametrize("kind", [passes, alike])
@pytest.mark.parametrize("num_samples", [40, 3000])
def test_skipping_changes_no_pick(kind, num_samples, monkeypatch):
    monkeypatch.setattr(module, "CANDIDATES", 16)
    logits = kind(8, 150, 4, 5)
    lazy = batchbald(logits, 12, num_samples=num_samples, generator=torch.Generator().manual_seed(1))
    everyone = lambda search: (search.scores > -torch.inf).nonzero().flatten()  # noqa: E731
    monkeypatch.setattr(module._GreedySearch, "contenders", everyone)
    plain = batchbald(logits, 12, num_samples=num_samples, generator=torch.Generator().manual_seed(1))
    assert torch.equal(lazy, plain)


def test_samples_that_cannot_win_are_skipped(monkeypatch):
    logits = alike(8, 600, 4, 5)
    search = module._GreedySearch(logits, 3000, 1 << 30, torch.Generator().manual_seed(1))
    scored = []
    added = module._GreedySearch.added_information

    def counting(search, samples, mixture):
        # In float64 or over all configurations, where these are many.
        if len(search.joint.weights_C) > 1000 and mixture.weights.shape == search.joint.weights_C.shape:
            scored.append(len(samples))
        return added(search, samples, mixture)

    monkeypatch.setattr(module._GreedySearch, "added_information", counting)
    for _ in range(10):
        search.pick()
    assert 0 < sum(scored) < 600


@pytest.mark.parametrize("kind", [passes, alike])
@pytest.mark.parametrize("depth", [0, 2, 6])
def test_groups_give_an_upper_bound_and_keep_the_mean(kind, depth):
    search = module._GreedySearch(kind(8, 60, 4, 2), 4096, 1 << 30, torch.Generator().manual_seed(0))
    for _ in range(7):
        search.pick()
    exact = search.joint.mixture
    groups = exact.grouped(depth)
    assert groups.weights.shape == (2**depth,)
    torch.testing.assert_close(groups.posterior @ groups.weights, exact.posterior @ exact.weights)
    everyone = torch.arange(60)
    assert bool((search.added_information(everyone, groups) >= search.added_information(everyone, exact) - 1e-12).all())


@pytest.mark.parametrize("spread", [0.1, 2.0, 60.0])
def test_float32_errs_by_less_than_its_bound(spread):
    search = module._GreedySearch(passes(20, 200, 10, 3, spread), 2000, 1 << 30, torch.Generator().manual_seed(0))
    for _ in range(5):
        search.pick()
    everyone, exact = torch.arange(200), search.joint.mixture
    error = search.added_information(everyone, exact.float()) - search.added_information(everyone, exact)
    assert float(error.abs().max()) <= search.rounding


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_precision_products_change_nothing(precision):
    logits = alike(8, 150, 4, 5)
    expected = batchbald(logits, 8, num_samples=500, generator=torch.Generator().manual_seed(1))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        picks = batchbald(logits, 8, num_samples=500, generator=torch.Generator().manual_seed(1))
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(picks, expected)


def test_little_memory_means_fewer_configurations():
    logits = passes(n=40, k=10)
    assert module._GreedySearch(logits, 1000, 200_000, None).pick() == module._GreedySearch(logits, 9, 480, None).pick()
    assert batchbald(logits, 3, max_bytes=480).shape == (3,)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: batchbald(x, 13), BudgetError, r"budget of 13 is outside 1 … 12"),
        (lambda x: batchbald(x[:, :0], 1), BudgetError, "the pool is empty"),
        (lambda x: batchbald(x[0], 1), ShapeError, r"logits must have the shape \(T, N, K\), not \(12, 3\)"),
        (lambda x: batchbald(x / 0, 1), NonFiniteScoreError, "logits are NaN or infinite for 12 of 12"),
        (lambda x: batchbald(x, 1, num_samples=0), ConfigurationError, "num_samples=0 must be 1 or more"),
        (lambda x: batchbald(x, 1, max_bytes=200), ConfigurationError, "max_bytes=200 .* must be 312 or more"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(passes())
