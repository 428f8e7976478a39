"""Numbers stated in the paper, to compare a reproduction with."""

import functools
from importlib import resources
from typing import Any

import yaml

from minimax_al.benchmark.folders.folder import differing_keys
from minimax_al.benchmark.protocol import Protocol, load_protocol
from minimax_al.report.plots import PublishedPoints


def paper_points(dataset: str, encoder: str = "resnet18") -> tuple[PublishedPoints, ...]:
    """Return the paper's points for a plot, as fractions like the records.

    Args:
        dataset: Name of a data set or of a preset of the benchmark ("cifar100-5000").
        encoder: Encoder name; numbers of another encoder are not comparable.

    Returns:
        One entry per strategy; empty where the paper states no point for the two.

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
    """Return the paper's other statements about a data set, one sentence each.

    Args:
        dataset: Name of a data set or of a preset of the benchmark.
    """
    entry = _numbers().get(dataset)
    return () if entry is None else tuple(f"{claim} ({entry['source']})" for claim in entry["claims"])


def differences_to_paper(protocol: Protocol) -> list[str] | None:
    """Return the settings in which a protocol's recipe differs from the paper's, with both values.

    Device, precision and batch size of scoring do not count: they change no number beyond rounding.

    Args:
        protocol: Protocol of a run.

    Returns:
        Dotted keys with both values; None if the paper has no numbers for these data, labels and encoder.
    """
    encoder = protocol.recipe.encoder
    if not protocol.is_preset or not paper_points(protocol.name, encoder):
        return None
    paper = load_protocol(protocol.name, "paper").recipe.model_copy(update={"encoder": encoder})
    apart = {"runtime", "scoring_batch_size"}
    return differing_keys(paper.model_dump(exclude=apart), protocol.recipe.model_dump(exclude=apart))


@functools.cache
def _numbers() -> dict[str, Any]:
    text = resources.files("minimax_al.benchmark").joinpath("paper.yaml").read_text(encoding="utf-8")
    numbers: dict[str, Any] = yaml.safe_load(text)
    return numbers
