"""Checks that the networks share; each refuses with its reason."""

from torch import Tensor

from minimax_al.errors import ConfigurationError, ShapeError, UnknownNameError


def check_positive(**settings: float) -> None:
    """Refuse the first setting that is not a positive, finite number, by its name."""
    for name, value in settings.items():
        if not 0 < value < float("inf"):
            raise ConfigurationError(f"{name} is {value!r}: it must be a positive, finite number")


def check_choice(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not allowed, with the nearest match."""
    if value not in allowed:
        raise UnknownNameError(setting, value, allowed)


def check_dropout(dropout: float) -> None:
    """Refuse a value outside [0, 1)."""
    if not 0 <= dropout < 1:
        raise ConfigurationError(f"dropout is {dropout!r}: it must be at least 0 and less than 1")


def check_features(features: Tensor, in_features: int, *, spatial: bool = False) -> None:
    """Refuse features of another shape than (B, d), or (B, d, h, w) if spatial."""
    if features.ndim != (4 if spatial else 2) or features.shape[1] != in_features:
        expected = f"(B, {in_features}, h, w)" if spatial else f"(B, {in_features})"
        raise ShapeError(f"features have shape {tuple(features.shape)}: expected {expected}")
