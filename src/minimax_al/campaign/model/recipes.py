"""The recipe that a campaign's settings hold, as training takes it. Loads torch."""

from pydantic import ValidationError

from minimax_al.campaign.settings import CampaignSettings
from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.networks import build_encoder
from minimax_al.training import Recipe


def read_recipe(settings: CampaignSettings) -> Recipe:
    """The recipe in the settings.

    Raises:
        ConfigurationError: it is none; says which field. Or several ranks should share a run: they would all write to
            the campaign.
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
    """Refuses a recipe in the settings that cannot be trained with; published weights are fetched now.

    Raises:
        ConfigurationError: it is none, or its encoder cannot be built; says why.
    """
    recipe = read_recipe(settings)
    build_encoder(recipe.encoder, recipe.stem, task=settings.task, width=recipe.width, pretrained=recipe.pretrained)
