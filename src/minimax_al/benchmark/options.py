"""Command line of `mal bench run`, derived from the protocol: every field of it is a flag."""

import inspect
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro
from pydantic import ConfigDict, TypeAdapter, ValidationError

from minimax_al.benchmark.protocol import Protocol, list_presets, load_protocol
from minimax_al.data import SOURCES, FileOptions
from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.strategies import list_strategies
from minimax_al.strategies.strategy_names import split_commas
from minimax_al.yaml_values import load_yaml

UNDER_MAL_TOO = ("random+mal", "entropy+mal", "margin+mal", "badge+mal")
"""Names that `--strategies all` adds to the listed ones."""

OPTION = "--options."
"""Beginning of a flag for an option of the data set's source."""


@dataclass(frozen=True)
class RunOptions:
    """Options of one call of `mal bench run`.

    Attributes:
        protocol: Protocol of the preset, with the changes of the flags.
        out: Results folder; without it, runs/NAME.
        jobs: Number of parallel processes on this machine, which share its GPU. The number of threads per process
            does not depend on it: with many jobs set --recipe.runtime.threads 1.
        mixed_machines: Accept results of another device, precision, number of threads or processor in one folder.
        full_labels: Also train one model per seed on all labels, the reference of `mal bench compare`.
        logger: Log losses and metrics into the folder `logs` of the results: `csv`, or `tensorboard` (extra
            `tensorboard`).
        slurm: Number of SLURM jobs to submit, which share the results folder; the command then returns.
        slurm_partition: Partition of these jobs; SLURM's default if not given.
        slurm_account: Account of these jobs; SLURM's default if not given.
        slurm_gpus: Number of GPUs per job.
        slurm_hours: Time limit per job; the same command resumes after it.
    """

    protocol: Annotated[Protocol, tyro.conf.arg(name="")]
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    jobs: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    mixed_machines: bool = False
    full_labels: bool = False
    logger: Literal["none", "csv", "tensorboard"] = "none"
    slurm: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    slurm_partition: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    slurm_account: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    slurm_gpus: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    slurm_hours: Annotated[float, tyro.conf.arg(metavar="HOURS")] = 24.0

    @property
    def folder(self) -> Path:
        """Results folder."""
        return self.out or Path("runs") / self.protocol.name

    @property
    def slurm_parameters(self) -> dict[str, object]:
        """Parameters of `minimax_al.benchmark.runs.cluster.submit`."""
        given = {"slurm_partition": self.slurm_partition, "slurm_account": self.slurm_account}
        chosen = {name: value for name, value in given.items() if value is not None}
        return {**chosen, "gpus_per_node": self.slurm_gpus, "timeout_min": round(60 * self.slurm_hours)}


@dataclass(frozen=True)
class SweepOptions:
    """Options of `mal bench run` with the file of a sweep.

    Attributes:
        out: Folder of the sweep; by default runs/NAME.
        data: Folder or file of the data, instead of the file's.
        seeds: Number of runs per strategy, instead of the file's.
        jobs: Number of parallel processes on this machine.
        mixed_machines: Accept results of another device, precision, number of threads or processor in one folder.
        logger: Log losses and metrics: `csv`, or `tensorboard` (extra `tensorboard`).
    """

    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    seeds: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    jobs: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    mixed_machines: bool = False
    logger: Literal["none", "csv", "tensorboard"] = "none"

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the protocol that replace the file's."""
        given = {"data": None if self.data is None else str(self.data), "seeds": self.seeds}
        return {name: value for name, value in given.items() if value is not None}


def parse_sweep(path: str, words: Sequence[str]) -> SweepOptions:
    """Parse the words after the file of a sweep.

    Args:
        path: File of the sweep.
        words: Words after it.

    Raises:
        SystemExit: A flag is wrong, or help was requested.
    """
    return tyro.cli(
        SweepOptions,
        args=list(words),
        prog=f"mal bench run {path}",
        description=f"Run every combination of the settings under 'sweep' in {path}, and write one table.",
    )


