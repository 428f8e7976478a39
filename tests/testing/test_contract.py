"""Each fault that the contract is there for, planted in a strategy and found."""

import random
from typing import ClassVar

import numpy as np
import pytest
import torch

from minimax_al.acquisition import entropy, top
from minimax_al.errors import UnknownNameError
from minimax_al.strategies import Query, Strategy, picks, score_pool
from minimax_al.testing import CHECKS, check_strategy, make_round
from minimax_al.training import fit_supervised


class Sound(Strategy):
    """Highest entropy; the broken ones below derive from it."""

    def query(self, round_, models, budget):
        return self.choose(round_, self.score(round_, models), budget)

    def score(self, round_, models):
        return score_pool(round_, models, lambda outputs: {"entropy": outputs.entropy()})

    def choose(self, round_, scores, budget):
        return picks(round_, top(scores["entropy"], budget), scores)


class OneTooMany(Sound):
    def choose(self, round_, scores, budget):
        return super().choose(round_, scores, min(budget + 1, len(round_.unlabelled)))


class Twice(Sound):
    def choose(self, round_, scores, budget):
        query = super().choose(round_, scores, budget)
        query.indices[-1] = query.indices[0]
        return query


class TwiceWhenTied(Sound):
    """Picks by value: images of one score come as often as there are such."""

    def choose(self, round_, scores, budget):
        values = scores["entropy"].sort(descending=True).values[:budget]
        positions = torch.stack([(scores["entropy"] == value).nonzero()[0, 0] for value in values])
        return picks(round_, positions, scores)


class Outside(Sound):
    def choose(self, round_, scores, budget):
        query = super().choose(round_, scores, budget)
        query.indices[-1] = len(round_.dataset.train)
        return query


class PositionsForIndices(Sound):
    def choose(self, round_, scores, budget):
        return Query(top(scores["entropy"], budget), round_.unlabelled, {})


class GlobalTorch(Sound):
    uses_randomness: ClassVar[bool] = True

    def choose(self, round_, scores, budget):
        return picks(round_, torch.randperm(len(round_.unlabelled))[:budget], scores)


class GlobalNumpy(Sound):
    uses_randomness: ClassVar[bool] = True

    def choose(self, round_, scores, budget):
        positions = np.random.permutation(len(round_.unlabelled))[:budget]  # noqa: NPY002 - the fault
        return picks(round_, torch.from_numpy(positions), scores)


class SeedsTheWorld(Sound):
    uses_randomness: ClassVar[bool] = True

    def choose(self, round_, scores, budget):
        random.seed(0)
        return picks(round_, torch.tensor(random.sample(range(len(round_.unlabelled)), budget)), scores)


class UnseededFit(Sound):
    def fit(self, round_):
        models = fit_supervised(round_)
        torch.nn.init.xavier_uniform_(models.task_model.head.weight)
        return models


class GlobalFit(Sound):
    def fit(self, round_):
        torch.nn.Linear(2, 2)
        return super().fit(round_)


class FitInTrainingMode(Sound):
    def fit(self, round_):
        models = super().fit(round_)
        models.task_model.train()
        return models


class FirstOfThePool(Sound):
    def choose(self, round_, scores, budget):
        return picks(round_, torch.arange(budget), scores)


class ScoresInTrainingMode(Sound):
    def score(self, round_, models):
        models.task_model.train()
        scores = super().score(round_, models)
        models.task_model.eval()
        return scores


class LeavesTrainingMode(Sound):
    def choose(self, round_, scores, budget):
        return super().choose(round_, scores, budget)

    def query(self, round_, models, budget):
        query = super().query(round_, models, budget)
        models.task_model.head.train()
        return query


class Trains(Sound):
    def query(self, round_, models, budget):
        query = super().query(round_, models, budget)
        with torch.no_grad():
            models.task_model.head.bias += 1e-9
        return query


class MovesThePool(Sound):
    def query(self, round_, models, budget):
        query = super().query(round_, models, budget)
        round_.targets[query.indices] = 0
        return query


class SwallowsNaN(Sound):
    def score(self, round_, models):
        def forward(x):
            return {"entropy": entropy(models.task_model(x).nan_to_num(0))}

        return round_.stream(forward, round_.unlabelled)


class NamesNobody(Sound):
    def score(self, round_, models):
        return round_.stream(lambda x: {"entropy": models.outputs(x).entropy()}, round_.unlabelled)


class FailsOnTies(Sound):
    def choose(self, round_, scores, budget):
        if len(scores["entropy"].unique()) == 1:
            raise ZeroDivisionError("no spread")
        return super().choose(round_, scores, budget)


class FailsOnDuplicates(Sound):
    def choose(self, round_, scores, budget):
        assert len(scores["entropy"].round(decimals=9).unique()) in {1, len(scores["entropy"])}, "two images alike"
        return super().choose(round_, scores, budget)


class NeedsTwoClasses(Sound):
    def choose(self, round_, scores, budget):
        red, green, blue = ((round_.dataset.train.pixels[round_.unlabelled, c].double().mean((1, 2))) for c in range(3))
        assert torch.stack([red, green, blue]).argmax(0).unique().numel() != 1 or red.std() < 1e-9, "one class alone"
        return super().choose(round_, scores, budget)


class NeedsMore(Sound):
    def choose(self, round_, scores, budget):
        assert budget < len(round_.unlabelled), "some have to be left"
        return super().choose(round_, scores, budget)


