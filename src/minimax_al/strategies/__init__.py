"""Named methods of active learning: what each trains, what it scores, how it chooses.

Names are imported when they are first used: the registry can say which strategies there are without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimax_al.strategies.registry import check_strategy_name, get_strategy, list_strategies
    from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool

_HOMES = {
    "registry": ("check_strategy_name", "get_strategy", "list_strategies"),
    "strategy": ("Query", "Strategy", "picks", "score_pool"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Query", "Strategy", "check_strategy_name", "get_strategy", "list_strategies", "picks", "score_pool"]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
