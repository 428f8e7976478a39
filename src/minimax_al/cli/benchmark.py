"""Commands of benchmarks, and those that list names and count parameters."""

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

from minimax_al.cli.arguments import Count, Destination, Strategy
from minimax_al.cli.features import encoder_lines
from minimax_al.cli.parsing import readable_help
from minimax_al.cli.printing import show, show_report, show_table, terminal


def demo(out: Annotated[Path, "FOLDER"] = Path("demo"), seeds: Count = 2, jobs: Count = 2) -> None:
    """Compare Minimax Active Learning with random picks on handwritten digits.

    Args:
        out: Folder for the report; an interrupted demonstration resumes.
        seeds: Number of runs per strategy.
        jobs: Number of parallel processes.
    """
    from minimax_al.benchmark import run_demo
    from minimax_al.benchmark.runs.progress import shown_progress

    with shown_progress(terminal()) as on_progress:
        page = run_demo(out, seeds=seeds, jobs=jobs, on_progress=on_progress)
    show_report(page)


def bench_run(words: Sequence[str]) -> None:
    """Run or resume a benchmark: a preset or a YAML file, then its settings as flags."""
    from minimax_al.benchmark import run_grid
    from minimax_al.benchmark.options import parse_run
    from minimax_al.benchmark.runs.grid import unfinished
    from minimax_al.benchmark.runs.progress import shown_progress
    from minimax_al.benchmark.sweep import is_sweep
    from minimax_al.training import Runtime

    if words and is_sweep(words[0]):
        _sweep(words[0], words[1:])
        return
    with readable_help(words):
        options = parse_run(words)
    logger = None if options.logger == "none" else options.logger
    if options.slurm is not None:
        from minimax_al.benchmark.runs.cluster import submit

        given = options.protocol, options.folder, options.slurm
        mixed, parameters = options.mixed_machines, options.slurm_parameters
        show(submit(*given, mixed=mixed, logger=logger, parameters=parameters))
        return
    with shown_progress(terminal()) as on_progress:
        run_grid(
            options.protocol,
            options.folder,
            jobs=options.jobs,
            mixed=options.mixed_machines,
            full_labels=options.full_labels,
            logger=logger,
            on_progress=on_progress,
        )
    if Runtime(options.protocol.recipe.runtime).ranks.rank:
        return  # one of the ranks speaks for all
    left = unfinished(options.protocol, options.folder)
    show(
        f"Results are in {options.folder}. "
        + (f"Other processes are running {len(left)} cells. " if left else "")
        + f"Next: mal bench report {options.folder}"
    )


def _sweep(path: str, words: Sequence[str]) -> None:
    """Run all variants of a sweep and print their table."""
    from minimax_al.benchmark.options import parse_sweep
    from minimax_al.benchmark.runs.progress import shown_progress
    from minimax_al.benchmark.sweep import load_sweep, run_sweep

    options = parse_sweep(path, words)
    out = options.out or Path("runs") / Path(path).stem
    variants = load_sweep(path, **options.changes)
    with shown_progress(terminal()) as on_progress:
        table = run_sweep(
            variants,
            out,
            jobs=options.jobs,
            mixed=options.mixed_machines,
            logger=None if options.logger == "none" else options.logger,
            on_progress=on_progress,
            on_variant=lambda number, variant: show(f"variant {number} of {len(variants)}: {variant.name}"),
        )
    show_table(map(str, table.columns), (map(str, row) for row in table.rows), table.words)
    show(f"Table: {out / 'sweep.csv'} (also .md and .tex); one results folder per variant is next to it")


def bench_report(out: Annotated[Path, "RESULTS"], /, data: Annotated[Path | None, "PATH"] = None) -> None:
    """Write a benchmark's report: HTML page, plot, records and tables.

    Args:
        out: Results folder of `mal bench run`.
        data: Folder or file of the data, if it has moved; the report shows no images if it is not found.
    """
    from minimax_al.benchmark import write_report

    show_report(write_report(out, data))


