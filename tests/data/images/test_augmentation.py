import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from minimax_al.data import Augmentation, augment, normalise, prepare, prepare_masks
from minimax_al.errors import ConfigurationError, ShapeError

PIXELS = torch.randint(0, 256, (40, 3, 12, 15), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MASKS = torch.randint(0, 20, (40, 12, 15), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
SETTINGS = [
    Augmentation(),
    Augmentation(flip=False),
    Augmentation(pad_crop=4),
    Augmentation(flip=False, pad_crop=2),
    Augmentation(crop=7),
    Augmentation(crop=12, pad_crop=3),
    Augmentation(crop=8, flip=False),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def one_by_one(images, settings, generator, fill):
    """The same draws, then one plain NumPy image after the other."""
    count, _, height, width = images.shape
    pad = settings.pad_crop
    new_height, new_width = (settings.crop, settings.crop) if settings.crop else (height, width)
    if not settings.flip and not settings.crop and not pad:
        return images
    tops = torch.randint(height + 2 * pad - new_height + 1, (count,), generator=generator)
    lefts = torch.randint(width + 2 * pad - new_width + 1, (count,), generator=generator)
    flips = torch.rand(count, generator=generator) < 0.5 if settings.flip else torch.zeros(count).bool()
    results = []
    for image, top, left, flip in zip(images.numpy(), tops, lefts, flips, strict=True):
        padded = np.pad(image, [(0, 0), (pad, pad), (pad, pad)], constant_values=fill)
        cut = padded[:, top : top + new_height, left : left + new_width]
        results.append(cut[:, :, ::-1].copy() if flip else cut)
    return torch.from_numpy(np.stack(results))


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
def test_augment_equals_a_plain_loop(settings):
    augmented, masks = augment(PIXELS, settings, seeded(), MASKS)
    assert torch.equal(augmented, one_by_one(PIXELS, settings, seeded(), fill=0))
    assert torch.equal(masks, one_by_one(MASKS[:, None], settings, seeded(), fill=255)[:, 0])
    assert torch.equal(augment(PIXELS, settings, seeded()), augmented)


def test_windows_and_flips_cover_all_there_are():
    rows = torch.arange(12, dtype=torch.uint8)[:, None].expand(12, 15)
    columns = torch.arange(15, dtype=torch.uint8).expand(12, 15)
    coordinates = torch.stack([rows, columns, columns]).expand(2000, 3, 12, 15)
    augmented = augment(coordinates, Augmentation(crop=10), seeded())
    assert set(augmented[:, 0, 0, 0].tolist()) == {0, 1, 2}
    flipped = augmented[:, 1, 0, 0] > augmented[:, 1, 0, -1]
    assert 0.45 < flipped.float().mean() < 0.55
    assert set(augmented[~flipped, 1, 0, 0].tolist()) == {0, 1, 2, 3, 4, 5}


def test_prepare_cuts_the_centre_and_draws_nothing():
    settings = Augmentation(pad_crop=4, crop=8)
    assert torch.equal(prepare(PIXELS, settings), PIXELS[:, :, 2:10, 3:11])
    assert torch.equal(prepare_masks(MASKS, settings), MASKS[:, 2:10, 3:11])
    assert torch.equal(prepare(PIXELS, Augmentation(pad_crop=4)), PIXELS)


@pytest.mark.parametrize("size", [6, 48])
def test_resizing_equals_pillow(size):
    resized = prepare(PIXELS, Augmentation(input_size=size))
    assert resized.dtype == torch.uint8
    for image, ours in zip(PIXELS[:5], resized[:5], strict=True):
        whole = Image.fromarray(image.permute(1, 2, 0).numpy())
        theirs = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(ours.permute(1, 2, 0).numpy() - theirs).max() <= 1


def test_masks_are_resized_by_nearest_neighbour():
    blocks = MASKS.repeat_interleave(4, 1).repeat_interleave(4, 2)
    _, up = augment(PIXELS[:, :, :, :12], Augmentation(input_size=48, flip=False), seeded(), MASKS[:, :, :12])
    assert torch.equal(up, blocks[:, :, :48])
    down = prepare_masks(blocks[:, :48, :48], Augmentation(input_size=12))
    assert torch.equal(down, MASKS[:, :, :12])


def test_normalise_equals_the_formula_in_float64():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    expected = (PIXELS.double() / 255 - torch.tensor(mean).double().view(3, 1, 1)) / torch.tensor(std).double().view(
        3, 1, 1
    )
    normalised = normalise(PIXELS, mean, std)
    assert normalised.dtype == torch.float32
    torch.testing.assert_close(normalised.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"flips": True}, {"pad_crop": -1}, {"crop": 0}, {"input_size": 0}])
def test_invalid_settings_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Augmentation().flip = False


@pytest.mark.parametrize(
    "function",
    [lambda s: augment(PIXELS, s, seeded()), lambda s: prepare(PIXELS, s), lambda s: prepare_masks(MASKS, s)],
)
def test_a_crop_larger_than_the_image(function):
    with pytest.raises(ConfigurationError, match="crop=13 is larger than the images of 12 x 15 pixels"):
        function(Augmentation(crop=13))


def test_wrong_tensors():
    with pytest.raises(ShapeError, match=r"images must be \(N, 3, H, W\) uint8"):
        augment(PIXELS.float(), Augmentation(), seeded())
    with pytest.raises(ShapeError, match=r"masks must be \(40, 12, 15\) uint8 like their images, not \(39, 12, 15\)"):
        augment(PIXELS, Augmentation(), seeded(), MASKS[:39])
    with pytest.raises(ShapeError, match=r"masks must be \(B, H, W\) uint8, not \(40, 12, 15\) torch.int64"):
        prepare_masks(MASKS.long(), Augmentation())
    with pytest.raises(ShapeError, match=r"masks must be \(B, H, W\) uint8, not \(12, 15\)"):
        prepare_masks(MASKS[0], Augmentation())
    with pytest.raises(ConfigurationError, match="std above 0"):
        normalise(PIXELS, (0.5,) * 3, (0.1, 0.0, 0.1))
