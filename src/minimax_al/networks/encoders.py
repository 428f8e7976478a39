"""Encoders by name: the built-in ones, timm's, and those that other packages announce."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

from torch import nn

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.networks.checks import check_choice, check_positive
from minimax_al.networks.conv4 import conv4, dconv4
from minimax_al.networks.drn import drn
from minimax_al.networks.encoder import Encoder, Stem
from minimax_al.networks.module_encoder import module_encoder
from minimax_al.networks.published import check_reachable, find_published
from minimax_al.networks.timm_encoders import TIMM_PREFIX, timm_encoder, timm_names
from minimax_al.networks.torchvision_encoders import resnet, vgg16_bn
from minimax_al.networks.weight_packages import PACKAGES, read_package
from minimax_al.networks.weights import load_tensors, load_weights
from minimax_al.vocabulary import Task

ENTRY_POINTS = "minimax_al.encoders"
"""Entry-point group in which other packages announce encoders."""

_REGISTERED: dict[str, Callable[..., nn.Module]] = {}
"""Builders of `register_encoder`."""


@dataclass(frozen=True)
class _Entry:
    """One row of the registry: the builder accepts a name and the settings in its signature, no others."""

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
_OTHER_BOTTLENECK = 256
"""Bottleneck of timm's encoders and of those that other packages announce."""

_WHY_NOT = {
    "stem": "only ResNets have two stems; for small images set augmentation.input_size, or use 'conv4'",
    "width": "its widths are fixed; 'conv4' and 'dconv4' have a width to choose",
    "pretrained": "it has no published weights; give a file of your own",
    "task": "its builder does not accept a task",
}


def build_encoder(
    name: str,
    stem: Stem = "imagenet",
    *,
    task: Task = "classification",
    width: int | None = None,
    pretrained: bool | Path | str = False,
    image_size: int | None = None,
) -> Encoder:
    """Build an encoder, F of the paper, with its library's own initial weights.

    Args:
        name: One of `list_encoders()`, or "timm:NAME" for any model of the extra `timm`.
        stem: First layers of a ResNet; "cifar" is 3×3 with stride 1 and no max-pooling, for images of about 32×32.
        task: "classification" for one vector per image, "segmentation" for a feature map of output stride 8.
        width: Channels of `conv4` and `dconv4` (64 if None).
        pretrained: True loads the published weights, from an installed package (extra `weights`), the cache, or the
            library's hub; a path loads a file of weights in the library's layout (see `load_weights`).
        image_size: Side of the images in pixels, for models of timm that are built for one size; others ignore it.

    Returns:
        Module with attributes `name`, `out_features` (d), `minimum_size` and `output_stride` (None for
        classification). It maps (B, 3, H, W) to (B, d), or to (B, d, ⌈H/8⌉, ⌈W/8⌉).

    Raises:
        UnknownNameError: No encoder has this name.
        ConfigurationError: A setting does not suit the encoder, or the weights are not available.
        MissingDependencyError: "timm:NAME" without timm.

    Example:
        >>> build_encoder("resnet18", stem="cifar").out_features
        512
    """
    check_choice("stem", stem, get_args(Stem))
    check_choice("task", task, get_args(Task))
    packaged = pretrained is True and name.startswith(TIMM_PREFIX) and find_published(name).availability in _IN_PACKAGES
    settings: dict[str, Any] = {
        "stem": None if stem == "imagenet" else stem,
        "width": width,
        "pretrained": True if pretrained is True and not packaged else None,
    }
    encoder = _build(
        name, task, {setting: value for setting, value in settings.items() if value is not None}, image_size
    )
    if packaged:
        _load_package(encoder)
    elif not isinstance(pretrained, bool):
        load_weights(encoder, Path(pretrained))
    return encoder


_IN_PACKAGES = {"package", "install"}


def list_encoders(task: Task | None = None) -> list[str]:
    """Return the names that `build_encoder` knows, sorted; every "timm:NAME" comes on top.

    Args:
        task: Task to list encoders for; None lists all. Encoders of other packages are listed for every task.

    Raises:
        UnknownNameError: The task is unknown.

    Example:
        >>> list_encoders("segmentation")
        ['dconv4', 'drn_c_26', 'drn_d_22', 'drn_d_38']
    """
    if task is not None:
        check_choice("task", task, get_args(Task))
    own = [name for name, entry in _ENCODERS.items() if task in (None, entry.task)]
    return sorted({*own, *_announced(), *_REGISTERED})


def register_encoder(name: str, build: Callable[..., nn.Module]) -> None:
    """Make a function known by name, for this process; a package announces it as an entry point instead.

    Args:
        name: Name for `build_encoder`, `Recipe.encoder` and `pretrained_encoder`.
        build: Function that is called with the name and returns an `Encoder`, or a module from images to feature
            vectors. It receives `pretrained`, `stem`, `width` and `task` if its signature has them; without
            `pretrained` the weights that it returns are the pretrained ones.

    Raises:
        ConfigurationError: The name is that of another encoder, or `build` is not a function.

    Example:
        >>> register_encoder("mine", lambda name: my_module)  # doctest: +SKIP
        >>> build_encoder("mine").out_features  # doctest: +SKIP
        512
    """
    if name in _ENCODERS or name.startswith(TIMM_PREFIX) or name in _announced():
        raise ConfigurationError(f"encoder {name!r} exists already: register yours under another name")
    if not callable(build):
        raise ConfigurationError(f"encoder {name!r} needs a function that builds it, not {build!r}")
    _REGISTERED[name] = build


