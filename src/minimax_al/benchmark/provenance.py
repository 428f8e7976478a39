"""Where results come from: command, versions, source state, machine."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from minimax_al.training import RuntimeSettings
from minimax_al.training.runtime import resolve_device, resolve_precision

PACKAGES = ("minimax-al", "torch", "torchvision", "lightning-fabric", "numpy", "scikit-learn", "pillow", "timm")


def provenance(settings: RuntimeSettings) -> dict[str, Any]:
    """Command, versions, source state and machine of this process, as plain values.

    Args:
        settings: device and precision, of which `auto` is resolved here.
    """
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "source": _source_state(),
        "machine": _machine(settings),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _source_state() -> str:
    """The commit that this package runs from, and whether files differ from it; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit} with local changes" if changed else commit


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout.strip()


def _machine(settings: RuntimeSettings) -> dict[str, Any]:
    device = resolve_device(settings.device)
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": settings.threads or torch.get_num_threads(),
        "device": device.type,
        "precision": resolve_precision(settings.precision, device),
    }
    if torch.cuda.is_available():
        facts["accelerator"] = torch.cuda.get_device_name()
        facts["cuda"] = torch.version.cuda
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.processor()
