"""BatchBALD: images that tell most about the model together, rather than one by one."""

from typing import ClassVar

import torch
from pydantic import PositiveInt

from minimax_al.acquisition import batchbald, top
from minimax_al.strategies.bald import Bald, dropout_passes
from minimax_al.strategies.strategy import Query, Scores, picks, score_pool
from minimax_al.training import Models, Outputs, Round
from minimax_al.vocabulary import Task


class BatchBald(Bald):
    """Greedy joint mutual information under MC dropout (Kirsch, van Amersfoort and Gal 2019).

    Attributes:
        candidates: Number of images of the highest BALD score that are considered; bounds time and memory.
        samples: Number of joint configurations that are sampled once there are too many to enumerate.
    """

    uses_randomness: ClassVar[bool] = True
    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    candidates: PositiveInt = 500
    samples: PositiveInt = 2_000

    def query(self, round_: Round, models: Models, budget: int) -> Query:
        """Choose `budget` images of high joint mutual information."""
        masks_Td = self.masks(round_, models)
        scores = self.informations(round_, models, masks_Td)

        def joint(outputs: Outputs) -> Scores:
            passes = torch.stack(list(dropout_passes(models, outputs.images, masks_Td)), dim=1)
            return {"logits_BTK": passes}

        considered = top(scores["mutual_information"], min(max(self.candidates, budget), len(round_.unlabelled)))
        logits_NTK = score_pool(round_, models, joint, round_.unlabelled[considered])["logits_BTK"]
        chosen = batchbald(
            logits_NTK.transpose(0, 1), budget, num_samples=self.samples, generator=round_.generator("query")
        )
        return picks(round_, considered[chosen], scores)