def is_foreign(name: str) -> bool:
    """Return whether another package, or `register_encoder`, has made a name known."""
    return name in _REGISTERED or (not name.startswith(TIMM_PREFIX) and name in _announced())


def default_bottleneck(name: str, task: Task = "classification") -> int | None:
    """Return the width of the cosine classifier's bottleneck that goes with an encoder.

    The widths are from the paper's parameter counts (Appendix B) for ResNet18 (256) and VGG16-BN (512). In
    segmentation the prototypes are in the encoder's feature space, and the width is None.

    Args:
        name: Encoder name, as `build_encoder` accepts it.
        task: "classification" or "segmentation".

    Raises:
        UnknownNameError: No encoder has this name.

    Example:
        >>> default_bottleneck("vgg16_bn")
        512
    """
    if task == "segmentation":
        return None
    if name.startswith(TIMM_PREFIX) or is_foreign(name):
        return _OTHER_BOTTLENECK
    return _find(name).bottleneck


def _build(name: str, task: Task, given: dict[str, Any], image_size: int | None) -> Encoder:
    build: Callable[..., Any]
    if name.startswith(TIMM_PREFIX):
        build, given = timm_encoder, {**given, "task": task, "image_size": image_size}
    elif is_foreign(name):
        build = _REGISTERED[name] if name in _REGISTERED else _load_builder(_announced()[name])
        given = given if task == "classification" else {**given, "task": task}
        if given.get("pretrained") is True and "pretrained" not in inspect.signature(build).parameters:
            del given["pretrained"]  # its weights are those that it returns
    else:
        entry = _find(name)
        _check_task(name, entry, task)
        build = entry.build
    _check_settings(build, name, given)
    if "pretrained" in given and "stem" not in given and not is_foreign(name):
        check_reachable(find_published(name))
    try:
        encoder = build(name, **given)
    except OSError as error:
        raise ConfigurationError(
            f"the published weights of encoder {name!r} are not available ({error}): check the connection, or fetch "
            "them elsewhere and give the file"
        ) from error
    if isinstance(encoder, nn.Module) and not isinstance(encoder, Encoder) and is_foreign(name):
        encoder = module_encoder(name, encoder)
    if not isinstance(encoder, Encoder):
        raise ConfigurationError(f"the builder of encoder {name!r} returned {encoder!r}, not an Encoder or a module")
    return encoder


def _load_package(encoder: Encoder) -> None:
    """Load the weights of an installed package into an encoder of timm."""
    package = PACKAGES[encoder.name.removeprefix(TIMM_PREFIX).partition(".")[0]]
    tensors = read_package(package, timm_names(package.model))
    load_tensors(encoder, tensors, f"the weights of {package.distribution} do not fit encoder {encoder.name!r}")


@cache
def _announced() -> dict[str, EntryPoint]:
    """Entry points by name; the same entry point listed twice is not a conflict."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in _ENCODERS or point.name.startswith(TIMM_PREFIX):
            raise ConfigurationError(
                f"encoder {point.name!r} of {point.value} has the name of an encoder of minimax-al: rename it"
            )
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigurationError(
                f"two encoders are called {point.name!r}: {other.value} and {point.value}; uninstall one"
            )
    return found


def _load_builder(point: EntryPoint) -> Callable[..., Any]:
    try:
        builder: Callable[..., Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"encoder {point.name!r} cannot be loaded from {point.value}: {error}; repair or uninstall its package"
        ) from error
    if not callable(builder):
        raise ConfigurationError(f"entry point {point.name!r} of {ENTRY_POINTS} is {builder!r}, not a function")
    return builder


def _find(name: str) -> _Entry:
    if name not in _ENCODERS:
        raise UnknownNameError("encoder", name, [*list_encoders(), f"{TIMM_PREFIX}NAME"])
    return _ENCODERS[name]


def _check_task(name: str, entry: _Entry, task: Task) -> None:
    if entry.task != task:
        raise ConfigurationError(
            f"encoder {name!r} is for {entry.task}, not for {task}: "
            f"use one of {', '.join(list_encoders(task))}, or {TIMM_PREFIX}NAME"
        )


def _check_settings(build: Callable[..., Any], name: str, given: dict[str, Any]) -> None:
    for setting, value in given.items():
        if setting not in inspect.signature(build).parameters:
            raise ConfigurationError(f"{setting}={value!r} cannot be set for encoder {name!r}: {_WHY_NOT[setting]}")
        if setting == "width":
            check_positive(width=value)
