"""Heads on features against scikit-learn, finite differences and the formulas."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from minimax_al.data import Dataset
from minimax_al.networks import l2_normalise
from minimax_al.training import FeatureSettings, HeadSettings, Recipe, RuntimeSettings, fit_supervised
from minimax_al.training.build import class_means
from minimax_al.training.heads.cross_validation import choose, stratified_folds
from minimax_al.training.heads.probe import fit_probe
from minimax_al.training.heads.prototypes import Labels, fit_nearest_mean, fit_prototypes
from minimax_al.training.heads.softmax_regression import SoftmaxRegression

POOL_MEAN = {"origins": ("pool_mean",), "class_priors": ("uniform",)}
"""Settings of prototypes without an origin and a prior of their own, which have their own tests."""


def draws(count=40, width=12, classes=4, seed=0, *, missing=None):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    if missing is not None:
        targets[targets == missing] = (missing + 1) % classes
    centres = torch.randn(classes, width, generator=generator, dtype=torch.float64)
    return centres[targets] + 0.7 * torch.randn(count, width, generator=generator, dtype=torch.float64), targets


def labels_of(count=40, width=12, classes=4, seed=0, *, missing=None, **settings):
    features, targets = draws(count, width, classes, seed, missing=missing)
    return Labels.of(features, targets, classes, HeadSettings(**settings))


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize(("count", "width"), [(60, 6), (20, 30)])  # below and above the number of columns
@pytest.mark.parametrize("strength", [0.5, 50.0])
def test_the_probe_is_scikit_learns_optimum(count, width, strength, weights):
    labels = labels_of(count, width, missing=2, class_weights=weights)
    probe = fit_probe(labels, HeadSettings(kind="linear", strengths=(strength,)), generator()).double()
    scale = labels.features.square().sum(dim=1).mean().sqrt()
    reference = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
    sample_weight = (labels.weights * count).numpy()
    reference.fit((labels.features / scale).numpy(), labels.targets.numpy(), sample_weight=sample_weight)
    got = probe(labels.features).detach().softmax(dim=1)
    assert probe.bias[2] == -1e4
    expected = reference.predict_proba((labels.features / scale).numpy())
    np.testing.assert_allclose(got[:, [0, 1, 3]].numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("moved", [True, False])
def test_the_gradient_is_that_of_the_loss(entropy_weight, bias, moved):
    features, targets = draws(15, 5)
    offsets = [torch.randn(n, 4, dtype=torch.float64, generator=generator()) * moved for n in (15, 9)]
    problem = SoftmaxRegression(
        features,
        targets,
        torch.rand(15, dtype=torch.float64, generator=generator()),
        prior=draws(4, 5, seed=7)[0],
        penalty=0.2,
        bias=bias,
        unlabelled=draws(9, 5, seed=3)[0],
        entropy_weight=entropy_weight,
        offset=offsets[0] if moved else None,
        unlabelled_offset=offsets[1] if moved else None,
    )
    weight = torch.randn(4, 5, dtype=torch.float64, generator=generator()).requires_grad_()
    offset = torch.randn(4, dtype=torch.float64, generator=generator()).requires_grad_()
    logits = problem.features @ weight.T + offset + offsets[0]
    probs = (problem.unlabelled @ weight.T + offset + offsets[1]).softmax(dim=1)
    expected = (
        (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * problem.label_weights).sum()
        + entropy_weight * -(probs * probs.log()).sum(dim=1).mean()
        + 0.1 * (weight - problem.prior).square().sum()
    )
    expected.backward()
    loss, gradient, bias_gradient = problem.loss_and_gradient(weight.detach(), offset.detach())
    assert loss == pytest.approx(float(expected.detach()))
    torch.testing.assert_close(gradient, weight.grad)
    torch.testing.assert_close(bias_gradient, offset.grad)


def plain_means(unit, targets, pool, temperature, rounds):
    """Soft k-means in a loop: every unlabelled feature joins each class in proportion to its probability."""
    means = [l2_normalise(unit[targets == k].mean(dim=0)[None])[0] for k in range(4)]
    for _ in range(rounds):
        sums = [unit[targets == k].sum(dim=0) for k in range(4)]
        for row in pool:
            shares = torch.tensor([float(row @ mean) / temperature for mean in means], dtype=torch.float64).exp()
            sums = [total + share / shares.sum() * row for total, share in zip(sums, shares, strict=True)]
        means = [total / total.norm() for total in sums]
    return torch.stack(means)


@pytest.mark.parametrize(("count", "width"), [(60, 6), (20, 30)])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("refinements", [0, 1, 2])
def test_prototypes_are_where_the_gradient_is_zero(count, width, temperature, refinements):
    labels, pool = labels_of(count, width), draws(30, width, seed=4)[0]
    settings = HeadSettings(
        temperatures=(temperature,), assignment_temperature=temperature, pull=0.3, refinements=refinements, **POOL_MEAN
    )
    head = fit_prototypes(labels, settings, generator(), pool).double()
    unit = l2_normalise(labels.features)
    values = (head.weight.detach() / temperature).requires_grad_()
    means = plain_means(unit, labels.targets, l2_normalise(pool), temperature, refinements)
    loss = torch.nn.functional.cross_entropy(unit @ values.T, labels.targets)
    loss = loss + 0.5 * 0.3 / count * (values - means / temperature).square().sum()
    loss.backward()
    assert values.grad.abs().max() < 1e-5  # prototypes are kept in float32
    torch.testing.assert_close(head(labels.features), unit @ values.T, rtol=1e-4, atol=1e-4)


def test_unlabelled_features_refine_the_prototypes_of_few_labels():
    features, targets = draws(400, 30, 4, seed=1)
    features += 2 * torch.randn(features.shape, generator=generator(), dtype=torch.float64)
    labels = Labels.of(features[:8], targets[:8], 4, HeadSettings())

    def right(refinements):
        settings = HeadSettings(refinements=refinements)
        head = fit_prototypes(labels, settings, generator(), features[8:200])
        return int((head(features[200:].float()).argmax(dim=1) == targets[200:]).sum())

    assert right(1) > right(0)


def test_entropy_of_unlabelled_features_falls_with_its_weight():
    labels, pool = labels_of(12, 8), draws(80, 8, seed=5)[0]

    def entropy(weight):
        settings = HeadSettings(temperatures=(0.2,), entropy_weights=(weight,))
        probs = fit_prototypes(labels, settings, generator(), pool)(pool.float()).detach().softmax(dim=1)
        return float(-(probs * probs.clamp_min(1e-30).log()).sum(dim=1).mean())

    assert entropy(0.0) > entropy(0.1) > entropy(1.0)


@pytest.mark.parametrize("kind", ["prototypes", "nearest_mean"])
def test_classes_without_a_label_are_never_predicted(kind):
    labels = labels_of(40, 12, missing=1)
    fit = fit_nearest_mean(labels, HeadSettings()) if kind == "nearest_mean" else None
    head = fit or fit_prototypes(labels, HeadSettings(), generator())
    logits = head(torch.randn(500, 12, generator=generator()))
    assert logits.isfinite().all()
    assert not (logits.argmax(dim=1) == 1).any()
    assert (logits.softmax(dim=1)[:, 1] == 0).all()


def test_nearest_mean_predicts_the_largest_cosine():
    labels, probes = labels_of(), draws(50, 12, seed=9)[0].float()
    head = fit_nearest_mean(labels, HeadSettings())
    unit = labels.features / labels.features.norm(dim=1, keepdim=True)
    means = torch.stack([unit[labels.targets == k].mean(dim=0) for k in range(4)]).float()
    expected = torch.nn.functional.cosine_similarity(probes[:, None], means[None], dim=2).argmax(dim=1)
    assert torch.equal(head(probes).argmax(dim=1), expected)


def test_class_means_do_not_depend_on_the_order_of_labels():
    features, targets = draws(400)
    order = torch.randperm(400, generator=generator())
    first, second = (class_means(*pair, 5).float() for pair in ((features, targets), (features[order], targets[order])))
    assert torch.equal(first, second)
    assert not first[4].any()


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_stratified(folds):
    targets = torch.tensor([0] * 7 + [1] * 2 + [2] * 10 + [3])
    fold = stratified_folds(targets, folds, generator())
    assert fold[-1] == -1
    for label, count in ((0, 7), (1, 2), (2, 10)):
        sizes = torch.bincount(fold[targets == label], minlength=folds)
        assert sizes.sum() == count
        assert sizes.max() - sizes.min() <= 1


def test_the_smallest_held_out_loss_is_chosen():
    targets = torch.arange(30) % 3
    seen = []

    def logits_of(sharpness, train, held):
        assert not set(train.tolist()) & set(held.tolist())
        seen.append(len(held))
        right = torch.nn.functional.one_hot(targets[held], 3).double()
        return sharpness * right

    assert choose([0.0, 5.0, -5.0], logits_of, targets, 3, generator()) == 5.0
    assert sum(seen) == 90
    assert choose([1.0, 2.0, 3.0], logits_of, torch.tensor([0, 1, 2, 0]), 3, generator()) == 2.0  # too few to compare


def dataset(count=60, classes=4):
    features, targets = draws(count, 12, classes)
    return Dataset.from_features("drawn", list("abcd"), (features.float(), targets), (features.float(), targets))


def round_of(make, **settings):
    recipe = Recipe(
        missing_classes="warn",
        features=FeatureSettings(head=HeadSettings(**settings)),
        runtime=RuntimeSettings(device="cpu", precision="fp32"),
    )
    return make(dataset(), recipe)


@pytest.mark.parametrize("kind", ["prototypes", "linear", "nearest_mean"])
def test_a_fit_is_deterministic_and_its_members_differ(feature_round, kind):
    round_ = round_of(feature_round, kind=kind)
    first, again, member = (fit_supervised(each).task_model for each in (round_, round_, round_.as_member(1)))
    x = round_.dataset.train[:]
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), member(x))
    moved = replace(round_, labelled=round_.labelled.flip(0))
    torch.testing.assert_close(fit_supervised(moved).task_model(x).argmax(dim=1), first(x).argmax(dim=1))
