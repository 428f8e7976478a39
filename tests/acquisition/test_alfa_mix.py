"""The closed form of ALFA-Mix against mixing every image with every anchor, step by step."""

import pytest
import torch
import torch.nn.functional as F

from minimax_al.acquisition import alfa_mix, smallest_mixing
from minimax_al.errors import BudgetError, ConfigurationError, NonFiniteScoreError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def case(images=60, labels=12, width=5, classes=4, seed=0):
    generator = seeded(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    # The last class has no label: its anchor is the mean of all labels.
    targets = torch.arange(labels) % (classes - 1)
    return 2 * draw(images, width), draw(classes, width), draw(classes), draw(labels, width), targets


def changed_by_mixing(arguments, epsilon, normalised=False):
    """Which images change their class for some anchor, by the formulas of the paper with automatic gradients."""
    pool, weight, bias, labelled, targets = arguments

    def head(inputs):
        return F.linear(F.normalize(inputs) if normalised else inputs, weight, bias)

    z = pool.clone().requires_grad_()
    logits = head(z)
    predicted = logits.argmax(dim=1)
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, predicted, reduction="sum"), z)
    changed = torch.zeros(len(pool), dtype=torch.bool)
    for label in range(len(weight)):
        own = labelled[targets == label] if bool((targets == label).any()) else labelled
        difference = own.mean(dim=0) - pool
        length = difference.norm(dim=1, keepdim=True) / gradient.norm(dim=1, keepdim=True)
        alpha = epsilon * length * gradient / difference
        mixed = (1 - alpha) * pool + alpha * own.mean(dim=0)
        changed |= head(mixed).argmax(dim=1) != predicted
    return changed


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_mixing_is_where_the_mixed_class_changes(seed):
    arguments = case(seed=seed)
    smallest = smallest_mixing(*arguments)
    for epsilon in (0.01, 0.03, 0.1, 0.3, 1.0):
        assert (smallest < epsilon).tolist() == changed_by_mixing(arguments, epsilon).tolist()
    finite = smallest[smallest.isfinite()]
    assert len(finite) > 50
    at = finite.sort().values[len(finite) // 2]
    before, after = (changed_by_mixing(arguments, float(at) * factor) for factor in (1 - 1e-9, 1 + 1e-9))
    assert int(after.sum()) == int(before.sum()) + 1


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("shares", [[0.25, 0.25, 0.25, 0.25], [0.94, 0.03, 0.02, 0.01], [0.01, 0.97, 0.01, 0.01]])
def test_a_cosine_classifiers_prior_weighs_as_in_its_own_logits(shares, unit):
    pool, weight, _, labelled, targets = case(200, seed=5)
    pool = F.normalize(pool) if unit else pool
    arguments = (pool, 4 * F.normalize(weight), torch.tensor(shares, dtype=torch.float64).log(), labelled, targets)
    smallest = smallest_mixing(*arguments, normalised=True)
    for epsilon in (0.01, 0.1, 0.3, 1.0, 3.0):
        assert (smallest < epsilon).tolist() == changed_by_mixing(arguments, epsilon, normalised=True).tolist()
    assert 20 < int(smallest.isfinite().sum()) <= 200
    if unit and max(shares) > 0.25:
        # As linear logits of inputs that grow, the prior would weigh less and less.
        assert (smallest_mixing(*arguments) - smallest).abs().nan_to_num(nan=0, posinf=1).max() > 0.1


def test_a_zero_vector_has_no_direction_to_be_mixed():
    pool, weight, bias, labelled, targets = case(3)
    pool[1] = 0
    assert smallest_mixing(pool, weight, bias, labelled, targets, normalised=True).isinf().tolist()[1]


def test_candidates_are_those_of_the_first_step_with_more_than_the_budget():
    pool, weight, bias, labelled, targets = case(200)
    known = {"labelled": labelled, "targets": targets, "generator": seeded()}
    for budget, step in ((3, 1 / 32), (20, 1 / 16)):
        cap = step
        candidates = torch.zeros(200, dtype=torch.bool)
        while cap < 1:
            candidates |= changed_by_mixing((pool, weight, bias, labelled, targets), cap / 5**0.5)
            if int(candidates.sum()) > budget:
                break
            cap += step
        picks = alfa_mix(pool, weight, bias, budget, step=step, **known)
        assert len(set(picks.tolist())) == budget
        assert bool(candidates[picks].all())
        # Clusters of directions: the picks are not the smallest mixings alone.
        assert int(candidates.sum()) > budget


def test_uniform_draws_fill_up_where_few_images_change():
    labelled, targets = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 1])
    pool = torch.tensor([[0.01, 0.0]] + [[50.0, 1.0]] * 20)
    weight, bias = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.zeros(2)
    picks = [
        alfa_mix(pool, weight, bias, 4, labelled=labelled, targets=targets, generator=seeded(seed)).tolist()
        for seed in range(3)
    ]
    assert all(0 in each and len(set(each)) == 4 for each in picks)
    assert len({tuple(sorted(each)) for each in picks}) == 3


def test_a_class_that_cannot_be_predicted_does_not_matter():
    pool, weight, bias, labelled, targets = case()
    longer = torch.cat([weight, torch.zeros(1, 5)]), torch.cat([bias, torch.tensor([-1e4])])
    expected = smallest_mixing(pool, weight, bias, labelled, targets)
    torch.testing.assert_close(smallest_mixing(pool, *longer, labelled, targets), expected)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"budget": 0}, BudgetError, "a budget of 0 is outside"),
        ({"step": 0}, ConfigurationError, "step=0 is not a number above 0 and at most 1"),
        ({"weight": torch.zeros(4, 6)}, ShapeError, r"weight \(4, 6\) and bias \(4,\) do not fit features of width 5"),
        ({"targets": torch.full((12,), 4)}, ShapeError, "targets of 12 labelled images must be classes 0 to 3"),
        ({"targets": torch.zeros(3)}, ShapeError, "labelled features are for 12 images, targets for 3"),
        ({"features": torch.full((60, 5), torch.inf)}, NonFiniteScoreError, "features are NaN or infinite for 60"),
        ({"bias": torch.full((4,), torch.nan)}, NonFiniteScoreError, "biases of the last layer are NaN"),
    ],
)
def test_bad_input(change, error, sentence):
    names = ("features", "weight", "bias", "labelled", "targets")
    arguments = dict(zip(names, case(), strict=True)) | {"budget": 3, "generator": seeded()}
    with pytest.raises(error, match=sentence):
        alfa_mix(**{**arguments, **change})
