"""Sweeps: one file, every combination of some settings, one table.

    preset: digits                  # or the fields of a protocol with a recipe
    recipe: default                 # name of one of the preset's recipes
    strategies: [random, mal]       # any field of the protocol
    seeds: 3
    settings:                       # settings by dotted name, the same for all variants
      recipe.minimax.epochs: 10
    sweep:                          # settings by dotted name, each with its values
      recipe.minimax.entropy_weight: [0, 0.1, 0.3]
      recipe.task.head: [linear, cosine]

Each variant is a benchmark in a folder of its own, which resumes like any other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from minimax_al.benchmark.protocol import (
    Protocol,
    load_protocol,
    protocol_fields,
    read_content,
    validated_protocol,
)
from minimax_al.benchmark.results.results import read_results
from minimax_al.benchmark.runs.cell import ProgressCallback
from minimax_al.benchmark.runs.grid import LoggerChoice, folder_name, run_grid
from minimax_al.benchmark.statistics.statistics import area_under_curve
from minimax_al.durable import write_durably
from minimax_al.errors import ConfigurationError, nearest
from minimax_al.report import Curve
from minimax_al.report.blocks import Table
from minimax_al.report.tables import table_to_csv, table_to_latex
from minimax_al.strategies.strategy_names import yaml_text
from minimax_al.training import Recipe

KEY = "sweep"
"""Key of a file by which it is a sweep."""


@dataclass(frozen=True)
class Variant:
    """One combination of settings.

    Attributes:
        settings: Values of the settings that differ between variants, by dotted name.
        protocol: Protocol with these values.
    """

    settings: Mapping[str, Any]
    protocol: Protocol

    @property
    def name(self) -> str:
        """Settings as text, for folders and messages."""
        return ",".join(f"{name.removeprefix('recipe.')}={yaml_text(value)}" for name, value in self.settings.items())

    def folder(self, out: Path) -> Path:
        """Return the results folder of the variant."""
        return out / folder_name(self.name)


def is_sweep(preset: str) -> bool:
    """Return whether a file is a sweep; presets are not.

    Raises:
        ConfigurationError: The file is not a YAML mapping.
    """
    return preset.endswith((".yaml", ".yml")) and Path(preset).is_file() and KEY in read_content(preset)[1]


def load_sweep(path: str, **changes: Any) -> list[Variant]:  # noqa: ANN401 - fields of Protocol
    """Return all variants of a sweep, validated, in the order of the file.

    Args:
        path: YAML file with the key `sweep`.
        changes: Fields of the protocol that replace the file's.

    Raises:
        ConfigurationError: A key, a dotted name or a value is invalid; the message names the file and the variant.
        UnknownNameError: The preset or the recipe does not exist.
    """
    where, content = read_content(path)
    swept = _mapping(content.pop(KEY, None), KEY, where)
    for name, values in swept.items():
        if not isinstance(values, list) or not values:
            raise ConfigurationError(f"{where}: sweep.{name} is {values!r}; give a list of values, such as [0, 0.1]")
    shared = _mapping(content.pop("settings", {}), "settings", where)
    fields = {**_base(Path(path).stem, where, content), **changes}
    for name, value in shared.items():
        _set(fields, name, value, where)
    variants = []
    for values in product(*swept.values()):
        settings = dict(zip(swept, values, strict=True))
        own = deepcopy(fields)
        for name, value in settings.items():
            _set(own, name, value, where)
        variant = ",".join(f"{name}={value!r}" for name, value in settings.items())
        variants.append(Variant(settings, validated_protocol(own, f"{where}, {variant}")))
    return variants


def run_sweep(
    variants: Sequence[Variant],
    out: Path,
    *,
    jobs: int = 1,
    mixed: bool = False,
    logger: LoggerChoice = None,
    on_progress: ProgressCallback | None = None,
    on_variant: Callable[[int, Variant], None] | None = None,
) -> Table:
    """Run all variants and write their table, anew after each: `sweep.csv`, `sweep.md` and `sweep.tex`.

    Args:
        variants: Variants of `load_sweep`.
        out: Folder; each variant has a results folder in it. Finished rounds are not run again.
        jobs: Number of parallel processes.
        mixed: Whether other conditions than those of earlier results are accepted.
        logger: Logger of each run; see `run_grid`.
        on_progress: Callback for the progress of each running cell.
        on_variant: Callback with the number of each variant, from 1, before it runs.

    Returns:
        The table.

    Raises:
        ResultsError: A folder has another configuration, data set or machine; or runs failed.
    """
    table = Table((), ())
    for number, variant in enumerate(variants, start=1):
        if on_variant:
            on_variant(number, variant)
        run_grid(variant.protocol, variant.folder(out), jobs=jobs, mixed=mixed, logger=logger, on_progress=on_progress)
        table = sweep_table(variants[:number], out)
        write_durably(out / "sweep.csv", table_to_csv(table).encode())
        write_durably(out / "sweep.md", _markdown(table).encode())
        write_durably(out / "sweep.tex", table_to_latex(table).encode())
    return table


def sweep_table(variants: Sequence[Variant], out: Path) -> Table:
    """Return one row per variant and strategy: settings, seeds, area under the curve, and the metric at each point.

    Args:
        variants: Variants with finished rounds.
        out: Folder of the sweep.
    """
    names = list(variants[0].settings)
    curves = [(variant, curve) for variant in variants for curve in _curves(variant, out)]
    labels = sorted({int(count) for _, curve in curves for count in curve.labels})
    heads = [name.removeprefix("recipe.") for name in names]
    columns = [*heads, "strategy", "seeds", "area", *(f"{curves[0][1].metric} at {count}" for count in labels)]
    rows = []
    for variant, curve in curves:
        areas = [area_under_curve(curve.labels, values) for values in curve.per_seed]
        at = {int(count): curve.per_seed[:, position] for position, count in enumerate(curve.labels)}
        rows.append(
            [
                *(yaml_text(variant.settings[name]) for name in names),
                curve.strategy,
                str(len(curve.seeds)),
                _figure(np.array(areas)),
                *(_figure(at[count]) if count in at else "" for count in labels),
            ]
        )
    return Table(columns, rows, caption="sweep", words=range(len(names) + 1))


def _base(stem: str, where: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the protocol's fields before any dotted setting: those of a preset, or the file's own."""
    if "preset" not in content:
        own = validated_protocol({"name": stem, **protocol_fields(where, content, "default")}, where)
        return own.model_dump(mode="json")
    preset, recipe = content.pop("preset"), content.pop("recipe", "default")
    if not isinstance(preset, str) or not isinstance(recipe, str):
        raise ConfigurationError(
            f"{where}: preset and recipe are names; change a preset's settings by dotted names under 'settings', such "
            "as recipe.task.epochs: 20"
        )
    base = load_protocol(preset, recipe).model_dump(mode="json")
    return validated_protocol({**base, "name": stem, **content}, where).model_dump(mode="json")


