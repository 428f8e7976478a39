"""Pretrained encoder: network, own preprocessing, and a fingerprint of the weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.networks.encoder import Encoder
from minimax_al.networks.encoders import build_encoder, is_foreign, list_encoders
from minimax_al.networks.preprocessing import Preprocessing
from minimax_al.networks.published import find_published, published_preprocessing
from minimax_al.networks.timm_encoders import TIMM_PREFIX

Weights = Literal["published"] | Path | str

_BY_EMBED = "'mal embed' accepts them as --input-size, --mean and --std"


@dataclass(frozen=True)
class PretrainedEncoder:
    """Encoder with pretrained weights, ready to compute features.

    Attributes:
        network: Encoder in evaluation mode; maps (B, 3, H, W) to (B, d).
        preprocessing: Preprocessing that the weights expect.
        weights: Origin of the weights: a package, an address, or the name of a file.
        fingerprint: SHA-256 of all tensors, hexadecimal.
    """

    network: Encoder
    preprocessing: Preprocessing
    weights: str
    fingerprint: str


def pretrained_encoder(
    name: str, weights: Weights = "published", overrides: Mapping[str, Any] | None = None
) -> PretrainedEncoder:
    """Build an encoder with pretrained weights and the preprocessing that they expect.

    Args:
        name: Encoder name, as `build_encoder` accepts it; for classification.
        weights: "published", or a file of weights in the library's layout.
        overrides: Fields of `Preprocessing` that replace the encoder's own, such as `{"size": 160}`.

    Raises:
        UnknownNameError: No encoder has this name.
        ConfigurationError: The weights are not available, or a field of the preprocessing is wrong.
        MissingDependencyError: The encoder is timm's, and timm is not installed.
    """
    if is_foreign(name):
        return _foreign(name, weights, dict(overrides or {}))
    published = weights == "published"
    _check_weights(name, published=published)
    preprocessing = _preprocessing(name, dict(overrides or {}))
    network = build_encoder(name, pretrained=True if published else Path(weights), image_size=preprocessing.size).eval()
    source = find_published(name).origin if published else Path(weights).name
    return PretrainedEncoder(network, preprocessing, source, fingerprint(network))


def _foreign(name: str, weights: Weights, overrides: dict[str, Any]) -> PretrainedEncoder:
    """Build an encoder of another package, whose own preprocessing is an attribute of the network."""
    published = weights == "published"
    network = build_encoder(name, pretrained=True if published else Path(weights)).eval()
    own = getattr(network, "preprocessing", None)
    if own is None and not {"size", "mean", "std"} <= overrides.keys():
        raise ConfigurationError(
            f"encoder {name!r} does not name the preprocessing of its weights: let its function return "
            "module_encoder(..., preprocessing=Preprocessing(...)), or give input size, mean and standard deviation: "
            f"{_BY_EMBED}"
        )
    where = f"preprocessing of {name!r}"
    preprocessing = Preprocessing.from_dict({**(own.to_dict() if own else {}), **overrides}, where)
    source = f"encoder {name!r}" if published else Path(weights).name
    return PretrainedEncoder(network, preprocessing, source, fingerprint(network))


def fingerprint(network: nn.Module) -> str:
    """Return the SHA-256 of a network's tensors, hexadecimal; names, shapes and values count.

    Args:
        network: Network on any device.
    """
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):  # a counter of the training, without influence on features
            continue
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _check_weights(name: str, *, published: bool) -> None:
    """Refuse an unknown encoder, and the published weights of one that has none."""
    if name.startswith(TIMM_PREFIX):
        return
    if name not in list_encoders():
        raise UnknownNameError("encoder", name, [*list_encoders(), f"{TIMM_PREFIX}NAME"])
    if published and find_published(name).availability == "none" and published_preprocessing(name) is None:
        raise ConfigurationError(
            f"encoder {name!r} has no published weights: give a file of weights, or choose an encoder that "
            "'mal names encoders' lists with weights"
        )


def _preprocessing(name: str, overrides: dict[str, Any]) -> Preprocessing:
    own = published_preprocessing(name)
    if own is None and not {"size", "mean", "std"} <= overrides.keys():
        raise ConfigurationError(
            f"encoder {name!r} has no published preprocessing: give the input size, mean and standard deviation that "
            f"its weights were trained with: {_BY_EMBED}"
        )
    return Preprocessing.from_dict({**(own.to_dict() if own else {}), **overrides}, f"preprocessing of {name!r}")
