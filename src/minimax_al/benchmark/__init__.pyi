from .demo import run_demo
from .grid import run_grid
from .protocol import Protocol, list_presets, load_protocol
from .report import write_report

__all__ = [
    "Protocol",
    "list_presets",
    "load_protocol",
    "run_demo",
    "run_grid",
    "write_report",
]
