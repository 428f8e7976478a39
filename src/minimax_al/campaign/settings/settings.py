"""Settings of a campaign: folder of images, task, strategy, recipe; stored in a row of its database."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import Connection, select

from minimax_al.campaign.settings.named_recipes import default_strategy, with_recipe
from minimax_al.campaign.store.schema import settings as settings_table
from minimax_al.errors import ConfigurationError, invalid_setting, nearest
from minimax_al.vocabulary import Task

SETTINGS = "settings"
"""Key of the row that holds the settings."""


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
    strategy: str = Field(default_factory=default_strategy)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    near_duplicates: Literal["off"] | Annotated[int, Field(ge=0, le=32)] = 4
    lease_seconds: Annotated[int, Field(gt=0, le=100 * 366 * 24 * 3600)] = 600
    stored_size: Annotated[int, Field(gt=0, le=16_384)] = 256
    worthwhile_gain: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.005
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


def read_settings(connection: Connection) -> CampaignSettings:
    """Return the settings in the database."""
    value = connection.execute(select(settings_table.c.value).where(settings_table.c.key == SETTINGS)).scalar_one()
    return make_settings(**value)


def write_settings(connection: Connection, settings: CampaignSettings) -> None:
    """Replace the settings in the database."""
    row = settings_table.update().where(settings_table.c.key == SETTINGS)
    connection.execute(row.values(value=settings.model_dump(mode="json")))
