"""Names of strategies, known without loading torch."""

from collections.abc import Mapping

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.strategies.registry import check_strategy_name, list_strategies
from minimax_al.strategies.strategy_names import build_strategy, split_name

COLD_START = ("centroids", "coverage", "maxherding", "probcover", "typicality")
"""Strategies that choose by the images alone, without labels or predictions."""

USUAL: Mapping[str, Mapping[str, str]] = {
    "features": {
        "uherding": "images that cover those of which the model is unsure",
        "cluster_margin": "images between two classes, unlike one another",
        "dropquery": "images whose predicted class is unstable, unlike one another",
        "badge": "images of which the model is unsure, unlike one another",
        "mal": "images of which the model is unsure, unlike those with labels",
        "margin": "images between two classes",
        "centroids": "images of all kinds; needs no labels",
        "typicality": "images typical of many others; needs no labels",
        "random": "a random sample",
    },
    "classification": {
        "badge+mal": "images of which the model is unsure, unlike one another",
        "badge": "images of which the model is unsure, unlike one another; short training",
        "mal": "images of which the model is unsure, unlike those with labels",
        "margin": "images between two classes; short training",
        "coverage": "images of all kinds; needs no labels",
        "typicality": "images typical of many others; needs no labels",
        "random": "a random sample",
    },
    "segmentation": {
        "mal": "images of which the model is unsure, unlike those with labels",
        "entropy": "images of which the model is unsure; short training",
        "coverage": "images of all kinds; needs no labels",
        "typicality": "images typical of many others; needs no labels",
        "random": "a random sample",
    },
}
"""Usual strategies with the images that each prefers, per task and for campaigns on features."""

_NOT_FOR_MASKS = {"alfa_mix", "badge", "bait", "batchbald", "cluster_margin", "dropquery", "galaxy", "uherding", "waal"}


def strategy_names(task: str | None = None) -> list[str]:
    """Return the names of all strategies for a query, sorted; plain ones of `list_strategies` may also end in "+mal".

    Args:
        task: Task that the strategies must support; None for any.
    """
    left_out = _NOT_FOR_MASKS if task == "segmentation" else set()
    return sorted({*list_strategies(), *COLD_START} - left_out)


def is_cold_start(name: str) -> bool:
    """Return whether a strategy, with settings in its name or without, chooses by the images alone.

    Example:
        >>> is_cold_start("typicality(neighbours=5)"), is_cold_start("margin")
        (True, False)
    """
    return split_name(name)[0] in COLD_START


def check_choosing(name: str) -> None:
    """Raise an error if a strategy cannot choose images.

    Raises:
        UnknownNameError: The strategy does not exist.
    """
    plain, settings = split_name(name)
    if plain in COLD_START and not settings:
        return
    try:
        check_strategy_name(plain)
    except UnknownNameError:
        raise UnknownNameError("strategy", plain, strategy_names()) from None
    if settings:
        build_strategy(name)  # refuses unknown settings


def check_training(name: str, *, on_features: bool = False) -> None:
    """Refuse a strategy that cannot train a model.

    Args:
        name: Name of the strategy, with its settings.
        on_features: Whether the campaign learns on features, where every strategy trains a head.

    Raises:
        UnknownNameError: The strategy is unknown.
        ConfigurationError: The strategy only chooses.
    """
    if name in COLD_START and not on_features:
        raise ConfigurationError(
            f"strategy {name!r} chooses images and does not train: use it in a query, and another one for training"
        )
    plain, settings = split_name(name)
    check_strategy_name(plain)
    if settings:
        build_strategy(name)
