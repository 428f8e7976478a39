"""Another data set is recognised, whatever part of it differs."""

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.benchmark import run_grid, write_report
from minimax_al.benchmark.folders import fingerprint
from minimax_al.benchmark.folders.fingerprint import differing_parts, fingerprint_of
from minimax_al.cli import main
from minimax_al.data import Dataset, FileImages, load_dataset
from minimax_al.errors import ConfigurationError, ResultsError


def arrays(folder, name="data", **changes):
    generator = np.random.default_rng(0)
    content = {
        "X_train": generator.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 3,
        "X_test": generator.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(12) % 3,
        "class_names": np.array(["a", "b", "c"]),
    }
    content |= {key: change(content[key].copy()) for key, change in changes.items()}
    path = folder / f"{name}.npz"
    np.savez(path, **content)
    return path


def changed(index, value):
    def change(array):
        array[index] = value
        return array

    return change


CHANGES = {
    "order of classes": ({"class_names": lambda names: names[::-1]}, ["classes"]),
    "another class": ({"class_names": lambda names: [*names, "d"]}, ["classes"]),
    "size": (
        {"X_train": lambda x: x[:-1], "y_train": lambda y: y[:-1]},
        ["training images (40 there, 39 now)", "training targets", "content of training images"],
    ),
    "one target": ({"y_train": changed(3, 2)}, ["training targets"]),
    "one test target": ({"y_test": changed(3, 1)}, ["test targets"]),
    "one pixel": ({"X_train": changed((0, 0, 0, 0), 7)}, ["content of training images"]),
    "a test pixel": ({"X_test": changed((11, 7, 7, 2), 7)}, ["content of test images"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_named(tmp_path, change):
    changes, parts = CHANGES[change]
    before = fingerprint_of(load_dataset("arrays", arrays(tmp_path)))
    now = fingerprint_of(load_dataset("arrays", arrays(tmp_path, "other", **changes)))
    assert differing_parts(before, now) == parts
    assert differing_parts(before, fingerprint_of(load_dataset("arrays", arrays(tmp_path, "copy")))) == []


def test_files_are_compared_by_their_bytes(tmp_path):
    for name in ("one", "two"):
        for label in ("a", "b"):
            for index in range(4):
                path = tmp_path / name / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (40 * index, 0, 200 if label == "a" else 0)).save(path)

    def read(name):
        return load_dataset("folder", tmp_path / name, stored_size=16, test_size=2)

    assert fingerprint_of(read("one")) == fingerprint_of(read("two"))
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "two" / "a" / "0.png")
    assert any(part.startswith("content") for part in differing_parts(*map(fingerprint_of, map(read, ("one", "two")))))


def test_objects_of_a_url_are_compared_by_their_first_bytes(monkeypatch):
    contents = {"s3://bucket/a.png": b"one", "s3://bucket/b.png": b"two"}
    monkeypatch.setattr(fingerprint, "read_start", lambda url, count: contents[url][:count])
    images, targets = FileImages(list(contents), ["a", "b"], 16), torch.tensor([0, 1])
    dataset = Dataset("far", "classification", ("a", "b"), images, targets, images.subset([]), targets[:0])
    before = fingerprint_of(dataset)
    contents["s3://bucket/b.png"] = b"new"
    assert differing_parts(before, fingerprint_of(dataset)) == ["content of training images"]


def test_feature_vectors_have_a_fingerprint():
    generator = np.random.default_rng(0)
    rows, labels = generator.normal(size=(30, 5)).astype(np.float32), np.arange(30) % 3
    one, two = (Dataset.from_features("f", ["a", "b", "c"], (rows + shift, labels)) for shift in (0.0, 0.1))
    assert differing_parts(fingerprint_of(one), fingerprint_of(two)) == ["content of training images"]


@pytest.fixture
def small(tiny, tmp_path):
    recipe = tiny.recipe.model_copy(update={"missing_classes": "warn"})
    changes = {"dataset": "arrays", "data": arrays(tmp_path), "start": 10, "step": 5, "points": 2, "initial": "random"}
    return tiny.model_copy(update={**changes, "strategies": ("random",), "seeds": 1, "recipe": recipe})


def test_another_data_set_is_refused_before_anything_is_written(small, tmp_path):
    out = tmp_path / "out"
    run_grid(small, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = small.model_copy(
        update={"data": arrays(tmp_path, "other", class_names=lambda names: names[::-1]), "seeds": 2}
    )
    with pytest.raises(ResultsError, match="results of another data set; these parts differ: classes"):
        run_grid(other, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    moved = small.model_copy(update={"data": arrays(tmp_path, "moved"), "seeds": 2})
    run_grid(moved, out)


def test_a_report_shows_no_images_of_another_data_set(small, tmp_path):
    out = tmp_path / "out"
    run_grid(small, out)
    assert "<img" in write_report(out).read_text()
    arrays(tmp_path, X_train=changed((0, 0, 0, 0), 7))
    page = write_report(out).read_text()
    assert "<img" not in page
    assert "another data set" in page
    with pytest.raises(ResultsError, match="another data set"):
        write_report(out, arrays(tmp_path, "other", y_train=changed(0, 2)))


def test_test_images_of_another_size_are_refused(tmp_path, capsys):
    path = arrays(tmp_path, X_test=lambda x: np.repeat(np.repeat(x, 2, axis=1), 2, axis=2))
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(
        f"dataset: arrays\ndata: {path}\nstart: 10\nstep: 5\npoints: 2\nseeds: 1\nstrategies: [random]\n"
        "recipe: {encoder: conv4}\n"
    )
    assert main(["bench", "run", str(yaml), "--out", str(tmp_path / "out")]) == 2
    assert "test images of 'data' are 16×16 pixels, but training images are 8×8" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_size_check_needs_test_images(tiny):
    dataset = tiny.load()
    nothing = torch.empty(0, dtype=torch.int64)
    without = Dataset(
        dataset.name,
        dataset.task,
        dataset.class_names,
        dataset.train,
        dataset.train_targets,
        dataset.test.subset(nothing),
        dataset.test_targets[:0],
        dataset.mean,
        dataset.std,
    )
    tiny.check_fits(without)
    with pytest.raises(ConfigurationError, match="need 2000 labels"):
        tiny.model_copy(update={"points": 100}).check_fits(without)
