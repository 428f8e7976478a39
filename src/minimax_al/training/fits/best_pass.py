"""Choice of the best pass of the task model's training on labelled images outside of the pool."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from minimax_al.errors import ConfigurationError
from minimax_al.training.build import AnyTaskModel
from minimax_al.training.epochs import Training
from minimax_al.training.evaluation import HEADLINE, evaluate
from minimax_al.training.models import Models
from minimax_al.training.round import Round


class BestPass:
    """Training that measures M after every epoch and remembers the best weights.

    The best weights are among `networks`, so that checkpoints hold them and a resumed training goes on with them.

    Args:
        training: Training of M.
        task_model: M, which the training changes.
        measure: Function that returns the accuracy or mIoU of M; None remembers nothing.
    """

    def __init__(self, training: Training, task_model: nn.Module, measure: Callable[[], float] | None) -> None:
        self.training, self.task_model, self.measure = training, task_model, measure
        self.best = None if measure is None else _Best(task_model)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Networks of the training, and the best weights."""
        return self.training.networks if self.best is None else {**self.training.networks, "best": self.best}

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Optimisers of the training."""
        return self.training.optimizers

    def step(self, *batch: Any) -> Mapping[str, Tensor]:  # noqa: ANN401 - the training's own
        """Learn from one batch."""
        return self.training.step(*batch)

    def finish_epoch(self) -> dict[str, float]:
        """Measure M, and remember it if no earlier pass was as good."""
        if self.best is None or self.measure is None:
            return {}
        self.task_model.eval()
        score = self.measure()
        self.task_model.train()
        if score > float(self.best.score):
            self.best.score.fill_(score)
            self.best.network.load_state_dict(self.task_model.state_dict())
        return {"selection": score}

    def keep_best(self) -> None:
        """Give M the best weights."""
        if self.best is not None:
            self.task_model.load_state_dict(self.best.network.state_dict())


class _Best(nn.Module):
    """Copy of a network, and its score."""

    score: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(requires_grad=False)
        parameter = next(network.parameters())
        self.register_buffer("score", torch.tensor(-torch.inf, dtype=parameter.dtype, device=parameter.device))


def with_best_pass(round_: Round, training: Training, task_model: AnyTaskModel) -> BestPass:
    """Return the training with the choice of its best pass, where the recipe asks for it.

    Raises:
        ConfigurationError: The recipe asks for it, and the data set has no images to choose on.
    """
    if round_.recipe.task.selection == 0:
        return BestPass(training, task_model, None)
    dataset = round_.dataset
    if dataset.selection is None or dataset.selection_targets is None:
        raise ConfigurationError(
            f"task.selection={round_.recipe.task.selection} chooses the best pass on images outside of the pool, and "
            f"{dataset.name!r} has none: draw them by minimax_al.data.with_selection, or set task.selection to 0"
        )
    seen = replace(round_, dataset=replace(dataset, test=dataset.selection, test_targets=dataset.selection_targets))

    def measure() -> float:
        return evaluate(seen, Models(task_model)).metrics[HEADLINE[dataset.task]]

    return BestPass(training, task_model, measure)
