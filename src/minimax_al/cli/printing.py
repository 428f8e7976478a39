"""What commands print."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from minimax_al.campaign import Campaign, ModelState, Status
    from minimax_al.campaign.model.learning import StartCallback
    from minimax_al.training.epochs import EpochCallback


_BUDGET = 100
_SHOWN = 5
_ALL_DUPLICATES = "Campaign.duplicates() in Python lists all"
_STATUS = {
    "active": ("image", "images"),
    "duplicate": ("duplicate", "duplicates"),
    "set-aside": ("file set aside", "files set aside"),
}


def show(text: str) -> None:
    """Print a line that the command is for."""
    print(text)


def show_report(page: Path) -> None:
    """Print a benchmark's table and where its page is."""
    show((page.parent / "table.md").read_text(encoding="utf-8").strip())
    show(f"\nReport: {page}")


def show_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows of words and numbers, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    for row in rows:
        table.add_row(*row)
    terminal().print(table)


def show_status(campaign: "Campaign") -> None:
    """Print where a campaign stands, its advice, and the command to go on with."""
    now = campaign.status()
    counted = ((now.items[status], _STATUS.get(status, (status, status))) for status in sorted(now.items))
    images = ", ".join(f"{number:,} {one if number == 1 else many}" for number, (one, many) in counted)
    show(f"{images}; {now.labelled:,} labelled ({now.held_out:,} held out), {now.unlabelled:,} to ask about")
    if now.classes:
        show(", ".join(f"{entry.name} {entry.labels:,}" for entry in now.classes))
    if now.round is not None and now.round.is_open:
        show(f"round {now.round.number} is open: {now.round.waiting:,} of {now.round.picks:,} images wait")
    if now.model is not None:
        show(_model_line(now.model))
    for note in now.notes:
        show(note)
    show(f"advice: {now.advice.decision}. {now.advice.reason}")
    show(f"Next: {next_command(campaign.folder, now)}")


def show_new(campaign: "Campaign") -> None:
    """Print some of the files that a new campaign does not ask about, each with the reason; and odd classes."""
    from minimax_al.data.legend import VOID_NAMES

    aside, twice = campaign.status().set_aside, campaign.duplicates()
    place = quote(str(campaign.folder))
    _show_some("set aside", [f"{path}: {reason}" for path, reason in aside], f"mal report {place} lists them")
    alike = [f"{one.path} {'equals' if one.is_copy else 'looks like'} {one.original}" for one in twice]
    _show_some("duplicate", alike, _ALL_DUPLICATES)
    for name in campaign.classes if campaign.settings.task == "segmentation" else ():
        if name.lower() in VOID_NAMES:
            show(f"class {name!r} is learnt like any other; pixels of no class need none: they are 255 in masks")


def _show_some(kind: str, files: list[str], where: str) -> None:
    for file in files[:_SHOWN]:
        show(f"{kind}: {file}")
    if len(files) > _SHOWN:
        show(f"{kind}: {len(files) - _SHOWN:,} more; {where}")


def next_command(folder: Path, now: "Status") -> str:
    """The command that takes a campaign on from where it stands."""
    place = quote(str(folder))
    if now.round is not None and now.round.is_open:
        return f"mal label {place}"
    tellable = now.task == "segmentation" or sum(entry.labels > 0 for entry in now.classes) > 1
    if tellable and now.labelled and (now.model is None or now.model.labels_since):
        return f"mal train {place}"
    if now.unlabelled and (now.advice.decision != "stop" or now.model is None):
        usual = _BUDGET if now.round is None else now.round.picks
        return f"mal query {place} --budget {min(usual, (now.unlabelled + 1) // 2)}"
    export = "masks" if now.task == "segmentation" else "labels.csv"
    return f"mal export {place} {export}" if now.model is None else f"mal package {place} model"


def _model_line(model: "ModelState") -> str:
    words = [f"model trained on {model.labels:,} labels"]
    if model.score is not None:
        interval = "" if model.interval is None else " (95 %: {:.1%} to {:.1%})".format(*model.interval)
        words.append(f"{model.metric_name} {model.score:.1%}{interval} on {model.held_out:,} held out")
    if model.agreement is not None:
        words.append(f"says of {model.agreement:.0%} of the images what the model before said")
    if model.labels_since:
        words.append(f"{model.labels_since:,} labels have come since")
    return "; ".join(words)


class Shown(NamedTuple):
    """What a training tells, and where it is shown.

    Attributes:
        on_epoch: told of every finished epoch.
        on_start: told what is about to be trained.
    """

    on_epoch: "EpochCallback"
    on_start: "StartCallback"


@contextmanager
def shown_epochs() -> Iterator[Shown]:
    """A bar a training, on standard error, so that what is printed can be piped; a line an epoch off a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Shown(_tell_epoch, _tell_start)
        return
    with _bars(console) as shown:
        yield shown


@contextmanager
def _bars(console: "Console") -> Iterator[Shown]:
    from rich.progress import Progress

    with Progress(console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def on_start(strategy: str, labels: int, held_out: int) -> None:
            bars.add_task(_start_line(strategy, labels, held_out), total=None)  # moves, whatever takes its time

        def on_epoch(name: str, done: int, epochs: int, _: Mapping[str, float]) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=epochs)
            bars.update(tasks[name], completed=done)

        yield Shown(on_epoch, on_start)


def _tell_start(strategy: str, labels: int, held_out: int) -> None:
    print(_start_line(strategy, labels, held_out), file=sys.stderr, flush=True)


def _tell_epoch(name: str, done: int, epochs: int, _: Mapping[str, float]) -> None:
    print(f"{name}: {done:,} of {epochs:,}", file=sys.stderr, flush=True)


def _start_line(strategy: str, labels: int, held_out: int) -> str:
    return f"Training {strategy} on {labels:,} labels ({held_out:,} held out)…"


def terminal() -> "Console":
    """Standard output, as rich draws on it."""
    from rich.console import Console

    return Console()
