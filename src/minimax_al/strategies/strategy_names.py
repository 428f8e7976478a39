"""Strategies with settings under a name of their own: `mal(rule=filter,filter_factor=5)`.

The name is the key of a strategy in every result. It contains all of its settings, so two settings of one strategy
have separate curves and separate folders.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from minimax_al.errors import ConfigurationError
from minimax_al.strategies.registry import get_strategy
from minimax_al.yaml_values import load_yaml

if TYPE_CHECKING:
    from minimax_al.strategies.strategy import Strategy

_NAME = re.compile(r"(?P<base>[^()]+)(?:\((?P<settings>.*)\))?", re.DOTALL)


def build_strategy(name: str) -> "Strategy":
    """Return the strategy of a name, with the settings in its parentheses.

    Args:
        name: Strategy name, for example "mal" or "mal(rule=filter)".

    Raises:
        UnknownNameError: No strategy has this name.
        ConfigurationError: The parentheses are malformed, or the strategy refuses a setting.

    Example:
        >>> build_strategy("mal(rule=filter,filter_factor=5)").filter_factor
        5
    """
    base, settings = split_name(name)
    return get_strategy(base, **settings)


def strategy_name(entry: object) -> str:
    """Return the canonical name of a strategy.

    Args:
        entry: A name, with settings in parentheses or without, or a mapping of one name to its settings.

    Raises:
        ConfigurationError: The entry is something else, or its parentheses are malformed.

    Example:
        >>> strategy_name({"mal": {"rule": "filter"}}), strategy_name("mal( rule = filter )")
        ('mal(rule=filter)', 'mal(rule=filter)')
    """
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((base, settings),) = entry.items()
        if isinstance(base, str) and (settings is None or isinstance(settings, Mapping)):
            return _joined(base, settings or {})
    if isinstance(entry, str):
        return _joined(*split_name(entry))
    raise ConfigurationError(
        f"{entry!r} is not a strategy: give a name such as mal, or a name with settings such as mal(rule=filter)"
    )


def split_name(name: str) -> tuple[str, dict[str, Any]]:
    """Return the plain name of a strategy and its settings.

    Args:
        name: Strategy name, with settings in parentheses or without.

    Raises:
        ConfigurationError: The parentheses are malformed.

    Example:
        >>> split_name("mal(rule=filter,filter_factor=5)")
        ('mal', {'rule': 'filter', 'filter_factor': 5})
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise ConfigurationError(f"{name!r} is not a strategy: write settings as mal(rule=filter,filter_factor=5)")
    settings: dict[str, Any] = {}
    for part in split_commas(match["settings"] or ""):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise ConfigurationError(
                f"{part!r} in {name!r} is not a setting: write KEY=VALUE, for example mal(rule=filter)"
            )
        settings[key] = _value(value, name)
    return match["base"].strip(), settings


def split_commas(text: str) -> list[str]:
    """Split at the commas outside of parentheses and brackets, dropping empty parts.

    Example:
        >>> split_commas("random,mal(rule=filter,filter_factor=5)")
        ['random', 'mal(rule=filter,filter_factor=5)']
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _value(text: str, name: str) -> Any:  # noqa: ANN401 - any YAML value
    try:
        return load_yaml(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} in {name!r} is not a value") from error


def _joined(base: str, settings: Mapping[str, Any]) -> str:
    if not settings:
        return base
    inner = ",".join(f"{key}={yaml_text(value)}" for key, value in settings.items())
    return f"{base}({inner})"


def yaml_text(value: object) -> str:
    """Return a value as the shortest YAML that reads back to it.

    Example:
        >>> yaml_text(0.5), yaml_text([1, "a"]), yaml_text("7")
        ('0.5', '[1, a]', "'7'")
    """
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")