def bench_compare(
    folders: Annotated[tuple[Path, ...], "RESULTS"], /, out: Annotated[Path, "FOLDER"] = Path("comparison")
) -> None:
    """Compare strategies over the results folders of several data sets.

    Args:
        folders: Results folders of `mal bench run`, one per data set.
        out: Folder for the page, figures and tables.
    """
    from minimax_al.benchmark import write_comparison

    show_report(write_comparison(folders, out))


def bench_predictions(
    results: Annotated[Path, "RESULTS"],
    out: Annotated[Path, "FILE"],
    /,
    data: Annotated[Path | None, "PATH"] = None,
    *,
    every_round: bool = False,
) -> None:
    """Export the predictions on the test images of all runs as CSV.

    Args:
        results: Results folder of `mal bench run`.
        out: CSV file to write.
        data: Folder or file of the data, if it has moved; images are numbered if it is not found.
        every_round: Write the predictions of every round, not of the last one alone.
    """
    from minimax_al.benchmark import write_predictions

    rows = write_predictions(results, out, data, every_round=every_round)
    show(f"{rows:,} predictions are in {out}")


def bench_package(
    results: Annotated[Path, "RESULTS"],
    out: Destination,
    /,
    strategy: Strategy = None,
    seed: Annotated[int | None, "N"] = None,
    round: Annotated[int | None, "N"] = None,
    data: Annotated[Path | None, "PATH"] = None,
    weights: Annotated[Path | None, "FILE"] = None,
    onnx: bool = True,
) -> None:
    """Package a benchmark's model, by default the winner's, as `mal package` does.

    Args:
        results: Results folder of `mal bench run`.
        out: New folder to write.
        strategy: Strategy whose model is packaged; without it, the one with the best mean score.
        seed: Seed of the run; without it, the run with the median score.
        round: Round after which the model was trained, from 0; without it, the last one.
        data: Folder or file of the data, if it has moved; needed only for results of older versions.
        weights: File of the encoder's weights, if the features were computed with a file.
        onnx: Write an ONNX file, checked against the model (extra `export`).
    """
    from minimax_al.benchmark import package_model

    done = package_model(
        results, out, strategy=strategy, seed=seed, number=round, data=data, weights=weights, onnx=onnx
    )
    show(
        f"The model of {done.strategy} (seed {done.seed}, {done.labels:,} labels, {done.metric} {done.score:.1%}) is "
        f"in {out}. Next: mal predict {quote(str(out))} --images FOLDER"
    )


def describe(
    encoder: Annotated[str, "ENCODER"] = "resnet18",
    classes: Count = 100,
    task: Literal["classification", "segmentation"] = "classification",
    stem: Literal["imagenet", "cifar"] = "imagenet",
    *,
    json: bool = False,
) -> None:
    """Count the networks' parameters and compare them with the paper's.

    Args:
        encoder: Network, a name from `mal names encoders`.
        classes: Number of classes.
        task: Kind of label: one class per image, or one class per pixel.
        stem: First layers of a ResNet: `imagenet` for large images, `cifar` for small ones.
        json: Print one JSON object instead of the table.
    """
    from minimax_al.networks import describe, published_counts

    counts = describe(encoder, classes, task=task, stem=stem)
    if json:
        print(dumps(counts))
        return
    published = published_counts(encoder, classes, task=task, stem=stem)
    rows = [
        (name.replace("_", " "), "none" if count is None else f"{count:,}", published.get(name, ""))
        for name, count in counts.items()
    ]
    show_table(("", "here", "paper"), rows)


def names(kind: Literal["strategies", "encoders", "datasets", "presets"], /) -> None:
    """List the names of strategies, encoders, datasets or presets.

    Args:
        kind: Kind of name to list.
    """
    show("\n".join(_LISTS[kind]()))


def _strategies() -> list[str]:
    from minimax_al.strategies import list_strategies

    return list_strategies()


def _datasets() -> list[str]:
    from minimax_al.data import SOURCES

    return sorted(SOURCES)


def _presets() -> list[str]:
    from minimax_al.benchmark import list_presets

    return list_presets()


_LISTS = {"strategies": _strategies, "encoders": encoder_lines, "datasets": _datasets, "presets": _presets}
