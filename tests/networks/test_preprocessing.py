"""Preprocessing equals torchvision's transform chain to the last bit, and timm's."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import get_model_weights

from minimax_al.errors import ConfigurationError, MissingDependencyError
from minimax_al.networks import Preprocessing, published_preprocessing

SIZES = [(64, 64), (97, 41), (41, 97), (300, 200), (201, 333), (8, 5)]


def image_of(size, seed=0):
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def reference(preprocessing):
    """Return torchvision's transforms, written out."""
    return transforms.Compose(
        [
            transforms.Resize(preprocessing.short_side, transforms.InterpolationMode(preprocessing.interpolation)),
            transforms.CenterCrop(preprocessing.size),
            transforms.ToTensor(),
            transforms.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("side", "crop"), [(32, 0.875), (33, 1.0), (31, 0.9)])
def test_pixels_are_those_of_torchvisions_transforms(size, interpolation, side, crop):
    preprocessing = Preprocessing(size=side, crop=crop, interpolation=interpolation)
    image = image_of(size)
    assert torch.equal(preprocessing.tensor(image)[0], reference(preprocessing)(image))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16_bn"])
@pytest.mark.parametrize("size", SIZES)
def test_torchvisions_weights_come_with_torchvisions_own_transform(name, size):
    image = image_of(size)
    theirs = get_model_weights(name)["DEFAULT"].transforms()
    preprocessing = published_preprocessing(name)
    resized = transforms.Resize(theirs.resize_size, theirs.interpolation)(image)
    expected = transforms.functional.pil_to_tensor(transforms.CenterCrop(theirs.crop_size)(resized))
    assert np.array_equal(preprocessing.pixels(image), expected.permute(1, 2, 0).numpy())
    assert (preprocessing.mean, preprocessing.std) == (tuple(theirs.mean), tuple(theirs.std))


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet50", "vit_small_patch14_dinov2", "tf_efficientnet_lite2"]
)
def test_timms_weights_come_with_timms_own_transform(name):
    timm = pytest.importorskip("timm")
    configuration = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    theirs = timm.data.create_transform(**configuration)
    image = image_of((301, 200))
    assert torch.equal(published_preprocessing(f"timm:{name}").tensor(image)[0], theirs(image))


def test_stretching_keeps_the_whole_image():
    image = image_of((50, 20))
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    stretched = Preprocessing(size=32, interpolation="bicubic", stretch=True)
    assert np.array_equal(stretched.pixels(image), expected)


def test_a_batch_is_its_images_one_by_one_and_channels_last():
    preprocessing = Preprocessing(size=16, mean=(0.1, 0.5, 0.9), std=(0.2, 1.0, 3.0))
    images = [image_of((40, 30), seed) for seed in range(3)]
    batch = preprocessing.normalise(torch.from_numpy(np.stack([preprocessing.pixels(image) for image in images])))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for row, image in zip(batch, images, strict=True):
        assert torch.equal(row, preprocessing.tensor(image)[0])


def test_dictionaries_go_round_through_json():
    preprocessing = Preprocessing(size=240, crop=0.882, interpolation="bicubic", reduced_decoding=True)
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing
    assert preprocessing.short_side == preprocessing.decoded_side == 272
    assert Preprocessing().decoded_side is None


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"size": 0}, "here, size: .*greater than 0"),
        ({"crop": 1.5}, "here, crop: .*less than or equal to 1"),
        ({"std": (0.1, 0.0, 0.1)}, "here, std.1: .*greater than 0"),
        ({"mean": (0.1, 0.2)}, "here, mean.2: "),
        ({"mean": (0.1, float("nan"), 0.1)}, "here, mean.1: .*finite"),
        ({"interpolation": "cubic"}, "here, interpolation: .*'cubic' was given"),
        ({"sise": 4}, "here: unknown key 'sise'; did you mean 'size'"),
    ],
)
def test_wrong_fields_are_refused_in_one_sentence(values, match):
    with pytest.raises(ConfigurationError, match=match):
        Preprocessing.from_dict(values, "here")


def test_without_published_weights_there_is_no_preprocessing():
    assert published_preprocessing("conv4") is None


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'minimax-al\[timm\]'"):
        published_preprocessing("timm:resnet50")
