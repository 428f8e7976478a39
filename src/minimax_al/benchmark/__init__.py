"""The oracle with the answers: protocols, resumable runs, statistics, the paper's numbers.

Names are imported when first used: statistics load no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimax_al.benchmark.demo import run_demo
    from minimax_al.benchmark.grid import run_grid
    from minimax_al.benchmark.protocol import Protocol, list_presets, load_protocol
    from minimax_al.benchmark.report import write_report

_HOMES = {
    "Protocol": "protocol",
    "list_presets": "protocol",
    "load_protocol": "protocol",
    "run_demo": "demo",
    "run_grid": "grid",
    "write_report": "report",
}

__all__ = ["Protocol", "list_presets", "load_protocol", "run_demo", "run_grid", "write_report"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
