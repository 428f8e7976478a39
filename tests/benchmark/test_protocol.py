import pytest
import torch

from minimax_al.benchmark import Protocol, list_presets, load_protocol
from minimax_al.benchmark.folders.trial import check_runnable
from minimax_al.data import Dataset, ResidentImages, make_imbalanced, with_validation
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError
from minimax_al.loop import ActiveLearner
from minimax_al.testing import make_round
from minimax_al.training.seeding import derive_seed

PAPER = {  # SPEC: start, step, points, seeds
    "cifar100": (1000, 1000, 5, 5),
    "cifar100-5000": (5000, 2500, 5, 5),
    "cifar100-imbalanced": (1000, 1000, 5, 10),
    "imagenet": (64058, 64058, 4, 3),
    "inaturalist2018": (43751, 43751, 4, 5),
}


def images(classes, each):
    targets = torch.arange(classes).repeat_interleave(each)
    pixels = torch.zeros(len(targets), 3, 8, 8, dtype=torch.uint8)
    names = tuple(f"c{index}" for index in range(classes))
    resident = ResidentImages(pixels)
    return Dataset("made", "classification", names, resident, targets, resident, targets, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("name", [name for name in list_presets() if name != "caltech101-features"])
@pytest.mark.parametrize("recipe", ["paper", "default"])
def test_every_preset_on_images_has_both_recipes(name, recipe):
    protocol = load_protocol(name, recipe)
    assert protocol.name == name
    if name in PAPER:
        assert (protocol.start, protocol.step, protocol.points, protocol.seeds) == PAPER[name]


@pytest.mark.parametrize("name", ["cifar100", "cifar100-5000", "cifar100-imbalanced", "ablation"])
def test_the_papers_recipe_is_the_papers(name):
    recipe = load_protocol(name, "paper").recipe
    minimax = recipe.minimax
    assert (recipe.encoder, recipe.stem) == ("resnet18", "imagenet")
    assert recipe.augmentation.model_dump() == {"flip": True, "pad_crop": 0, "crop": None, "input_size": None}
    assert (minimax.entropy_weight, minimax.temperature, minimax.update, minimax.epochs) == (
        0.1,
        0.05,
        "alternating",
        100,
    )
    assert (minimax.learning_rate, minimax.batch_size, minimax.weight_decay, minimax.detach) == (5e-4, 128, 0, True)
    assert (minimax.reversal, minimax.bottleneck, recipe.task.epochs) == ("after_bottleneck", "auto", 100)


def test_a_file_of_the_same_form_is_accepted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "dataset: digits\nstart: 20\nstep: 10\npoints: 2\nseeds: 1\nstrategies: [random]\nrecipe: {encoder: conv4}\n"
    )
    protocol = load_protocol(str(path))
    assert (protocol.name, protocol.step, protocol.recipe.encoder) == ("mine", 10, "conv4")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("start: 5\nstpe: 1\nrecipe: {}", r"mine.yaml'.*unknown key 'stpe'; did you mean 'step'"),
        ("recipe: {minimax: {epoch: 3}}", r"unknown key 'recipe.minimax.epoch'; did you mean 'epochs'"),
        ("start: 0\nrecipe: {}", r"start: .*greater than 0, but 0 was given"),
        ("strategies: [mla]\nrecipe: {}", r"unknown strategy 'mla'; did you mean 'mal'"),
        ("strategies: [mal, mal]\nrecipe: {}", r"strategy 'mal' is listed twice"),
        ("recipe: {minimax: {update: both}}", r"recipe.minimax.update: .*'alternating' or 'joint'"),
        ("start: [", r"is not YAML"),
        ("start: 1\nstep: 2\nstart: 3\n", "is not YAML: line 3 has the key 'start' a second time"),
        ("recipe: {encoder: a, encoder: b}", "is not YAML: line 1 has the key 'encoder' a second time"),
        pytest.param(f"start: {'9' * 5000}", "is not YAML: Exceeds the limit", id="long number"),
        pytest.param("[" * 5000, "is not YAML: maximum recursion depth", id="deep"),
        ("- 1", r"holds list, not the fields of a protocol"),
        ("recipes: {mine: {}}", r"unknown recipe of file .* 'default'.*Known: mine"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, match):
    path = tmp_path / "mine.yaml"
    whole = text
    if text.startswith(("start: 5", "start: 0", "strategies", "recipe:")):
        defaults = {"dataset": "digits", "start": 20, "step": 10, "points": 2, "seeds": 1, "strategies": "[random]"}
        whole += "".join(f"\n{key}: {value}" for key, value in defaults.items() if f"{key}:" not in text)
    path.write_text(whole)
    with pytest.raises(ConfigurationError, match=match):
        load_protocol(str(path))


def test_unknown_presets_and_files_are_named():
    with pytest.raises(UnknownNameError, match=r"unknown preset 'cifar1000'; did you mean 'cifar100'"):
        load_protocol("cifar1000")
    with pytest.raises(ConfigurationError, match=r"protocol file 'nowhere.yaml' does not exist"):
        load_protocol("nowhere.yaml")


def test_a_data_set_that_is_not_there_says_where_it_looked(tmp_path):
    protocol = load_protocol("cifar100", data=tmp_path / "none")
    with pytest.raises(DataError, match=r"none"):
        protocol.load()


