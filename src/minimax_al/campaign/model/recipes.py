"""Recipe in a campaign's settings, validated. Loads torch."""

from pydantic import ValidationError

from minimax_al.campaign.settings import CampaignSettings
from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.networks import build_encoder
from minimax_al.training import Recipe


def read_recipe(settings: CampaignSettings) -> Recipe:
    """Return the recipe in the settings.

    Raises:
        ConfigurationError: A field is invalid, or several ranks share a run: all of them would write to the campaign.
    """
    try:
        recipe = Recipe.model_validate(settings.recipe)
    except ValidationError as error:
        raise invalid_setting(error, Recipe, "the campaign's recipe") from error
    if recipe.runtime.devices * recipe.runtime.nodes > 1:
        raise ConfigurationError(
            "a campaign trains on one device: leave runtime.devices and runtime.nodes of its recipe at 1"
        )
    return recipe


def check_recipe(settings: CampaignSettings) -> None:
    """Refuse a recipe that cannot train; published weights are downloaded now.

    Raises:
        ConfigurationError: A field is invalid, or the encoder cannot be built.
    """
    recipe = read_recipe(settings)
    build_encoder(recipe.encoder, recipe.stem, task=settings.task, width=recipe.width, pretrained=recipe.pretrained)
