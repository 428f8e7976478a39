import torch
from torch.overrides import TorchFunctionMode

from minimax_al.data import Augmentation, ResidentImages, normalise
from minimax_al.testing.stage import samples_of
from minimax_al.training import Runtime, RuntimeSettings
from minimax_al.training.feed import Feed, evaluation_view


def test_plain_batches_are_the_normalised_images_in_order(round_):
    indices = torch.tensor([5, 1, 23, 0, 7])
    batches = list(round_.feed.plain(round_.dataset.train, indices, 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    expected = normalise(samples_of(round_)[indices], round_.dataset.mean, round_.dataset.std)
    torch.testing.assert_close(torch.cat(batches), expected.double(), rtol=0, atol=0)
    assert list(round_.feed.plain(round_.dataset.train, indices[:0], 2)) == []


def test_what_is_scored_is_the_normalised_centre():
    pixels = torch.randint(0, 256, (5, 3, 9, 11), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    runtime = Runtime(RuntimeSettings(device="cpu", precision="fp32"))
    x = evaluation_view(pixels, Augmentation(flip=True, pad_crop=2, crop=5), mean, std, runtime)
    centre = pixels[:, :, 2:7, 3:8].double() / 255
    channels = [(centre[:, c] - mean[c]) / std[c] for c in range(3)]
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.double(), torch.stack(channels, dim=1), rtol=0, atol=1e-6)


def test_labelled_batches_pair_images_with_their_targets(round_):
    feed = Feed(round_.dataset, Augmentation(flip=False), round_.runtime)
    targets = torch.arange(24)  # each image its own class: pairs can be told apart
    images = normalise(samples_of(round_), round_.dataset.mean, round_.dataset.std).double()
    generator = torch.Generator().manual_seed(0)
    count = torch.zeros(24, dtype=torch.int64)
    for x, y in feed.labelled(round_.labelled, targets, 4, 9, generator):
        assert torch.equal(x, images[y])
        count[y] += 1
    # Four passes over nine images.
    assert count[round_.labelled].tolist() == [4] * 9
    assert int(count.sum()) == 36


def test_masks_are_flipped_with_their_images():
    from minimax_al.testing import make_round

    round_ = make_round("segmentation")
    feed = Feed(round_.dataset, Augmentation(flip=True), round_.runtime)
    flips = 0
    for x, masks in feed.labelled(round_.labelled, round_.targets, 9, 4, torch.Generator().manual_seed(0)):
        assert masks.dtype == torch.int64
        for image, mask in zip(x, masks, strict=True):
            label = int(mask.max())
            if label == 0:
                continue
            side = slice(0, 8) if int(mask[0, 0]) == label else slice(8, 16)
            flips += side.start == 8
            assert (mask[:, side] == label).all()
            other = slice(8 - side.start, 16 - side.start)
            assert image[label][:, side].mean() > image[label][:, other].mean() + 1
    assert 0 < flips < 24


class Moves(TorchFunctionMode):
    """Records whether moves were waited for."""

    def __init__(self):
        super().__init__()
        self.waited = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to:
            self.waited.append(not (kwargs or {}).get("non_blocking"))
        return function(*args, **(kwargs or {}))


def test_moves_to_other_devices_than_cuda_are_waited_for():
    """Apple's may read memory of the CPU after it was given to something else."""
    runtime = Runtime(RuntimeSettings(device="cpu"))
    runtime.device = torch.device("meta")
    images = ResidentImages(torch.zeros(4, 3, 2, 2, dtype=torch.uint8)).to("meta")
    with Moves() as moves:
        runtime.send(torch.zeros(3))
        list(images.stream([torch.tensor([1, 2])]))
        normalise(images.pixels, (0.5,) * 3, (0.5,) * 3)
    assert moves.waited
    assert all(moves.waited)
