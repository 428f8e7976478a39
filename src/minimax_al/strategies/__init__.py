"""Named methods of active learning: what each trains, what it scores, how it chooses."""

from minimax_al.strategies.registry import get_strategy, list_strategies
from minimax_al.strategies.strategy import Query, Strategy, picks, score_pool

__all__ = ["Query", "Strategy", "get_strategy", "list_strategies", "picks", "score_pool"]
