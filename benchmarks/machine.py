"""What a measurement was taken on, in one line."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def machine(packages: Sequence[str], device: str = "cpu") -> str:
    """Processor, accelerator, threads, load and versions; packages that are not installed are left out."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    accelerator = f", {torch.cuda.get_device_name()}" if device == "cuda" else ""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = [f"{package} {found}" for package in packages if (found := installed(package))]
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used{accelerator}{load}; "
        f"{platform.system()}, Python {platform.python_version()}, {', '.join(versions)}"
    )


def installed(package: str) -> str:
    """Return the installed version of a package, or an empty string."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
