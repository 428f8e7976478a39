import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from minimax_al.data import IGNORED, UNKNOWN, Dataset
from minimax_al.errors import (
    BudgetError,
    ConfigurationError,
    DataError,
    NonFiniteScoreError,
    PoolError,
    ShapeError,
    UnknownNameError,
)
from minimax_al.loop import ActiveLearner
from minimax_al.testing import make_round

FIRST = [1, 0, 5]


@pytest.fixture
def learner():
    """A learner on two dozen tinted squares, whose first three labels show every class."""

    def build(strategy="mal", task="classification", *, taught=True, **options):
        round_ = make_round(task)
        built = ActiveLearner(round_.dataset, strategy, options.pop("recipe", round_.recipe), **options)
        if taught:
            built.teach(FIRST, round_.dataset.train_targets[FIRST])
        return built

    return build


def answers(learner, indices):
    return learner.dataset.train_targets[indices]


def play(learner, budgets):
    picked = []
    for budget in budgets:
        learner.fit()
        query = learner.query(budget)
        learner.teach(query.indices, answers(learner, query.indices))
        picked.append(query.indices.tolist())
    return picked


@pytest.mark.parametrize("strategy", ["mal", "vaal", "coreset", "random"])
def test_a_pool_is_used_up_to_its_last_image(learner, strategy):
    active = learner(strategy)
    picked = play(active, [8, 12, 1])
    assert sorted([*FIRST, *itertools.chain.from_iterable(picked)]) == list(range(24))
    assert torch.equal(active.targets, active.dataset.train_targets)
    assert active.pool.round == 4
    active.fit()
    assert active.evaluate().metrics["accuracy"] >= 0
    with pytest.raises(BudgetError, match="a budget of 1 cannot be met: the pool is empty"):
        active.query(1)


def test_same_seed_same_picks(learner):
    assert play(learner(seed=3), [4, 4]) == play(learner(seed=3), [4, 4])
    assert play(learner(seed=3), [4, 4]) != play(learner(seed=4), [4, 4])


def test_the_training_targets_are_never_read(learner):
    active = learner()
    blind = replace(active.dataset, train_targets=torch.full((24,), UNKNOWN))
    blindfolded = ActiveLearner(blind, "mal", active.recipe)
    blindfolded.teach(FIRST, answers(active, FIRST))
    for one in (active, blindfolded):
        one.fit()
    assert active.query(5).indices.tolist() == blindfolded.query(5).indices.tolist()


def test_progress_is_reported(learner):
    told = []
    learner(progress=lambda *event: told.append(event[:3])).fit()
    assert told == [("minimax", 1, 1), ("task", 1, 1)]


def test_a_fit_goes_on_from_its_checkpoint(learner, tmp_path):
    first = learner(folder=tmp_path)
    first.fit()
    told = []
    second = learner(folder=tmp_path, progress=lambda *event: told.append(event))
    second.fit()
    assert told == []
    assert second.query(5).indices.tolist() == first.query(5).indices.tolist()
    second.teach([2], [2])
    second.fit()
    assert len(told) == 2  # the next round trains afresh


@pytest.mark.parametrize(
    ("indices", "given", "error", "sentence"),
    [
        ([2, 2], [0, 0], PoolError, "index 2 is given twice"),
        ([1], [0], PoolError, "index 1 has a label already"),
        ([24], [0], PoolError, "index 24 is not in the pool of 24 images"),
        ([-1], [0], PoolError, "index -1 is not in the pool"),
        ([], [], PoolError, "no index to label"),
        (torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), PoolError, "no index to label"),
        ([2.5], [0], ShapeError, "indices must be integers, shape"),
        (torch.tensor(2), torch.tensor(0), ShapeError, "indices must be integers, shape"),
        ([2], [3], DataError, "answer 3 is not a class: the classes are 0 to 2"),
        ([2, 3], [0, -1], DataError, "answer -1 is not a class"),
        ([2], [0.9], ShapeError, r"1 images need answers of shape \(1,\) in whole numbers, not \(1,\) torch.float64"),
        ([2, 3], [0], ShapeError, r"2 images need answers of shape \(2,\) in whole numbers, not \(1,\)"),
    ],
)
def test_wrong_answers_change_nothing(learner, indices, given, error, sentence):
    active = learner()
    active.fit()
    targets, models = active.targets.clone(), active.models
    with pytest.raises(error, match=sentence):
        active.teach(indices, given)
    assert torch.equal(active.targets, targets)
    assert active.pool.labelled.tolist() == FIRST
    assert active.models is models


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (0, "a budget of 0 is outside 1 … 21"),
        (-3, "a budget of -3 is outside"),
        (22, "a budget of 22 is outside 1 … 21, the size of the pool"),
        (2.5, "a budget must be a whole number, not 2.5"),
    ],
)
@pytest.mark.parametrize("strategy", ["mal", "random"])
def test_impossible_budgets(learner, strategy, budget, sentence):
    active = learner(strategy)
    active.fit()
    with pytest.raises(BudgetError, match=sentence):
        active.query(budget)


