"""What a campaign is set to: where its images lie, what is asked about them, how it trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from minimax_al.errors import ConfigurationError, UnknownNameError, invalid_setting
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
        "standard": {
            "stored_size": 256,
            "recipe": {
                "augmentation": {"flip": True, "crop": 224},
                "minimax": {**_STANDARD, "steps_per_epoch": 100},
                "task": {**_STANDARD, "steps_per_epoch": 50},
                "missing_classes": "warn",
            },
        },
        "quick": {
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
        "standard": {
            "stored_size": 256,
            "recipe": {
                "encoder": "drn_d_22",
                "augmentation": {"flip": True},
                "minimax": {**_STANDARD, "steps_per_epoch": 100, "batch_size": 8},
                "task": {**_STANDARD, "steps_per_epoch": 50, "batch_size": 8},
                "missing_classes": "warn",
            },
        },
        "quick": {
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
"""Recipes by name, by task: `standard` for a GPU, `quick` for a CPU. Neither takes more steps for a larger pool, which
may have a million images; every epoch is kept, so that whoever interrupts loses minutes; classes may be late."""

STRATEGIES = {"classification": "badge+mal", "segmentation": "mal"}
"""What chooses unless something else is asked for, by task; `docs/results.md` says why. BADGE is for classification."""

FROM_WEIGHTS = "badge"
"""Likewise where training starts from given weights: there MAL's training takes long, and gives nothing more."""


IN_RECIPE = ("encoder", "pretrained")
"""Fields of a recipe that may be given by themselves, beside a campaign's settings."""


def _default_strategy(valid: Mapping[str, Any]) -> str:
    task = valid.get("task", "classification")
    return FROM_WEIGHTS if task == "classification" and valid.get("recipe", {}).get("pretrained") else STRATEGIES[task]


class CampaignSettings(BaseModel):
    """Settings of a campaign, kept in its database.

    Attributes:
        images: the folder of images, absolute.
        task: one class an image, or one class a pixel.
        strategy: how images are chosen and models trained when nothing else is asked for; default `STRATEGIES`, or
            `FROM_WEIGHTS` where the recipe starts from given weights.
        seed: everything random follows from it.
        validation_share: part of the labels that is kept for validation and never trained on; 0 keeps none.
        near_duplicates: Maximum number of bits, of 128, in which the perceptual hashes of two images may differ for
            their pixels to be compared; images whose pixels agree count as one. "off" finds copies of files only.
        lease_seconds: how long an image is kept for the person who was shown it.
        stored_size: side of the square that an image becomes before it is cut for training, in pixels.
        worthwhile_gain: advice is to stop where the next labels are not expected to raise the score (accuracy, or mIoU
            of masks) by this much.
        recipe: fields of `minimax_al.training.Recipe`, checked when something is trained; or `standard` or `quick`
            (see `RECIPES`), which set `stored_size` too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str
    task: Task = "classification"
    recipe: dict[str, Any] = {}
    strategy: str = Field(default_factory=_default_strategy)
    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    near_duplicates: Literal["off"] | Annotated[int, Field(ge=0, le=32)] = 4
    lease_seconds: PositiveInt = 600
    stored_size: PositiveInt = 256
    worthwhile_gain: PositiveFloat = 0.005

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


def make_settings(**given: object) -> CampaignSettings:
    """Settings from keywords.

    Raises:
        ConfigurationError: an unknown setting, or a value that cannot be.

    Example:
        >>> make_settings(images="/images").recipe["missing_classes"]
        'warn'
    """
    given = with_recipe({"recipe": "standard", "task": "classification", **given})
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


def with_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with a recipe's name replaced by what it stands for; whatever else is given stays.

    Args:
        given: settings; beside them may stand `encoder` and `pretrained`, which come into the recipe.

    Raises:
        ConfigurationError: there is no recipe of that name, or no such file of weights.
    """
    settings = dict(given)
    name, by_name = settings.get("recipe"), RECIPES.get(str(settings.get("task")))
    if isinstance(name, str) and by_name is not None:
        if name not in by_name:
            raise UnknownNameError("recipe of a campaign", name, by_name)
        settings = {**by_name[name], **settings, "recipe": by_name[name]["recipe"]}
    changed = {field: settings.pop(field) for field in IN_RECIPE if field in settings}
    if isinstance(changed.get("pretrained"), str | Path):
        changed["pretrained"] = _absolute(Path(changed["pretrained"]))
    if changed and isinstance(settings.get("recipe"), Mapping):
        settings["recipe"] = {**settings["recipe"], **changed}
    return settings


def _absolute(weights: Path) -> str:
    if not weights.is_file():
        raise ConfigurationError(f"pretrained={str(weights)!r} is no file: give one with an encoder's weights, or true")
    return str(weights.resolve())
