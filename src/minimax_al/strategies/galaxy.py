"""GALAXY: bisection of the score order of every class, for pools with rare classes."""

from typing import ClassVar

import torch

from minimax_al.acquisition import galaxy
from minimax_al.strategies.strategy import Query, Scores, Strategy, picks, score_pool
from minimax_al.training import Models, Outputs, Round
from minimax_al.vocabulary import Task


class Galaxy(Strategy):
    """Middle of the shortest path between labels of different sides, class by class (Zhang et al. 2022).

    The paper asks for each label at once. Here answers come after the batch; within it an image counts with its
    predicted class.
    """

    uses_randomness: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images near the changes of class in the score orders."""
        scores, known = (
            score_pool(round_, models, _probabilities, indices) for indices in (round_.unlabelled, round_.labelled)
        )
        probabilities = torch.cat([scores["probabilities"], known["probabilities"]])
        unknown = torch.full((len(round_.unlabelled),), -1)
        labels = torch.cat([unknown, round_.targets[round_.labelled].long()])
        return picks(round_, galaxy(probabilities, labels, budget, generator=round_.generator("query")), scores)


def _probabilities(outputs: Outputs) -> Scores:
    return {"probabilities": outputs.logits.softmax(dim=1)}
