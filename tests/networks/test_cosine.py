"""The cosine classifier against Eq. 1 in float64, and the signs of the minimax game's gradients."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minimax_al.errors import ConfigurationError, ShapeError, UnknownNameError
from minimax_al.networks import CosineClassifier, initialise_xavier


def build(bottleneck, reversal="after_bottleneck", temperature=0.05):
    classifier = CosineClassifier(6, 4, bottleneck, temperature, reversal).double()
    initialise_xavier(classifier, torch.Generator().manual_seed(0))
    return classifier


def features(rows=5):
    x = torch.randn(rows, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.requires_grad_()


def gradients(classifier, *, reverse):
    """The gradients of the negative entropy: of the features, and of every parameter by name."""
    x = features()
    log_probs = F.log_softmax(classifier(x, reverse=reverse), dim=1)
    (log_probs.exp() * log_probs).sum(dim=1).mean().backward()
    parameters = {name: parameter.grad.clone() for name, parameter in classifier.named_parameters()}
    classifier.zero_grad()
    return x.grad, parameters


@pytest.mark.parametrize("bottleneck", [None, 3])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_logits_equal_equation_1(bottleneck, temperature):
    classifier = build(bottleneck, temperature=temperature)
    weights = {name: value.numpy() for name, value in classifier.state_dict().items()}
    vectors = features().detach().numpy()
    if bottleneck is not None:
        vectors = vectors @ weights["bottleneck.weight"].T + weights["bottleneck.bias"]
    cosines = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = cosines @ weights["prototypes.weight"].T / temperature
    np.testing.assert_allclose(classifier(features()).detach().numpy(), expected, rtol=1e-12)


def test_prototypes_keep_their_length_and_features_lose_theirs():
    classifier = build(None)
    plain = classifier(features())
    torch.testing.assert_close(classifier(7 * features()), plain)
    with torch.no_grad():
        classifier.prototypes.weight.mul_(3)
    torch.testing.assert_close(classifier(features()), 3 * plain)


@pytest.mark.parametrize("bottleneck", [None, 3])
def test_directions_are_what_the_prototypes_gradient_is_made_of(bottleneck):
    """Autograd's gradient of each image's cross-entropy is (p - e_y) ⊗ u / T."""
    classifier, targets = build(bottleneck), torch.tensor([0, 3, 1, 1, 2])
    directions = classifier.directions(features()).detach().numpy()
    logits = classifier(features())
    errors = (logits.softmax(dim=1) - F.one_hot(targets, 4)).detach().numpy()
    for image, loss in enumerate(F.cross_entropy(logits, targets, reduction="none")):
        (gradient,) = torch.autograd.grad(loss, classifier.prototypes.weight, retain_graph=True)
        expected = np.outer(errors[image], directions[image]) / classifier.temperature
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("reversal", ["after_bottleneck", "before_bottleneck"])
@pytest.mark.parametrize("bottleneck", [None, 3])
def test_reversal_turns_the_features_gradient_and_no_prototypes(bottleneck, reversal):
    classifier = build(bottleneck, reversal)
    plain_features, plain = gradients(classifier, reverse=False)
    reversed_features, turned = gradients(classifier, reverse=True)
    assert torch.equal(reversed_features, -plain_features)
    assert torch.equal(turned["prototypes.weight"], plain["prototypes.weight"])
    sign = -1 if reversal == "after_bottleneck" else 1
    for name in plain:
        if name.startswith("bottleneck"):
            assert plain[name].abs().sum() > 0
            assert torch.equal(turned[name], sign * plain[name])


def test_reversal_leaves_the_logits_alone():
    classifier = build(3)
    assert torch.equal(classifier(features(), reverse=True), classifier(features()))


@pytest.mark.parametrize("bottleneck", [None, 3])
def test_features_of_zero_give_equal_logits_and_finite_gradients(bottleneck):
    classifier = build(bottleneck).float()
    x = torch.zeros(2, 6, requires_grad=True)
    F.cross_entropy(classifier(x), torch.tensor([0, 1])).backward()
    assert classifier(x).abs().sum() == 0
    for tensor in (x, *classifier.parameters()):
        assert torch.isfinite(tensor.grad).all()


def test_autocast_does_not_coarsen_the_logits():
    classifier = build(None).float()
    x = features().detach().float()
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = classifier(x)
    assert under_autocast.dtype == torch.float32
    assert torch.equal(under_autocast, classifier(x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0: it must be a positive"),
        ({"temperature": float("nan")}, "temperature is nan: it must be a positive"),
        ({"bottleneck": 0}, "bottleneck is 0: it must be a positive"),
        ({"num_classes": 0}, "num_classes is 0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        CosineClassifier(**{"in_features": 6, "num_classes": 4} | settings)


def test_an_unknown_place_of_reversal_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown reversal 'after'.*after_bottleneck"):
        CosineClassifier(6, 4, reversal="after")


@pytest.mark.parametrize("shape", [(6,), (2, 5), (2, 6, 1, 1)])
def test_features_of_another_shape_are_refused(shape):
    for look in (build(None), build(3).directions):
        with pytest.raises(ShapeError, match=r"expected \(B, 6\)"):
            look(torch.zeros(shape, dtype=torch.float64))
