"""Output of the commands: lines, tables, a campaign's status. Every character that a terminal would obey is escaped."""

from collections.abc import Collection, Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from minimax_al.escaping import escape

if TYPE_CHECKING:
    from rich.console import Console

    from minimax_al.campaign import Campaign, EvaluationResult, ModelState, Refresh, Status
    from minimax_al.campaign.model.comparing import Comparison
    from minimax_al.campaign.settings.settings import CampaignSettings


_BUDGET = 100
_SHOWN = 5
_UNLIMITED = 100_000
"""Width of a table in a file, in characters, larger than any."""
_STATUS = {
    "active": ("image", "images"),
    "duplicate": ("duplicate", "duplicates"),
    "set-aside": ("file set aside", "files set aside"),
}


def show(text: str) -> None:
    """Print lines of a command's result."""
    print(escape(text, keep="\n\t"))


def show_report(page: Path) -> None:
    """Print a benchmark's table and the path of its page."""
    show((page.parent / "table.md").read_text(encoding="utf-8").strip())
    show(f"\nReport: {page}")


def show_table(columns: Iterable[str], rows: Iterable[Iterable[str]], words: Collection[int] = (0,)) -> None:
    """Print rows of text and numbers, numbers aligned to the right.

    No cell is shortened: a terminal shows a long one on several lines, a file or pipe gets each row on one line.

    Args:
        columns: Names of the columns.
        rows: Cells of each row.
        words: Positions of the columns of text, aligned to the left.
    """
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position in words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(escape(cell)) for cell in row))
    console = terminal()
    if not console.is_terminal:
        needed = Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).maximum
        console.width = max(console.width, needed)
    console.print(table)


def show_status(campaign: "Campaign") -> None:
    """Print a campaign's progress, its advice, and the command to continue with."""
    now = campaign.status()
    counted = ((now.items[status], _STATUS.get(status, (status, status))) for status in sorted(now.items))
    images = ", ".join(f"{number:,} {one if number == 1 else many}" for number, (one, many) in counted)
    held_out = f" ({now.held_out:,} held out)" if now.held_out else ""
    show(f"{images}; {now.labelled:,} labelled{held_out}, {now.unlabelled:,} unlabelled")
    if now.confirmed:
        show(f"{now.confirmed:,} of the labels are suggestions confirmed in bulk, on which no model is measured")
    if now.classes:
        show(", ".join(f"{entry.name} {entry.labels:,}" for entry in now.classes))
    if now.round is not None and now.round.is_open:
        show(f"round {now.round.number} is open: {now.round.waiting:,} of {now.round.picks:,} images wait")
    if now.model is not None:
        show(_model_line(now.model))
    for note in (*campaign.agreement_sentences(), *now.notes):
        show(note)
    show(f"advice: {now.advice.decision}. {now.advice.reason}")
    show(f"Next: {next_command(campaign.folder, now, live=campaign.settings.features is not None)}")


def show_new(campaign: "Campaign") -> None:
    """Print the source of learning, some of the files that are left out, and classes named like void."""
    from minimax_al.data.masks.void_names import is_void

    show(f"learns from {_source(campaign.settings)}")
    aside, twice = campaign.status().set_aside, campaign.duplicates()
    folder = quote(str(campaign.folder))
    show_some("set aside", [f"{path}: {reason}" for path, reason in aside], f"mal status {folder} --files lists all")
    alike = [f"{one.path} {'equals' if one.is_copy else 'looks like'} {one.original}" for one in twice]
    show_some("duplicate", alike, f"mal status {folder} --files lists all")
    for name in campaign.classes if campaign.settings.task == "segmentation" else ():
        if is_void(name):
            show(f"class {name!r} is learnt like any other; pixels of no class need none: they are 255 in masks")


def _source(settings: "CampaignSettings") -> str:
    """Return the source that a campaign learns from, as a phrase."""
    from minimax_al.campaign.settings.named_recipes import GIVEN

    source, recipe = settings.features, settings.recipe
    if source is None:
        network = f"encoder {recipe['encoder']!r}" if "encoder" in recipe else "a network"
        weights = "pretrained" if recipe.get("pretrained") else "random"
        return f"the images: every round trains {network} from {weights} weights"
    if source.encoder == GIVEN:
        return f"the features in {source.weights!r}"
    weights = "its published weights" if source.weights == "published" else f"the weights in {source.weights!r}"
    return f"features of encoder {source.encoder!r} with {weights}"


def show_files(campaign: "Campaign", found: "Refresh | None") -> None:
    """Print one line per file that is not simply an image to label, each with its status and the reason.

    Args:
        campaign: Campaign.
        found: Outcome of the look at the folder that was just taken; None without one.
    """
    for kind, paths in () if found is None else (("added", found.added), ("moved", found.moved)):
        for path in paths:
            show(f"{kind}: {escape(path)}")
    for file in campaign.files():
        show(f"{file.status}: {escape(file.path)}" + (f" ({escape(file.reason)})" if file.reason else ""))


