"""A planned search over settings: every variant of a plan, run on validation images, side by side.

    python experiments/search.py experiments/cifar100-search/plan.yaml --data cifar100.npz --out runs/search

A plan is a YAML file: `preset` and `recipe` to start from, `protocol` (changes of the protocol, `validation` among
them), `settings` (of the recipe, by dotted name, for all variants), and `variants`: a name and its further settings
each. What is finished is not run again. The table goes beside the plan, as results.csv.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tables import write_table

from minimax_al.benchmark import Protocol, load_protocol, run_grid
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.runs.grid import cells_of
from minimax_al.errors import ConfigurationError, MinimaxALError


def main() -> None:
    """Run the plan, or go on with it, and write its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--data", type=Path, help="folder or file of the data")
    parser.add_argument("--out", type=Path, default=Path("runs/search"), help="folder for the runs")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    options = parser.parse_args()
    try:
        search(options.plan, options.data, options.out, options.jobs)
    except (MinimaxALError, OSError) as error:
        parser.exit(2, f"search: {error}\n")


def search(plan_path: Path, data: Path | None, out: Path, jobs: int) -> None:
    """Run all variants of a plan; the table is written anew after each.

    Raises:
        ConfigurationError: the plan looks at the test set.
    """
    plan = yaml.safe_load(plan_path.read_text(encoding="utf-8"))
    rows: list[dict[str, object]] = []
    for name, settings in plan["variants"].items():
        protocol = variant_of(plan, name, settings or {}, data)
        if not protocol.validation:
            raise ConfigurationError(
                f"plan {str(plan_path)!r} has no protocol.validation: settings are not chosen on test"
            )
        run_grid(protocol, out / name, jobs=jobs)
        rows += rows_of(name, protocol, out / name)
        write_table(plan_path.with_name("results.csv"), rows)
        last = ", ".join(f"{row['metric']} {row['mean']} ± {row['std']}" for row in rows_of_last(rows, name))
        sys.stdout.write(f"{name}: {last}\n")


def variant_of(plan: Mapping[str, Any], name: str, settings: Mapping[str, object], data: Path | None) -> Protocol:
    """Return the protocol of one variant."""
    protocol = load_protocol(plan["preset"], plan["recipe"], name=name, data=data, **plan["protocol"])
    fields = protocol.model_dump()
    for dotted, value in {**plan.get("settings", {}), **settings}.items():
        *groups, last = dotted.split(".")
        place = fields["recipe"]
        for group in groups:
            place = place[group]
        place[last] = value
    return Protocol.model_validate(fields)


def rows_of(name: str, protocol: Protocol, out: Path) -> list[dict[str, object]]:
    """Mean and standard deviation over seeds of every accuracy, by strategy and number of labels."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for cell in cells_of(protocol):
        for result in read_rounds(cell.folder(out), protocol):
            for metric in ("accuracy", "classifier_accuracy"):
                if metric in result.metrics:
                    found.setdefault((cell.strategy, result.labels, metric), []).append(result.metrics[metric])
    return [
        {
            "variant": name,
            "strategy": strategy,
            "labels": labels,
            "metric": metric,
            "seeds": len(values),
            "mean": f"{statistics.fmean(values):.4f}",
            "std": f"{statistics.stdev(values):.4f}" if len(values) > 1 else "",
        }
        for (strategy, labels, metric), values in found.items()
    ]


def rows_of_last(rows: list[dict[str, object]], name: str) -> list[dict[str, object]]:
    """Return the rows of a variant at its largest number of labels."""
    own = [row for row in rows if row["variant"] == name]
    most = max(int(str(row["labels"])) for row in own)
    return [row for row in own if row["labels"] == most]


if __name__ == "__main__":
    main()
