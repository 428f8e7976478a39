"""Report of a campaign: one self-contained page with curve, mistakes, classes, picks and their reasons."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.evaluation_result import EvaluationResult, read_evaluation
from minimax_al.campaign.progress.headline import wilson_interval
from minimax_al.campaign.progress.held_out import HeldOutImage, read_held_out
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.progress.status import CurvePoint, ModelState, Status
from minimax_al.campaign.rounds.rounds import Pick, list_picks
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import labelled_at
from minimax_al.campaign.store.schema import rounds
from minimax_al.data.decode import read_image
from minimax_al.data.locations.location import Address, known_location
from minimax_al.errors import UnreadableImageError
from minimax_al.report import (
    Bar,
    Bars,
    ClassScore,
    Curve,
    Image,
    PickedRound,
    ReportPage,
    Section,
    Text,
    class_scores_section,
    confusion_section,
    curves_section,
    figures_section,
    mistakes_section,
    picks_section,
    set_aside_section,
    thumbnail,
    write_page,
)
from minimax_al.vocabulary import HEADLINE_NAMES, HEADLINES

_THUMBNAIL = 96
_SHOWN = 24  # images per gallery
_GALLERIES = 20  # galleries of rounds; more rounds share them


def write_report(context: CampaignContext, status: Status, curve: Sequence[CurvePoint], out: Path) -> None:
    """Write the page.

    Args:
        context: Campaign.
        status: Status as of now.
        curve: Learning curve.
        out: HTML file to write, replaced in one step.
    """
    settings, model = context.settings, status.model
    images = [] if model is None or settings.task == "segmentation" else read_held_out(context, model.run)
    evaluation = None if model is None else read_evaluation(run_folder(context.folder, model.run))
    page = ReportPage(
        title=context.folder.resolve().name,
        eyebrow="Labelling campaign",
        summary=summary_sentences(status),
        sections=[
            *_curve_sections(curve, HEADLINES[settings.task]),
            *_held_out_sections(context, status, images),
            *_evaluation_sections(evaluation),
            _class_section(status),
            _picks_section(context.store, settings),
            set_aside_section(status.set_aside),
            Section("Notes", [Text(status.notes)]) if status.notes else None,
        ],
        footer=f"Images in {settings.images}",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_page(out, page)


def summary_sentences(status: Status) -> list[str]:
    """Return the state of a campaign in a few sentences."""
    sentences = [
        (
            f"{status.labelled:,} images have a label ({status.held_out:,} of them held out for validation), "
            f"{status.unsure:,} are marked as unsure, {status.unlabelled:,} are unlabelled."
        )
    ]
    if status.confirmed:
        sentences.append(
            f"{status.confirmed:,} of the labels are suggestions of a model that were confirmed in bulk: they are "
            "trained on, but no accuracy is measured on them."
        )
    model = status.model
    if model is not None and model.score is not None:
        score, trained = (
            f"{100 * model.score:.1f} %",
            f"The model of run {model.run}, trained on {model.labels:,} labels,",
        )
        sentences.append(f"{trained} has {model.metric_name} {score}{_interval(model)}, measured {model.measurement}.")
        if model.random_sample is not None:
            share, low, high, count = model.random_sample
            sentences.append(
                f"On the {count:,} labelled images that were drawn at random, a fair sample, the accuracy is "
                f"{100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
            )
        if model.agreement is not None:
            sentences.append(f"It agrees with the previous model on {100 * model.agreement:.1f} % of the images.")
    return [*sentences, f"Advice: {status.advice.decision}. {status.advice.reason}"]


def _interval(model: ModelState) -> str:
    if model.interval is None:
        return ""
    low, high = model.interval
    return f" (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def _curve_sections(points: Sequence[CurvePoint], metric: str) -> list[Section]:
    if not points:
        return []
    ends = [(point.low, point.high) for point in points]
    known = all(low is not None and high is not None for low, high in ends)
    curve = Curve(
        dataset="campaign",
        strategy=f"{HEADLINE_NAMES[metric]} on held-out images",
        metric=metric,
        seeds=(0,),
        labels=np.array([point.labels for point in points], dtype=np.int64),
        per_seed=np.array([[point.score for point in points]]),
        intervals=np.array(ends, dtype=np.float64) if known else None,
    )
    return [curves_section([curve], title="Learning curve"), figures_section([curve], paste=False)]


def _held_out_sections(context: CampaignContext, status: Status, images: Sequence[HeldOutImage]) -> list[Section]:
    """Return the confusions, the accuracy per class, and the wrong predictions among the held-out images."""
    if not images:
        return []
    names = [entry.name for entry in status.classes]
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for image in images:
        confusion[names.index(image.class_name), names.index(image.predicted)] += 1
    trained_on = {entry.name: entry.labels - entry.held_out for entry in status.classes}
    scores = [_class_score(name, confusion[k], k, trained_on[name]) for k, name in enumerate(names)]
    wrong = [image for image in images if image.class_name != image.predicted]
    right = images[len(wrong) :]
    mistakes = mistakes_section(
        list(_predicted_thumbnails(context, wrong[:_SHOWN])),
        list(_predicted_thumbnails(context, right[:_SHOWN])),
        wrong_count=len(wrong),
        right_count=len(right),
    )
    return [
        replace(mistakes, title="Held-out images"),
        class_scores_section(scores),
        confusion_section(confusion, names),
    ]


def _class_score(name: str, predicted: NDArray[np.int64], index: int, labels: int) -> ClassScore:
    tested, right = int(predicted.sum()), int(predicted[index])
    if not tested:
        return ClassScore(name, None, tested=0, labels=labels)
    return ClassScore(name, right / tested, wilson_interval(right / tested, tested), tested, labels)


def _evaluation_sections(evaluation: EvaluationResult | None) -> list[Section]:
    """Return the result on a test set of the user's own."""
    if evaluation is None:
        return []
    ends = () if evaluation.interval is None else tuple(100 * end for end in evaluation.interval)
    interval = " (95 % interval {:.1f} to {:.1f} %)".format(*ends) if ends else ""
    score = f"{evaluation.metric_name} {100 * evaluation.score:.1f} %{interval} on {evaluation.images:,} images"
    measure = "accuracy" if evaluation.metric == "accuracy" else "IoU"
    scores = [ClassScore(entry.name, entry.score, entry.interval, entry.images) for entry in evaluation.classes]
    per_class = class_scores_section(scores, measure)
    unit = "images" if evaluation.metric == "accuracy" else "pixels"
    confusions = confusion_section(evaluation.confusion, [entry.name for entry in evaluation.classes], unit=unit)
    text = Text([f"{score} of {evaluation.source}."])
    return [Section("Test set", [text, *per_class.blocks, *confusions.blocks])]


