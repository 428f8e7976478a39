import pytest
import torch

from minimax_al.campaign import Campaign
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.settings.named_recipes import RECIPES
from minimax_al.campaign.settings.settings import make_settings
from minimax_al.deployment.model_file import load_trained
from minimax_al.errors import ConfigurationError
from minimax_al.networks import build_encoder
from minimax_al.training import Recipe

NAMED = [(task, name) for task, by_name in RECIPES.items() for name in by_name if name != "features"]


@pytest.mark.parametrize(("task", "name"), NAMED)
def test_every_named_recipe_can_be_trained_with(task, name):
    settings = make_settings(images="/images", task=task, recipe=name)
    recipe = Recipe.model_validate(settings.recipe)
    assert recipe.minimax.steps_per_epoch is not None  # else a round would take as long as the pool is large
    assert recipe.task.steps_per_epoch is not None
    assert (recipe.augmentation.crop or 0) <= settings.stored_size


@pytest.mark.parametrize("task", RECIPES)
def test_the_default_recipe_is_the_standard_one(task):
    standard = make_settings(images="/images", task=task, recipe="scratch")
    assert make_settings(images="/images", task=task) == standard


def test_other_settings_are_kept():
    settings = make_settings(images="/images", recipe="scratch-small", stored_size=128)
    assert settings.stored_size == 128
    assert settings.recipe == RECIPES["classification"]["scratch-small"]["recipe"]
    own = make_settings(images="/images", recipe={"encoder": "conv4"})
    assert (own.recipe, own.stored_size) == ({"encoder": "conv4"}, 256)


def test_a_campaign_changes_to_another_recipe(make_campaign):
    campaign = make_campaign()
    assert (
        campaign.configure(recipe="scratch-small").stored_size
        == RECIPES["classification"]["scratch-small"]["stored_size"]
    )
    assert campaign.configure(lease_seconds=60).recipe == RECIPES["classification"]["scratch-small"]["recipe"]


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(
        ConfigurationError, match="unknown recipe of a campaign 'scratch-smal'; did you mean 'scratch-small'"
    ):
        make_settings(images="/images", recipe="scratch-smal")


@pytest.mark.parametrize(("task", "name"), NAMED)
def test_every_epoch_of_a_named_recipe_is_kept(task, name):
    recipe = Recipe.model_validate(RECIPES[task][name]["recipe"])
    assert (recipe.minimax.checkpoint_every, recipe.task.checkpoint_every) == (1, 1)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(4)
    torch.save(build_encoder("conv4", width=4).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_encoder_and_weights_may_be_given_with_a_recipe(make_campaign, weights, monkeypatch):
    monkeypatch.chdir(weights.parent)
    recipe = RECIPES["classification"]["scratch-small"]["recipe"]
    campaign = make_campaign(recipe={**recipe, "width": 4}, encoder="conv4", pretrained="weights.pth")
    here = {"encoder": "conv4", "pretrained": str(weights)}  # whatever folder is worked in later
    assert campaign.settings.recipe == {**recipe, "width": 4, **here}
    assert campaign.configure(pretrained=False).recipe == {**recipe, "width": 4, **here, "pretrained": False}
    assert campaign.configure(recipe="scratch-small").recipe == recipe


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"pretrained": "nowhere.pth"}, "the file 'nowhere.pth' does not exist: pretrained needs"),
        ({"encoder": "resnet18", "pretrained": "weights.pth"}, "weights in .* are not for encoder 'resnet18'"),
        ({"encoder": "conv4", "pretrained": True}, "it has no published weights"),
        ({"encoder": "dconv4"}, "encoder 'dconv4' is for segmentation"),
    ],
)
def test_invalid_weights_and_encoders_are_refused_at_once(make_campaign, weights, monkeypatch, given, match):
    monkeypatch.chdir(weights.parent)
    campaign = make_campaign()
    before = campaign.settings
    with pytest.raises(ConfigurationError, match=match):
        campaign.configure(**given)
    with pytest.raises(ConfigurationError, match=match):
        make_campaign(folder="another", **given)
    assert Campaign.open(campaign.folder).settings == campaign.settings == before


def test_concurrent_changes_of_settings_are_both_kept(make_campaign):
    campaign = make_campaign()
    other = Campaign.open(campaign.folder)
    other.configure(lease_seconds=60)
    assert campaign.configure(worthwhile_gain=0.02).lease_seconds == 60
    assert Campaign.open(campaign.folder).settings == campaign.settings


def test_training_starts_from_the_weights(make_campaign, weights):
    """With a learning rate of almost nothing it ends there, too."""
    slow = {"epochs": 1, "learning_rate": 1e-12}
    recipe = {"width": 4, "missing_classes": "warn", "runtime": {"device": "cpu", "precision": "fp32"}}
    campaign = make_campaign(
        recipe={**recipe, "task": slow, "minimax": slow}, encoder="conv4", pretrained=weights, stored_size=16
    )
    for number in range(4):
        campaign.label(number + 1, ["cat", "dog"][number % 2], author="ann")
    campaign.train("entropy")
    found = load_trained(run_folder(campaign.folder, 1)).model.encoder.state_dict()
    given = torch.load(weights, weights_only=True)
    first = next(iter(given))
    torch.testing.assert_close(found[first], given[first], rtol=0, atol=1e-6)


def test_given_weights_disable_mal_training_unless_requested(weights):
    given = {"images": "/images", "recipe": "scratch-small"}
    assert make_settings(**given).strategy == "badge+mal"
    assert make_settings(**given, pretrained=weights).strategy == "badge"
    assert make_settings(**given, pretrained=weights, strategy="mal").strategy == "mal"
    assert make_settings(**given, pretrained=weights, task="segmentation").strategy == "mal"
