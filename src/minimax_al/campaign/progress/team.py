"""Annotators of a campaign: how many answers each gave, how fast, and how often another annotator agreed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from sqlalchemy import ColumnElement, select

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.opinions.two_opinions import TwoOpinions, count_conflicts, list_two_opinions
from minimax_al.campaign.progress.headline import wilson_interval
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.history import is_valid
from minimax_al.campaign.store.schema import labels
from minimax_al.report.agreement import FEWEST_IMAGES, Agreement, measure_agreement
from minimax_al.report.mask_agreement import MaskAgreement, MaskPair, measure_mask_agreement

_PAUSE_SECONDS = 120
"""Time between two answers from which on it counts as a pause."""

_FEWEST_STEPS = 10
"""Fewest answers without a pause for a speed."""

_PEOPLE = ("page", "bulk", "label-studio")
"""Origins of answers that a person gave."""


@dataclass(frozen=True)
class Annotator:
    """Work of one annotator.

    Attributes:
        name: Name.
        labelled: Number of valid labels.
        unsure: Number of valid "unsure" answers.
        seconds: Median time between two answers without a pause, in seconds; None with few answers.
        shared: Number of images that another annotator labelled independently.
        agreed: Number of those with the same class, or with masks that agree.
        interval: 95 % interval of the share that agreed (Wilson); None with fewer than ten images.
    """

    name: str
    labelled: int
    unsure: int
    seconds: float | None
    shared: int
    agreed: int
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Team:
    """Annotators of a campaign and their agreement.

    Attributes:
        annotators: Annotators, the one with the most labels first.
        agreement: Agreement on images that two annotators labelled independently, or on their pixels.
        waiting: Number of conflicts that wait for a decision.
    """

    annotators: tuple[Annotator, ...]
    agreement: Agreement | MaskAgreement
    waiting: int


class _Outcome(NamedTuple):
    """Result of an image that two annotators labelled."""

    authors: frozenset[str]
    agreed: bool


def read_team(context: CampaignContext) -> Team:
    """Return the annotators and their agreement, from one consistent view of the database."""
    with context.store.reading() as connection:
        given = select(labels.c.author, labels.c.kind, labels.c.at).where(
            *is_valid(labels), labels.c.rewrites.is_(None)
        )
        rows = connection.execute(given.where(_by_people()).order_by(labels.c.id)).all()
        pairs = list_two_opinions(connection)
        names = list(class_ids(connection))
    times: dict[str, list[datetime]] = defaultdict(list)
    kinds: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        times[row.author].append(row.at)
        kinds[row.author].append(row.kind)
    outcomes = list(_outcomes(pairs, context.settings))
    annotators = [_annotator(name, kinds[name], times[name], outcomes) for name in kinds]
    annotators.sort(key=lambda one: (-one.labelled, one.name))
    waiting = sum(pair.state == "conflict" for pair in pairs)
    return Team(tuple(annotators), _agreement(pairs, names, context.settings), waiting)


def read_agreement(context: CampaignContext) -> Agreement | MaskAgreement:
    """Return the agreement of the annotators on images that two of them labelled independently."""
    with context.store.reading() as connection:
        pairs, names = list_two_opinions(connection), list(class_ids(connection))
    return _agreement(pairs, names, context.settings)


def _agreement(
    pairs: Sequence[TwoOpinions], names: Sequence[str], settings: CampaignSettings
) -> Agreement | MaskAgreement:
    if settings.task == "classification":
        return measure_agreement(label_pairs(pairs), settings.seed)
    return measure_mask_agreement(mask_pairs(pairs), names, settings.seed)


def _outcomes(pairs: Sequence[TwoOpinions], settings: CampaignSettings) -> Iterator[_Outcome]:
    """Yield the authors of each image that two annotators labelled, and whether they agreed."""
    if settings.task == "classification":
        for unit in label_pairs(pairs):
            yield _Outcome(frozenset(unit), len(set(unit.values())) == 1)
        return
    for pair in mask_pairs(pairs):
        yield _Outcome(frozenset((pair.first, pair.second)), pair.table.agrees(settings.mask_agreement))


def mask_pairs(pairs: Sequence[TwoOpinions]) -> list[MaskPair]:
    """Return the masks that two annotators drew of the same image, for each such image."""
    return [MaskPair(pair.first.author, pair.second.author, pair.pixels) for pair in pairs if pair.pixels is not None]


def label_pairs(pairs: Sequence[TwoOpinions]) -> list[dict[str, str]]:
    """Return the classes that two annotators gave independently, by author, for each image that both labelled.

    Images whose first annotator was unsure are left out: that answer has no class.
    """
    return [
        {pair.first.author: pair.first.class_name, pair.second.author: pair.second.class_name}
        for pair in pairs
        if pair.first.class_name is not None and pair.second.class_name is not None
    ]


def _by_people() -> ColumnElement[bool]:
    """Return SQL for: a person gave the answer; older versions stored no origin."""
    return labels.c.origin.in_(_PEOPLE) | labels.c.origin.is_(None)


def _annotator(name: str, kinds: Sequence[str], times: Sequence[datetime], outcomes: Sequence[_Outcome]) -> Annotator:
    theirs = [outcome.agreed for outcome in outcomes if name in outcome.authors]
    agreed, shared = sum(theirs), len(theirs)
    interval = wilson_interval(agreed / shared, shared) if shared >= FEWEST_IMAGES else None
    return Annotator(name, kinds.count("label"), kinds.count("unsure"), _speed(times), shared, agreed, interval)


def _speed(times: Sequence[datetime]) -> float | None:
    """Return the median time between two answers, without pauses and without answers given together."""
    steps = [(after - before).total_seconds() for before, after in pairwise(times)]
    worked = [step for step in steps if 0 < step < _PAUSE_SECONDS]
    return median(worked) if len(worked) >= _FEWEST_STEPS else None


def agreement_sentences(context: CampaignContext) -> list[str]:
    """Return how far two annotators agree on the images that both labelled; empty without such images.

    Args:
        context: Campaign.
    """
    with context.store.reading() as connection:
        conflicts = count_conflicts(connection)
    agreement = read_agreement(context)
    sentences = []
    if agreement.images:
        images = "1 image" if agreement.images == 1 else f"{agreement.images:,} images"
        sentences.append(f"Two annotators labelled {images} independently: {_same(agreement)}{_alpha(agreement)}.")
    if conflicts:
        waits = "1 conflict waits" if conflicts == 1 else f"{conflicts:,} conflicts wait"
        sentences.append(f"{waits} for a decision in the view Conflicts of the labelling page.")
    return sentences


def _same(agreement: Agreement | MaskAgreement) -> str:
    if isinstance(agreement, Agreement):
        return f"the labels of {agreement.same:,} are the same"
    if agreement.same is None:
        return "no pixel has a class in both masks"
    return f"{100 * agreement.same:.1f} % of the pixels have the same class"


def _alpha(agreement: Agreement | MaskAgreement) -> str:
    alpha = agreement.alpha
    if alpha is None:
        return ""
    return f", Krippendorff's alpha is {alpha.value:.2f} (95 % interval {alpha.low:.2f} to {alpha.high:.2f})"
