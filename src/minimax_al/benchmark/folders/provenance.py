"""Provenance of results: command, versions, source state, machine, data."""

import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

import torch

from minimax_al.benchmark.folders.conditions import Conditions
from minimax_al.strategies.registry import ENTRY_POINTS
from minimax_al.strategies.strategy_names import split_name

PACKAGES = ("minimax-al", "torch", "torchvision", "lightning-fabric", "numpy", "scikit-learn", "pillow", "timm")


def provenance(conditions: Conditions, strategies: Iterable[str], fingerprint: dict[str, str]) -> dict[str, Any]:
    """Return command, versions, source state, machine and data of this process, as plain values.

    Args:
        conditions: Resolved device, precision and threads.
        strategies: Strategy names; the versions of plug-ins among them are recorded.
        fingerprint: Fingerprint of the data set.
    """
    plugins = plugin_versions(strategies)
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        **({"plug-ins": plugins} if plugins else {}),
        "source": source_state(Path(__file__)),
        "machine": _machine(conditions),
        "data": fingerprint,
    }


def plugin_versions(strategies: Iterable[str]) -> dict[str, str]:
    """Return package and version of every strategy that another package provides, by strategy.

    Args:
        strategies: Strategy names, with settings or without.
    """
    names = {split_name(strategy)[0].removesuffix("+mal") for strategy in strategies}
    found = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in names and point.dist is not None and point.dist.name != "minimax-al":
            found[point.name] = f"{point.dist.name} {point.dist.version}"
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def source_state(file: Path) -> str:
    """Return the commit of a source file's repository, and whether files differ from it; empty outside a checkout.

    An installed package may be in a folder of another project's repository, which does not track it.

    Args:
        file: File of the source.
    """
    try:
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        commit = _git(file.parent, "rev-parse", "--short=12", "HEAD")
        changed = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit} with local changes" if changed else commit


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout.strip()


def _machine(conditions: Conditions) -> dict[str, Any]:
    facts: dict[str, Any] = {"system": f"{platform.system()} {platform.machine()}", **asdict(conditions)}
    if conditions.device == "cuda":
        facts["cuda"] = torch.version.cuda
    return {name: value for name, value in facts.items() if value != ""}
