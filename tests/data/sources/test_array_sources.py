import hashlib
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, CIFAR100

from minimax_al.data import SOURCES, load_dataset
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError

RNG = np.random.default_rng(0)


def arrays(**changes):
    made = {
        "X_train": RNG.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2, -1, 0]),
        "X_test": RNG.integers(0, 256, (3, 5, 6, 3), dtype=np.uint8),
        "y_test": np.array([0, 1, 2], dtype=np.uint8),
        "class_names": np.array(["katze", "hund", "vögel"]),
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


@pytest.fixture
def save(tmp_path):
    def write(**changes):
        np.savez(tmp_path / "made.npz", **arrays(**changes))
        return tmp_path / "made.npz"

    return write


def test_digits_are_scikit_learns():
    digits = load_dataset("digits")
    assert (len(digits.train), len(digits.test), digits.train.size) == (1297, 500, (8, 8))
    assert digits.class_names == tuple("0123456789")
    raw = load_digits()
    for part, targets in ((digits.train, digits.train_targets), (digits.test, digits.test_targets)):
        places = [int(name.split("/")[1]) for name in part.names]
        np.testing.assert_array_equal(targets.numpy(), raw.target[places])
        for channel in range(3):
            np.testing.assert_array_equal(part.pixels[:, channel].numpy(), np.rint(raw.images[places] / 16 * 255))
    shares = torch.bincount(digits.test_targets) / torch.bincount(torch.from_numpy(raw.target))
    assert ((shares - 500 / 1797).abs() < 0.01).all()
    assert digits.train.names == load_dataset("digits").train.names


def test_arrays_come_back(save):
    path = save()
    made = load_dataset("arrays", path)
    with np.load(path) as stored:
        np.testing.assert_array_equal(made.train.pixels.permute(0, 2, 3, 1).numpy(), stored["X_train"])
        np.testing.assert_array_equal(made.test.pixels.permute(0, 2, 3, 1).numpy(), stored["X_test"])
    assert made.train_targets.tolist() == [0, 1, 2, 0, 1, 2, -1, 0]
    assert (made.name, made.class_names, made.test.names[2]) == ("made", ("katze", "hund", "vögel"), "test/00002")


