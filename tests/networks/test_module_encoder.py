"""Modules of other libraries as encoders: their outputs, weights, preprocessing, and how they become known."""

from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from minimax_al import ActiveLearner, Recipe
from minimax_al.data import Dataset, ResidentImages, open_store
from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.networks import (
    Preprocessing,
    build_encoder,
    default_bottleneck,
    encoders,
    list_encoders,
    module_encoder,
    pretrained_encoder,
    register_encoder,
)
from minimax_al.training import embed_folder
from minimax_al.training.build import build_task_model

SMALL = Preprocessing(size=16, crop=1.0, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def plain(width=5):
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Tokens(nn.Module):
    """Output in the form of Hugging Face's models."""

    def __init__(self, *, pooled=True):
        super().__init__()
        self.patches, self.pooled = nn.Conv2d(3, 7, 4, stride=4), pooled

    def forward(self, pixel_values):
        tokens = self.patches(pixel_values).flatten(2).transpose(1, 2)
        return SimpleNamespace(last_hidden_state=tokens, pooler_output=tokens.mean(dim=1) if self.pooled else None)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test registers or announces is forgotten afterwards."""
    monkeypatch.setattr(encoders, "_REGISTERED", {})
    yield
    encoders._announced.cache_clear()


@pytest.fixture
def announce(monkeypatch):
    def announced(name, build):
        point = EntryPoint(name, "their.package:build", encoders.ENTRY_POINTS)
        monkeypatch.setattr(EntryPoint, "load", lambda _: build)
        monkeypatch.setattr(encoders, "entry_points", lambda group: [point])
        encoders._announced.cache_clear()

    return announced


def images(count=2, size=16):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("module", "features", "expected"),
    [
        (plain(), None, lambda module, x: module(x)),
        (plain()[:2], None, lambda module, x: module(x).mean(dim=(2, 3))),
        (Tokens(), None, lambda module, x: module(x).last_hidden_state.mean(dim=1)),
        (Tokens(pooled=False), lambda out: out.last_hidden_state[:, 0], lambda m, x: m(x).last_hidden_state[:, 0]),
    ],
)
def test_features_of_a_module(module, features, expected):
    encoder = module_encoder("mine", module, preprocessing=SMALL, features=features).eval()
    with torch.no_grad():
        assert torch.equal(encoder(images()), expected(module, images()))
    assert encoder.out_features == expected(module, images()).shape[1]


def test_a_torchvision_model_without_its_classifier():
    network = models.mobilenet_v3_small(weights=None)
    network.classifier = nn.Identity()
    encoder = module_encoder("mobilenet", network, preprocessing=Preprocessing(size=64)).eval()
    assert encoder.out_features == 576
    with torch.no_grad():
        assert torch.equal(encoder(images(size=64)), network(images(size=64)))


def test_a_module_keeps_its_mode_and_statistics_while_it_is_measured():
    module = plain().train()
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module_encoder("mine", module)
    assert (module.training, module[1].training) == (True, False)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_maps_for_segmentation():
    encoder = module_encoder("mine", nn.Conv2d(3, 6, 3, stride=8, padding=1), output_stride=8)
    assert encoder(images(size=32)).shape == (2, 6, 4, 4)
    assert encoder.output_stride == 8


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Tokens(pooled=False), r"returned SimpleNamespace, not features \(B, d\): give `features`, a function from"),
        (nn.Flatten(0), r"returned \(768,\), not features \(B, d\)"),
        (nn.Linear(5, 2), r"cannot read an image of 16×16 pixels \(mat1 and mat2 .*\): give the preprocessing"),
    ],
)
def test_modules_that_are_not_encoders(module, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        module_encoder("mine", module, preprocessing=SMALL)


def test_an_entry_point_may_return_a_module_or_an_encoder(announce):
    for build in (lambda name: plain(), lambda name: module_encoder(name, plain(), preprocessing=SMALL)):
        announce("theirs", build)
        assert "theirs" in list_encoders()
        encoder = build_encoder("theirs")
        assert (encoder.name, encoder.out_features, default_bottleneck("theirs")) == ("theirs", 5, 256)
    announce("theirs", lambda name: 3)
    with pytest.raises(ConfigurationError, match="the builder of encoder 'theirs' returned 3, not an Encoder or a m"):
        build_encoder("theirs")


def test_pretrained_weights_are_those_of_the_function(announce):
    announce("theirs", lambda name: module_encoder(name, plain(), preprocessing=SMALL))
    loaded = pretrained_encoder("theirs", overrides={"size": 24})
    assert loaded.preprocessing == SMALL.model_copy(update={"size": 24})
    assert torch.equal(loaded.network.state_dict()["module.module.0.weight"], plain()[0].weight)
    chosen = []
    announce("theirs", lambda name, pretrained=False: (chosen.append(pretrained), plain())[1])
    with pytest.raises(ConfigurationError, match=r"does not name the preprocessing .*'mal embed' accepts them as"):
        pretrained_encoder("theirs")
    pretrained_encoder("theirs", overrides={"size": 16, "mean": (0, 0, 0), "std": (1, 1, 1)})
    build_encoder("theirs")
    assert chosen == [True, True, False]


def test_a_registered_module_embeds_a_folder_as_its_preprocessing_says(tmp_path):
    register_encoder("mine", lambda name: module_encoder(name, plain(), preprocessing=SMALL))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    embed_folder(tmp_path / "images", tmp_path / "features", pretrained_encoder("mine"))
    store = open_store(tmp_path / "features")
    normal = (
        torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - torch.tensor(SMALL.mean).view(3, 1, 1)
    ) / torch.tensor(SMALL.std).view(3, 1, 1)
    with torch.no_grad():
        expected = plain().eval()(normal)
    found = np.concatenate(store.shards)
    assert sorted(found[:, 0].tolist()) == pytest.approx(sorted(expected[:, 0].tolist()), abs=2e-3)


def test_a_loop_trains_from_the_weights_of_a_registered_module():
    register_encoder("mine", lambda name: module_encoder(name, plain(), preprocessing=SMALL))
    pixels = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    samples, labels = ResidentImages(pixels), torch.arange(20) % 2
    dataset = Dataset("mine", "classification", ("a", "b"), samples, labels, samples, labels)
    recipe = Recipe(encoder="mine", pretrained=True, task={"epochs": 1}, missing_classes="warn")
    learner = ActiveLearner(dataset, "margin", recipe)
    learner.teach(range(10), labels[:10])
    start = build_task_model(learner.round).encoder.state_dict()["module.module.0.weight"]
    assert torch.equal(start, plain()[0].weight)
    learner.fit()
    assert len(learner.query(3).indices) == 3


def test_names_that_are_taken_or_unknown():
    with pytest.raises(ConfigurationError, match="encoder 'resnet18' exists already: register yours under another"):
        register_encoder("resnet18", plain)
    with pytest.raises(ConfigurationError, match="encoder 'mine' needs a function that builds it, not 'Sequential'"):
        register_encoder("mine", "Sequential")
    with pytest.raises(UnknownNameError, match="unknown encoder 'mine'"):
        build_encoder("mine")
