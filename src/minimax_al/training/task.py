"""Algorithm 3: the task model M learns from all labels so far, with cross-entropy and plain logits.

Under Minimax Active Learning M starts from that round's F and a fresh head; every other method starts M from
Xavier initialisation. The training itself is one and the same.
"""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor

from minimax_al.networks import PixelTaskModel, TaskModel
from minimax_al.training.epochs import EpochSettings
from minimax_al.training.minimax import classification_loss
from minimax_al.training.runtime.runtime import Runtime


class TaskSettings(EpochSettings):
    """Settings of the task model's training; an epoch is one pass over the labelled images.

    Attributes:
        head: Head of M on images: `linear`, or `cosine` as in Eq. 1, without a bottleneck.
        temperature: Temperature T of a cosine head.
        carry_over: Whether M starts from the last round's M.
        selection: Number of labelled images outside of the pool on which the best pass is chosen; 0 keeps the last
            pass. A benchmark draws them from the training images, anew for every seed.
    """

    head: Literal["linear", "cosine"] = "linear"
    temperature: PositiveFloat = 0.05
    carry_over: bool = False
    selection: NonNegativeInt = 0


class TaskTraining:
    """M and its optimiser, learning from a labelled batch at a time.

    Args:
        task_model: Task model M, from images to logits.
        settings: Settings of the training.
        runtime: Device and precision.
    """

    def __init__(self, task_model: TaskModel | PixelTaskModel, settings: TaskSettings, runtime: Runtime) -> None:
        self.runtime = runtime
        self.networks = {"task_model": runtime.place(task_model)}
        # The encoder alone, since scoring calls it without the head, and it may share F's compiled code.
        runtime.place_encoder(task_model.encoder)
        self.optimizers = {"task_model": settings.build_optimizer(task_model)}

    def step(self, x_labelled: Tensor, y_labelled: Tensor) -> dict[str, Tensor]:
        """Run lines 3–4 of Algorithm 3 on one batch.

        Args:
            x_labelled: Labelled images, shape (B, 3, H, W).
            y_labelled: Classes, shape (B,), or masks, shape (B, H, W); int64.

        Returns:
            The `classification` loss before the step, in nats.
        """
        with self.runtime.autocast():
            logits = self.networks["task_model"](x_labelled)
        loss = classification_loss(logits.to(self.runtime.dtype), y_labelled, self.runtime.ranks.mean)
        self.runtime.descend(loss, self.networks, self.optimizers, ["task_model"])
        return {"classification": loss.detach()}
