"""Progress of a benchmark on a terminal: one bar per running cell, and one for the whole grid."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from minimax_al.benchmark.runs.cell import Progress, ProgressCallback


@contextmanager
def shown_progress(console: Console) -> Iterator[ProgressCallback]:
    """Yield a callback that draws progress; off a terminal it prints one line per finished round.

    Args:
        console: Console to draw on.
    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    ) as bars:
        yield _Drawing(bars)


class _Lines:
    """One line per finished round."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rounds: dict[tuple[str, int], int] = {}

    def __call__(self, progress: Progress) -> None:
        cell = progress.strategy, progress.seed
        before = self.rounds.setdefault(cell, progress.round)  # rounds of an earlier call are not printed again
        if progress.round > before and progress.score is not None:
            self.rounds[cell] = progress.round
            done = f"round {progress.round} of {progress.rounds}"
            self.console.print(f"{progress.strategy}, seed {progress.seed}: {done}, {progress.score:.1%}")


class _Drawing:
    """One bar for all rounds of the grid, and one per running cell."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.total = bars.add_task("all rounds", total=0, state="")
        self.cells: dict[tuple[str, int], Progress] = {}
        self.tasks: dict[tuple[str, int], TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        cell = progress.strategy, progress.seed
        known = cell in self.cells
        self.cells[cell] = progress
        cells = self.cells.values()
        self.bars.update(self.total, completed=sum(p.round for p in cells), total=sum(p.rounds for p in cells))
        if known:  # the first report counts rounds on disk: a cell that does not run now gets no bar
            self._draw(cell, progress)

    def _draw(self, cell: tuple[str, int], progress: Progress) -> None:
        if cell not in self.tasks:
            self.tasks[cell] = self.bars.add_task(f"{cell[0]}, seed {cell[1]}", total=progress.rounds, state="")
        score = "" if progress.score is None else f"{progress.score:.1%} "
        stage = f"{progress.stage} {progress.fraction:.0%}" if progress.stage else ""
        finished = progress.round == progress.rounds
        self.bars.update(
            self.tasks[cell], completed=progress.round, state="" if finished else score + stage, visible=not finished
        )