def test_grey_arrays_and_byte_names(save):
    grey = RNG.integers(0, 256, (8, 5, 6), dtype=np.uint8)
    made = load_dataset("arrays", save(X_train=grey, class_names=np.array([b"a", b"b", b"c"])))
    assert made.class_names == ("a", "b", "c")
    for channel in range(3):
        np.testing.assert_array_equal(made.train.pixels[:, channel].numpy(), grey)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"y_test": None}, r"has no 'y_test'; expected X_train, .*, found X_train"),
        ({"X_train": np.zeros((8, 5, 6, 3))}, r"X_train in '.*made\.npz' is float64, not uint8: scale"),
        ({"X_train": np.zeros((8, 3, 5, 6), dtype=np.uint8)}, r"has the shape \(8, 3, 5, 6\).*channels last"),
        ({"y_train": np.zeros(7, dtype=int)}, "X_train has 8 images but y_train 7 labels"),
        ({"y_train": np.zeros((8, 1), dtype=int)}, r"y_train.* is \(8, 1\) int64, not \(N,\) whole numbers"),
        ({"y_train": np.full(8, 0.5)}, "y_train.* is .*float64, not"),
        ({"y_train": np.full(8, 3)}, "a train target is 3, but the 3 classes are 0 to 2"),
        ({"y_test": np.full(3, -1)}, "a test target is -1"),
        ({"class_names": np.array([1, 2, 3])}, r"class_names in '.*' is \(3,\) int64, not \(K,\) text"),
        ({"class_names": np.array(["a", "b", "c"], dtype=object)}, "cannot be read as plain arrays .*fixed-width"),
        ({"X_train": np.zeros((0, 5, 6, 3), np.uint8), "y_train": np.zeros(0, int)}, "X_train holds no images"),
    ],
)
def test_wrong_arrays(save, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        load_dataset("arrays", save(**changes))


def test_files_that_are_no_arrays(save, tmp_path):
    with pytest.raises(DataError, match=r"none\.npz' is not a file: give the \.npz file with X_train"):
        load_dataset("arrays", tmp_path / "none.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match="found one array without a name"):
        load_dataset("arrays", tmp_path / "one.npy")
    for content in (b"", b"text", save().read_bytes()[:300], save().read_bytes()[:-30]):
        (tmp_path / "cut.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"cut\.npz' cannot be read as plain arrays"):
            load_dataset("arrays", tmp_path / "cut.npz")


def published_cifar(root, monkeypatch, reader, fine):
    """Files in the authors' format, their checksums told to torchvision."""
    folder = root / reader.base_folder
    folder.mkdir()
    label_key, names_key = ("fine_labels", "fine_label_names") if fine else ("labels", "label_names")
    classes = 100 if fine else 10
    contents, sums = {}, {}
    for attribute in ("train_list", "test_list"):
        sums[attribute] = []
        for name, _ in getattr(reader, attribute):
            pixels = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
            labels = RNG.integers(0, classes, 4).tolist()
            (folder / name).write_bytes(pickle.dumps({"data": pixels, label_key: labels}))
            contents[name] = (pixels, labels)
            sums[attribute].append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    meta = folder / reader.meta["filename"]
    meta.write_bytes(pickle.dumps({names_key: [f"class {i}" for i in range(classes)]}))
    sums["meta"] = reader.meta | {"md5": hashlib.md5(meta.read_bytes()).hexdigest()}
    for attribute, value in sums.items():
        monkeypatch.setattr(reader, attribute, value)
    return contents


@pytest.mark.parametrize(("name", "reader"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_cifar_in_the_published_format(tmp_path, monkeypatch, name, reader):
    # CIFAR100 inherits CIFAR10's attributes of other values: set each on its own class.
    contents = published_cifar(tmp_path, monkeypatch, reader, fine=name == "cifar100")
    made = load_dataset(name, tmp_path)
    train = np.concatenate([contents[file][0] for file, _ in reader.train_list])
    np.testing.assert_array_equal(made.train.pixels.numpy(), train.reshape(-1, 3, 32, 32))
    assert made.train_targets.tolist() == [label for file, _ in reader.train_list for label in contents[file][1]]
    assert len(made.test) == 4
    assert made.num_classes == (100 if name == "cifar100" else 10)
    inside = load_dataset(name, tmp_path / reader.base_folder)
    assert torch.equal(inside.train.pixels, made.train.pixels)
    (tmp_path / reader.base_folder / reader.test_list[0][0]).unlink()
    with pytest.raises(DataError, match=f"{name} is damaged or incomplete: looked in"):
        load_dataset(name, tmp_path)


def test_missing_cifar_says_where_and_how(tmp_path):
    sentence = (
        r"cifar100 is not there: looked in '.*cifar-100-python'; download cifar-100-python\.tar\.gz from .*\.npz file"
    )
    with pytest.raises(DataError, match=sentence):
        load_dataset("cifar100", tmp_path)


def test_names_roots_and_options_that_do_not_exist(tmp_path, save):
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'cifar1000'; did you mean 'cifar100'\? Known: arrays"):
        load_dataset("cifar1000", tmp_path)
    with pytest.raises(ConfigurationError, match="the dataset 'digits' brings its own images: leave out the root"):
        load_dataset("digits", tmp_path)
    with pytest.raises(ConfigurationError, match="the dataset 'folder' is read from disk: give its root"):
        load_dataset("folder")
    with pytest.raises(
        UnknownNameError, match=r"unknown option of the dataset 'folder': 'test_sise'; did you mean 'test_size'"
    ):
        load_dataset("folder", tmp_path, test_sise=0.1)
    with pytest.raises(UnknownNameError, match="unknown option of the dataset 'arrays': 'stored_size'"):
        load_dataset("arrays", save(), stored_size=64)
    with pytest.raises(ConfigurationError, match=r"stored_size=0 is not allowed: .*greater than or equal to 1"):
        load_dataset("folder", tmp_path, stored_size=0)
    assert set(SOURCES) == {
        *("arrays", "cifar10", "cifar100", "digits", "features", "folder", "imagenet", "inaturalist2018", "manifest"),
        *("bdd100k", "camvid", "masks", "shapes", "voc"),
    }


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"size": "big"}, "size='big' is not allowed: Input should be a valid integer"),
        ({"train": [3]}, r"train=\[3\] is not allowed"),
    ],
)
def test_an_option_of_another_kind_is_refused_in_a_sentence(option, match):
    with pytest.raises(ConfigurationError, match=match):
        load_dataset("shapes", **option)
