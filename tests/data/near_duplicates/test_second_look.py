"""Which images count as one: versions of one photograph do; images with another content, however small, do not."""

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from minimax_al.data.near_duplicates.perceptual_hash import perceptual_hash
from minimax_al.data.near_duplicates.second_look import same_pixels, shows_the_same

from ...support.fakes import random_image  # noqa: TID252 - the same images


def photograph(seed, size=(320, 240)):
    """Smooth regions, edges, fine texture and a little noise, as photographs have."""
    rng, width, height = np.random.default_rng(seed), *size
    image = random_image(seed, size)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = (int(v * s) for v, s in zip(rng.random(4), (width, height, width / 3, height / 3), strict=True))
        draw.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    waves = 12 * np.sin(np.add.outer(np.arange(height) * 0.7, np.arange(width) * 0.9))[..., None]
    pixels = np.asarray(image) + waves + rng.normal(0, 2, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def saved(image, format="JPEG", **how):  # noqa: A002 - Pillow's word
    file = io.BytesIO()
    image.save(file, format, **how)
    return Image.open(file).convert("RGB")


def resized(image, factor, kernel):
    return image.resize((round(image.width * factor), round(image.height * factor)), kernel)


def cropped(image, left, top, right, bottom):
    width, height = image.size
    return image.crop(
        (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    )


VERSIONS = {
    "quality 95": lambda image: saved(image, quality=95),
    "quality 75": lambda image: saved(image, quality=75),
    "quality 50": lambda image: saved(image, quality=50),
    "quality 75, full chroma": lambda image: saved(image, quality=75, subsampling=0),
    "WebP": lambda image: saved(image, "WEBP", quality=80),
    "half, Lanczos": lambda image: resized(image, 0.5, Image.Resampling.LANCZOS),
    "0.7, bicubic": lambda image: resized(image, 0.7, Image.Resampling.BICUBIC),
    "0.8, bilinear": lambda image: resized(image, 0.8, Image.Resampling.BILINEAR),
    "half, box, quality 75": lambda image: saved(resized(image, 0.5, Image.Resampling.BOX), quality=75),
    "crop of 1 % on each side": lambda image: cropped(image, 0.01, 0.01, 0.01, 0.01),
    "crop of 2 % on the left": lambda image: cropped(image, 0.02, 0, 0, 0),
    "uneven crop, quality 75": lambda image: saved(cropped(image, 0.04, 0, 0.02, 0.01), quality=75),
    "crop, half": lambda image: resized(cropped(image, 0.03, 0.02, 0.01, 0.03), 0.5, Image.Resampling.LANCZOS),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_of_one_photograph_are_the_same(version):
    for seed in range(3):
        image = photograph(seed)
        other = VERSIONS[version](image)
        assert same_pixels(image, other)
        assert same_pixels(other, image)


def test_files_are_compared_upright_and_at_full_size(tmp_path):
    """Large JPEG files are decoded at reduced size first; an object of 8 pixels shows at full size alone."""
    image = photograph(0, (1200, 900))
    image.save(tmp_path / "a.jpg", quality=92)
    image.resize((600, 450), Image.Resampling.LANCZOS).save(tmp_path / "b.jpg", quality=85)
    image.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "turned.jpg", quality=92, exif=_turned())
    image.paste((255, 0, 0), (600, 500, 608, 508))
    image.save(tmp_path / "c.jpg", quality=92)
    assert shows_the_same(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert shows_the_same(tmp_path / "a.jpg", tmp_path / "turned.jpg")
    assert not shows_the_same(tmp_path / "a.jpg", tmp_path / "c.jpg")
    assert not shows_the_same(tmp_path / "a.jpg", tmp_path / "gone.jpg")


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 8  # turned to the left to be upright
    return exif


def fixed_camera(size, noise):
    def make(number, rng):
        pixels = np.asarray(random_image(1, (320, 240))) + rng.normal(0, noise, (240, 320, 3))
        y, x = rng.integers(0, 240 - size), rng.integers(0, 320 - size)
        if number % 2:
            pixels[y : y + size, x : x + size] = (255, 0, 0)
        return pixels

    return make


def x_ray(number, rng):
    y, x = np.mgrid[:256, :256]
    lungs = sum(200 * np.exp(-((x - centre) ** 2 / 3000 + (y - 128) ** 2 / 9000)) for centre in (85, 171))
    if number % 2:
        row, column = rng.integers(80, 180), rng.choice([85, 171]) + rng.integers(-20, 20)
        lungs = lungs - 80 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / 120)
    return lungs + rng.normal(0, 1, (256, 256))


def gauge(number, rng):
    image = Image.new("L", (256, 256), 230)
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 236, 236), outline=0, width=5)
    angle = 0.3 + 0.04 * number  # neighbouring needles are 4 pixels apart at the tip
    draw.line((128, 128, 128 + 95 * np.cos(angle), 128 + 95 * np.sin(angle)), fill=0, width=3)
    return image


