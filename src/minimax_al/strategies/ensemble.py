"""Ensembles: images about which independently trained models disagree."""

from itertools import chain
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from minimax_al.acquisition import bald, top, variation_ratio
from minimax_al.acquisition.checks import check_finite
from minimax_al.strategies.bald import mutual_information
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.strategies.uncertainty import as_samples
from minimax_al.training import Models, Outputs, Round, fit_supervised


class Ensemble(Strategy):
    """Disagreement of independently trained task models (Beluch et al. 2018).

    The first member is the task model that every other strategy would train from the same seed, and it is the one
    that is evaluated: the members help to choose, not to predict.

    Attributes:
        members: Number of models, 2 or more.
        measure: `variation_ratio`, the share of members that do not vote for the favourite, equal shares by mutual
            information; or `mutual_information` alone, as in BALD.
    """

    training: Literal["supervised"] = "supervised"
    members: int = Field(default=5, ge=2)
    measure: Literal["variation_ratio", "mutual_information"] = "variation_ratio"

    def fit(self, round_: Round) -> Models:
        """Train every member on the same labels, each from its own initialisation and in its own order."""
        first = fit_supervised(round_)
        others = {
            f"member-{member}": fit_supervised(round_.as_member(member)).task_model for member in range(1, self.members)
        }
        return Models(first.task_model, others=others, history=first.history)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose the `budget` images on which the members disagree most."""

        def score(outputs: Outputs) -> Scores:
            others = (member(outputs.images).to(outputs.logits.dtype) for member in models.others.values())
            passes = chain([outputs.logits], others)
            if self.measure == "mutual_information":
                return {self.measure: mutual_information(passes)}
            votes_TNK = torch.stack([_checked(logits) for logits in passes])
            measures = {"variation_ratio": variation_ratio(votes_TNK), "mutual_information": bald(votes_TNK)}
            return {name: values.view(len(outputs.images), -1).mean(dim=1) for name, values in measures.items()}

        scores = score_pool(round_, models, score)
        # A few members have few shares of votes: whole pools are equal in them.
        finer = scores["mutual_information"].argsort(descending=True, stable=True)
        return picks(round_, finer[top(scores[self.measure][finer], budget)], scores)


def _checked(logits: Tensor) -> Tensor:
    """Return one row per sample, once no image of the batch has a logit that is NaN or infinite."""
    check_finite(logits, "logits")
    return as_samples(logits)
