from .demo import run_demo
from .protocol import Protocol, list_presets, load_protocol
from .reports.many_datasets_report import write_comparison
from .reports.report import write_report
from .results.packaging import Packaged, package_model
from .results.predictions import write_predictions
from .runs.grid import run_grid
from .sweep import load_sweep, run_sweep

__all__ = [
    "Packaged",
    "Protocol",
    "list_presets",
    "load_protocol",
    "load_sweep",
    "package_model",
    "run_demo",
    "run_grid",
    "run_sweep",
    "write_comparison",
    "write_predictions",
    "write_report",
]