def form(number, rng):
    image = Image.new("L", (600, 800), 255)
    draw = ImageDraw.Draw(image)
    for row in range(8):
        draw.rectangle((40, 60 + row * 85, 560, 120 + row * 85), outline=0, width=3)
        draw.text((50, 70 + row * 85), "".join(rng.choice(list("0123456789"), 12)), 0, ImageFont.load_default(12))
    if number % 2:
        draw.line((300, 700, 420, 740), fill=0, width=4)
    return image


def disc(number, rng):
    image = Image.new("RGB", (128, 128), (120, 120, 120))
    hue = rng.integers(0, 256)
    colour = Image.new("HSV", (1, 1), (int(hue), 200, 200)).convert("RGB").getpixel((0, 0))
    ImageDraw.Draw(image).ellipse((30, 30, 98, 98), fill=colour)
    ImageDraw.Draw(image).rectangle((0, 0, 10, 10 + number), fill=(0, 0, 0))
    return image


KINDS = {
    "object of 8 pixels": fixed_camera(8, 0),
    "object of 8 pixels, noise": fixed_camera(8, 2),
    "object of 32 pixels, noise": fixed_camera(32, 4),
    "nodule": x_ray,
    "needle": gauge,
    "digits and a signature": form,
    "colour": disc,
}


@pytest.mark.parametrize("kind", KINDS)
def test_different_images_of_one_scene_are_different(kind):
    rng = np.random.default_rng(0)
    made = [KINDS[kind](number, rng) for number in range(6)]
    images = [
        (one if isinstance(one, Image.Image) else Image.fromarray(one.clip(0, 255).astype(np.uint8))).convert("RGB")
        for one in made
    ]
    pairs = [(i, j) for i in range(6) for j in range(i) if (i - j) % 2]  # with and without the object
    assert not any(same_pixels(images[i], images[j]) for i, j in pairs)
    # The hash cannot tell many of them apart, which is why there is a second look.
    hashes = [int(perceptual_hash(image), 16) for image in images]
    assert any((hashes[i] ^ hashes[j]).bit_count() <= 4 for i, j in pairs)


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("contrast", [50, 100])
def test_an_object_shows_through_lossy_compression(quality, contrast):
    for seed in range(4):
        image = photograph(seed)
        pixels = np.asarray(image).astype(int)
        x, y = random.Random(seed).randrange(300), random.Random(seed + 1).randrange(220)
        spot = pixels[y : y + 10, x : x + 10]
        spot += np.where(spot.mean((0, 1)) > 127, -contrast, contrast)
        other = saved(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), quality=quality)
        assert not same_pixels(image, other)


def test_two_exposures_of_a_still_scene_are_two_images():
    scene, rng = np.asarray(random_image(1, (320, 240))), np.random.default_rng(0)
    first, second = (
        Image.fromarray((scene + rng.normal(0, 3, scene.shape)).clip(0, 255).astype(np.uint8)) for _ in range(2)
    )
    assert not same_pixels(first, second)
    assert same_pixels(first, saved(first, quality=90))
    assert same_pixels(first, saved(first, quality=40))  # which removes the noise


def test_flat_and_tiny_images_can_be_compared():
    grey, red = Image.new("RGB", (20, 20), (90, 90, 90)), Image.new("RGB", (20, 20), (130, 60, 60))
    assert same_pixels(grey, grey.resize((10, 10)))
    assert not same_pixels(grey, red)
    assert same_pixels(Image.new("RGB", (1, 1)), Image.new("RGB", (3, 1)))
