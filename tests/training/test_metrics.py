import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from minimax_al.training import evaluate, fit_minimax, fit_supervised
from minimax_al.training.evaluation import accuracy, calibration_error


@pytest.fixture
def predictions():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 4, (500,), generator=generator)
    targets[targets == 2] = 3  # a class that no image is of
    logits = 2 * torch.randn(500, 5, generator=generator) + torch.nn.functional.one_hot(targets, 5)
    return logits, targets


def calibration_by_hand(logits, targets, bins=15):
    probs = torch.softmax(logits.double(), dim=1).numpy()
    confidence, correct = probs.max(axis=1), probs.argmax(axis=1) == targets.numpy()
    error = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return error


def test_calibration_error(predictions):
    logits, targets = predictions
    assert calibration_error(logits, targets) == pytest.approx(calibration_by_hand(logits, targets), rel=1e-9)
    assert calibration_error(logits, targets, bins=4) == pytest.approx(
        calibration_by_hand(logits, targets, 4), rel=1e-9
    )
    sure = 1e4 * torch.nn.functional.one_hot(targets, 5)
    assert calibration_error(sure, targets) == 0
    assert calibration_error(-sure, targets) == pytest.approx(0.25)
    assert calibration_error(sure, (targets + 1) % 5) == 1


@pytest.mark.parametrize("fit", [fit_minimax, fit_supervised])
def test_evaluate_agrees_with_scikit_learn(round_, fit):
    models = fit(round_)
    evaluation = evaluate(round_, models)
    targets = round_.dataset.test_targets.numpy()
    everything = torch.arange(len(targets))
    logits = round_.stream(lambda x: {"m": models.task_model(x)}, everything, round_.dataset.test)["m"]
    predicted = logits.argmax(dim=1).numpy()
    expected = {
        "accuracy": accuracy_score(targets, predicted),
        "balanced_accuracy": balanced_accuracy_score(targets, predicted),
        "calibration_error": calibration_by_hand(logits, torch.from_numpy(targets)),
    }
    if fit is fit_minimax:
        shown = round_.stream(lambda x: {"c": models.classifier(models.encoder(x))}, everything, round_.dataset.test)[
            "c"
        ]
        expected["classifier_accuracy"] = accuracy_score(targets, shown.argmax(dim=1).numpy())
    assert evaluation.metrics == pytest.approx(expected, rel=1e-9)
    for label, found in enumerate(evaluation.per_class):
        assert found == pytest.approx(np.mean(predicted[targets == label] == label))


def test_accuracy_counts_the_first_of_equal_logits():
    assert accuracy(torch.zeros(4, 3), torch.tensor([0, 0, 1, 2])) == 0.5
