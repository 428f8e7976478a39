from .registry import check_strategy_name, get_strategy, list_strategies
from .strategy import Query, Strategy, picks, score_pool

__all__ = [
    "Query",
    "Strategy",
    "check_strategy_name",
    "get_strategy",
    "list_strategies",
    "picks",
    "score_pool",
]
