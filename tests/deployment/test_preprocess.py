"""The package reads an image file as the campaign's model does, whatever kind of file it is."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data import Augmentation, prepare
from minimax_al.data.datasets.files import load_images
from minimax_al.data.decoding.decode import read_image
from minimax_al.deployment.packaging import preprocessing
from minimax_al.deployment.preprocess import apply_steps, read_input
from minimax_al.networks import Preprocessing


def smooth(seed, size=(900, 700)):
    """A large image with detail that decoding at half size would change."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def cut_out():
    image = smooth(4).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


KINDS = {
    "large.jpg": lambda path: smooth(0).save(path, quality=90),
    "turned.jpg": lambda path: smooth(1).save(path, exif=turned()),
    "grey.jpg": lambda path: smooth(2).convert("L").save(path),
    "cmyk.jpg": lambda path: smooth(3).convert("CMYK").save(path),
    "transparent.png": lambda path: cut_out().save(path),
    "palette.gif": lambda path: smooth(5, (61, 47)).convert("P").save(path, transparency=0),
    "small.bmp": lambda path: smooth(6, (20, 31)).save(path),
    "deep.png": lambda path: Image.fromarray(
        np.random.default_rng(8).integers(0, 3000, (90, 70), dtype=np.uint16)
    ).save(path),
    "white ink.png": lambda path: Image.merge(
        "LA", (Image.new("L", (80, 60), 255), Image.linear_gradient("L").resize((80, 60)))
    ).save(path),
    "turned.png": lambda path: smooth(7, (120, 80)).save(path, exif=turned()),
}
CUTS = {
    "square": ("centre", Augmentation()),
    "crop": ("centre", Augmentation(crop=33)),
    "stretched": ("stretch", Augmentation()),
}


def model_of(fit, augmentation, stored_size=48):
    recipe = SimpleNamespace(augmentation=augmentation)
    colours = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    return SimpleNamespace(recipe=recipe, fit=fit, stored_size=stored_size, source=None, **colours)


def pixels_of_the_model(trained, root, name):
    images = load_images(root, [name], trained.stored_size, trained.fit, exact=True)
    (pixels,) = images.stream([torch.arange(1)])
    return prepare(pixels, trained.recipe.augmentation).numpy()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", KINDS)
def test_the_package_sees_the_models_pixels(tmp_path, name, cut):
    KINDS[name](tmp_path / name)
    trained = model_of(*CUTS[cut])
    expected = pixels_of_the_model(trained, tmp_path, name)
    np.testing.assert_array_equal(apply_steps(tmp_path / name, preprocessing(trained)["steps"]), expected)


@pytest.mark.parametrize("size", [24, 40])
def test_a_second_resize_differs_by_rounding_alone(tmp_path, size):
    KINDS["large.jpg"](tmp_path / "large.jpg")
    trained = model_of("centre", Augmentation(crop=33, input_size=size))
    expected = pixels_of_the_model(trained, tmp_path, "large.jpg").astype(int)
    (tmp_path / "preprocessing.json").write_text(json.dumps(preprocessing(trained)))
    found = read_input(tmp_path / "large.jpg", tmp_path / "preprocessing.json")
    assert found.shape == (1, 3, size, size)
    assert abs(found.astype(int) - expected).max() <= 1


def test_a_large_jpeg_is_decoded_at_its_full_size(tmp_path):
    KINDS["large.jpg"](tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as image:
        reference = np.asarray(image.resize((48, 48), Image.Resampling.BILINEAR, box=(100, 0, 800, 700)))
    found = [load_images(tmp_path, ["large.jpg"], 48, exact=exact) for exact in (True, False)]
    exact, quick = (next(images.stream([torch.arange(1)]))[0].permute(1, 2, 0).numpy() for images in found)
    np.testing.assert_array_equal(exact, reference)
    assert (quick != reference).any()  # so the test would see a reduced size


@pytest.mark.parametrize("name", ["large.jpg", "turned.png", "small.bmp"])
@pytest.mark.parametrize(
    "own",
    [
        Preprocessing(size=48, crop=0.875, interpolation="bicubic"),
        Preprocessing(size=48, crop=1.0),
        Preprocessing(size=48, interpolation="lanczos", stretch=True),
    ],
)
def test_the_package_sees_the_pixels_of_its_pretrained_encoder(tmp_path, name, own):
    KINDS[name](tmp_path / name)
    trained = model_of("centre", Augmentation())
    trained.source = SimpleNamespace(preprocessing=own)
    expected = own.pixels(read_image(tmp_path / name, None))
    found = apply_steps(tmp_path / name, preprocessing(trained)["steps"])
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), expected)