def parse_run(words: Sequence[str]) -> RunOptions:
    """Parse the words of `mal bench run PRESET [--recipe NAME] [--KEY VALUE …]`.

    Preset and recipe come first, since they set the default of every other flag.

    Args:
        words: Command line after `mal bench run`.

    Raises:
        ConfigurationError: A value is not allowed.
        UnknownNameError: The preset, the recipe or a strategy does not exist.
        SystemExit: A flag is wrong, or help was requested.
    """
    first = ArgumentParser(
        prog="mal bench run",
        description="Run or resume a benchmark. `mal bench run PRESET --help` lists every setting.",
        epilog=f"presets: {', '.join(list_presets())}",
        allow_abbrev=False,
        add_help=not words or words[0].startswith("-"),
    )
    first.add_argument("preset", metavar="PRESET", help="Name of a preset, or path of a YAML file of the same form.")
    first.add_argument(
        "--recipe",
        metavar="NAME",
        default="default",
        help="Recipe of the preset: `default`, or `paper`, which follows the paper.",
    )
    chosen, rest = first.parse_known_args(words)
    options, rest = _source_options(rest)
    default = RunOptions(load_protocol(chosen.preset, chosen.recipe))
    try:
        parsed = tyro.cli(
            RunOptions,
            args=_spread_strategies(rest),
            default=default,
            prog=f"mal bench run {chosen.preset} [--recipe {chosen.recipe}]",
            description=(
                f"Run the benchmark {chosen.preset!r} under its recipe {chosen.recipe!r}. --options.NAME VALUE sets an "
                "option of the data set's source. --strategies takes names separated by commas, with settings in "
                "parentheses: random,'mal(rule=filter)'."
            ),
        )
    except ValidationError as error:
        raise invalid_setting(error, Protocol, "the command line") from error
    return replace(parsed, protocol=_with_options(parsed.protocol, options))


def _source_options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the `--options.NAME VALUE` pairs of a command line, and its other words.

    Raises:
        ConfigurationError: A flag has no value.
    """
    options: dict[str, str] = {}
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if not word.startswith(OPTION):
            rest.append(word)
            continue
        flag, equals, value = word.partition("=")
        value = value if equals else next(remaining, "")
        if not value or (value.startswith("--") and not equals):
            raise ConfigurationError(f"{flag} needs a value: write {flag} VALUE")
        options[flag.removeprefix(OPTION).replace("-", "_")] = value
    return options, rest


def _with_options(protocol: Protocol, options: dict[str, str]) -> Protocol:
    """Return the protocol with further options of its source; the source checks names and values."""
    kinds = _kinds_of(protocol.dataset)
    given = {name: _value(text, kinds.get(name, Any)) for name, text in options.items()}
    return protocol.model_copy(update={"options": {**protocol.options, **given}}) if given else protocol


def _kinds_of(dataset: str) -> dict[str, Any]:
    """Return the types of a source's options, by name; empty for an unknown source."""
    if dataset not in SOURCES:
        return {}
    load = import_module(SOURCES[dataset]).load
    kinds: dict[str, Any] = get_type_hints(load)
    if "files" in inspect.signature(load).parameters:
        kinds |= {name: field.annotation for name, field in FileOptions.model_fields.items()}
    return kinds


def _value(text: str, kind: Any) -> Any:  # noqa: ANN401 - any type and value
    """Return a word as the YAML value that the type accepts, or else as text."""
    try:
        value = load_yaml(text)
        TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValueError:  # not YAML, or not of the type
        return text
    return value


def _spread_strategies(words: Sequence[str]) -> list[str]:
    """Split the value of `--strategies` at its commas, and replace `all` by every name.

    Raises:
        ConfigurationError: The flag has no value.
    """
    spread: list[str] = []
    takes_names = False
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            takes_names = flag == "--strategies"
            spread += [flag, *_names(value)] if takes_names and equals else [word]
        else:
            spread += _names(word) if takes_names else [word]
    if "--strategies" in spread and not _names_after(spread):
        raise ConfigurationError("--strategies needs names, separated by commas, or 'all'")
    return spread


def _names(value: str) -> Iterator[str]:
    if value == "all":
        yield from (*list_strategies(), *UNDER_MAL_TOO)
    else:
        yield from split_commas(value)


def _names_after(words: list[str]) -> bool:
    following = words[words.index("--strategies") + 1 :]
    return bool(following) and not following[0].startswith("--")