def test_a_query_needs_a_fit_on_the_latest_answers(learner):
    active = learner()
    with pytest.raises(ConfigurationError, match=r"call fit\(\) before query\(\)"):
        active.query(1)
    with pytest.raises(ConfigurationError, match=r"call fit\(\) before evaluate\(\)"):
        active.evaluate()
    active.fit()
    active.query(1)
    active.teach([2], [2])
    with pytest.raises(ConfigurationError, match=r"call fit\(\) before query\(\)"):
        active.query(1)


def test_labels_that_do_not_suffice(learner, caplog):
    active = learner()
    one_class = ActiveLearner(active.dataset, "mal", active.recipe)
    with pytest.raises(DataError, match="0 labelled images show 0 of 3 classes"):
        one_class.fit()
    one_class.teach([0, 3], [0, 0])
    with pytest.raises(DataError, match="2 labelled images show 1 of 3 classes"):
        one_class.fit()
    one_class.teach([1], [1])
    with pytest.raises(DataError, match=r"1 of 3 classes have no label yet \('blue'\)"):
        one_class.fit()
    one_class.recipe = one_class.recipe.model_copy(update={"missing_classes": "warn"})
    one_class.fit()
    assert "'blue'" in caplog.text


def test_no_test_images(learner):
    active = learner()
    active.dataset = replace(
        active.dataset, test=active.dataset.test.subset([]), test_targets=active.dataset.test_targets[:0]
    )
    active.fit()
    with pytest.raises(DataError, match="'squares' has no test images to evaluate on"):
        active.evaluate()


def test_non_finite_scores_name_the_images(learner):
    active = learner()
    models = active.fit()
    active.teach([2], [2])
    active.models = models
    models.classifier.prototypes.weight.data.fill_(torch.nan)
    with pytest.raises(NonFiniteScoreError, match="in round 2 a score of 'squares/03', 'squares/04'"):
        active.query(3)


def test_masks_are_answers_too(learner):
    active = learner(task="segmentation")
    assert play(active, [3])
    assert (active.targets == IGNORED).flatten(1).all(dim=1).sum() == 24 - 6
    with pytest.raises(DataError, match="answer 9 is not a class"):
        active.teach([2], torch.full((1, 16, 16), 9, dtype=torch.uint8))
    with pytest.raises(ShapeError, match=r"need answers of shape \(1, 16, 16\)"):
        active.teach([2], [0])


def test_unknown_strategy(learner):
    with pytest.raises(UnknownNameError, match="unknown strategy 'mall'; did you mean 'mal'"):
        learner("mall")


@pytest.mark.parametrize(
    "convert",
    [
        lambda indices, names, numbers: ([np.int64(i) for i in indices], numbers),
        lambda indices, names, numbers: (np.array(indices, np.int32), np.array(numbers, np.uint8)),
        lambda indices, names, numbers: (indices, [names[number] for number in numbers]),
        lambda indices, names, numbers: (np.array(indices), np.array([names[number] for number in numbers])),
    ],
)
def test_answers_in_the_types_of_numpy_and_by_name(learner, convert):
    active = learner()
    numbers = [2, 0, 1]
    active.teach(*convert([6, 7, 8], active.dataset.class_names, numbers))
    assert active.targets[[6, 7, 8]].tolist() == numbers


def vectors(count=30):
    targets = torch.arange(count) % 3
    noise = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return torch.eye(3, 6)[targets] + 0.05 * noise, targets


@pytest.mark.parametrize("strategy", ["centroids", "typicality", "probcover", "maxherding", "coverage"])
def test_first_labels_of_a_feature_pool_show_every_class(strategy):
    dataset = Dataset.from_features("drawn", ["a", "b", "c"], vectors(), vectors(9))
    learner = ActiveLearner(dataset, strategy, seed=1)
    first = learner.query(3).indices
    assert sorted(dataset.train_targets[first].tolist()) == [0, 1, 2]
    learner.teach(first, dataset.train_targets[first])
    learner.fit()
    assert learner.evaluate().metrics["accuracy"] == 1
    assert not torch.isin(learner.query(20).indices, first).any()


def test_images_have_no_cold_start_without_a_pretrained_encoder(learner):
    with pytest.raises(ConfigurationError, match="encoder 'conv4' is not pretrained"):
        learner(strategy="centroids", taught=False).query(3)