class ExplainsInPart(Sound):
    def choose(self, round_, scores, budget):
        query = super().choose(round_, scores, budget)
        return Query(query.indices, query.candidates, {"entropy": scores["entropy"][:budget]})


class ExplainsOthers(Sound):
    def choose(self, round_, scores, budget):
        query = super().choose(round_, scores, budget)
        return Query(query.indices, query.candidates.flip(0), query.scores)


class Float(Sound):
    def choose(self, round_, scores, budget):
        query = super().choose(round_, scores, budget)
        return Query(query.indices.double(), query.candidates, query.scores)


class NeedsLabels(Sound):
    """Announces a cold start, and reads the first label."""

    cold_start: ClassVar[bool] = True

    def query(self, round_, models, budget):
        assert len(round_.labelled), "no label"
        return super().query(round_, models, budget)


FAULTS = [
    (OneTooMany, "exact_count", r"a budget of 1 gave indices \(2,\)"),
    (Float, "exact_count", r"torch.float64 on cpu; return \(1,\) int64"),
    (Twice, "distinct", "occurs more than once .*; choose without replacement"),
    (TwiceWhenTied, "ties", "occurs more than once"),
    (TwiceWhenTied, "duplicates", "occurs more than once"),
    (Outside, "inside_pool", r"indices \[24\] are outside of the 24 training images"),
    (PositionsForIndices, "never_labelled", r"are not unlabelled; positions .* which picks\(\) does"),
    (GlobalTorch, "seed_stable", "two queries of one round picked .* never from a global generator"),
    (GlobalTorch, "spares_global_randomness", "the global generator of torch; draw"),
    (GlobalNumpy, "seed_stable", "two queries of one round picked"),
    (GlobalNumpy, "spares_global_randomness", "the global generator of NumPy; draw"),
    (SeedsTheWorld, "spares_global_randomness", "drew from, or seeded, the global generator of random"),
    (UnseededFit, "fit_repeats", "two fits of one round differ in task_model.head.weight; draw initial weights"),
    (GlobalFit, "fit_repeats", "fit drew from, or seeded, the global generator of torch; .* build networks inside"),
    (FitInTrainingMode, "fit_repeats", r"fit left task_model in training mode; return models.evaluating\(\)"),
    (FirstOfThePool, "equivariant", "in another order, .* choose by the images' content, not by their positions"),
    (FailsOnTies, "ties", "raised ZeroDivisionError: no spread"),
    (FailsOnDuplicates, "duplicates", "two images alike"),
    (NeedsTwoClasses, "one_class", "one class alone"),
    (NeedsMore, "whole_pool", "some have to be left"),
    (ExplainsInPart, "explains", r"score 'entropy' has shape \(5,\); give one value per candidate, \(15,\)"),
    (ExplainsOthers, "explains", "the candidates are not round_.unlabelled"),
    (
        SwallowsNaN,
        "names_non_finite",
        "a network returned NaN for 'squares/14' and the query continued; compute scores with score_pool",
    ),
    (NamesNobody, "names_non_finite", "the error does not name the image 'squares/14'"),
    (ScoresInTrainingMode, "leaves_all_alone", "the query changed task_model.encoder.block1.1.running_mean"),
    (LeavesTrainingMode, "leaves_all_alone", "the query switched task_model.head to training mode"),
    (Trains, "leaves_all_alone", "the query changed task_model.head.bias"),
    (NeedsLabels, "chooses_first", "no label"),
    (MovesThePool, "leaves_all_alone", "the query changed labelled, unlabelled or targets of the round"),
]


@pytest.mark.parametrize(("broken", "check", "sentence"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_each_fault_is_found_and_explained(broken, check, sentence):
    with pytest.raises(AssertionError, match=rf"{broken.__name__} breaks the contract \({check}\): .*{sentence}"):
        check_strategy(broken(), checks=[check])
    with pytest.raises(AssertionError, match=f"{broken.__name__} breaks the contract"):
        check_strategy(broken())


def test_each_check_finds_a_fault():
    assert {check for _, check, _ in FAULTS} == set(CHECKS)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_sound_strategy_passes(task):
    check_strategy(Sound(), task=task, seed=3)
    check_strategy(Sound(training="minimax"), task=task)


def test_equal_scores_may_stand_in_for_one_another_but_others_may_not():
    class Coarse(Sound):
        def score(self, round_, models):
            return score_pool(round_, models, lambda outputs: {"coarse": outputs.entropy().gt(0.5).double()})

        def choose(self, round_, scores, budget):
            return picks(round_, top(scores["coarse"], budget), scores)

    check_strategy(Coarse())


def test_unknown_checks():
    with pytest.raises(UnknownNameError, match="unknown check 'ectivariant'; did you mean 'equivariant'"):
        check_strategy("random", checks=["ectivariant"])
    assert all(check.__doc__ for check in CHECKS.values())


def test_the_round_is_small_and_mixed():
    round_ = make_round()
    assert sorted([*round_.labelled.tolist(), *round_.unlabelled.tolist()]) == list(range(24))
    # A position among the unlabelled images is hardly ever the index of that image.
    assert (round_.unlabelled == torch.arange(15)).sum() == 0
    assert (round_.targets[round_.unlabelled] == -1).all()
    assert (round_.targets[round_.labelled] == round_.dataset.train_targets[round_.labelled]).all()