def _mapping(value: object, key: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{where}: {key} is {value!r}; give dotted names of settings with their values")
    if key == KEY and not value:
        raise ConfigurationError(f"{where}: {key} has no setting: give at least one dotted name with a list of values")
    return value


def _set(fields: dict[str, Any], dotted: str, value: object, where: str) -> None:
    """Set one value of nested fields; a name of the recipe may leave out `recipe.`."""
    groups = dotted.split(".")
    if groups[0] not in Protocol.model_fields and groups[0] in Recipe.model_fields:
        groups = ["recipe", *groups]
    place: Any = fields
    for depth, group in enumerate(groups):
        free = depth > 0 and groups[0] == "options"  # options are the source's, which checks them
        if not isinstance(place, dict) or (group not in place and not free):
            known = place if isinstance(place, dict) else {}
            raise ConfigurationError(f"{where}: unknown setting {dotted!r}{nearest(group, known)}")
        if depth == len(groups) - 1:
            place[group] = value
        else:
            place = place[group]


def _curves(variant: Variant, out: Path) -> Iterable[Curve]:
    results = read_results(variant.folder(out))
    return results.curves(results.headline)


def _figure(values: np.ndarray[Any, Any]) -> str:
    """Return mean ± standard deviation over seeds, in percent."""
    mean = f"{100 * values.mean():.1f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * values.std(ddof=1):.1f}"


def _markdown(table: Table) -> str:
    rows = [[str(cell) for cell in row] for row in (table.columns, *table.rows)]
    rows.insert(1, ["---"] * len(table.columns))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
