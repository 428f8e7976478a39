"""What a campaign is set to: where its pictures lie, what is asked about them, how it trains."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, field_validator

from minimax_al.errors import ConfigurationError

Task = Literal["classification", "segmentation"]

DEFAULT_RECIPE: dict[str, dict[str, Any]] = {
    "classification": {"augmentation": {"flip": True, "crop": 224}, "missing_classes": "warn"},
    "segmentation": {"encoder": "drn_d_22", "augmentation": {"flip": True}, "missing_classes": "warn"},
}
"""What differs from `Recipe()` when a campaign says nothing else, by task: photographs, and classes may be late."""


class CampaignSettings(BaseModel):
    """Settings of a campaign, kept in its database.

    Attributes:
        images: the folder of pictures, absolute.
        task: one class a picture, or one class a pixel.
        strategy: how pictures are chosen and models trained when nothing else is asked for.
        seed: everything random follows from it.
        validation_share: part of the labels that is kept for validation and never trained on; 0 keeps none.
        near_duplicate_bits: pictures whose 128-bit perceptual hashes differ in at most so many bits count as
            the same; None finds exact duplicates only.
        lease_seconds: how long a picture is kept for the person who was shown it.
        stored_size: side of the square that a picture becomes before it is cut for training, in pixels.
        worthwhile_gain: advice is to stop where the next labels are not expected to raise accuracy by this much.
        recipe: fields of `minimax_al.training.Recipe`; checked when something is trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: str
    task: Task = "classification"
    strategy: str = "mal"
    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)] | None = 4
    lease_seconds: PositiveInt = 600
    stored_size: PositiveInt = 256
    worthwhile_gain: PositiveFloat = 0.005
    recipe: dict[str, Any] = {}

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
        >>> make_settings(images="/pictures").recipe["missing_classes"]
        'warn'
    """
    try:
        settings = CampaignSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"campaign setting {where!r}: {first['msg']}, given {first['input']!r}") from None
    if "recipe" in given:
        return settings
    return settings.model_copy(update={"recipe": DEFAULT_RECIPE[settings.task]})
