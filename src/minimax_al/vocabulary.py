"""Words that every room shares; loads neither torch nor NumPy."""

from collections.abc import Callable
from typing import Literal

Task = Literal["classification", "segmentation"]
"""Kind of label: one class per image, or one class per pixel."""

IGNORED = 255
"""Value of a mask's pixels that belong to no class: neither trained nor measured on."""

Color = tuple[float, float, float]
"""Red, green and blue."""

HEADLINES: dict[Task, str] = {"classification": "accuracy", "segmentation": "miou"}
"""Metric by which a model is judged, per task."""

HEADLINE_NAMES = {"accuracy": "accuracy", "miou": "mIoU"}
"""Printed names of the headline metrics."""

Progress = Callable[[str, int, int, str], None]
"""Callback of what takes time, called with (what, done, total, unit): ("task model", 3, 30, "epochs")."""
