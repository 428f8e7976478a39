"""Settings changed later: some of them, from text, and the folder to which images were moved."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimax_al.campaign.settings.named_recipes import RECIPES
from minimax_al.campaign.settings.settings import make_settings
from minimax_al.campaign.settings.settings_text import list_settings, read_changes
from minimax_al.cli import main
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError

TEXT = st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["encoder", "width", "task.epochs", "task.schedule"]), JSON, min_size=1))
def test_listed_settings_are_read_back(fields):
    recipe = {}
    for key, value in fields.items():
        *parent, last = key.split(".")
        (recipe.setdefault(parent[0], {}) if parent else recipe)[last] = value
    settings = make_settings(images="/images", recipe=recipe)
    changes = read_changes([f"{key}={value}" for key, value in list_settings(settings)])
    assert changes == settings.model_dump(mode="json")


def test_a_partial_recipe_keeps_all_other_fields(make_campaign):
    campaign = make_campaign(recipe="scratch-small")
    campaign.configure(recipe={"task": {"epochs": 3}})
    campaign.configure(**read_changes(["recipe.minimax.schedule=constant", "encoder=conv4", "recipe.width=4"]))
    expected = RECIPES["classification"]["scratch-small"]["recipe"]
    assert campaign.settings.recipe == {
        **expected,
        "encoder": "conv4",
        "width": 4,
        "task": {**expected["task"], "epochs": 3},
        "minimax": {**expected["minimax"], "schedule": "constant"},
    }


@pytest.mark.parametrize(
    ("pairs", "error", "sentence"),
    [
        (["lease_seconds"], ConfigurationError, "'lease_seconds' is not a setting: write KEY=VALUE"),
        (["leese_seconds=1"], UnknownNameError, "did you mean 'lease_seconds'"),
        (["seed.x=1"], ConfigurationError, "'seed.x' is not a setting: seed has no parts"),
        (["encoder=a", "encoder=b"], ConfigurationError, "'encoder=b' changes a setting that is given twice"),
        (
            ["recipe=scratch-small", "recipe.width=4"],
            ConfigurationError,
            "'recipe.width=4' changes a part of a setting",
        ),
    ],
)
def test_pairs_that_are_no_settings_are_refused(pairs, error, sentence):
    with pytest.raises(error, match=sentence):
        read_changes(pairs)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stored_size": 60}, "recipe.augmentation.crop=64 is larger than stored_size=60"),
        ({"recipe": {"task": {"epoch": 3}}}, "unknown key 'task.epoch'; did you mean 'epochs'"),
        ({"recipe": {"task": {"epochs": 0}}}, "task.epochs: Input should be greater than 0"),
        ({"strategy": "mal(rule=filtre)"}, "rule"),
        ({"strategy": "mal(ruel=filter)"}, "unknown key 'ruel'; did you mean 'rule'"),
        ({"strategy": "mal(rule"}, r"write settings as mal\(rule=filter"),
    ],
)
def test_a_change_that_cannot_train_changes_nothing(make_campaign, changes, sentence):
    campaign = make_campaign(recipe="scratch-small")
    before = campaign.settings
    with pytest.raises(ConfigurationError, match=sentence):
        campaign.configure(**changes)
    assert campaign.settings == before


def test_the_command_shows_and_changes_settings(make_campaign, capsys):
    campaign = make_campaign(recipe="scratch-small")
    assert main(["configure", str(campaign.folder)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "strategy=badge+mal" in shown
    assert "recipe.task.epochs=12" in shown
    words = ["strategy=mal(rule=filter,filter_factor=5)", "recipe.task.epochs=12", "validation_share=0.1"]
    assert main(["configure", str(campaign.folder), *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "strategy=mal(rule=filter,filter_factor=5)",
        "validation_share=0.1",
    ]
    assert main(["configure", str(campaign.folder), "seed=1"]) == 2
    assert "the campaign's seed cannot change" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["elsewhere", "deeper/pool"])
def test_moved_images_keep_their_labels(make_campaign, tmp_path, place):
    campaign = make_campaign()
    campaign.label(["a/000.png", "b/001.png"], "cat", author="ann")
    before = campaign.labels()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    shutil.move(campaign.images, tmp_path / place)
    found = campaign.move_images(tmp_path / place)
    assert str(found) == "nothing new"
    assert campaign.labels() == before
    assert campaign.images == tmp_path / place


def test_a_folder_without_the_images_is_refused_and_status_opens_without_them(make_campaign, tmp_path, capsys):
    campaign = make_campaign()
    campaign.label("a/000.png", "cat", author="ann")
    shutil.move(campaign.images, tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds none of the campaign's 12 images: .* 'a/000.png' begins"):
        campaign.move_images(tmp_path / "empty")
    assert main(["status", str(campaign.folder)]) == 0
    shown = capsys.readouterr().out
    assert "mal move-images" in shown
    assert "1 labelled" in shown
    assert main(["move-images", str(campaign.folder), str(tmp_path / "elsewhere")]) == 0
    assert "1 labelled" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"near_duplicates": 999},
            "near_duplicates: Input should be 'off' or less than or equal to 32, but 999 was given",
        ),
        ({"near_duplicates": "x"}, "near_duplicates: Input should be 'off' or a valid integer, .*but 'x' was given"),
        ({"lease_seconds": 10**19}, "lease_seconds: Input should be less than or equal to 3162240000, but 10"),
        ({"stored_size": 10**9}, "stored_size: Input should be less than or equal to 16384, but 1000000000 was given"),
        ({"worthwhile_gain": float("inf")}, "worthwhile_gain: Input should be a finite number, but inf was given"),
        ({"seed": 2**63}, "seed: Input should be less than 9223372036854775808, but"),
    ],
)
def test_numbers_beyond_what_can_be_used_are_refused(change, sentence):
    with pytest.raises(ConfigurationError, match=f"settings of the campaign, {sentence}"):
        make_settings(images="/images", **change)
