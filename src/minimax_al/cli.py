"""The command `mal`: reads words, calls one function, prints. What it calls is imported when it is called."""

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from json import dumps
from pathlib import Path
from typing import Any, Literal

from minimax_al.errors import MinimaxALError, UnknownNameError

if TYPE_CHECKING:
    from minimax_al.campaign import Campaign


def demo(out: Path = Path("demo"), seeds: int = 2, jobs: int = 2) -> None:
    """Minimax Active Learning beside random picks on handwritten digits, with a report.

    Args:
        out: folder for the report; an interrupted demonstration goes on where it was.
        seeds: runs of each of the two.
        jobs: processes side by side.
    """
    from minimax_al.benchmark import run_demo
    from minimax_al.benchmark.progress import shown_progress

    with shown_progress(_console()) as on_progress:
        page = run_demo(out, seeds=seeds, jobs=jobs, on_progress=on_progress)
    _print_report(page)


def bench_run(words: Sequence[str]) -> None:
    """Run a benchmark, or go on with one: a preset's name or a YAML file, then its settings as flags."""
    from minimax_al.benchmark import run_grid
    from minimax_al.benchmark.options import parse_run
    from minimax_al.benchmark.progress import shown_progress

    options = parse_run(words)
    if options.slurm:
        from minimax_al.benchmark.cluster import submit

        _print(submit(options.protocol, options.folder, options.slurm))
        return
    with shown_progress(_console()) as on_progress:
        run_grid(options.protocol, options.folder, jobs=options.jobs, on_progress=on_progress)
    _print(f"Results are in {options.folder}. Next: mal bench report {options.folder}")


def bench_report(out: Path, /) -> None:
    """Write the report of a benchmark: page, tidy records, plot, tables for a paper.

    Args:
        out: the results folder.
    """
    from minimax_al.benchmark import write_report

    _print_report(write_report(out))


def describe(
    encoder: str = "resnet18",
    classes: int = 100,
    task: Literal["classification", "segmentation"] = "classification",
    stem: Literal["imagenet", "cifar"] = "imagenet",
    *,
    json: bool = False,
) -> None:
    """Count the parameters of the networks, beside the paper's figures.

    Args:
        encoder: name of the backbone.
        classes: classes to tell apart.
        task: what the networks are for.
        stem: first layers of a ResNet.
        json: print one JSON object in place of the table.
    """
    from minimax_al.networks import describe, published_counts

    counts = describe(encoder, classes, task=task, stem=stem)
    if json:
        print(dumps(counts))  # noqa: T201 - for programs, so without the console's line breaks
        return
    published = published_counts(encoder, classes, task=task, stem=stem)
    rows = [
        (name.replace("_", " "), "none" if count is None else f"{count:,}", published.get(name, ""))
        for name, count in counts.items()
    ]
    _print_table(("", "here", "paper"), rows)


def names(kind: Literal["strategies", "encoders", "datasets", "presets"], /) -> None:
    """List the names of strategies, encoders, datasets or presets.

    Args:
        kind: of the names.
    """
    from minimax_al.benchmark import list_presets
    from minimax_al.data import SOURCES
    from minimax_al.networks import list_encoders
    from minimax_al.strategies import list_strategies

    known: dict[str, Callable[[], Iterable[str]]] = {
        "strategies": list_strategies,
        "encoders": list_encoders,
        "datasets": lambda: sorted(SOURCES),
        "presets": list_presets,
    }
    _print("\n".join(known[kind]()))


def new(
    folder: Path,
    /,
    images: Path,
    classes: tuple[str, ...],
    task: Literal["classification", "segmentation"] = "classification",
    labels: Path | None = None,
    storage: str | None = None,
) -> None:
    """Make a labelling campaign over a folder of pictures.

    Args:
        folder: for the campaign.
        images: folder of the pictures; nothing is written there.
        classes: names, at least two.
        task: one class a picture, or one a pixel.
        labels: labels that there are already, in any format that `mal import` reads.
        storage: a PostgreSQL URL; by default a SQLite file in the folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.create(folder, images, classes, task, labels, storage=storage) as campaign:
        _print_status(campaign)
    _print(f"Next: mal query {folder} --budget 100")


def query(folder: Path, /, budget: int, strategy: str | None = None, random_share: float = 0.0) -> None:
    """Choose the pictures of a campaign to label next; trains first where labels have come.

    Args:
        folder: of the campaign.
        budget: how many pictures.
        strategy: what chooses; by default the campaign's, MAL unless set otherwise.
        random_share: part of the budget that is drawn at random besides.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign, _shown_epochs() as on_epoch:
        state = campaign.query(budget, strategy, random_share, on_epoch)
        for pick in campaign.picks():
            _print(pick.path)
    print(f"Round {state.number}: {state.picks} pictures by {state.strategy}, listed above", file=sys.stderr)  # noqa: T201


def import_labels(folder: Path, source: Path, /, format: str | None = None, create_classes: bool = False) -> None:  # noqa: A002, FBT001, FBT002 - flags of the command
    """Take labels into a campaign, all of a file or none: CSV, Parquet, COCO, Label Studio, folders.

    Args:
        folder: of the campaign.
        source: file, folder of class folders, or folder of masks.
        format: of the source; by default told from its ending or content.
        create_classes: take unknown classes as new ones.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        done = campaign.import_labels(source, format=format, create_classes=create_classes)
    _print(f"{done.added} labels added, {done.changed} changed, {done.unchanged} as they were ({done.format})")


def export(folder: Path, out: Path, /, format: str = "csv") -> None:  # noqa: A002 - a flag of the command
    """Write a campaign's labels: csv, parquet, imagefolder, coco, label-studio, masks.

    Args:
        folder: of the campaign.
        out: file or folder to write.
        format: of the export.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        _print(f"{campaign.export(format, out)} labels are in {out}")


