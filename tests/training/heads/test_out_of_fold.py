"""Out-of-fold predictions against models that are trained by hand without the fold."""

from dataclasses import replace
from pathlib import Path

import torch

from minimax_al import ActiveLearner, Recipe
from minimax_al.data import Dataset
from minimax_al.training.heads.feature_fits import fit_head
from minimax_al.training.heads.out_of_fold import fold_of_labels, out_of_fold


def make_round(labels=30, classes=3, seed=0):
    draws = torch.Generator().manual_seed(seed)
    targets = torch.arange(60) % classes
    features = torch.randn(60, 8, generator=draws) + 2 * torch.nn.functional.one_hot(targets, 8)
    dataset = Dataset.from_features("made", [str(i) for i in range(classes)], (features, targets))
    learner = ActiveLearner(dataset, "margin", Recipe(missing_classes="warn"))
    learner.teach(range(labels), targets[:labels])
    return learner.round


def test_a_label_is_predicted_by_a_model_without_its_fold():
    round_ = make_round()
    fold = fold_of_labels(round_, torch.arange(30))
    found = out_of_fold(round_, fit_head, fold)
    assert found.positions.tolist() == list(range(30))
    for number in range(5):
        held = (fold == number).nonzero().flatten()
        assert 5 <= len(held) <= 7
        models = fit_head(replace(round_, labelled=round_.labelled[fold != number]))
        expected = models.task_outputs(round_.dataset.train[round_.labelled[held]]).logits
        assert torch.allclose(found.logits[held], expected, atol=1e-5)


def test_folds_start_from_no_weights_of_an_earlier_round():
    round_ = replace(make_round(), previous={"encoder": {"weight": torch.ones(1)}}, log=object(), folder=Path("runs"))
    seen = []

    def fit(part):
        seen.append((dict(part.previous), part.log, part.folder))
        return fit_head(part)

    out_of_fold(round_, fit, fold_of_labels(round_, torch.arange(30)))
    assert seen == [({}, None, None)] * 5


def test_copies_share_a_fold_and_the_only_label_of_a_class_has_none():
    round_ = make_round()
    groups = torch.arange(30) // 2 * 6 + torch.arange(30) % 2 * 0  # pairs of different classes count as copies
    fold = fold_of_labels(round_, groups)
    assert (fold[::2] == fold[1::2]).all()
    alone = make_round(labels=4)
    assert (fold_of_labels(alone, torch.arange(4)) >= 0).tolist() == [True, False, False, True]
    found = out_of_fold(alone, fit_head, fold_of_labels(alone, torch.arange(4)))
    assert found.positions.tolist() == [0, 3]


def test_fewer_labels_are_measured_on_the_same_ones():
    round_ = make_round()
    fold = fold_of_labels(round_, torch.arange(30))
    all_labels, few = out_of_fold(round_, fit_head, fold), out_of_fold(round_, fit_head, fold, labels=9)
    assert few.positions.tolist() == all_labels.positions.tolist()
    held = (fold == 0).nonzero().flatten()
    trained_on = ((fold != 0) & (torch.arange(30) < 9)).nonzero().flatten()
    models = fit_head(replace(round_, labelled=round_.labelled[trained_on]))
    expected = models.task_outputs(round_.dataset.train[round_.labelled[held]]).logits
    assert torch.allclose(few.logits[held], expected, atol=1e-5)


def test_the_evaluation_counts_right_answers():
    round_ = make_round()
    found = out_of_fold(round_, fit_head, fold_of_labels(round_, torch.arange(30)))
    right = (found.logits.argmax(dim=1) == found.targets).float().mean().item()
    evaluation = found.evaluation(3)
    assert abs(evaluation.metrics["accuracy"] - right) < 1e-6
    assert len(evaluation.per_class) == 3
