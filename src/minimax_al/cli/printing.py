"""What commands print."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from minimax_al.campaign import Campaign

EpochCallback = Callable[[str, int, int, Mapping[str, float]], None]


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
    """Print where a campaign stands, and its advice."""
    now = campaign.status()
    pictures = ", ".join(f"{number:,} {name}" for name, number in now.items.items())
    show(f"{pictures}; {now.labelled:,} labelled ({now.held_out:,} held out), {now.unlabelled:,} to ask about")
    if now.classes:
        show(", ".join(f"{entry.name} {entry.labels:,}" for entry in now.classes))
    if now.model is not None and now.model.accuracy is not None:
        show(f"accuracy {now.model.accuracy:.1%} on {now.model.held_out:,} held-out pictures")
    for note in now.notes:
        show(note)
    show(f"advice: {now.advice.decision}. {now.advice.reason}")


@contextmanager
def shown_epochs() -> Iterator[EpochCallback | None]:
    """A bar a training, on standard error, so that what is printed can be piped; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def on_epoch(name: str, done: int, epochs: int, _: Mapping[str, float]) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=epochs)
            bars.update(tasks[name], completed=done)

        yield on_epoch


def terminal() -> "Console":
    """Standard output, as rich draws on it."""
    from rich.console import Console

    return Console()
