"""The feature store: rows by content, durable shards, one writer, no torch; damage refused in one sentence."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from filelock import FileLock

from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import FeatureStore, ListedImage, list_stores, open_store
from minimax_al.data.features.feature_writer import LOCK, open_writer
from minimax_al.data.features.hash_index import HashIndex, as_bytes
from minimax_al.errors import DataError, FeatureStoreError

WIDTH = 3
DESCRIPTION = FeatureDescription("timm:net/1", "made", "f" * 64, {"size": 8, "mean": [0.5, 0.5, 0.5]}, WIDTH)


def digests(*contents):
    return [hashlib.sha256(content.encode()).hexdigest() for content in contents]


def vectors_of(count, start=0):
    return (np.arange(count * WIDTH, dtype=np.float16) + start).reshape(count, WIDTH)


@pytest.fixture
def written(tmp_path):
    """A store of the contents a, b | c, with d set aside."""
    with open_writer(tmp_path, DESCRIPTION) as writer:
        writer.append(as_bytes(digests("a", "b")), vectors_of(2))
        writer.append(as_bytes(digests("c")), vectors_of(1, 100), {digests("d")[0]: "it is empty (0 bytes)"})
        writer.write_listing([ListedImage("x/ä, 1.png", digests("a")[0]), ListedImage("y.png", digests("c")[0])])
    return tmp_path / DESCRIPTION.folder_name


def read_all(folder):
    store = FeatureStore(folder)
    return store.features(digests("a", "c"), ["a", "c"])[:], store.images


class TestHashIndex:
    def test_it_finds_what_a_dictionary_finds(self):
        generator = np.random.default_rng(0)
        keys = generator.integers(0, 256, (3000, 32), dtype=np.uint8)
        keys[::7, :8] = keys[0, :8]  # many hashes that share their first bytes
        keys[5] = keys[3]  # twice: the first row counts
        wanted = np.concatenate([keys[generator.permutation(3000)], generator.integers(0, 256, (50, 32), np.uint8)])
        wanted = np.concatenate([wanted, keys[:1] ^ np.eye(32, dtype=np.uint8)[31]])  # differs in its last byte
        rows = {}
        for row, key in enumerate(keys):
            rows.setdefault(key.tobytes(), row)
        assert HashIndex(keys).find(wanted).tolist() == [rows.get(key.tobytes(), -1) for key in wanted]

    def test_an_empty_index_finds_nothing(self):
        index = HashIndex(np.empty((0, 32), dtype=np.uint8))
        assert index.find(digests("a", "b")).tolist() == [-1, -1]
        assert index.find([]).tolist() == []

    @pytest.mark.parametrize("bad", ["abc", "g" * 64, "", "ab " * 21 + "a"])
    def test_what_is_not_a_hash_is_refused(self, bad):
        with pytest.raises(DataError, match="is not a SHA-256: give 64 hexadecimal digits"):
            as_bytes([*digests("a"), bad])

    def test_arrays_of_another_shape_are_refused(self):
        with pytest.raises(DataError, match=r"hashes must be \(N, 32\) uint8, not \(2, 16\) uint8"):
            as_bytes(np.zeros((2, 16), dtype=np.uint8))


def test_rows_are_found_by_content(written):
    store = FeatureStore(written)
    assert store.shape == (3, WIDTH)
    assert store.rows(digests("c", "z", "a", "b")).tolist() == [2, -1, 0, 1]
    features = store.features(digests("c", "a"), ["y.png", "x.png"])
    assert features[:].tolist() == [[100, 101, 102], [0, 1, 2]]
    assert list(features.names) == ["y.png", "x.png"]
    assert store.description == DESCRIPTION
    assert [image.path for image in store.images] == ["x/ä, 1.png", "y.png"]
    store.verify()


def test_shards_are_mapped_once_they_are_large(tmp_path):
    count = (1 << 20) // (2 * WIDTH) + 1
    with open_writer(tmp_path, DESCRIPTION) as writer:
        keys = np.random.default_rng(0).integers(0, 256, (count, 32), dtype=np.uint8)
        writer.append(keys, np.full((count, WIDTH), 2, dtype=np.float16))
    (shard,) = open_store(tmp_path).shards
    assert isinstance(shard, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        shard[0, 0] = 1


def test_a_missing_image_is_named_with_its_reason(written):
    store = FeatureStore(written)
    with pytest.raises(FeatureStoreError, match=r"lack 'd.png' \(and 1 more\): it was set aside: it is empty"):
        store.features(digests("a", "d", "z"), ["a.png", "d.png", "z.png"])
    with pytest.raises(FeatureStoreError, match=r"lack 'z.png': run mal embed on its folder again"):
        store.features(as_bytes(digests("z")), ["z.png"])


def test_an_unfinished_shard_is_ignored_and_replaced(written):
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    (written / "00002.features.npy").write_bytes(b"half a sh")
    (written / ".00002.keys.npy.x7.part").write_bytes(b"half")
    assert len(FeatureStore(written)) == 3
    with open_writer(written.parent, DESCRIPTION) as writer:
        assert {path.name: path.read_bytes() for path in written.iterdir()} == before
        writer.append(as_bytes(digests("e")), vectors_of(1))
    assert FeatureStore(written).rows(digests("e")).tolist() == [3]


def test_another_description_is_another_store(written):
    others = [
        FeatureDescription("timm:net/1", "made", "e" * 64, DESCRIPTION.preprocessing, WIDTH),
        FeatureDescription("timm:net/1", "made", "f" * 64, {"size": 16}, WIDTH),
        FeatureDescription("timm:net/1", "made", "f" * 64, DESCRIPTION.preprocessing, WIDTH, "bf16"),
        FeatureDescription("other", "made", "f" * 64, DESCRIPTION.preprocessing, WIDTH),
    ]
    for other in others:
        with open_writer(written.parent, other) as writer:
            assert len(writer.store) == 0
    assert len(list_stores(written.parent)) == 5
    renamed = FeatureDescription("timm:net/1", "elsewhere", "f" * 64, DESCRIPTION.preprocessing, WIDTH)
    assert renamed.folder_name == DESCRIPTION.folder_name  # the same weights from another place
    with pytest.raises(FeatureStoreError, match="holds 5 stores: give one of its folders"):
        open_store(written.parent)
    assert open_store(written.parent, "other").description.encoder == "other"
    assert open_store(written.parent, DESCRIPTION.folder_name).shape == (3, WIDTH)
    with pytest.raises(FeatureStoreError, match="holds no store of encoder 'resnet18': give one of"):
        open_store(written.parent, "resnet18")


def test_a_second_writer_is_refused_and_readers_are_not(written):
    with (
        FileLock(written / LOCK),
        pytest.raises(FeatureStoreError, match="another process is writing to"),
        open_writer(written.parent, DESCRIPTION),
    ):
        pytest.fail("two writers at once")
    with open_writer(written.parent, DESCRIPTION):
        assert len(open_store(written.parent)) == 3


@pytest.mark.parametrize(
    ("vectors", "count"),
    [(np.zeros((1, 4), np.float16), 1), (np.zeros((1, WIDTH), np.float32), 1), (np.zeros((2, WIDTH), np.float16), 1)],
)
def test_vectors_that_do_not_fit_are_refused(written, vectors, count):
    with (
        open_writer(written.parent, DESCRIPTION) as writer,
        pytest.raises(FeatureStoreError, match=r"vectors are .* this store holds \(1, 3\) float16"),
    ):
        writer.append(as_bytes(digests("e")), vectors)
    assert len(FeatureStore(written)) == 3


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("description.json", b"{", "is damaged"),
        ("description.json", b"{}", "is damaged"),
        ("description.json", b"[]", "is damaged"),
        ("description.json", json.dumps({"version": 99}).encode(), "has format version 99"),
        ("00000.json", b'{"rows": 2}', "is damaged"),
        ("00000.json", None, "lacks shard 0"),
        ("00000.keys.npy", b"not an array", "cannot be read"),
        ("00000.features.npy", None, "cannot be read"),
        ("00001.features.npy", "00000.features.npy", r"holds \(2, 3\) float16 where \(1, 3\) float16 was recorded"),
        ("images.csv", b"path,sha256\nonly one field\n", "is damaged"),
        ("images.csv", b"", "is damaged"),
    ],
)
def test_damage_is_one_sentence(written, file, content, match):
    if content is None:
        (written / file).unlink()
    else:
        (written / file).write_bytes((written / content).read_bytes() if isinstance(content, str) else content)
    with pytest.raises(FeatureStoreError, match=match):
        read_all(written)


@pytest.mark.parametrize("part", ["features", "keys"])
def test_one_flipped_bit_is_found(written, part):
    path = written / f"00001.{part}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FeatureStoreError, match=rf"00001.{part}.npy' is damaged \(its checksum differs\)"):
        FeatureStore(written).verify()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.touch()])
def test_a_folder_without_a_store_is_refused(tmp_path, make):
    make(tmp_path / "nothing")
    with pytest.raises(FeatureStoreError, match=r"does not hold features: run mal embed FOLDER --out"):
        open_store(tmp_path / "nothing")


def test_reading_loads_no_torch(written):
    script = f"""
import sys
from minimax_al.data.features.feature_store import open_store
store = open_store({str(written.parent)!r})
assert store.rows([image.sha256 for image in store.images]).tolist() == [0, 2], store.images
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
