"""Strategies by name: the built-in ones, those that other packages announce, and named combinations.

A strategy is imported, and torch with it, when it is first used; its name is known before.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from minimax_al.errors import ConfigurationError, UnknownNameError, invalid_setting, nearest

if TYPE_CHECKING:
    from minimax_al.strategies.strategy import Strategy

ENTRY_POINTS = "minimax_al.strategies"
UNDER_MAL = "+mal"
"""Ending of a name: the same choice, under Minimax Active Learning's training. "random+mal" is the control."""

ONE_TRAINING = frozenset({"mal", "ensemble", "learning_loss", "waal"})
"""Names that do not accept that ending. `mal` always uses this training, so `mal+mal` would be the same method under a
second name; the members of an ensemble are trained supervised; learning loss and WAAL are trainings of their own."""

COMBINATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mal-threshold": ("mal", {"rule": "threshold"}),
    "mal-filter": ("mal", {"rule": "filter"}),
    "mal-product": ("mal", {"rule": "product"}),
    # The control of equal work: Algorithm 1's steps without its game.
    "random-equal-work": ("random+mal", {"entropy_weight": 0.0}),
    # The paper's ablations (Figure 5).
    "mal-no-minimax": ("mal", {"entropy_weight": 0.0}),
    "mal-no-discriminator": ("mal", {"rule": "entropy", "discriminator": False}),
    "mal-entropy-only": ("mal", {"rule": "entropy", "discriminator": True}),
    "mal-diversity-only": ("mal", {"rule": "diversity"}),
}
"""Names for settings of other strategies: the readings of Algorithm 2 and the paper's ablations."""


def get_strategy(name: str, **settings: Any) -> "Strategy":  # noqa: ANN401 - each strategy has its own settings
    """Return the strategy of that name.

    Args:
        name: One of `list_strategies()`; a plain one, except those of `ONE_TRAINING`, followed by "+mal" chooses under
            MAL's training.
        settings: Fields of the strategy; under MAL's training also those of `MinimaxSettings`, instead of the recipe's.

    Raises:
        UnknownNameError: The strategy does not exist.
        ConfigurationError: The strategy does not have the setting, or the value is not allowed.

    Example:
        >>> get_strategy("entropy+mal").training
        'minimax'
        >>> get_strategy("mal", rule="product").rule
        'product'
    """
    base, preset = COMBINATIONS.get(name, (name, {}))
    settings = {**preset, **settings}
    if base.endswith(UNDER_MAL):
        base, settings = base.removesuffix(UNDER_MAL), {"training": "minimax", **settings}
    check_strategy_name(name)
    kind = _load(base)
    try:
        return kind(**_with_game(kind, settings, name))
    except ValidationError as error:
        raise invalid_setting(error, kind, f"strategy {name!r}") from error


def _with_game(kind: type["Strategy"], settings: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings with those of Algorithm 1 under `game`, for strategies that are trained by it."""
    from minimax_al.training.minimax_settings import MinimaxSettings  # noqa: PLC0415 - loads torch

    if settings.get("training", kind.model_fields["training"].default) != "minimax":
        return settings
    own, game = kind.model_fields, MinimaxSettings.model_fields
    for key in settings:
        if key not in own and key not in game:
            raise ConfigurationError(f"strategy {name!r}: unknown key {key!r}{nearest(key, {*own, *game} - {'game'})}")
    moved = {key: value for key, value in settings.items() if key not in own}
    kept = {key: value for key, value in settings.items() if key in own}
    return {**kept, "game": {**kept.get("game", {}), **moved}} if moved else kept


def check_strategy_name(name: str) -> None:
    """Refuse a name that `get_strategy` would not know; loads nothing.

    Raises:
        UnknownNameError: The strategy does not exist.

    Example:
        >>> check_strategy_name("entropy+mal")
    """
    base, _ = COMBINATIONS.get(name, (name, {}))
    plain = base.removesuffix(UNDER_MAL)
    if plain not in _announced() or (plain != base and plain in ONE_TRAINING):
        raise UnknownNameError("strategy", name, list_strategies())


def list_strategies() -> list[str]:
    """Return the names that `get_strategy` knows, sorted.

    Each plain name but those of `ONE_TRAINING` may also end in "+mal".

    Example:
        >>> "mal" in list_strategies()
        True
    """
    return sorted([*_announced(), *COMBINATIONS])


@cache
def _announced() -> dict[str, EntryPoint]:
    """Entry points by name; the same one listed twice is not a conflict."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        other = found.setdefault(point.name, point)
        if point.name in COMBINATIONS:
            raise ConfigurationError(
                f"strategy {point.name!r} of {point.value} has the name of a combination of minimax-al: rename it"
            )
        if other.value != point.value:
            raise ConfigurationError(
                f"two strategies are called {point.name!r}: {other.value} and {point.value}; uninstall one"
            )
    return found


def _load(name: str) -> type["Strategy"]:
    from minimax_al.strategies.strategy import Strategy  # noqa: PLC0415 - loads torch

    point = _announced()[name]
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"strategy {name!r} cannot be loaded from {point.value}: {error}; repair or uninstall its package"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Strategy)):
        raise ConfigurationError(f"entry point {name!r} of {ENTRY_POINTS} is {loaded!r}, not a subclass of Strategy")
    return loaded
