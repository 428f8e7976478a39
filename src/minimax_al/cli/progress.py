"""Progress on standard error: bars on a terminal, lines elsewhere, so that results can be piped."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from minimax_al.vocabulary import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from minimax_al.campaign.model.learning import StartCallback


class Callbacks(NamedTuple):
    """Callbacks of a training.

    Attributes:
        progress: Callback of finished epochs or images.
        on_start: Callback before a training.
    """

    progress: Progress
    on_start: "StartCallback"


@contextmanager
def shown_progress() -> Iterator[Callbacks]:
    """Show progress while the block runs: one bar per training on a terminal, one line per step elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Callbacks(_print_step, _print_start)
        return
    with _bars(console) as shown:
        yield shown


@contextmanager
def _bars(console: "Console") -> Iterator[Callbacks]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    description, unit = TextColumn("{task.description}"), TextColumn("{task.fields[unit]}")
    columns = (description, BarColumn(), MofNCompleteColumn(), unit, TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def on_start(strategy: str, labels: int, held_out: int) -> None:
            bars.console.print(_start_line(strategy, labels, held_out), markup=False, highlight=False)

        def progress(what: str, done: int, total: int, unit: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total, unit=unit)
            bars.update(tasks[what], completed=done)

        yield Callbacks(progress, on_start)


def _print_start(strategy: str, labels: int, held_out: int) -> None:
    print(_start_line(strategy, labels, held_out), file=sys.stderr, flush=True)


def _print_step(what: str, done: int, total: int, unit: str) -> None:
    print(f"{what}: {done:,} of {total:,} {unit}", file=sys.stderr, flush=True)


def _start_line(strategy: str, labels: int, held_out: int) -> str:
    return f"Training {strategy} on {labels:,} labels ({held_out:,} held out)…"