def _class_section(status: Status) -> Section | None:
    if not status.classes or not status.labelled:
        return None
    bars = [Bar(count.name, count.labels) for count in status.classes]
    least, most = min(bar.value for bar in bars), max(bar.value for bar in bars)
    caption = f"{status.labelled:,} labels, {least:,.0f} to {most:,.0f} per class, in the order of the classes."
    return Section("Class balance", [Bars(bars, caption)])


def groups_of_rounds(opened: Sequence[Row[Any]]) -> list[list[Row[Any]]]:
    """Return the rounds of each gallery of the report: one, or several small batches of live labelling.

    Args:
        opened: Rounds by number.
    """
    most = max(1, sum(row.budget for row in opened) // _GALLERIES) if len(opened) > _GALLERIES else 0
    groups: list[list[Row[Any]]] = []
    for row in opened:
        if groups and sum(other.budget for other in groups[-1]) < most:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _first_picks(connection: Connection, part: Sequence[Row[Any]]) -> list[Pick]:
    """Return the first picks of some rounds, as many as a gallery shows."""
    found: list[Pick] = []
    for row in part:
        if len(found) < _SHOWN:
            found += list_picks(connection, row.number)
    return found[:_SHOWN]


def _labels_after(connection: Connection, part: Sequence[Row[Any]]) -> int:
    """Return the number of labels when the last of some rounds was closed."""
    return labelled_at(connection, part[-1].closed_at)


def _picks_section(store: Store, settings: CampaignSettings) -> Section | None:
    with store.reading() as connection:
        opened = connection.execute(rounds.select().order_by(rounds.c.number)).all()
        picked = [
            (part[0], _first_picks(connection, part), sum(row.budget for row in part), _labels_after(connection, part))
            for part in groups_of_rounds(opened)
        ]
    if not picked:
        return None
    shown = [
        PickedRound(
            strategy="picked",
            seed=None,
            round=row.number,
            labels=labels,
            images=list(_thumbnails(settings, found[:_SHOWN])),
            omitted=count - min(count, _SHOWN),
        )
        for row, found, count, labels in picked
    ]
    return picks_section(shown, "Below each image: its label, and the reason for which it was chosen.")


def _thumbnails(settings: CampaignSettings, picks: Sequence[Pick]) -> Iterator[Image]:
    for pick in picks:
        source = _thumbnail_of(known_location(settings.images) / pick.path)
        yield Image(source, pick.path, pick.class_name or pick.answer, [("", pick.reason)])


def _predicted_thumbnails(context: CampaignContext, images: Sequence[HeldOutImage]) -> Iterator[Image]:
    for image in images:
        title = image.class_name
        if image.predicted != image.class_name:
            title = f"{image.class_name}, predicted {image.predicted}"
        values = [("confidence", f"{100 * image.confidence:.0f} %")]
        yield Image(_thumbnail_of(context.images / image.path), image.path, title, values)


def _thumbnail_of(path: Address) -> str:
    try:
        pixels = np.asarray(read_image(path, shrink_to=_THUMBNAIL))
    except UnreadableImageError:
        pixels = np.full((_THUMBNAIL, _THUMBNAIL, 3), 128, dtype=np.uint8)  # the file is gone; its row is not
    return thumbnail(pixels, _THUMBNAIL)
