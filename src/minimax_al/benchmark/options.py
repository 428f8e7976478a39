"""The command line of `mal bench run`, derived from the protocol: every field of it is a flag."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import ValidationError

from minimax_al.benchmark.protocol import Protocol, list_presets, load_protocol
from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.strategies import list_strategies

UNDER_MAL_TOO = ("random+mal", "entropy+mal", "margin+mal", "badge+mal")
"""What `--strategies all` adds to the listed names."""


@dataclass(frozen=True)
class RunOptions:
    """What to run, and how.

    Attributes:
        protocol: the preset's, with what the flags changed.
        out: results folder; by default runs/NAME.
        jobs: processes that run cells side by side on this machine; they share its GPU, and each takes its part of
            the cores unless `--recipe.runtime.threads` says how many.
        slurm: submit so many SLURM jobs that share the results folder, and return.
        slurm_partition: for these jobs; SLURM's own by default.
        slurm_account: that they are charged to; SLURM's own by default.
        slurm_gpus: of each job.
        slurm_hours: after which a job is ended; the same command goes on from there.
    """

    protocol: Annotated[Protocol, tyro.conf.arg(name="")]
    out: Path | None = None
    jobs: int = 1
    slurm: int | None = None
    slurm_partition: str | None = None
    slurm_account: str | None = None
    slurm_gpus: int = 1
    slurm_hours: float = 24.0

    @property
    def folder(self) -> Path:
        """The results folder."""
        return self.out or Path("runs") / self.protocol.name

    @property
    def slurm_parameters(self) -> dict[str, object]:
        """As `minimax_al.benchmark.cluster.submit` takes them."""
        given = {"slurm_partition": self.slurm_partition, "slurm_account": self.slurm_account}
        asked = {name: value for name, value in given.items() if value is not None}
        return {**asked, "gpus_per_node": self.slurm_gpus, "timeout_min": round(60 * self.slurm_hours)}


def parse_run(words: Sequence[str]) -> RunOptions:
    """The options of `mal bench run PRESET [--recipe NAME] [--KEY VALUE …]`.

    The preset and the recipe come first, since they are where every other flag's value starts from.

    Args:
        words: of the command line, after `mal bench run`.

    Raises:
        ConfigurationError: a value is not allowed.
        UnknownNameError: there is no such preset, recipe or strategy.
        SystemExit: a flag is wrong, or help was asked for.
    """
    first = ArgumentParser(
        prog="mal bench run",
        description="Run a benchmark, from where it stands. `mal bench run PRESET --help` shows every setting.",
        epilog=f"presets: {', '.join(list_presets())}",
        allow_abbrev=False,
        add_help=not words or words[0].startswith("-"),
    )
    first.add_argument("preset", help="name of a preset, or a YAML file of the same form")
    first.add_argument("--recipe", default="default", help="`default` is ours, `paper` follows the paper")
    chosen, rest = first.parse_known_args(words)
    default = RunOptions(load_protocol(chosen.preset, chosen.recipe))
    try:
        return tyro.cli(
            RunOptions,
            args=_spread_strategies(rest),
            default=default,
            prog=f"mal bench run {chosen.preset} [--recipe {chosen.recipe}]",
            description=f"Run the benchmark {chosen.preset!r} under its recipe {chosen.recipe!r}.",
        )
    except ValidationError as error:
        raise invalid_setting(error, Protocol, "the command line") from error


def _spread_strategies(words: list[str]) -> list[str]:
    """Commas in the value of `--strategies` become words of their own; `all` becomes every name."""
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


def _names(value: str) -> list[str]:
    return [*list_strategies(), *UNDER_MAL_TOO] if value == "all" else [name for name in value.split(",") if name]


def _names_after(words: list[str]) -> bool:
    following = words[words.index("--strategies") + 1 :]
    return bool(following) and not following[0].startswith("--")