def show_round(campaign: "Campaign", requested: str) -> None:
    """Print a summary of the round that was just opened, and the commands that follow.

    Args:
        campaign: Campaign with an open round.
        requested: Strategy that the user or the settings requested.
    """
    from minimax_al.report.reasons import FIRST_ROUND

    state, picks = campaign.round(), campaign.picks()
    folder = quote(str(campaign.folder))
    first = any(pick.reason == FIRST_ROUND for pick in picks)
    why = f" ({requested} chooses once images have labels)" if first else ""
    drawn = sum(pick.at_random for pick in picks)
    share = f", {drawn:,} of them at random" if 0 < drawn < len(picks) else ""
    show(f"Round {state.number} is open: {state.picks:,} images by {state.strategy}{why}{share}.")
    show(f"List them: mal picks {folder}")
    show(f"Next: mal label {folder}")


def show_test_result(result: "EvaluationResult") -> None:
    """Print the score on a test set, per class, and the most frequent confusions."""
    interval = "" if result.interval is None else " (95 %: {:.1%} to {:.1%})".format(*result.interval)
    show(f"{result.metric_name} {result.score:.1%}{interval} on {result.images:,} images of {result.source}")
    rows = [
        (entry.name, f"{entry.images:,}", "–" if entry.score is None else f"{entry.score:.1%}")
        for entry in result.classes
    ]
    show_table(("class", "images", "accuracy" if result.metric == "accuracy" else "IoU"), rows)
    unit = "images" if result.metric == "accuracy" else "pixels"
    for true, predicted, count in result.confused(5):
        show(f"{true} predicted as {predicted}: {count:,} {unit}")
    if result.trained_on:
        show(
            f"{result.trained_on:,} of these images are copies of labelled images that the campaign trains on: the "
            "figure is too high"
        )
    show_some("set aside", [f"{path}: {reason}" for path, reason in result.set_aside], "test.json in the run has all")


def show_some(kind: str, files: list[str], where: str) -> None:
    """Print the first files of a kind, their count if there are more, and how to list all."""
    for file in files[:_SHOWN]:
        show(f"{kind}: {escape(file)}")
    if len(files) > _SHOWN:
        show(f"{kind}: {len(files) - _SHOWN:,} more; {where}")


def show_comparison(compared: "Comparison") -> None:
    """Print the accuracy and the duration of recipes that were compared."""
    show(f"Trained on {compared.labels:,} labels, measured on {compared.results[0].count:,} others:")
    for result in compared.results:
        low, high = result.interval
        show(f"  {result.recipe:14} {result.accuracy:6.1%} (95 %: {low:.1%} to {high:.1%})  {result.seconds:,.0f} s")
    show(compared.recommendation)


def next_command(folder: Path, status: "Status", *, live: bool = False) -> str:
    """Return the command that takes a campaign to its next step.

    Args:
        folder: Campaign folder.
        status: Status of the campaign.
        live: Whether its page learns and chooses by itself.
    """
    shown = quote(str(folder))
    if live and status.unlabelled and (status.advice.decision != "stop" or status.model is None):
        return f"mal label {shown}"
    if status.round is not None and status.round.is_open:
        return f"mal label {shown}"
    tellable = status.task == "segmentation" or sum(entry.labels > 0 for entry in status.classes) > 1
    if tellable and status.labelled and (status.model is None or status.model.labels_since):
        return f"mal train {shown}"
    if status.unlabelled and (status.advice.decision != "stop" or status.model is None):
        usual = _BUDGET if status.round is None else status.round.picks
        return f"mal query {shown} --budget {min(usual, (status.unlabelled + 1) // 2)}"
    export = "masks" if status.task == "segmentation" else "labels.csv"
    return f"mal export {shown} {export}" if status.model is None else f"mal package {shown} model"


def _model_line(model: "ModelState") -> str:
    parts = [f"model trained on {model.labels:,} labels"]
    if model.score is not None:
        interval = "" if model.interval is None else " (95 %: {:.1%} to {:.1%})".format(*model.interval)
        parts.append(f"{model.metric_name} {model.score:.1%}{interval} {model.measurement}")
    if model.random_sample is not None:
        share, low, high, count = model.random_sample
        parts.append(f"on {count:,} randomly drawn images {share:.1%} (95 %: {low:.1%} to {high:.1%})")
    if model.agreement is not None:
        parts.append(f"agrees with the previous model on {model.agreement:.0%} of the images")
    if model.labels_since:
        parts.append(f"{model.labels_since:,} new labels since")
    return "; ".join(parts)


def terminal() -> "Console":
    """Return standard output, as rich draws on it."""
    from rich.console import Console

    return Console()
