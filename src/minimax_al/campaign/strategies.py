"""The names of what may choose pictures and train models; known without loading any of it."""

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.strategies.registry import check_strategy_name, list_strategies

COLD_START = ("coverage", "typicality")
"""Ways to choose that look at the pictures alone: they need no label and train nothing."""


def strategy_names() -> list[str]:
    """The names that a query knows, sorted; those of `list_strategies` may also end in "+mal"."""
    return sorted([*list_strategies(), *COLD_START])


def check_choosing(name: str) -> None:
    """Refuses what cannot choose pictures.

    Raises:
        UnknownNameError: there is no such strategy.
    """
    if name not in COLD_START:
        try:
            check_strategy_name(name)
        except UnknownNameError:
            raise UnknownNameError("strategy", name, strategy_names()) from None


def check_training(name: str) -> None:
    """Refuses what cannot train a model.

    Raises:
        UnknownNameError: there is no such strategy.
        ConfigurationError: it only chooses.
    """
    if name in COLD_START:
        raise ConfigurationError(
            f"strategy {name!r} chooses pictures and trains nothing: name it in a query, and another one here"
        )
    check_strategy_name(name)
