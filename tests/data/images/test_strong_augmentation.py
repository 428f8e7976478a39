import math

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from minimax_al.data import Part, strongly_augment
from minimax_al.data.images.strong_augmentation import (
    brightness,
    contrast,
    cut_out,
    posterise,
    saturation,
    sharpness,
    solarise,
    warp,
)
from minimax_al.errors import ShapeError


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (64, 3, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def x(pixels):
    return pixels[:4].float() / 255


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


FACTORS = torch.tensor([0.0, 0.3, 1.0, 1.9])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (brightness, reference.adjust_brightness),
        (contrast, reference.adjust_contrast),
        (saturation, reference.adjust_saturation),
        (sharpness, reference.adjust_sharpness),
    ],
)
def test_colours_change_as_torchvision_changes_them(x, ours, theirs):
    expected = torch.stack([theirs(image, factor) for image, factor in zip(x, FACTORS.tolist(), strict=True)])
    torch.testing.assert_close(ours(x, FACTORS), expected, atol=2e-4, rtol=0)


def test_posterise_keeps_the_highest_bits(pixels, x):
    bits = torch.tensor([8.0, 7, 4, 1])
    expected = torch.stack([reference.posterize(p, int(b)) for p, b in zip(pixels, bits, strict=False)])
    assert torch.equal((posterise(x, bits) * 255).round().to(torch.uint8), expected)


def test_solarise_inverts_what_is_above_the_threshold(x):
    thresholds = torch.tensor([0.0, 0.401, 0.801, 1.0])  # between two bytes
    expected = torch.stack([reference.solarize(p, t) for p, t in zip(x, thresholds.tolist(), strict=True)])
    torch.testing.assert_close(solarise(x, thresholds)[1:3], expected[1:3])
    assert torch.equal(solarise(x, thresholds)[3], x[3])


def test_warp_turns_a_square_image_as_torchvision_does():
    x = torch.rand(2, 3, 9, 9, generator=seeded())
    turn = math.radians(20)
    matrix = torch.tensor([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0]]).expand(2, 2, 3)
    expected = reference.affine(
        x, angle=-20, translate=[0, 0], scale=1, shear=[0, 0],
        interpolation=reference.InterpolationMode.BILINEAR, fill=[127 / 255] * 3,
    )  # fmt: skip
    inside = (slice(None), slice(None), slice(2, 7), slice(2, 7))  # outside it they mix the border differently
    torch.testing.assert_close(warp(x, matrix)[inside], expected[inside], atol=1e-5, rtol=0)


def test_warp_fills_with_grey():
    moved = warp(torch.ones(1, 3, 4, 4), torch.tensor([[[1.0, 0, 1.0], [0, 1, 0]]]))  # by half the width
    assert torch.equal(moved[..., :2], torch.ones(1, 3, 4, 2))
    torch.testing.assert_close(moved[..., 2:], torch.full((1, 3, 4, 2), 127 / 255))


def test_a_hole_is_square_and_where_it_is_said_to_be(x):
    sizes, middle = torch.tensor([0.0, 0.999, 0.5, 0.999]), torch.tensor([0.5, 0.5, 0.5, 0.0])
    holes = (cut_out(torch.ones(4, 1, 8, 8), sizes, middle, middle) < 1).sum(dim=(1, 2, 3))
    assert holes.tolist() == [0, 16, 4, 4]


def test_most_images_change_and_none_alike(pixels):
    same = pixels[:1].expand(64, -1, -1, -1)
    changed = strongly_augment(same, seeded())
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in changed}) > 60


def test_same_generator_same_changes(pixels):
    assert torch.equal(strongly_augment(pixels, seeded()), strongly_augment(pixels, seeded()))
    assert not torch.equal(strongly_augment(pixels, seeded()), strongly_augment(pixels, seeded(2)))


def test_a_rank_changes_its_part_as_one_rank_would(pixels):
    whole, first, second = seeded(), seeded(), seeded()
    expected = strongly_augment(pixels, whole)
    assert torch.equal(strongly_augment(pixels[:40], first, part=Part(0, 40, 64)), expected[:40])
    assert torch.equal(strongly_augment(pixels[40:], second, part=Part(40, 64, 64)), expected[40:])
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=whole))


def test_tiny_images_pass(pixels):
    assert strongly_augment(pixels[..., :2, :2], seeded()).shape == (64, 3, 2, 2)


def test_only_uint8_is_accepted(pixels):
    with pytest.raises(ShapeError, match="uint8"):
        strongly_augment(pixels.float(), seeded())
