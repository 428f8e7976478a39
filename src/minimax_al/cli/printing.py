"""What commands print."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from minimax_al.campaign import Campaign, ModelState
    from minimax_al.training.epochs import EpochCallback


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
    if now.round is not None and now.round.is_open:
        show(f"round {now.round.number} is open: {now.round.waiting:,} of {now.round.picks:,} pictures wait")
    if now.model is not None:
        show(_model_line(now.model))
    for note in now.notes:
        show(note)
    show(f"advice: {now.advice.decision}. {now.advice.reason}")


def _model_line(model: "ModelState") -> str:
    words = [f"model trained on {model.labels:,} labels"]
    if model.accuracy is not None and model.interval is not None:
        low, high = model.interval
        words.append(f"accuracy {model.accuracy:.1%} (95 %: {low:.1%} to {high:.1%}) on {model.held_out:,} held out")
    if model.agreement is not None:
        words.append(f"says of {model.agreement:.0%} of the pictures what the model before said")
    if model.labels_since:
        words.append(f"{model.labels_since:,} labels have come since")
    return "; ".join(words)


@contextmanager
def shown_epochs() -> Iterator["EpochCallback | None"]:
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
