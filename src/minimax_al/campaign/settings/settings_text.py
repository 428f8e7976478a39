"""Settings of a campaign as text: `KEY=VALUE` from a command line, and the lines that show them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minimax_al.campaign.settings.named_recipes import IN_RECIPE
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.errors import ConfigurationError, UnknownNameError

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_RECIPE = "recipe"


def read_changes(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the settings that `KEY=VALUE` pairs give, with nested mappings for keys with dots.

    A value is JSON where it can be read as such (numbers, lists, true, null), else text.

    Args:
        pairs: Pairs such as "validation_share=0.1", "recipe=scratch-small" or "recipe.task.epochs=20".

    Raises:
        ConfigurationError: A pair has no "=", or a key is given twice.
        UnknownNameError: The campaign has no such setting.

    Example:
        >>> read_changes(["strategy=mal(rule=filter)", "recipe.task.epochs=20", "recipe.task.schedule=cosine"])
        {'strategy': 'mal(rule=filter)', 'recipe': {'task': {'epochs': 20, 'schedule': 'cosine'}}}
    """
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"{pair!r} is not a setting: write KEY=VALUE, for example lease_seconds=900")
        _check_key(key.strip())
        _insert(changes, key.strip().split("."), _value(text.strip()), pair)
    return changes


def list_settings(settings: CampaignSettings) -> list[tuple[str, str]]:
    """Return every setting as (key, value), in the form that `read_changes` reads.

    Args:
        settings: Settings of a campaign.
    """
    return [(key, _text(value)) for key, value in _flat("", settings.model_dump(mode="json"))]


def _check_key(key: str) -> None:
    known = {*CampaignSettings.model_fields, *IN_RECIPE}
    first, *rest = key.split(".")
    if first not in known:
        raise UnknownNameError("setting of a campaign", first, known)
    if rest and first != _RECIPE:
        raise ConfigurationError(
            f"{key!r} is not a setting: {first} has no parts; only recipe has, as in recipe.encoder"
        )


def _insert(changes: dict[str, Any], path: Sequence[str], value: object, pair: str) -> None:
    *parents, last = path
    for part in parents:
        inner = changes.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{pair!r} changes a part of a setting that is given whole: give one of the two")
        changes = inner
    if last in changes:
        raise ConfigurationError(f"{pair!r} changes a setting that is given twice: give it once")
    changes[last] = value


def _value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{key}.", value)
        else:
            yield key, value


def _text(value: object) -> str:
    """Return a value that `_value` reads back: text as it is, unless it would be read as something else."""
    plain = isinstance(value, str) and _value(value) == value
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