def test_initial_pools_depend_on_the_seed_alone(tiny):
    dataset = tiny.load()
    first, again = (tiny.initial_pool(dataset, 3) for _ in range(2))
    assert first.equal(again)
    assert not first.equal(tiny.initial_pool(dataset, 4))
    assert torch.bincount(dataset.train_targets[first]).tolist() == [2] * 10
    drawn = tiny.model_copy(update={"initial": "random"}).initial_pool(dataset, 3)
    assert len(drawn.unique()) == tiny.start


def test_imbalance_is_drawn_from_the_seed_alone(tiny):
    dataset = images(classes=10, each=100)
    protocol = tiny.model_copy(update={"imbalanced": True, "start": 10, "step": 10})
    drawn = protocol.dataset_for(dataset, seed=5)
    expected = make_imbalanced(dataset, derive_seed(5, "imbalance"))
    assert drawn.train_targets.equal(expected.train_targets)
    assert len(drawn.test) == len(dataset.test)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"points": 100}, r"need 2000 labels, but 'digits' has 1297 training images"),
        ({"start": 5}, r"start=5 labels cannot cover all 10 classes"),
    ],
)
def test_numbers_that_do_not_fit_the_data(tiny, changes, match):
    with pytest.raises(ConfigurationError, match=match):
        tiny.model_copy(update=changes).load()


def test_a_start_that_cannot_be_balanced(tiny):
    protocol = tiny.model_copy(update={"start": 25})
    with pytest.raises(ConfigurationError, match=r"start=25 labels cannot be balanced over 10 classes"):
        protocol.initial_pool(protocol.load(), 0)


def test_validation_images_leave_the_pool_and_stand_for_the_test_set():
    dataset = images(10, 20)
    protocol = load_protocol("cifar100", start=20, step=10, points=2, validation=50)
    drawn, again, other = (protocol.dataset_for(dataset, seed) for seed in (0, 0, 1))
    assert (len(drawn.train), len(drawn.test)) == (150, 50)
    assert sorted([*drawn.train.names, *drawn.test.names]) == sorted(dataset.train.names)
    assert drawn.test.names == again.test.names != other.test.names
    assert not protocol.is_preset


@pytest.mark.parametrize("count", [0, 200])
def test_validation_needs_images_and_leaves_some(count):
    with pytest.raises(ConfigurationError, match=f"validation={count} images cannot be kept of 200 training images"):
        with_validation(images(10, 20), count, seed=0)


def test_validation_and_labels_must_fit_together():
    protocol = load_protocol("cifar100", start=100, step=50, points=2, validation=60)
    with pytest.raises(ConfigurationError, match="need 150 labels, but 'made' has 140 training images"):
        protocol.dataset_for(images(10, 20), seed=0)


@pytest.mark.parametrize(
    ("preset", "changes", "is_the_preset"),
    [
        ("shapes", {}, True),
        ("shapes", {"seeds": 9, "points": 2, "strategies": ("random",)}, True),
        ("shapes", {"options": {"train": 40}}, False),
        ("cifar10", {"initial": "balanced"}, False),
        ("imagenet", {"options": {"stored_size": 256, "workers": 8, "resident": False, "verify": "header"}}, True),
        ("imagenet", {"options": {"stored_size": 64}}, False),
        ("imagenet", {"options": {}}, False),
        ("cifar100-imbalanced", {"imbalanced": False}, False),
    ],
)
def test_a_preset_is_its_images_and_numbers_of_labels(preset, changes, is_the_preset):
    for recipe in ("default", "paper"):
        assert load_protocol(preset, recipe, **changes).is_preset == is_the_preset
    assert not load_protocol(preset, name="mine", **changes).is_preset


@pytest.mark.parametrize("initial", ["centroids", "coverage", "maxherding", "probcover", "typicality"])
def test_an_initial_pool_by_features_is_the_choice_of_its_strategy(initial):
    dataset = make_round(samples="features").dataset
    content = {"name": "small", "dataset": "features", "start": 5, "step": 2, "points": 2, "seeds": 2}
    protocol = Protocol(**content, strategies=("random", "margin"), initial=initial)
    pools = [protocol.initial_pool(dataset, seed) for seed in (0, 0, 1)]
    assert pools[0].tolist() == pools[1].tolist()
    assert all(len(set(pool.tolist())) == 5 for pool in pools)
    expected = ActiveLearner(dataset, initial, protocol.recipe, seed=1).query(5).indices
    assert pools[2].tolist() == expected.tolist()


def test_a_strategys_own_settings_are_tried_before_anything_is_written(tiny):
    protocol = tiny.model_copy(update={"strategies": ("mal(discriminator_input=bottleneck,bottleneck=null)",)})
    with pytest.raises(ConfigurationError, match="needs a bottleneck, and the classifier has none"):
        check_runnable(protocol, protocol.load())


def test_an_initial_pool_by_features_needs_a_pretrained_encoder_before_anything_is_written(tiny):
    protocol = tiny.model_copy(update={"initial": "typicality"})
    sentence = "initial is 'typicality', which chooses by features, but encoder 'conv4' is not pretrained: set"
    with pytest.raises(ConfigurationError, match=sentence):
        check_runnable(protocol, protocol.load())
    check_runnable(protocol, make_round(samples="features").dataset)
