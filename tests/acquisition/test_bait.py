"""Woodbury updates against dense inverses of materialised Fisher matrices."""

import importlib

import numpy as np
import pytest
import torch

from minimax_al.acquisition import bait
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError, UnknownNameError

module = importlib.import_module("minimax_al.acquisition.bait")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def case(images=30, labels=6, width=3, classes=3, seed=0):
    generator = seeded(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weight = draw(classes, width)
    pool, labelled = draw(images, width), draw(labels, width)
    return pool, pool @ weight.T, labelled, labelled @ weight.T


def informations(features, logits, exact):
    """One dense Fisher matrix per image: E_k∼p of the outer product of the last layer's gradient."""
    found = []
    for phi, z in zip(features.numpy(), logits.numpy(), strict=True):
        p = np.exp(z - z.max())
        p /= p.sum()
        if not exact:
            found.append(p.max() * (1 - p.max()) * np.outer(phi, phi))
            continue
        gradients = [np.outer((np.eye(len(p))[k] - p), phi).ravel() for k in range(len(p))]
        found.append(sum(p[k] * np.outer(g, g) for k, g in enumerate(gradients)))
    return np.stack(found)


def greedy(arguments, budget, *, exact, regularisation=None):
    """The definition: every candidate's trace from a dense inverse."""
    pool, pool_logits, labelled, labelled_logits = arguments
    images, known = informations(pool, pool_logits, exact), informations(labelled, labelled_logits, exact)
    F = np.concatenate([images, known]).mean(axis=0)
    scale = 1 / (len(known) + budget)
    M = known.sum(axis=0) * scale + (regularisation or np.trace(F) / len(F)) * np.eye(len(F))
    trace = lambda matrix: np.trace(np.linalg.inv(matrix) @ F)  # noqa: E731
    added = []
    for _ in range(min(2 * budget, len(images))):
        left = [i for i in range(len(images)) if i not in added]
        added.append(min(left, key=lambda i: trace(M + budget * scale * images[i])))
        M = M + budget * scale * images[added[-1]]
    while len(added) > budget:
        removed = min(added, key=lambda i: trace(M - budget * scale * images[i]))
        M = M - budget * scale * images[removed]
        added.remove(removed)
    return added


@pytest.mark.parametrize("fisher", ["exact", "binary"])
@pytest.mark.parametrize(
    ("seed", "budget", "regularisation"), [(0, 5, None), (1, 1, 0.01), (2, 12, 1.0), (3, 20, None)]
)
def test_picks_are_those_of_dense_inverses(fisher, seed, budget, regularisation):
    pool, logits, labelled, labelled_logits = case(seed=seed)
    expected = greedy(case(seed=seed), budget, exact=fisher == "exact", regularisation=regularisation)
    picks = bait(
        pool,
        logits,
        budget,
        generator=seeded(),
        labelled=labelled,
        labelled_logits=labelled_logits,
        fisher=fisher,
        regularisation=regularisation,
    )
    assert picks.tolist() == expected


def test_float32_products_give_the_same_picks(monkeypatch):
    pool, logits, labelled, labelled_logits = case(200, 10, 8, 4)
    expected = greedy((pool, logits, labelled, labelled_logits), 10, exact=False)
    monkeypatch.setattr(module, "DOUBLE_NUMBERS", 1)
    monkeypatch.setattr(module, "BLOCK_ROWS", 37)
    picks = bait(
        pool, logits, 10, generator=seeded(), labelled=labelled, labelled_logits=labelled_logits, fisher="binary"
    )
    assert picks.tolist() == expected


def test_auto_is_exact_while_the_matrices_are_small(monkeypatch):
    pool, logits, labelled, labelled_logits = case()
    known = {"labelled": labelled, "labelled_logits": labelled_logits, "generator": seeded()}
    exact, binary = (bait(pool, logits, 4, fisher=form, **known).tolist() for form in ("exact", "binary"))
    assert exact != binary
    assert bait(pool, logits, 4, **known).tolist() == exact
    monkeypatch.setattr(module, "MOST_DIMENSIONS", 8)
    assert bait(pool, logits, 4, **known).tolist() == binary


def test_a_large_pool_is_represented_by_a_draw():
    pool, logits, labelled, labelled_logits = case(100)
    known = {"labelled": labelled, "labelled_logits": labelled_logits}
    picks = bait(pool, logits, 5, generator=seeded(), most_images=20, **known)
    drawn = torch.randperm(100, generator=seeded())[:20]
    assert len(set(picks.tolist())) == 5
    assert set(picks.tolist()) <= set(drawn.tolist())


def test_copies_are_not_chosen_while_other_images_are_left():
    labelled = torch.zeros(1, 4)
    pool = torch.eye(4).repeat_interleave(5, dim=0) * torch.tensor([3.0, 2.5, 2.0, 1.5])
    picks = bait(pool, torch.zeros(20, 2), 4, generator=seeded(), labelled=labelled, labelled_logits=torch.zeros(1, 2))
    assert sorted(index // 5 for index in picks.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"budget": 31}, BudgetError, r"a budget of 31 is outside 1 … 30"),
        ({"regularisation": 0.0}, ConfigurationError, "regularisation=0.0 must be a number above 0"),
        ({"fisher": "exat"}, UnknownNameError, "unknown form of the Fisher information 'exat'; did you mean 'exact'"),
        ({"logits": torch.zeros(29, 3)}, ShapeError, "logits are for 29 images, features for 30"),
        ({"labelled_logits": torch.zeros(6, 2)}, ShapeError, "logits are of 3 classes, labelled logits of 2"),
        ({"labelled": torch.zeros(6, 2)}, ShapeError, "labelled images have 2 features each, the pool has 3"),
        ({"logits": torch.full((30, 3), torch.nan)}, NonFiniteScoreError, "logits are NaN or infinite for 30"),
    ],
)
def test_bad_input(change, error, sentence):
    pool, logits, labelled, labelled_logits = case()
    arguments = {
        "features": pool,
        "logits": logits,
        "labelled": labelled,
        "labelled_logits": labelled_logits,
        "budget": 3,
    }
    with pytest.raises(error, match=sentence):
        bait(**{**arguments, "generator": seeded(), **change})
