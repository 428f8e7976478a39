"""BatchBALD: images that together, not one by one, tell most about the model."""

from typing import ClassVar

import torch
from pydantic import PositiveInt

from minimax_al.acquisition import batchbald, top
from minimax_al.strategies.bald import Bald, dropout_masks, dropout_passes, mutual_information
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
        masks_Td = dropout_masks(round_, models, self.passes, self.dropout)

        def individual(outputs: Outputs) -> Scores:
            return {"mutual_information": mutual_information(dropout_passes(models, outputs.images, masks_Td))}

        def joint(outputs: Outputs) -> Scores:
            passes = torch.stack(list(dropout_passes(models, outputs.images, masks_Td)), dim=1)
            return {"logits_BTK": passes}

        scores = score_pool(round_, models, individual)
        considered = top(scores["mutual_information"], min(max(self.candidates, budget), len(round_.unlabelled)))
        logits_NTK = score_pool(round_, models, joint, round_.unlabelled[considered])["logits_BTK"]
        chosen = batchbald(
            logits_NTK.transpose(0, 1), budget, num_samples=self.samples, generator=round_.generator("query")
        )
        return picks(round_, considered[chosen], scores)
