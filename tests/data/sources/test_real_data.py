import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data import load_dataset

CALTECH_CLASSES = ("accordion", "airplanes", "anchor")


def test_cifar100_arrays(real_data, tmp_path):
    if not (real_data / "cifar100.npz").is_file():
        pytest.skip("cifar100.npz is not among the real data sets")
    with np.load(real_data / "cifar100.npz") as packed:
        blob, offsets = packed["webp_test"], packed["offsets_test"]
        labels, names = packed["y_test"], packed["class_names"]
    strip = np.asarray(Image.open(io.BytesIO(blob[offsets[0] : offsets[1]].tobytes()))).reshape(-1, 32, 32, 3)
    count = len(strip)
    halves = {"X_train": strip[count // 4 :], "y_train": labels[count // 4 : count].astype(np.int64)}
    np.savez(
        tmp_path / "cifar.npz", **halves, X_test=strip[: count // 4], y_test=labels[: count // 4], class_names=names
    )
    cifar = load_dataset("arrays", tmp_path / "cifar.npz")
    assert (len(cifar.train) + len(cifar.test), cifar.num_classes, cifar.train.size) == (count, 100, (32, 32))
    assert cifar.class_names[0] == "apple"
    np.testing.assert_allclose(cifar.mean, (0.50708, 0.48655, 0.44092), atol=0.03)
    np.testing.assert_allclose(cifar.std, (0.26733, 0.25644, 0.27615), atol=0.03)


def test_caltech101_as_a_folder_and_as_a_manifest(real_data, tmp_path):
    if not (real_data / "caltech101.zip").is_file():
        pytest.skip("caltech101.zip is not among the real data sets")
    with zipfile.ZipFile(real_data / "caltech101.zip") as archive:
        table = io.TextIOWrapper(archive.open("labels.csv"), encoding="utf-8").read().splitlines()
        wanted = [name for name in archive.namelist() if name.split("/")[1:2] and name.split("/")[1] in CALTECH_CLASSES]
        archive.extractall(tmp_path, wanted)
    folder = load_dataset("folder", tmp_path, stored_size=32)
    assert folder.class_names == CALTECH_CLASSES
    assert folder.set_aside == ()
    assert sorted(folder.train.names + folder.test.names) == sorted(name for name in wanted if not name.endswith("/"))
    rows = [line.split(",") for line in table[1:] if line.split(",")[3] in CALTECH_CLASSES]
    lines = ["path,label,split", *(f"{row[0]},{row[3]},{row[1]}" for row in rows)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    manifest = load_dataset("manifest", tmp_path / "labels.csv", stored_size=32)
    in_folder = dict(
        zip(folder.train.names, zip(folder.train_targets.tolist(), folder.train.pixels, strict=True), strict=True)
    )
    assert sorted(manifest.train.names) == sorted(in_folder)
    for name, target, pixels in zip(
        manifest.train.names, manifest.train_targets.tolist(), manifest.train.pixels, strict=True
    ):
        assert target == in_folder[name][0]
        assert torch.equal(pixels, in_folder[name][1])
