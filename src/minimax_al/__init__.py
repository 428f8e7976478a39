"""Picks the images worth labelling: Minimax Active Learning, its baselines, and the loop around them.

Names are imported when they are first used, so that `import minimax_al` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimax_al.data import Dataset, Pool, load_dataset
    from minimax_al.loop import ActiveLearner
    from minimax_al.strategies import Query, Strategy, get_strategy, list_strategies
    from minimax_al.training import Models, Recipe, Runtime

__version__ = "0.1.0"

_HOMES = {
    "data": ("Dataset", "Pool", "load_dataset"),
    "loop": ("ActiveLearner",),
    "strategies": ("Query", "Strategy", "get_strategy", "list_strategies"),
    "training": ("Models", "Recipe", "Runtime"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ActiveLearner",
    "Dataset",
    "Models",
    "Pool",
    "Query",
    "Recipe",
    "Runtime",
    "Strategy",
    "__version__",
    "get_strategy",
    "list_strategies",
    "load_dataset",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
