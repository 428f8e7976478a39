"""Values of YAML text that users write: a key twice, which YAML overrules in silence, is an error."""

from typing import Any

import yaml


def load_yaml(text: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value of YAML text.

    Args:
        text: One YAML document.

    Raises:
        ValueError: The text is not YAML, is nested too deeply, has a number that is too long, or a key twice.

    Example:
        >>> load_yaml("{seeds: 3}")
        {'seeds': 3}
    """
    try:
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader), set())
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _check_keys(node: yaml.Node | None, seen: set[int]) -> None:
    """Refuse mappings that have a key twice; a node that aliases share is visited once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _check_keys(each, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise ValueError(f"line {key.start_mark.line + 1} has the key {key.value!r} a second time")
                keys.add(key.value)
            _check_keys(value, seen)
