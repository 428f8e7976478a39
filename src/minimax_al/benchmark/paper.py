"""The numbers that the paper states, beside which a reproduction is shown."""

import functools
from importlib import resources
from typing import Any

import yaml

from minimax_al.report.plots import PublishedPoints


def paper_points(dataset: str, encoder: str = "resnet18") -> tuple[PublishedPoints, ...]:
    """The paper's points for a plot; fractions, like the records.

    Args:
        dataset: name of a data set or a preset of the benchmark ("cifar100-5000").
        encoder: name of the encoder; the numbers of another encoder are not comparable and not given.

    Returns:
        One entry a strategy; none where the paper states no point for the two.

    Example:
        >>> [points.strategy for points in paper_points("cifar100", "vgg16_bn")]
        ['mal', 'vaal']
        >>> paper_points("digits")
        ()
    """
    entry = _numbers().get(dataset)
    if entry is None:
        return ()
    return tuple(_points(row, entry) for row in entry["points"] if row["encoder"] in (encoder, "any"))


def _points(row: dict[str, Any], entry: dict[str, Any]) -> PublishedPoints:
    relabel = entry.get("relabel", {})
    errors = row.get("std")
    return PublishedPoints(
        strategy=row["strategy"],
        labels=tuple(relabel.get(n, n) for n in row["labels"]),
        values=tuple(mean / 100 for mean in row["mean"]),
        errors=None if errors is None else tuple(std / 100 for std in errors),
        source=entry["source"],
        caveat=entry.get("caveat", ""),
    )


def paper_claims(dataset: str) -> tuple[str, ...]:
    """What the paper states about a data set beyond points on a curve, one sentence each.

    Args:
        dataset: name of a data set or a preset of the benchmark.

    Returns:
        The sentences; none where the paper states nothing.
    """
    entry = _numbers().get(dataset)
    return () if entry is None else tuple(f"{claim} ({entry['source']})" for claim in entry["claims"])


@functools.cache
def _numbers() -> dict[str, Any]:
    text = resources.files("minimax_al.benchmark").joinpath("paper.yaml").read_text(encoding="utf-8")
    numbers: dict[str, Any] = yaml.safe_load(text)
    return numbers
