"""The epochs of any training here: batches, learning rate, divergence, checkpoints that resume exactly."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from minimax_al.errors import CheckpointError, TrainingDivergedError
from minimax_al.training.checkpoint import read_checkpoint, save_checkpoint
from minimax_al.training.runtime.ranks import ALONE, Ranks
from minimax_al.training.seeding import derive_seed, seeded_globally
from minimax_al.vocabulary import Progress

RATE_FACTOR = "rate_factor"
"""Key of an optimiser's parameter group: its learning rate over that of the settings."""


class EpochSettings(BaseModel):
    """Settings that every training shares.

    Attributes:
        epochs: Number of epochs.
        steps_per_epoch: Batches per epoch; None is one pass over the images.
        total_steps: Total number of steps, instead of `epochs`; the last epoch may be shorter. None counts in epochs.
        batch_size: Images per batch; where a step has a labelled and an unlabelled batch, images of each.
        optimizer: `adam`, or `sgd` with momentum.
        learning_rate: Learning rate of the optimiser.
        momentum: Momentum of SGD.
        weight_decay: Weight decay of the optimiser.
        schedule: `constant`; `cosine` from the learning rate down to zero, step by step; or `step`, divided by 10
            after each quarter of the steps.
        checkpoint_every: Epochs between two checkpoints, if the training has a folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 100
    steps_per_epoch: PositiveInt | None = None
    total_steps: PositiveInt | None = None
    batch_size: Annotated[int, Field(gt=0, lt=2**31)] = 128
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 5e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegativeFloat = 0.0
    schedule: Literal["constant", "cosine", "step"] = "constant"
    checkpoint_every: PositiveInt = 10

    def steps(self, images: int) -> int:
        """Return the batches per epoch: `steps_per_epoch`, or one pass over a number of images."""
        return self.steps_per_epoch or math.ceil(images / self.batch_size)

    def plan(self, steps: int) -> list[int]:
        """Return the number of steps of each epoch.

        Args:
            steps: Steps of a whole epoch, as `steps` returns them.

        Example:
            >>> EpochSettings(total_steps=7).plan(3)
            [3, 3, 1]
        """
        if self.total_steps is None:
            return [steps] * self.epochs
        whole, rest = divmod(self.total_steps, steps)
        return [steps] * whole + [rest] * (rest > 0)

    def build_optimizer(self, network: nn.Module, learning_rate: float | None = None) -> torch.optim.Optimizer:
        """Return the optimiser of a network that is already on its device.

        Args:
            network: Network to train.
            learning_rate: Learning rate; None is `learning_rate` of the settings.
        """
        # Optimisers refuse an empty list, and an identity adapter has nothing to learn.
        group: dict[str, Any] = {"params": list(network.parameters()) or [nn.Parameter(torch.zeros(1))]}
        if learning_rate is not None and learning_rate != self.learning_rate:
            group |= {"lr": learning_rate, RATE_FACTOR: learning_rate / self.learning_rate}
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimizer == "sgd":
            return torch.optim.SGD([group], lr=rate, momentum=self.momentum, weight_decay=decay)
        return torch.optim.Adam([group], lr=rate, weight_decay=decay, fused=True)


class Training(Protocol):
    """Networks that learn from one batch at a time."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Networks that learn, by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Their optimisers, by name."""

    def step(self, *batch: Any) -> Mapping[str, Tensor]:  # noqa: ANN401 - each training has its own batch
        """Learn from one batch; return the losses, detached, by name."""


@runtime_checkable
class EndsEpochs(Protocol):
    """Training that does something after every epoch."""

    def finish_epoch(self) -> dict[str, float]:
        """Return further values for the epoch's history."""


