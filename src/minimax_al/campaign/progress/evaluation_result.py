"""Results on a test set of the user's own, stored with the model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minimax_al.durable import write_durably
from minimax_al.vocabulary import HEADLINE_NAMES

FILE = "test.json"
"""Name of the file in a run's folder."""


@dataclass(frozen=True)
class ClassResult:
    """Result of one class.

    Attributes:
        name: Class.
        images: Number of test images of the class, or that show it.
        score: Accuracy, or IoU for masks, in [0, 1]; None without test images of the class.
        interval: 95 % interval of the accuracy; None for masks and without images.
    """

    name: str
    images: int
    score: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class EvaluationResult:
    """Result of a model on a test set of the user's own.

    Attributes:
        source: Folder or file of the test set.
        metric: "accuracy", or "miou" for masks.
        score: Value of the metric, in [0, 1].
        interval: 95 % interval of the score: Wilson's for accuracy, a bootstrap over images for mIoU.
        images: Number of test images.
        classes: Result of each class, in the order of the model.
        confusion: Counts of images, or of pixels for masks: row = true class, column = predicted class.
        set_aside: Path and reason of each test image that cannot be read.
        trained_on: Number of test images that are copies of images which the campaign trains on.
    """

    source: str
    metric: str
    score: float
    interval: tuple[float, float] | None
    images: int
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    set_aside: tuple[tuple[str, str], ...]
    trained_on: int

    @property
    def metric_name(self) -> str:
        """Printed name of the metric."""
        return HEADLINE_NAMES[self.metric]

    def confused(self, most: int = 10) -> list[tuple[str, str, int]]:
        """Return the most frequent confusions as (true class, predicted class, count), at most `most`."""
        names = [entry.name for entry in self.classes]
        pairs = [
            (names[true], names[predicted], count)
            for true, row in enumerate(self.confusion)
            for predicted, count in enumerate(row)
            if true != predicted and count
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:most]


def write_evaluation(folder: Path, result: EvaluationResult) -> None:
    """Write a result into a run's folder, instead of an earlier one."""
    write_durably(folder / FILE, json.dumps(asdict(result), ensure_ascii=False, indent=2).encode())


def read_evaluation(folder: Path) -> EvaluationResult | None:
    """Return the result in a run's folder; None if it is missing or damaged."""
    try:
        content: dict[str, Any] = json.loads((folder / FILE).read_bytes())
        classes = tuple(
            ClassResult(**{**entry, "interval": _pair(entry["interval"])}) for entry in content.pop("classes")
        )
        confusion = tuple(map(tuple, content.pop("confusion")))
        set_aside = tuple((path, reason) for path, reason in content.pop("set_aside"))
        interval = _pair(content.pop("interval"))
        return EvaluationResult(**content, interval=interval, classes=classes, confusion=confusion, set_aside=set_aside)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pair(ends: list[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])
