"""Encoders by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.networks.checks import check_choice, check_positive
from minimax_al.networks.conv4 import conv4, dconv4
from minimax_al.networks.drn import drn
from minimax_al.networks.encoder import Encoder, Stem
from minimax_al.networks.timm_encoders import TIMM_PREFIX, timm_encoder
from minimax_al.networks.torchvision_encoders import resnet, vgg16_bn
from minimax_al.networks.weights import load_weights
from minimax_al.vocabulary import Task


@dataclass(frozen=True)
class _Entry:
    """One row of the registry: the builder takes a name and the settings in its signature, no others."""

    build: Callable[..., Encoder]
    task: Task
    bottleneck: int | None


_ENCODERS = {
    "resnet18": _Entry(resnet, "classification", bottleneck=256),
    "resnet34": _Entry(resnet, "classification", bottleneck=256),
    "resnet50": _Entry(resnet, "classification", bottleneck=256),
    "vgg16_bn": _Entry(vgg16_bn, "classification", bottleneck=512),
    "conv4": _Entry(conv4, "classification", bottleneck=64),
    "drn_d_22": _Entry(drn, "segmentation", bottleneck=None),
    "drn_d_38": _Entry(drn, "segmentation", bottleneck=None),
    "drn_c_26": _Entry(drn, "segmentation", bottleneck=None),
    "dconv4": _Entry(dconv4, "segmentation", bottleneck=None),
}
_TIMM_BOTTLENECK = 256

_WHY_NOT = {
    "stem": "only ResNets have two stems; for small images set augmentation.input_size, or take 'conv4'",
    "width": "its widths are fixed; 'conv4' and 'dconv4' have a width to choose",
    "pretrained": "nobody publishes weights for it; give a file of your own",
}


def build_encoder(
    name: str,
    stem: Stem = "imagenet",
    *,
    task: Task = "classification",
    width: int | None = None,
    pretrained: bool | Path | str = False,
) -> Encoder:
    """Build an encoder, F of the paper, with its library's own initial weights.

    Args:
        name: one of `list_encoders()`, or "timm:NAME" for any model of the extra `timm`.
        stem: of a ResNet; "cifar" is 3×3 with stride 1 and no max-pooling, for images of about 32×32.
        task: "classification" for one vector an image, "segmentation" for a feature map of output stride 8.
        width: channels of `conv4` and `dconv4` (64 if None).
        pretrained: True loads the library's published weights, downloading them where they are not cached; a path
            loads a file of weights in the library's layout (see `load_weights`).

    Returns:
        A module with attributes `name`, `out_features` (d), `minimum_size` and `output_stride` (None for
        classification). It maps (B, 3, H, W) to (B, d), or to (B, d, ⌈H/8⌉, ⌈W/8⌉).

    Raises:
        UnknownNameError: no encoder has this name.
        ConfigurationError: a setting makes no sense for it, or there are no such weights; says why.
        MissingDependencyError: "timm:NAME" without timm.

    Example:
        >>> build_encoder("resnet18", stem="cifar").out_features
        512
    """
    check_choice("stem", stem, get_args(Stem))
    check_choice("task", task, get_args(Task))
    settings: dict[str, Any] = {
        "stem": None if stem == "imagenet" else stem,
        "width": width,
        "pretrained": True if pretrained is True else None,
    }
    given = {setting: value for setting, value in settings.items() if value is not None}
    encoder = _build(name, task, given)
    if not isinstance(pretrained, bool):
        load_weights(encoder, Path(pretrained))
    return encoder


def list_encoders(task: Task | None = None) -> list[str]:
    """The names that `build_encoder` knows, sorted; every "timm:NAME" comes on top.

    Args:
        task: only those of one task.

    Raises:
        UnknownNameError: there is no such task.

    Example:
        >>> list_encoders("segmentation")
        ['dconv4', 'drn_c_26', 'drn_d_22', 'drn_d_38']
    """
    if task is not None:
        check_choice("task", task, get_args(Task))
    return sorted(name for name, entry in _ENCODERS.items() if task in (None, entry.task))


def default_bottleneck(name: str, task: Task = "classification") -> int | None:
    """The width of the cosine classifier's bottleneck that goes with an encoder.

    From the paper's parameter counts (Appendix B) for ResNet18 (256) and VGG16-BN (512); None in
    segmentation, where the prototypes stand on the encoder's features themselves.

    Raises:
        UnknownNameError: no encoder has this name.

    Example:
        >>> default_bottleneck("vgg16_bn")
        512
    """
    if task == "segmentation":
        return None
    if name.startswith(TIMM_PREFIX):
        return _TIMM_BOTTLENECK
    return _find(name).bottleneck


def _build(name: str, task: Task, given: dict[str, Any]) -> Encoder:
    if name.startswith(TIMM_PREFIX):
        build, given = timm_encoder, {**given, "task": task}
    else:
        entry = _find(name)
        _check_task(name, entry, task)
        build = entry.build
    _check_settings(build, name, given)
    try:
        return build(name, **given)
    except OSError as error:
        raise ConfigurationError(
            f"the published weights of encoder {name!r} cannot be had ({error}): see to a connection, or fetch them "
            "elsewhere and say in which file they are"
        ) from error


def _find(name: str) -> _Entry:
    if name not in _ENCODERS:
        raise UnknownNameError("encoder", name, [*_ENCODERS, f"{TIMM_PREFIX}NAME"])
    return _ENCODERS[name]


def _check_task(name: str, entry: _Entry, task: Task) -> None:
    if entry.task != task:
        raise ConfigurationError(
            f"encoder {name!r} is for {entry.task}, not for {task}: "
            f"take one of {', '.join(list_encoders(task))}, or {TIMM_PREFIX}NAME"
        )


def _check_settings(build: Callable[..., Encoder], name: str, given: dict[str, Any]) -> None:
    for setting, value in given.items():
        if setting not in inspect.signature(build).parameters:
            raise ConfigurationError(f"{setting}={value!r} cannot be set for encoder {name!r}: {_WHY_NOT[setting]}")
        if setting == "width":
            check_positive(width=value)
