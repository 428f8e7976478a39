import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data import FileImages, ResidentImages, read_image
from minimax_al.data.decoding.decode import centre_square
from minimax_al.data.images import file_images as images_module
from minimax_al.errors import ConfigurationError, DataError, ShapeError, UnreadableImageError

PIXELS = torch.randint(0, 256, (10, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
BATCHES = [torch.tensor([3, 1, 9]), torch.tensor([0]), torch.tensor([5, 5, 2, 8])]


@pytest.fixture
def files(save_image):
    paths = [save_image(f"sub/{i}.png", size=(20 + i, 16)) for i in range(10)]
    return FileImages(paths, [f"sub/{i}.png" for i in range(10)], stored_size=8, workers=0)


def test_resident_images_are_indexed():
    resident = ResidentImages(PIXELS)
    assert (len(resident), resident.size, resident.names[3]) == (10, (4, 6), "00003")
    for batch, pixels in zip(BATCHES, resident.stream(BATCHES), strict=True):
        torch.testing.assert_close(pixels, PIXELS[batch], rtol=0, atol=0)


def test_a_subset_keeps_order_and_names(files):
    for images in (ResidentImages(PIXELS), files):
        part = images.subset(torch.tensor([7, 2]))
        assert list(part.names) == [images.names[7], images.names[2]]
        (from_part,) = part.stream([torch.tensor([1, 0])])
        (from_all,) = images.stream([torch.tensor([2, 7])])
        assert torch.equal(from_part, from_all)
        assert len(images.subset([])) == 0


def test_files_are_decoded_as_their_centre_squares(files):
    (pixels,) = files.stream([torch.tensor([4, 0])])
    for position, index in enumerate((4, 0)):
        expected = np.asarray(centre_square(read_image(files.paths[index]), 8))
        np.testing.assert_array_equal(pixels[position].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing_but_time(files, workers):
    torch.manual_seed(5)
    alone = list(files.stream(BATCHES))
    state = torch.get_rng_state()
    together = list(FileImages(files.paths, files.names, 8, workers=workers).stream(BATCHES))
    assert torch.equal(torch.get_rng_state(), state), "streaming draws from the global generator"
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_resident_equals_streamed(files):
    seen = []
    resident = files.resident(batch_size=4, progress=lambda _, done, total, unit: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]
    assert resident.names == files.names
    for one, other in zip(resident.stream(BATCHES), files.stream(BATCHES), strict=True):
        assert torch.equal(one, other)


def test_to_a_device(files):
    assert ResidentImages(PIXELS).to("meta").pixels.device.type == "meta"
    assert files.to("meta") is files


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_fails_while_streaming_is_named(files, workers, tmp_path):
    (tmp_path / "sub" / "5.png").write_bytes(b"overwritten")
    images = FileImages(files.paths, files.names, 8, workers=workers)
    stream = images.stream(BATCHES)
    next(stream)
    next(stream)
    with pytest.raises(UnreadableImageError, match=r"^cannot read the image '.*5\.png': it is not an image[^\n]*$"):
        next(stream)


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        (torch.zeros(2, 3, 4, 4), "float32"),
        (torch.zeros(2, 4, 4, 3, dtype=torch.uint8), r"\(2, 4, 4, 3\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r"\(3, 4, 4\)"),
    ],
)
def test_wrong_pixels(pixels, found):
    with pytest.raises(ShapeError, match=rf"must be \(N, 3, H, W\) uint8, not .*{found}"):
        ResidentImages(pixels)


@pytest.mark.parametrize(("index", "named"), [(10, 10), (-1, -1)])
def test_an_index_outside(files, index, named):
    for images in (ResidentImages(PIXELS), files):
        with pytest.raises(DataError, match=rf"index {named} is outside of 10 images \(0 to 9\)"):
            list(images.stream([torch.tensor([0, index])]))
        with pytest.raises(DataError, match=f"index {named} is outside"):
            images.subset([index])


@pytest.mark.parametrize("indices", [torch.tensor([[0, 1]]), torch.tensor([0.0]), torch.tensor([True, False])])
def test_indices_of_the_wrong_kind(indices):
    with pytest.raises(ShapeError, match=r"indices must be integers, shape \(B,\), not"):
        list(ResidentImages(PIXELS).stream([indices]))


def test_invalid_settings_are_refused():
    with pytest.raises(ConfigurationError, match="stored_size=0 must be at least 1"):
        FileImages([], [], 0)
    with pytest.raises(ConfigurationError, match="workers=-1 must be 0"):
        FileImages([], [], 8, workers=-1)
    with pytest.raises(ShapeError, match="1 names for 0 files"):
        FileImages([], ["a"], 8)
    with pytest.raises(ShapeError, match="1 names for 10 images"):
        ResidentImages(PIXELS, ["a"])


@pytest.mark.parametrize(("cores", "ranks", "expected"), [(1, 1, 0), (4, 1, 3), (16, 4, 3), (128, 1, 16), (2, 8, 0)])
def test_default_workers_leave_a_core_and_share_among_ranks(monkeypatch, cores, ranks, expected):
    monkeypatch.setattr(images_module.os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert images_module.default_workers() == expected


def test_grey_files_have_three_equal_channels(save_image):
    path = save_image("grey.png", Image.new("L", (9, 9), 123))
    (pixels,) = FileImages([path], ["grey"], 4, workers=0).stream([torch.tensor([0])])
    assert (pixels == 123).all()
