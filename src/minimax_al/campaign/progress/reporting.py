"""A campaign's report: one self-contained page with the curve, the classes, the picks and what they were picked for."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.progress.status import CurvePoint, ModelState, Status
from minimax_al.campaign.rounds.rounds import Pick, list_picks
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import labelled_at
from minimax_al.campaign.store.schema import rounds
from minimax_al.data.decode import read_image
from minimax_al.errors import UnreadableImageError
from minimax_al.report import (
    Bar,
    Bars,
    Image,
    PickedRound,
    Record,
    ReportPage,
    Section,
    Text,
    curves_section,
    figures_section,
    learning_curves,
    picks_section,
    set_aside_section,
    thumbnail,
    write_page,
)
from minimax_al.vocabulary import HEADLINE_NAMES, HEADLINES

_THUMBNAIL = 96
_SHOWN = 24  # images a round


def write_report(context: CampaignContext, status: Status, curve: Sequence[CurvePoint], out: Path) -> None:
    """Writes the page.

    Args:
        context: Campaign.
        status: as of now.
        curve: the learning curve so far.
        out: the HTML file, replaced in one step.
    """
    settings = context.settings
    page = ReportPage(
        title=context.folder.resolve().name,
        eyebrow="Labelling campaign",
        summary=summary_sentences(status),
        sections=[
            *_curve_sections(curve, HEADLINES[settings.task]),
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
    """The state of a campaign in a few sentences."""
    sentences = [
        (
            f"{status.labelled:,} images have a label ({status.held_out:,} of them held out for validation), "
            f"{status.unsure:,} could not be told, {status.unlabelled:,} may still be asked about."
        )
    ]
    model = status.model
    if model is not None and model.score is not None:
        score, trained = (
            f"{100 * model.score:.1f} %",
            f"The model of run {model.run}, trained on {model.labels:,} labels,",
        )
        reached = (
            f"is right on {score} of" if model.metric == "accuracy" else f"has an {model.metric_name} of {score} on"
        )
        sentences.append(f"{trained} {reached} {model.held_out:,} held-out images{_interval(model)}.")
        if model.agreement is not None:
            sentences.append(f"It agrees with the model before it on {100 * model.agreement:.1f} % of the images.")
    return [*sentences, f"Advice: {status.advice.decision}. {status.advice.reason}"]


def _interval(model: ModelState) -> str:
    if model.interval is None:
        return ""
    low, high = model.interval
    return f" (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def _curve_sections(curve: Sequence[CurvePoint], metric: str) -> list[Section]:
    records = [
        Record("campaign", f"{HEADLINE_NAMES[metric]} so far", 0, number, point.labels, metric, point.score)
        for number, point in enumerate(curve)
    ]
    if not records:
        return []
    curves = learning_curves(records, "campaign", metric)
    return [curves_section(curves), figures_section(curves)]


def _class_section(status: Status) -> Section | None:
    if not status.classes or not status.labelled:
        return None
    bars = [Bar(count.name, count.labels) for count in status.classes]
    least, most = min(bar.value for bar in bars), max(bar.value for bar in bars)
    caption = f"{status.labelled:,} labels, {least:,.0f} to {most:,.0f} a class, in the order of the classes."
    return Section("Class balance", [Bars(bars, caption)])


def _picks_section(store: Store, settings: CampaignSettings) -> Section | None:
    with store.reading() as connection:
        opened = connection.execute(rounds.select().order_by(rounds.c.number)).all()
        picked = [(row, list_picks(connection, row.number), labelled_at(connection, row.closed_at)) for row in opened]
    if not picked:
        return None
    shown = [
        PickedRound(
            strategy="picked",
            seed=None,
            round=row.number,
            labels=labels,
            images=list(_thumbnails(settings, found[:_SHOWN])),
            omitted=max(0, len(found) - _SHOWN),
        )
        for row, found, labels in picked
    ]
    return picks_section(shown, "Below each image: its label, and the numbers that it was picked by.")


def _thumbnails(settings: CampaignSettings, picks: Sequence[Pick]) -> Iterator[Image]:
    for pick in picks:
        try:
            image = read_image(Path(settings.images) / pick.path, shrink_to=_THUMBNAIL)
            pixels = np.asarray(image)
        except UnreadableImageError:
            pixels = np.full((_THUMBNAIL, _THUMBNAIL, 3), 128, dtype=np.uint8)  # the file is gone; its row is not
        values = [(name.replace("_", " "), f"{value:.3g}") for name, value in sorted(pick.scores.items())]
        yield Image(thumbnail(pixels, _THUMBNAIL), pick.path, pick.class_name or pick.answer, values)
