"""Weights for an encoder to start from, read from a file."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from minimax_al.errors import ConfigurationError
from minimax_al.networks.encoder import Encoder

_WRAPPED_IN = ("state_dict", "model_state_dict", "model")
_OURS = "timm.network."
"""Prefix that an encoder puts before the names of a timm model."""


def load_weights(encoder: Encoder, path: Path) -> None:
    """Load all weights of an encoder from a file, or raise and change nothing.

    Names are those of the encoder's library: torchvision's, timm's, or our own. A prefix that all of them share
    (`module.`, `backbone.`) is ignored, and so are tensors that the encoder does not have, such as a classifier's.

    Args:
        encoder: Encoder to load into, changed in place.
        path: Safetensors file, or a state dict that `torch.save` wrote.

    Raises:
        ConfigurationError: The file cannot be read, or holds another network's weights; names the first that differs.
    """
    refusal = f"the weights in {str(path)!r} are not for encoder {encoder.name!r}"
    load_tensors(encoder, _read(path), refusal)


def load_tensors(encoder: Encoder, tensors: Mapping[str, Tensor], refusal: str) -> None:
    """Load all weights of an encoder from named tensors, or raise and change nothing.

    Args:
        encoder: Encoder to load into, changed in place.
        tensors: Tensors by name, as in a file of weights.
        refusal: Start of the error message.

    Raises:
        ConfigurationError: A tensor is missing or has another shape; names it.
    """
    own = {name.removeprefix(_OURS): tensor for name, tensor in encoder.state_dict().items()}
    given = _without_prefix(tensors, next(iter(own)))
    # Files from before PyTorch 0.4.1 do not count batches, and no training here reads the count.
    needed = {name: tensor for name, tensor in own.items() if not name.endswith("num_batches_tracked")}
    for name, tensor in needed.items():
        _check(refusal, name, tensor, given)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given.get(name, tensor))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except UnpicklingError as error:
        # PyTorch's own message advises to load the file unsafely.
        raise ConfigurationError(
            f"weights cannot be read from {str(path)!r}: give a safetensors file, or a state dict that torch.save wrote"
        ) from error
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        why = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigurationError(f"weights cannot be read from {str(path)!r}: {why}") from error
    state: dict[str, Any] = found if isinstance(found, dict) else {}
    state = next((state[name] for name in _WRAPPED_IN if isinstance(state.get(name), dict)), state)
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ConfigurationError(f"{str(path)!r} does not hold weights: give a file with a state dict")
    return tensors


def _without_prefix(tensors: Mapping[str, Tensor], first: str) -> dict[str, Tensor]:
    """Return the tensors without the prefix that `first` has in the file, if any."""
    longer = [name for name in tensors if name.endswith(f".{first}")]
    prefix = "" if first in tensors or not longer else min(longer, key=len).removesuffix(first)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _check(refusal: str, name: str, tensor: Tensor, given: Mapping[str, Tensor]) -> None:
    if name not in given:
        others = ", ".join(map(repr, list(given)[:3]))
        raise ConfigurationError(f"{refusal}: they lack {name!r} and begin with {others}")
    if given[name].shape != tensor.shape:
        here, there = tuple(tensor.shape), tuple(given[name].shape)
        raise ConfigurationError(f"{refusal}: {name!r} has the shape {there}, where the encoder has {here}")
