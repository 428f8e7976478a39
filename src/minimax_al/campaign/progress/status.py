"""Status of a campaign: progress, classes, the model's score with its interval, and the next step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import Connection, Row, func, select

from minimax_al.campaign.answers.validation import held_out_groups
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.inventory import count_near_duplicates
from minimax_al.campaign.progress.advice import Advice, Measurement, advise
from minimax_al.campaign.progress.feature_advice import advise_on_features
from minimax_al.campaign.progress.headline import (
    CROSS_VALIDATED,
    RANDOM_ACCURACY,
    RANDOM_COUNT,
    measured_on,
    read_interval,
    read_score,
    wilson_interval,
)
from minimax_al.campaign.progress.runs import LIVE_RUN, Measured, agreement, done_runs, measured_alike
from minimax_al.campaign.rounds.live_state import read_live_state
from minimax_al.campaign.rounds.rounds import RoundState, count_candidates, round_state
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.first_look import has_seen_all
from minimax_al.campaign.store.history import BULK, current_answers, current_labels
from minimax_al.campaign.store.image_counts import count_by_status
from minimax_al.campaign.store.schema import USABLE, items, rounds, runs
from minimax_al.errors import CampaignError
from minimax_al.vocabulary import HEADLINE_NAMES, HEADLINES, Task

_NEXT_LABELS = 100
"""Number of further labels that advice is about, unless rounds have another size."""

_FEW_NEAR_DUPLICATES, _NOTABLE_SHARE = 3, 0.05
"""Near duplicates are pointed out from this number and this share of the usable images on."""


@dataclass(frozen=True)
class ClassCount:
    """Number of labels of a class.

    Attributes:
        name: Class.
        labels: Number of current labels.
        held_out: Number of those that are held out.
    """

    name: str
    labels: int
    held_out: int


@dataclass(frozen=True)
class ModelState:
    """Last trained model.

    Attributes:
        run: Number of its run.
        strategy: Strategy that trained it.
        labels: Number of labels that it was trained on.
        labels_since: Number of usable labels that are newer than the training.
        held_out: Number of held-out labels.
        measured_on: Number of labels that it was measured on: held-out ones, or all by cross-validation.
        metric: Name of the headline metric: "accuracy", or "miou" for masks.
        score: Value of that metric on these labels; None without any.
        interval: 95 % interval of the score: Wilson's for accuracy, a bootstrap over images for mIoU; None if unknown.
        metrics: All metrics by name.
        agreement: Share of a fixed sample of images for which it agrees with the previous model; None for the first.
        trained_at: Time of the training.
    """

    run: int
    strategy: str
    labels: int
    labels_since: int
    held_out: int
    measured_on: int
    metric: str
    score: float | None
    interval: tuple[float, float] | None
    metrics: Mapping[str, float]
    agreement: float | None
    trained_at: datetime

    @property
    def metric_name(self) -> str:
        """Printed name of the metric."""
        return HEADLINE_NAMES[self.metric]

    @property
    def is_cross_validated(self) -> bool:
        """Whether the score comes from cross-validation over all labels."""
        return not self.held_out and CROSS_VALIDATED in self.metrics

    @property
    def measurement(self) -> str:
        """How the score was measured, as the end of a sentence."""
        if self.is_cross_validated:
            return f"by cross-validation over {self.measured_on:,} labels"
        return f"on {self.held_out:,} held-out labels"

    @property
    def random_sample(self) -> tuple[float, float, float, int] | None:
        """Accuracy on randomly drawn images, its 95 % interval and their number; None without such images.

        The images that a strategy chose differ from the pool; randomly drawn ones are a fair sample of it.
        """
        count = int(self.metrics.get(RANDOM_COUNT, 0))
        if not count:
            return None
        accuracy = self.metrics[RANDOM_ACCURACY]
        return (accuracy, *wilson_interval(accuracy, count), count)


@dataclass(frozen=True)
class CurvePoint:
    """Point of the learning curve: the last model trained on a number of labels.

    Attributes:
        labels: Number of labels that it was trained on.
        score: Score on the held-out images: accuracy, or mIoU for masks.
        low: Lower end of its 95 % interval; None if unknown.
        high: Upper end of that interval; None if unknown.
    """

    labels: int
    score: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Status:
    """Status of a campaign.

    Attributes:
        task: Kind of label, "classification" or "segmentation".
        items: Number of images by status: "active", "duplicate", "set-aside", "missing", "changed".
        labelled: Number of images with a label.
        held_out: Number of those that are held out.
        unsure: Number of images marked as unsure.
        unlabelled: Number of images that a query can choose.
        classes: Labels of every class, in order; empty for masks.
        round: Latest round; None before the first.
        model: Last trained model; None before the first.
        advice: Advice on the next step.
        set_aside: Path and reason of each file that cannot be used.
        notes: Further remarks, one sentence each.
        confirmed: Number of the labels that are suggestions confirmed in bulk; they are trained on, but not measured.
    """

    task: str
    items: Mapping[str, int]
    labelled: int
    held_out: int
    unsure: int
    unlabelled: int
    classes: tuple[ClassCount, ...]
    round: RoundState | None
    model: ModelState | None
    advice: Advice
    set_aside: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    confirmed: int = 0


def read_status(context: CampaignContext) -> Status:
    """Return the status as of now, from one consistent view of the database."""
    settings, folder = context.settings, context.folder
    with context.store.reading() as connection:
        labelled: Sequence[Row[Any]] = connection.execute(current_labels()).all()
        held_out = held_out_groups(connection)
        finished = done_runs(connection)
        unlabelled = count_candidates(connection)
        by_status = count_by_status(connection)
        now = current_answers()
        unsure = connection.execute(select(func.count()).where(now.c.kind == "unsure")).scalar_one()
        aside = select(items.c.path, items.c.reason).where(items.c.status == "set-aside").order_by(items.c.path)
        return Status(
            task=settings.task,
            items=by_status,
            labelled=len(labelled),
            held_out=sum(row.group_id in held_out for row in labelled),
            unsure=unsure,
            unlabelled=unlabelled,
            classes=_class_counts(class_ids(connection), labelled, held_out)
            if settings.task == "classification"
            else (),
            round=round_state(connection),
            model=_model_state(finished, labelled, folder, settings.task) if finished else None,
            advice=_advice(connection, measured_alike(folder, finished), unlabelled, settings),
            set_aside=tuple((row.path, row.reason) for row in connection.execute(aside)),
            notes=(*_notes(connection, by_status, labelled, folder), *_on_features(finished, settings, folder)),
            confirmed=sum(row.origin == BULK for row in labelled),
        )


def read_model_state(context: CampaignContext) -> ModelState:
    """Return the state of the last trained model.

    Args:
        context: Campaign.

    Raises:
        CampaignError: No model was trained yet.
    """
    with context.store.reading() as connection:
        finished = done_runs(connection)
        if not finished:
            raise CampaignError(f"no model was trained yet: run 'mal train {context.folder}' first")
        labelled: Sequence[Row[Any]] = connection.execute(current_labels()).all()
        return _model_state(finished, labelled, context.folder, context.settings.task)


def measurements(finished: Sequence[Measured]) -> list[Measurement]:
    """Return the points of the learning curve: measured models in the order of training."""
    return [Measurement(run.labels, score, run.measured_on) for run in finished if (score := _score(run)) is not None]


def read_curve(context: CampaignContext) -> list[CurvePoint]:
    """Return the learning curve by labels; of several models with the same number of labels, the last.

    All models are measured on the same images, those that are held out now.
    """
    with context.store.reading() as connection:
        finished = measured_alike(context.folder, done_runs(connection))
    latest = {run.labels: (score, run) for run in finished if (score := _score(run)) is not None}
    return [
        CurvePoint(labels, score, *(read_interval(run.metrics, run.measured_on) or (None, None)))
        for labels, (score, run) in sorted(latest.items())
    ]


def _score(run: Measured) -> float | None:
    return read_score(run.metrics) if run.measured_on else None


def _class_counts(names: Mapping[str, int], labelled: Sequence[Row[Any]], held_out: set[int]) -> tuple[ClassCount, ...]:
    counts = {name: [0, 0] for name in names}
    for row in labelled:
        counts[row.class_name][0] += 1
        counts[row.class_name][1] += row.group_id in held_out
    return tuple(ClassCount(name, *count) for name, count in counts.items())


def _labels_since(run: Row[Any], labelled: Sequence[Row[Any]]) -> int:
    usable: list[int] = [row.label_id for row in labelled if row.status in USABLE]
    if run.last_label is None:  # of an older version, which did not record it
        measured: int = run.labels + run.held_out
        return max(0, len(usable) - measured)
    return sum(label > run.last_label for label in usable)


def _model_state(finished: list[Row[Any]], labelled: Sequence[Row[Any]], folder: Path, task: Task) -> ModelState:
    run = finished[-1]
    count = measured_on(run.metrics, run.held_out)
    return ModelState(
        run=run.id,
        strategy=run.strategy,
        labels=run.labels,
        labels_since=_labels_since(run, labelled),
        held_out=run.held_out,
        metric=HEADLINES[task],
        measured_on=count,
        score=read_score(run.metrics) if count else None,
        interval=read_interval(run.metrics, count),
        metrics=run.metrics,
        agreement=agreement(folder, finished[-2].id, run.id) if len(finished) > 1 else None,
        trained_at=run.finished_at,
    )


def _advice(
    connection: Connection, finished: Sequence[Measured], unlabelled: int, settings: CampaignSettings
) -> Advice:
    latest = select(rounds.c.budget).order_by(rounds.c.number.desc()).limit(1)
    next_labels = connection.execute(latest).scalar() or _NEXT_LABELS
    if read_live_state(connection) is not None:  # a batch is too small to be worth it or not
        next_labels = max(next_labels, _NEXT_LABELS)
    points, metric = measurements(finished), HEADLINE_NAMES[HEADLINES[settings.task]]
    return advise(points, unlabelled, next_labels, settings.worthwhile_gain, settings.seed, metric=metric)


def _on_features(finished: Sequence[Row[Any]], settings: CampaignSettings, folder: Path) -> list[str]:
    return [] if settings.features is None else advise_on_features(finished, folder)


def _near_duplicates_note(connection: Connection, by_status: Mapping[str, int], folder: Path) -> list[str]:
    """Return a sentence if near duplicates are a notable part of the folder."""
    usable = by_status["duplicate"] + by_status.get("active", 0)
    notable = max(_FEW_NEAR_DUPLICATES, _NOTABLE_SHARE * usable)
    # Fewer duplicates than that have too few near ones among them: these are not counted.
    if by_status["duplicate"] < notable or (near := count_near_duplicates(connection)) < notable:
        return []
    sentence = (
        f"{near:,} of {usable:,} images count as near duplicates of another image and are not asked about: look at "
        f"some of them; if they differ in what you label, 'mal configure {quote(str(folder))} near_duplicates=off' "
        "keeps every image."
    )
    return [sentence]


def _notes(
    connection: Connection, by_status: Mapping[str, int], labelled: Sequence[Row[Any]], folder: Path
) -> list[str]:
    notes = []
    if by_status.get("changed"):
        notes.append(
            f"{by_status['changed']} labelled images have other content than when they were labelled: label them "
            "again, or accept the change; they are not trained on until then."
        )
    if by_status.get("missing"):
        notes.append(f"{by_status['missing']} images are gone from the folder; their labels are kept.")
    if by_status.get("duplicate"):
        notes += _near_duplicates_note(connection, by_status, folder)
    if not has_seen_all(connection):
        notes.append(
            "The first look at the images was interrupted, or is still running: 'mal status' resumes it; no image is "
            "chosen until it has ended."
        )
    elif by_status.get("new"):
        notes.append(f"{by_status['new']} images were found by an interrupted look at the folder: run 'mal status'.")
    names: dict[int, set[str]] = {}
    for row in labelled:
        if row.class_name is not None:  # masks of two files are never equal
            names.setdefault(row.group_id, set()).add(row.class_name)
    disagree = sum(len(answers) > 1 for answers in names.values())
    if disagree:
        notes.append(f"{disagree} images and their duplicates have labels that disagree.")
    broken = connection.execute(
        select(runs.c.message).where(runs.c.state == "failed").order_by(runs.c.id.desc())
    ).first()
    by_hand = runs.c.fingerprint.not_like(f"{LIVE_RUN}%")  # live runs are measured when there is time
    last = connection.execute(select(runs.c.state).where(by_hand).order_by(runs.c.id.desc())).scalar()
    if last == "failed" and broken is not None:
        notes.append(f"The last training failed: {broken.message}")
    if last == "running":
        notes.append("A training is running, or was interrupted: train again to resume it.")
    return notes
