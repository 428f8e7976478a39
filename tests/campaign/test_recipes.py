import pytest

from minimax_al.campaign.settings import RECIPES, make_settings
from minimax_al.errors import ConfigurationError
from minimax_al.training import Recipe

NAMED = [(task, name) for task, by_name in RECIPES.items() for name in by_name]


@pytest.mark.parametrize(("task", "name"), NAMED)
def test_every_named_recipe_can_be_trained_with(task, name):
    settings = make_settings(images="/pictures", task=task, recipe=name)
    recipe = Recipe.model_validate(settings.recipe)
    assert recipe.minimax.steps_per_epoch is not None  # else a round would take as long as the pool is large
    assert recipe.task.steps_per_epoch is not None
    assert (recipe.augmentation.crop or 0) <= settings.stored_size


@pytest.mark.parametrize("task", RECIPES)
def test_without_a_word_it_is_the_standard_one(task):
    standard = make_settings(images="/pictures", task=task, recipe="standard")
    assert make_settings(images="/pictures", task=task) == standard


def test_what_else_is_said_stays():
    settings = make_settings(images="/pictures", recipe="quick", stored_size=128)
    assert settings.stored_size == 128
    assert settings.recipe == RECIPES["classification"]["quick"]["recipe"]
    own = make_settings(images="/pictures", recipe={"encoder": "conv4"})
    assert (own.recipe, own.stored_size) == ({"encoder": "conv4"}, 256)


def test_a_campaign_changes_to_another_recipe(make_campaign):
    campaign = make_campaign()
    assert campaign.configure(recipe="quick").stored_size == RECIPES["classification"]["quick"]["stored_size"]
    assert campaign.configure(lease_seconds=60).recipe == RECIPES["classification"]["quick"]["recipe"]


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(ConfigurationError, match="unknown recipe of a campaign 'quik'; did you mean 'quick'"):
        make_settings(images="/pictures", recipe="quik")


@pytest.mark.parametrize(("task", "name"), NAMED)
def test_every_epoch_of_a_named_recipe_is_kept(task, name):
    recipe = Recipe.model_validate(RECIPES[task][name]["recipe"])
    assert (recipe.minimax.checkpoint_every, recipe.task.checkpoint_every) == (1, 1)
