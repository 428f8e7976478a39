"""Extraction on a pretended accelerator: the features are those of the CPU, bit for bit."""

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.networks import Preprocessing, PretrainedEncoder, build_encoder, fingerprint
from minimax_al.training import EncodingSettings, RuntimeSettings, embed_folder


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(11):
        pixels = np.random.default_rng(i).integers(0, 256, (20 + i, 25, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    (folder / "broken.png").write_bytes(b"not an image")
    return folder


def made_encoder():
    torch.manual_seed(0)
    network = build_encoder("conv4", width=4)
    return PretrainedEncoder(network, Preprocessing(size=16), "made", fingerprint(network))


def test_the_device_changes_nothing(images, tmp_path, device, runtime_there):
    settings = EncodingSettings(batch_size=4, workers=2, rows_per_shard=8)
    expected = embed_folder(images, tmp_path / "here", made_encoder(), settings)
    encoder, runtime = made_encoder(), runtime_there(RuntimeSettings(device="cpu", precision="fp32"))
    with device():
        found = embed_folder(images, tmp_path / "there", encoder, settings, runtime=runtime)
        assert all(value.is_cuda for value in encoder.network.state_dict().values())
    assert found.computed == expected.computed == 11
    assert found.set_aside == expected.set_aside
    files = [sorted((each.store.folder).glob("[0-9]*")) for each in (found, expected)]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*files, strict=True))
