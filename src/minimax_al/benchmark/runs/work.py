"""Work of a training: optimisation steps and images seen, counted while a strategy trains."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from minimax_al.loop import ActiveLearner
from minimax_al.training import Round
from minimax_al.training.epochs import EpochSettings, Training

Batches = Callable[[int, int], Iterator[tuple[Tensor, ...]]]


@dataclass
class Work:
    """Work of one round.

    Attributes:
        steps: Number of optimisation steps.
        images: Number of images that these steps saw; each view of an image counts.
        per_step: Images per step, by training.
    """

    steps: int = 0
    images: int = 0
    per_step: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Begin a new round."""
        self.steps = self.images = 0

    def see(self, name: str, images: int) -> None:
        """Note the number of images in a batch of a training."""
        self.per_step[name] = max(images, self.per_step.get(name, 0))

    def add(self, name: str, steps: int) -> None:
        """Count a finished training of which a batch was seen.

        Args:
            name: Name of the training.
            steps: Number of its steps, including those before an interruption.
        """
        self.steps += steps
        self.images += steps * self.per_step[name]


@dataclass(frozen=True)
class CountingRound(Round):
    """A round that counts the work of its trainings.

    Attributes:
        work: Counter, shared with the learner.
    """

    work: Work = field(default_factory=Work)

    def train(
        self, name: str, training: Training, settings: EpochSettings, *, steps: int, batches: Batches
    ) -> list[dict[str, float]]:
        """Run a training's epochs and count their steps and images; see `Round.train`."""
        ranks = self.runtime.ranks.world_size

        def counted(epoch: int, length: int) -> Iterator[tuple[Tensor, ...]]:
            for batch in batches(epoch, length):
                # Images are the floating tensors of a batch; targets are whole numbers.
                self.work.see(name, ranks * sum(len(part) for part in batch if part.is_floating_point()))
                yield batch

        history = super().train(name, training, settings, steps=steps, batches=counted)
        if name not in self.work.per_step:  # the training was already finished when it was interrupted
            next(counted(0, steps))
        self.work.add(name, sum(settings.plan(steps)))
        return history


class CountingLearner(ActiveLearner):
    """A learner whose rounds count their work.

    Attributes:
        work: Work of the round in progress.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - those of ActiveLearner
        super().__init__(*arguments, **named)
        self.work = Work()

    @property
    def round(self) -> CountingRound:
        """The round in progress."""
        plain = super().round
        return CountingRound(**{part.name: getattr(plain, part.name) for part in fields(plain)}, work=self.work)