def run_epochs(
    name: str,
    training: Training,
    settings: EpochSettings,
    batches: Callable[[int], Iterable[tuple[Any, ...]]],
    *,
    steps: int,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    identity: str = "",
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    log: Callable[[Mapping[str, float], int], None] | None = None,
) -> list[dict[str, float]]:
    """Train for all epochs; resume from the checkpoint if it exists.

    Nothing random outlives an epoch: `batches(epoch)` draws from generators of its own, and torch's global
    generators are seeded from (seed, name, epoch). So a training that was interrupted and resumed equals one
    that was not, bit for bit where the device's arithmetic is deterministic.

    Args:
        name: Name of the training, for seeds, checkpoints and messages.
        training: Networks that learn.
        settings: Epochs, learning rate and schedule.
        batches: Function from an epoch to its batches, each a tuple of arguments of `training.step`.
        steps: Batches of a whole epoch; `settings.plan` has those of each.
        seed: Seed of the round.
        device: Device of the training.
        checkpoint: File to resume from and to write to.
        identity: Digest of the training data and recipe; a checkpoint of another identity is refused.
        progress: Callback after every epoch, on rank 0, with the training's name and the unit "epochs".
        ranks: Processes that share the training; rank 0 writes checkpoints, all read them.
        log: Callback with the mean losses and the steps of every epoch, on rank 0, also of those in the checkpoint.

    Returns:
        The mean losses of every epoch.

    Raises:
        TrainingDivergedError: A loss is NaN or infinite.
        CheckpointError: The checkpoint is damaged or of another training, or not all ranks see it.
    """
    whose = {
        "training": name,
        "settings": settings.model_dump(mode="json"),
        "identity": identity,
        "start": _start_of(training) if checkpoint else None,
    }
    history = _resume_together(whose, training, checkpoint, ranks)
    # Global draws (dropout, an autoencoder's noise) are not shared out: each rank draws its own.
    own = ("rank", ranks.rank) if ranks.rank else ()
    for network in training.networks.values():
        network.train()
    plan = settings.plan(steps)
    epochs = len(plan)
    log = log if ranks.rank == 0 else None
    if log:
        for epoch, known in enumerate(history):
            log(known, plan[epoch])
    for epoch in range(len(history), epochs):
        with seeded_globally(derive_seed(seed, name, "epoch", epoch, *own), device):
            losses = _one_epoch(training, settings, batches(epoch), epoch, steps)
        history.append(_means(losses, name, epoch))
        if isinstance(training, EndsEpochs):
            history[-1] |= training.finish_epoch()
        if log:
            log(history[-1], plan[epoch])
        done = epoch + 1
        if checkpoint and (done % settings.checkpoint_every == 0 or done == epochs):
            _save_together(checkpoint, training, {"whose": whose, "history": history}, ranks)
        if progress and ranks.rank == 0:
            progress(name, done, epochs, "epochs")
    return history


def learning_rate_at(settings: EpochSettings, progress: float) -> float:
    """Return the learning rate after a fraction `progress` in [0, 1] of all steps."""
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "step":
        return settings.learning_rate * 0.1 ** math.floor(4 * progress)
    # Half a cosine wave, from the learning rate at the start to 0 at the end.
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _start_of(training: Training) -> str:
    """Return a digest of architecture and initial weights: M from F and M from scratch are two trainings."""
    digest = hashlib.blake2b(digest_size=16)
    for name, network in training.networks.items():
        digest.update(f"{name} {network}".encode())
        for tensor in network.state_dict().values():
            digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _one_epoch(
    training: Training, settings: EpochSettings, batches: Iterable[tuple[Any, ...]], epoch: int, steps: int
) -> list[Mapping[str, Tensor]]:
    losses = []
    epochs = sum(settings.plan(steps)) / steps  # not a whole number where the last epoch is shorter
    for step, batch in enumerate(batches):
        rate = learning_rate_at(settings, (epoch + step / steps) / epochs)
        for optimizer in training.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get(RATE_FACTOR, 1.0)
        losses.append(training.step(*batch))
    return losses


def _means(losses: list[Mapping[str, Tensor]], name: str, epoch: int) -> dict[str, float]:
    """Return the mean losses; one transfer from the device per epoch, not per step."""
    means = {key: float(torch.stack([step[key] for step in losses]).mean()) for key in losses[0]}
    for key, value in means.items():
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the {key} loss of the {name} training is {value} in epoch {epoch + 1}: "
                "lower the learning rate, or train in fp32 if this was bf16"
            )
    return means


def _save_together(checkpoint: Path, training: Training, state: dict[str, Any], ranks: Ranks) -> None:
    """Write a checkpoint on rank 0; a collective."""
    if ranks.rank == 0:
        save_checkpoint(checkpoint, training.networks, training.optimizers, state)
    ranks.share(None)  # Barrier: every rank waits until the checkpoint is written.


def _resume_together(
    whose: dict[str, Any], training: Training, checkpoint: Path | None, ranks: Ranks
) -> list[dict[str, float]]:
    """Restore the networks from a checkpoint, and return the losses of its epochs; a collective.

    Raises:
        CheckpointError: The checkpoint is damaged or of another training, or not all ranks see it.
    """
    history = ranks.together(lambda: _resume(whose, training, checkpoint))
    if len(set(ranks.share(len(history)))) > 1:
        raise CheckpointError(
            f"not all ranks see checkpoint {str(checkpoint)!r}: its folder must be shared by all nodes"
        )
    return history


def _resume(whose: dict[str, Any], training: Training, checkpoint: Path | None) -> list[dict[str, float]]:
    if checkpoint is None or not checkpoint.exists():
        return []
    found = read_checkpoint(checkpoint)
    theirs = found.state.get("whose", {})
    changed = ", ".join(key for key in whose if theirs.get(key) != whose[key])
    if changed:
        raise CheckpointError(
            f"checkpoint {str(checkpoint)!r} was written for another {changed}; remove it to start afresh"
        )
    found.restore(training.networks, training.optimizers)
    history: list[dict[str, float]] = found.state["history"]
    return history