def train(folder: Path, /, strategy: str | None = None) -> None:
    """Train on a campaign's labels, all but the held-out ones; goes on where it was.

    Args:
        folder: of the campaign.
        strategy: whose training; by default the campaign's.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        with _shown_epochs() as on_epoch:
            campaign.train(strategy, on_epoch)
        _print_status(campaign)


def status(folder: Path, /) -> None:
    """Show where a campaign stands, and whether more labels are worth it.

    Args:
        folder: of the campaign.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        campaign.refresh()
        _print_status(campaign)


def report(folder: Path, /, out: Path | None = None) -> None:
    """Write a campaign's page: curve, class balance, picks, advice.

    Args:
        folder: of the campaign.
        out: the file; by default report.html in the campaign's folder.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        _print(f"Report: {campaign.report(out)}")


def predict(folder: Path, /, images: Path, out: Path = Path("predictions.csv")) -> None:
    """Say what a campaign's model takes the pictures of a folder for.

    Args:
        folder: of the campaign.
        images: folder of pictures.
        out: CSV file to write; for segmentation, a folder of masks.
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        predictions = campaign.predict(images)
    predictions.write(out)
    _print(f"{len(predictions.pictures)} predictions are in {out}; {len(predictions.set_aside)} files were set aside")


def package(folder: Path, out: Path, /, onnx: bool = True) -> None:  # noqa: FBT001, FBT002 - a flag of the command
    """Write a campaign's model to take away: weights, classes, preprocessing, ONNX, model card.

    Args:
        folder: of the campaign.
        out: new folder.
        onnx: whether to write an ONNX file, checked against the model (extra `export`).
    """
    from minimax_al.campaign import Campaign

    with Campaign.open(folder) as campaign:
        _print(f"The model is in {campaign.package(out, onnx=onnx)}")


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "new": new,
    "query": query,
    "import": import_labels,
    "train": train,
    "status": status,
    "report": report,
    "export": export,
    "predict": predict,
    "package": package,
    "bench run": bench_run,
    "bench report": bench_report,
    "describe": describe,
    "names": names,
}
"""Every command's words and what they call."""

OWN_PARSER = {bench_run}
"""Commands that read their words themselves; the flags of all others are their function's arguments."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 for what the user can mend, said in one sentence; 130 after an interruption.
    """
    logging.basicConfig(level=logging.WARNING, format="mal: %(message)s")
    words = list(sys.argv[1:] if words is None else words)
    try:
        return _dispatch(words)
    except MinimaxALError as error:
        print(f"mal: {error}", file=sys.stderr)  # noqa: T201 - the one place that tells a user of an error
        return 2
    except KeyboardInterrupt:
        print("mal: interrupted; what was finished is kept", file=sys.stderr)  # noqa: T201 - likewise
        return 130


def _dispatch(words: list[str]) -> int:
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            _call(name, words[length:])
            return 0
    given = [word for word in words if not word.startswith("-")]
    if "--version" in words:
        _print_version()
    elif given and given != ["bench"]:
        raise UnknownNameError("command", " ".join(given[:2]), COMMANDS)
    else:
        _print_commands(" ".join(given))
    return 0 if words else 2


def _call(name: str, rest: list[str]) -> None:
    command = COMMANDS[name]
    if command in OWN_PARSER:
        command(rest)
        return
    import tyro

    tyro.cli(command, args=rest, prog=f"mal {name}")


def _print_commands(group: str) -> None:
    width = max(map(len, COMMANDS))
    print("usage: mal COMMAND [OPTIONS]      mal COMMAND --help\n")  # noqa: T201 - help, without loading rich
    for name, command in COMMANDS.items():
        if name.startswith(group):
            summary = (command.__doc__ or "").splitlines()[0]
            print(f"  {name:<{width}}  {summary}")  # noqa: T201 - likewise


def _print_version() -> None:
    from minimax_al import __version__

    _print(f"minimax-al {__version__}")


def _print_report(page: Path) -> None:
    _print((page.parent / "table.md").read_text(encoding="utf-8").strip())
    _print(f"\nReport: {page}")


def _print_status(campaign: "Campaign") -> None:
    standing = campaign.status()
    counts = ", ".join(f"{number:,} {name}" for name, number in standing.items.items())
    _print(
        f"{counts}; {standing.labelled:,} labelled ({standing.held_out:,} held out), {standing.unlabelled:,} to ask about"
    )
    if standing.classes:
        _print(", ".join(f"{entry.name} {entry.labels:,}" for entry in standing.classes))
    if standing.model is not None and standing.model.accuracy is not None:
        _print(f"accuracy {standing.model.accuracy:.1%} on {standing.model.held_out:,} held-out pictures")
    for note in standing.notes:
        _print(note)
    _print(f"advice: {standing.advice.decision}. {standing.advice.reason}")


@contextmanager
def _shown_epochs() -> Iterator[Callable[..., None] | None]:
    """A bar a training, on standard error, so that what is printed can be piped; none where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console) as bars:
        tasks: dict[str, Any] = {}

        def on_epoch(name: str, done: int, epochs: int, losses: object) -> None:  # noqa: ARG001 - not shown
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=epochs)
            bars.update(tasks[name], completed=done)

        yield on_epoch


def _print(text: str) -> None:
    print(text)  # noqa: T201 - what the command is for


def _print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Any:  # noqa: ANN401 - rich is imported when something is drawn
    from rich.console import Console

    return Console()
