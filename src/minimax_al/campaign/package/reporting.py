"""Report of a campaign: one self-contained page with curve, mistakes, classes, picks and their reasons."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.package.held_out import HeldOutImage, read_cross_validated, read_held_out
from minimax_al.campaign.progress.evaluation_result import EvaluationResult, read_evaluation
from minimax_al.campaign.progress.headline import FEWEST_MEASURED, wilson_interval
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.progress.status import CurvePoint, ModelState, Status
from minimax_al.campaign.progress.team import agreement_sentences
from minimax_al.campaign.rounds.rounds import Pick, list_picks
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import labelled_at
from minimax_al.campaign.store.schema import rounds
from minimax_al.data.decoding.decode import read_image
from minimax_al.data.locations.location import Address, known_location
from minimax_al.errors import UnreadableImageError
from minimax_al.report import (
    Bar,
    Bars,
    ClassScore,
    Curve,
    Gallery,
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
_SHOWN_OF_A_PAIR = 8  # images per confusion
_MOST_CONFUSIONS = 40


def write_report(context: CampaignContext, status: Status, curve: Sequence[CurvePoint], out: Path) -> None:
    """Write the page.

    Args:
        context: Campaign.
        status: Status as of now.
        curve: Learning curve.
        out: HTML file to write, replaced in one step.
    """
    settings, model = context.settings, status.model
    images = _measured_images(context, model)
    evaluation = None if model is None else read_evaluation(run_folder(context.folder, model.run))
    page = ReportPage(
        title=context.folder.resolve().name,
        eyebrow="Labelling campaign",
        summary=summary_sentences(status, agreement_sentences(context)),
        sections=[
            *_curve_sections(curve if _is_measured(model) else [], HEADLINES[settings.task]),
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


def _measured_images(context: CampaignContext, model: ModelState | None) -> list[HeldOutImage]:
    """Return the images on which the accuracy was measured, with their predictions."""
    if model is None or context.settings.task == "segmentation":
        return []
    return read_cross_validated(context) if model.is_cross_validated else read_held_out(context, model.run)


def summary_sentences(status: Status, agreement: Sequence[str] = ()) -> list[str]:
    """Return the state of a campaign in a few sentences.

    Args:
        status: Status of the campaign.
        agreement: Sentences on the agreement of the annotators.
    """
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
        trained = f"The model of run {model.run}, trained on {model.labels:,} labels,"
        score = _score_with_interval(model)
        if score is None:
            few = f"on {model.measured_on} images only; a figure needs {FEWEST_MEASURED}"
            sentences.append(f"{trained} was measured {few}.")
        else:
            sentences.append(f"{trained} has {model.metric_name} {score}, measured {model.measurement}.")
        if model.random_sample is not None and model.random_sample[-1] >= FEWEST_MEASURED:
            share, low, high, count = model.random_sample
            sentences.append(
                f"On the {count:,} labelled images that were drawn at random, a fair sample, the accuracy is "
                f"{100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
            )
        if model.agreement is not None:
            sentences.append(f"It agrees with the previous model on {100 * model.agreement:.1f} % of the images.")
    return [*sentences, *agreement, f"Advice: {status.advice.decision}. {status.advice.reason}"]


def _is_measured(model: ModelState | None) -> bool:
    """Return whether the models were measured on enough images for a curve; all are measured on the same ones."""
    return model is not None and model.measured_on >= FEWEST_MEASURED


def _score_with_interval(model: ModelState) -> str | None:
    """Return the score as text; None without an interval or of too few images."""
    if model.interval is None or model.score is None or model.measured_on < FEWEST_MEASURED:
        return None
    low, high = model.interval
    return f"{100 * model.score:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def _curve_sections(points: Sequence[CurvePoint], metric: str) -> list[Section]:
    points = [point for point in points if point.low is not None and point.high is not None]
    if not points:
        return []
    ends = [(point.low, point.high) for point in points]
    curve = Curve(
        dataset="campaign",
        strategy=HEADLINE_NAMES[metric],
        metric=metric,
        seeds=(0,),
        labels=np.array([point.labels for point in points], dtype=np.int64),
        per_seed=np.array([[point.score for point in points]]),
        intervals=np.array(ends, dtype=np.float64),
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
    held_out = status.model is None or not status.model.is_cross_validated
    return [
        replace(mistakes, title="Held-out images" if held_out else "Images of the cross-validation"),
        class_scores_section(scores),
        confusion_section(confusion, names, examples=_confused(context, wrong, names)),
    ]


def _confused(
    context: CampaignContext, wrong: Sequence[HeldOutImage], names: Sequence[str]
) -> dict[tuple[int, int], Gallery]:
    """Return a gallery for each of the most frequent confusions, the most frequent first."""
    pairs: dict[tuple[str, str], list[HeldOutImage]] = defaultdict(list)
    for image in wrong:
        pairs[image.class_name, image.predicted].append(image)
    frequent = sorted(pairs.items(), key=lambda pair: -len(pair[1]))[:_MOST_CONFUSIONS]
    return {
        (names.index(true), names.index(predicted)): Gallery(
            list(_predicted_thumbnails(context, images[:_SHOWN_OF_A_PAIR])),
            f"{true}, predicted {predicted}",
            max(0, len(images) - _SHOWN_OF_A_PAIR),
        )
        for (true, predicted), images in frequent
    }


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
    """Return the first picks of some rounds, at most `_SHOWN` of them."""
    found: list[Pick] = []
    for row in part:
        if len(found) < _SHOWN:
            found += list_picks(connection, row.number)
    return found[:_SHOWN]


def _picks_section(store: Store, settings: CampaignSettings) -> Section | None:
    with store.reading() as connection:
        opened = connection.execute(rounds.select().order_by(rounds.c.number)).all()
        picked = [
            (
                part[0],
                _first_picks(connection, part),
                sum(row.budget for row in part),
                labelled_at(connection, part[-1].closed_at),
            )
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
            images=list(_thumbnails(settings, found)),
            omitted=max(0, count - _SHOWN),
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
