"""The source `features`: labels from a table, a Parquet file or class folders; parts as the paths name them."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from minimax_al.data import load_dataset
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import ListedImage
from minimax_al.data.features.feature_writer import open_writer
from minimax_al.data.features.hash_index import as_bytes
from minimax_al.data.locations.scan import SetAside
from minimax_al.errors import ConfigurationError, DataError, FeatureStoreError, ManifestError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SPLIT = ["train/cat/a.jpg", "train/dog/b.jpg", "valid/dog/c.jpg", "train/cat/d.jpg", "test/cat/e.jpg"]
FLAT = [f"{name}/{i}.jpg" for name in ("cat", "dog") for i in range(10)]


@pytest.fixture
def store(tmp_path):
    """Write a store whose vector i is (i + 1, 1)."""

    def make(paths, encoder="made", root="features"):
        keys = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
        with open_writer(tmp_path / root, FeatureDescription(encoder, "w", "f" * 64, {"size": 8}, 2)) as writer:
            vectors = np.stack([[i + 1, 1] for i in range(len(paths))]).astype(np.float16)
            for half in (slice(0, 3), slice(3, None)):
                writer.append(as_bytes(keys[half]), vectors[half])
            # Listed in another order than stored.
            writer.write_listing([ListedImage(*each) for each in zip(paths[::-1], keys[::-1], strict=True)])
        return tmp_path / root

    return make


def content(dataset, part):
    samples, targets = getattr(dataset, part), getattr(dataset, f"{part}_targets")
    return {
        name: (vector[0].item(), None if target < 0 else dataset.class_names[target])
        for name, vector, target in zip(samples.names, samples[:], targets.tolist(), strict=True)
    }


def test_class_folders_and_parts_come_from_the_paths(store):
    dataset = load_dataset("features", store(SPLIT))
    assert (dataset.sample, dataset.class_names, dataset.name) == ("features", ("cat", "dog"), "features")
    assert content(dataset, "train") == {
        "train/cat/a.jpg": (1, "cat"),
        "train/dog/b.jpg": (2, "dog"),
        "train/cat/d.jpg": (4, "cat"),
    }
    assert content(dataset, "test") == {"test/cat/e.jpg": (5, "cat")}
    assert dataset.set_aside == (SetAside("valid/dog/c.jpg", "a validation part next to a test part is not read"),)


def test_a_validation_part_is_the_test_part_where_there_is_none(store):
    dataset = load_dataset("features", store(SPLIT[:4]))
    assert content(dataset, "test") == {"valid/dog/c.jpg": (3, "dog")}
    assert (len(dataset.train), dataset.set_aside) == (3, ())


@pytest.mark.parametrize(
    ("splits", "in_test"),
    [("train,valid,test", "c"), ("train,val,train", "b"), ("train,dev,holdout", "bc"), ("train,,test", "c")],
)
def test_tables_of_files_and_of_features_have_the_same_parts(tmp_path, splits, in_test):
    for name in "abc":
        Image.fromarray(np.full((8, 8, 3), 50 * "abc".index(name), np.uint8)).save(tmp_path / f"{name}.png")
    lines = [f"{name}.png,x,{split}" for name, split in zip("abc", splits.split(","), strict=True)]
    pool, options = tmp_path / "pool.csv", {"class_names": ["x", "y"]}
    pool.write_text("\n".join(["path,label,split", *lines]))
    np.save(tmp_path / "f.npy", np.eye(3))
    (tmp_path / "paths.txt").write_text("a.png\nb.png\nc.png\n")
    found = [
        load_dataset("manifest", pool, **options),
        load_dataset("features", tmp_path / "f.npy", paths=tmp_path / "paths.txt", labels=pool, **options),
    ]
    for dataset in found:
        assert [name[0] for name in dataset.test.names] == list(in_test)
    assert list(found[0].train.names) == list(found[1].train.names)
    assert found[0].set_aside == found[1].set_aside


def test_without_parts_a_stratified_share_is_kept_for_the_test(store):
    dataset = load_dataset("features", store(FLAT), test_size=0.3)
    assert (len(dataset.train), len(dataset.test)) == (14, 6)
    assert dataset.test_targets.bincount().tolist() == [3, 3]
    assert content(dataset, "train") | content(dataset, "test") == {
        path: (i + 1, path.split("/")[0]) for i, path in enumerate(FLAT)
    }
    assert load_dataset("features", store(FLAT), test_size=0).test.shape == (0, 2)


def test_a_training_folder_alone_leaves_a_share_for_the_test(store):
    dataset = load_dataset("features", store([f"train/{path}" for path in FLAT]), test_size=0.3)
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("cat", "dog"), 14, 6)


def test_labels_come_from_a_table(store, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,label,split\n./train/dog/b.jpg,x,train\ntest\\cat\\e.jpg,y,test\ntrain/cat/a.jpg,,\n")
    dataset = load_dataset("features", store(SPLIT), labels=table)
    assert content(dataset, "test") == {"test/cat/e.jpg": (5, "y")}
    assert content(dataset, "train") == {
        "train/cat/a.jpg": (1, None),
        "train/dog/b.jpg": (2, "x"),
        "train/cat/d.jpg": (4, None),
        "valid/dog/c.jpg": (3, None),
    }


def test_parquet_brings_its_own_labels(tmp_path):
    vectors = [[float(i + 1), 1.0] for i in range(4)]
    columns = {"path": list("abcd"), "embedding": vectors, "label": ["x", "y", None, "y"]}
    pq.write_table(pa.table({**columns, "split": ["train", "train", "train", "test"]}), tmp_path / "a.parquet")
    dataset = load_dataset("features", tmp_path / "a.parquet")
    assert content(dataset, "train") == {"a": (1, "x"), "b": (2, "y"), "c": (3, None)}
    assert content(dataset, "test") == {"d": (4, "y")}


def test_an_unknown_split_of_a_table_is_refused_and_not_trained_on(tmp_path):
    columns = {"path": ["a", "b", "c"], "embedding": np.eye(3).tolist(), "label": ["x", "y", "x"]}
    pq.write_table(pa.table({**columns, "split": ["train", None, "held back"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="unknown split 'held back' of 'c': train or test"):
        load_dataset("features", tmp_path / "a.parquet")
    pq.write_table(pa.table({**columns, "split": ["train", None, "holdout"]}), tmp_path / "a.parquet")
    dataset = load_dataset("features", tmp_path / "a.parquet")
    assert (list(dataset.train.names), list(dataset.test.names)) == (["a", "b"], ["c"])


def test_arrays_with_a_list_of_paths(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(1, 41, dtype=np.float32).reshape(20, 2))
    (tmp_path / "list.txt").write_text("\n".join(FLAT))
    dataset = load_dataset(
        "features", tmp_path / "a.npy", paths=tmp_path / "list.txt", class_names=["dog", "cat", "owl"]
    )
    assert dataset.class_names == ("dog", "cat", "owl")
    assert (len(dataset.train), len(dataset.test)) == (16, 4)


def test_one_of_several_stores_is_chosen(store):
    root = store(FLAT)
    assert store(SPLIT, "other") == root
    with pytest.raises(FeatureStoreError, match="holds 2 stores: give one of its folders"):
        load_dataset("features", root)
    assert len(load_dataset("features", root, encoder="other").train) == 3


@pytest.mark.parametrize(
    ("line", "options", "error", "match"),
    [
        ("x.jpg,a", {}, DataError, "labels.csv', line 2: .*has no vector of 'x.jpg'"),
        (
            "cat/0.jpg,a",
            {"class_names": ["b", "aa"]},
            DataError,
            "the label 'a' of 'cat/0.jpg' is not a class; did",
        ),
        ("cat/0.jpg,a", {}, DataError, "leave nothing to tell apart"),
        (",a", {}, ManifestError, "the path is blank"),
        ("cat/0.jpg,a", {"test_size": 2.0, "class_names": ["a", "b"]}, ConfigurationError, "test_size=2.0"),
    ],
)
def test_wrong_labels_are_one_sentence(store, tmp_path, line, options, error, match):  # noqa: PLR0917
    (tmp_path / "labels.csv").write_text(f"path,label\n{line}\n")
    with pytest.raises(error, match=match):
        load_dataset("features", store(FLAT), labels=tmp_path / "labels.csv", **options)


def test_paths_without_class_folders_need_labels(store):
    with pytest.raises(DataError, match=r"have no class folders \('c.jpg'\): give labels=, a table path,label"):
        load_dataset("features", store(["a.jpg", "b.jpg", "c.jpg"]))


def parquet(tmp_path, **columns):
    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    pq.write_table(pa.table({**columns, "embedding": vectors.tolist()}), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.mark.parametrize(
    "labels",
    [
        [b"0", b"1"] * 4,
        [0.0, 1.0] * 3 + [float("nan"), None],
        [" 0", "1 ", "0\u200b", "1", "0", "1", "  ", None],
        ["0", "1"] * 4,
        [0, 1] * 4,
    ],
)
def test_labels_of_parquet_are_read_as_those_of_manifests(tmp_path, labels):
    made = load_dataset("features", parquet(tmp_path, path=[f"{i}.jpg" for i in range(8)], label=labels))
    assert made.class_names == ("0", "1")
    known = dict(zip(made.train.names, made.train_targets.tolist(), strict=True))
    assert all(target in {-1, i % 2} for i in range(8) for target in [known.get(f"{i}.jpg", -1)])


@pytest.mark.parametrize("column", ["split", "Split", " SPLIT "])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_split_of_a_table_counts_whatever_its_spelling_and_the_source_of_labels(tmp_path, column, labelled):
    labels = {"label": ["cat", "dog"] * 4} if labelled else {}
    file = parquet(
        tmp_path,
        path=[f"{'dog' if i % 2 else 'cat'}/{i}.jpg" for i in range(8)],
        **{column: ["train"] * 6 + ["test"] * 2},
        **labels,
    )
    assert tuple(load_dataset("features", file).test.names) == ("cat/6.jpg", "dog/7.jpg")


@pytest.mark.parametrize("start", ["/data/set/", "C:\\data\\", "../set/", "s3://bucket/"])
def test_folders_of_a_machine_are_not_classes(tmp_path, start):
    file = parquet(tmp_path, path=[f"{start}{'dog' if i % 2 else 'cat'}/{i}.jpg" for i in range(8)])
    with pytest.raises(DataError, match=r"have no class folders .*: give labels=, a table path,label"):
        load_dataset("features", file)
