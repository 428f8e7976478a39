"""Origin and class prior of the prototypes: formulas against loops, and the choice on even and uneven classes."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from minimax_al.networks import CosineClassifier
from minimax_al.training import HeadSettings
from minimax_al.training.heads.class_priors import log_shares, mean_of_class_means
from minimax_al.training.heads.cross_validation import least_beyond_doubt
from minimax_al.training.heads.prototypes import Labels, fit_prototypes, with_choices_of

BOTH = {"origins": ("class_means",), "class_priors": ("pool",)}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(sizes, seed=0, width=20, modes=6, spread=0.8):
    """Draw classes of some sizes; the first is spread over several modes, as "no defect" is."""
    g = generator(seed)
    centres = torch.randn(len(sizes) + modes, width, generator=g, dtype=torch.float64)
    features, targets = [], []
    for label, size in enumerate(sizes):
        mode = torch.randint(modes, (size,), generator=g) + len(sizes) if label == 0 else torch.full((size,), label)
        noise = torch.randn(size, width, generator=g, dtype=torch.float64)
        features.append(centres[mode] + spread * noise)
        targets += [label] * size
    order = torch.randperm(len(targets), generator=g)
    x = torch.cat(features)
    return (x - x.mean(dim=0))[order], torch.tensor(targets)[order]


def labels_of(sizes, count, seed=0, **settings):
    x, y = blobs(sizes, seed)
    return Labels.of(x[:count], y[:count], len(sizes), HeadSettings(**settings)), x[count:], y[count:]


def plain_origin(x, y, pool, temperature):
    """Mean of the class means, one feature after another."""
    count = int(y.max()) + 1
    start = torch.stack([x[y == k].mean(dim=0) for k in range(count)]).mean(dim=0)
    unit = [(row - start) / (row - start).norm() for row in x]
    prototypes = [sum(u for u, k in zip(unit, y.tolist(), strict=True) if k == label) for label in range(count)]
    sums, sizes = [x[y == k].sum(dim=0) for k in range(count)], [float((y == k).sum()) for k in range(count)]
    for row in pool:
        scores = torch.stack([cosine_similarity(row - start, each, dim=0) for each in prototypes]) / temperature
        for k, share in enumerate(scores.softmax(dim=0).tolist()):
            sums[k], sizes[k] = sums[k] + share * row, sizes[k] + share
    return torch.stack([total / size for total, size in zip(sums, sizes, strict=True)]).mean(dim=0)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("sizes", [(20, 20, 20), (50, 6, 4)])
def test_origin_is_the_mean_of_the_class_means(sizes, temperature):
    x, y = blobs(sizes)
    x, pool, y = torch.cat([x[:30], x[-3:]]), x[30:-3], torch.cat([y[:30], y[-3:]])
    got = mean_of_class_means(x, y, temperature, pool)
    torch.testing.assert_close(got, plain_origin(x, y, pool, temperature))
    without = torch.stack([x[y == k].mean(dim=0) for k in range(3)]).mean(dim=0)
    torch.testing.assert_close(mean_of_class_means(x, y, temperature, None), without)


def test_prior_is_the_share_of_the_predictions():
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [5.0, 0.0]], dtype=torch.float64)
    first = 1 + sum(1 / (1 + torch.exp(b - a)) for a, b in logits)
    second = 1 + sum(1 / (1 + torch.exp(a - b)) for a, b in logits)
    got = log_shares(logits)
    assert float(got[0] - got[1]) == pytest.approx(float((first / second).log()))
    assert float(got.sum()) == pytest.approx(0)


@pytest.mark.parametrize("count", [15, 60])  # below and above the number of columns
def test_prototypes_with_origin_and_prior_are_where_the_gradient_is_zero(count):
    labels, pool, _ = labels_of((60, 20, 20), count)
    settings = HeadSettings(temperatures=(0.1,), assignment_temperature=0.1, refinements=0, pull=0.3, **BOTH)
    head = fit_prototypes(labels, settings, generator(), pool).double()
    assert head.origin is not None
    assert head.bias is not None
    origin = plain_origin(labels.features, labels.targets, pool, 0.1)
    torch.testing.assert_close(head.origin, origin, rtol=1e-5, atol=1e-5)
    unit = torch.nn.functional.normalize(labels.features - origin)
    start = torch.stack([unit[labels.targets == k].mean(dim=0) for k in range(3)])
    start = torch.nn.functional.normalize(start) / 0.1
    values = (head.weight.detach() / 0.1).requires_grad_()
    loss = cross_entropy(unit @ values.T, labels.targets) + 0.15 / count * (values - start).square().sum()
    loss.backward()
    assert values.grad.abs().max() < 1e-5  # prototypes are kept in float32
    unlabelled = torch.nn.functional.normalize(pool - origin) @ values.detach().T
    shares = (unlabelled.softmax(dim=1).sum(dim=0) + 1).log()
    expected = unit @ values.detach().T + shares - shares.mean()
    torch.testing.assert_close(head(labels.features), expected, rtol=1e-4, atol=1e-4)


FORMER = {"origins": ("pool_mean",), "class_priors": ("uniform",)}


def accuracy(labels, pool, truth, **settings):
    head = fit_prototypes(labels, HeadSettings(temperatures=(0.1,), **settings), generator(), pool)
    return float((head(pool.float()).argmax(dim=1) == truth).double().mean())


@pytest.mark.parametrize("seed", range(2))
def test_uneven_classes_gain_accuracy(seed):
    drawn = labels_of((400, 20, 20, 20), 60, seed)
    assert accuracy(*drawn) > accuracy(*drawn, **FORMER) + 0.02


@pytest.mark.parametrize("seed", range(2))
def test_even_classes_lose_nothing(seed):
    x, y = blobs((1, 60, 60, 60, 60), seed)
    x, y = x[y > 0], y[y > 0] - 1
    drawn = Labels.of(x[:40], y[:40], 4, HeadSettings()), x[40:], y[40:]
    assert accuracy(*drawn) >= accuracy(*drawn, **FORMER) - 0.01


def test_an_advantage_within_one_standard_error_changes_nothing():
    base = torch.ones(8, dtype=torch.float64)
    noise = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    assert least_beyond_doubt(torch.stack([base, base - 0.3 + noise])) == 0
    assert least_beyond_doubt(torch.stack([base, base - 0.5 + noise, base - 0.4])) == 1
    assert least_beyond_doubt(torch.stack([base, base])) == 0


def test_choices_of_a_head_are_kept():
    labels, pool, _ = labels_of((60, 20, 20), 40)
    settings = HeadSettings(temperatures=(0.03, 0.1), **BOTH)
    head = fit_prototypes(labels, settings, generator(), pool)
    kept = with_choices_of(HeadSettings(), head)
    assert (kept.temperatures, kept.origins, kept.class_priors) == ((head.temperature,), ("class_means",), ("pool",))
    again = fit_prototypes(labels, kept, generator(1), pool)  # nothing is left to draw folds for
    assert torch.equal(again(pool.float()), head(pool.float()))
    assert with_choices_of(HeadSettings(), torch.nn.Linear(2, 2)) == HeadSettings()


def test_several_entropy_weights_are_left_to_choose_from():
    labels, pool, _ = labels_of((60, 20, 20), 40)
    settings = HeadSettings(temperatures=(0.03, 0.1), entropy_weights=(0.0, 0.3), **BOTH)
    kept = with_choices_of(settings, fit_prototypes(labels, settings, generator(), pool))
    assert (len(kept.temperatures), kept.entropy_weights) == (1, (0.0, 0.3))
    fixed = [kept.model_copy(update={"entropy_weights": (weight,)}) for weight in kept.entropy_weights]
    heads = [fit_prototypes(labels, each, generator(1), pool)(pool.float()) for each in (kept, *fixed)]
    assert sum(torch.equal(heads[0], each) for each in heads[1:]) == 1


def test_origin_and_bias_are_saved_with_the_weights():
    labels, pool, _ = labels_of((60, 20, 20), 40)
    head = fit_prototypes(labels, HeadSettings(temperatures=(0.1,), **BOTH), generator(), pool)
    loaded = CosineClassifier(20, 3, None, 0.1)
    loaded.load_state_dict(head.state_dict())
    assert torch.equal(loaded(pool.float()), head(pool.float()))
    plain = CosineClassifier(20, 3, None, 0.1)
    loaded.load_state_dict(plain.state_dict())
    assert loaded.origin is None
    assert loaded.bias is None


def test_logits_come_from_the_directions():
    labels, pool, _ = labels_of((60, 20, 20), 40)
    head = fit_prototypes(labels, HeadSettings(temperatures=(0.1,), **BOTH), generator(), pool)
    directions = head.directions(pool.float())
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(len(pool)))
    torch.testing.assert_close(head.logits_of(directions), head(pool.float()))
