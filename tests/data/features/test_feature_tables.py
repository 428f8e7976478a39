"""Features of other programs: every format gives the same vectors; an error is one sentence that names the image."""

import json
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from minimax_al.data.features.feature_tables import read_feature_table
from minimax_al.errors import DataError, MissingDependencyError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PATHS = ("cats/ä.jpg", "dogs/b c.jpg", "dogs/d.png")
VECTORS = np.array([[1, 0, 2], [3, 4, 5], [0, 0, 7]], dtype=np.float32)
WRITERS = ["npy", "npy paths", "parquet", "parquet fixed", "safetensors", "safetensors keys", "safetensors paths"]


def write(folder, kind, paths=PATHS, vectors=VECTORS):
    """Write a table as other programs do; return the file and the argument `paths`."""
    vectors = np.asarray(vectors)
    if kind == "npy":
        np.save(folder / "table.npy", vectors)
        (folder / "table.txt").write_text("\n".join(paths) + "\n", encoding="utf-8")
        return folder / "table.npy", None
    if kind == "npy paths":
        np.save(folder / "table.npy", vectors)
        return folder / "table.npy", list(paths)
    if kind.startswith("parquet"):
        fixed = pa.list_(pa.float32(), vectors.shape[1]) if kind == "parquet fixed" else pa.list_(pa.float32())
        table = pa.table({"file_name": list(paths), "Embedding": pa.array(vectors.tolist(), fixed)})
        pq.write_table(table, folder / "table.parquet")
        return folder / "table.parquet", None
    file = folder / "table.safetensors"
    if kind == "safetensors keys":
        save_file(dict(zip(paths, vectors, strict=True)), file)
    elif kind == "safetensors paths":
        save_file({"embeddings": vectors}, file, {"paths": json.dumps(list(paths))})
    else:
        save_file({"embeddings": vectors}, file)
        (folder / "paths.txt").write_text("\n".join(paths), encoding="utf-8")
        return file, folder / "paths.txt"
    return file, None


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_format_gives_the_same_vectors(tmp_path, kind, dtype):
    table = read_feature_table(*write(tmp_path, kind, vectors=VECTORS.astype(dtype)))
    order = table.rows(PATHS)
    assert np.array_equal(np.asarray(table.vectors)[order], VECTORS)
    assert torch.equal(table.features(PATHS[::-1])[:].float(), torch.from_numpy(VECTORS[::-1].copy()))
    assert sorted(table.features().names) == sorted(PATHS)


def test_arrays_stay_on_disk(tmp_path):
    assert isinstance(read_feature_table(*write(tmp_path, "npy")).vectors, np.memmap)


@pytest.mark.parametrize(
    "asked",
    [
        ("./cats/ä.jpg", "dogs\\b c.jpg", "dogs/d.png"),
        (unicodedata.normalize("NFD", "cats/ä.jpg"), "dogs/b%20c.jpg", "./dogs/d.png"),
    ],
)
def test_other_spellings_of_a_path_are_recognised(tmp_path, asked):
    table = read_feature_table(*write(tmp_path, "npy"))
    assert table.rows(asked).tolist() == [0, 1, 2]
    windows = read_feature_table(*write(tmp_path, "npy", [path.replace("/", "\\") for path in PATHS]))
    assert windows.rows(PATHS).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.nan, r"the vector of 'dogs/b c.jpg' has NaN or an infinite value: compute it again"),
        (np.inf, r"the vector of 'dogs/b c.jpg' has NaN or an infinite value"),
        (0.0, r"the vector of 'dogs/b c.jpg' has zeros alone"),
    ],
)
def test_an_unusable_vector_is_named(tmp_path, kind, value, match):
    vectors = VECTORS.copy()
    vectors[1] = value
    source, paths = write(tmp_path, kind, vectors=vectors)
    with pytest.raises(DataError, match=match):
        read_feature_table(source, paths)


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "safetensors keys"])
def test_a_doubled_path_is_named(tmp_path, kind):
    source, paths = write(tmp_path, kind, ("a.jpg", "b.jpg", "a.jpg"))
    with pytest.raises(DataError, match=r"has two vectors of 'a.jpg', in rows 0 and 2: keep one of the two"):
        read_feature_table(source, paths)


@pytest.mark.parametrize("kind", ["npy", "npy paths", "safetensors", "safetensors paths"])
def test_another_number_of_paths_is_refused(tmp_path, kind):
    source, paths = write(tmp_path, kind, PATHS[:2])
    with pytest.raises(DataError, match=r"holds 3 vectors, and the list of paths names 2 images"):
        read_feature_table(source, paths)


def test_missing_and_unknown_images_are_named(tmp_path):
    table = read_feature_table(*write(tmp_path, "npy"))
    with pytest.raises(DataError, match=r"table.npy' has no vector of 'x.jpg' \(and 1 more\)"):
        table.rows([*PATHS, "x.jpg", "y.jpg"])
    with pytest.raises(DataError, match=r"has a vector of 'dogs/b c.jpg' \(and 1 more\), which is not among the 1"):
        table.rows(PATHS[:1], every=True)
    assert table.rows(PATHS[:1]).tolist() == [0]


def test_vectors_of_different_width_are_named(tmp_path):
    pq.write_table(pa.table({"path": ["a", "b"], "embedding": [[1.0, 2.0], [1.0]]}), tmp_path / "a.parquet")
    save_torch({"a": torch.ones(2), "b": torch.ones(3)}, tmp_path / "a.safetensors")
    for name in ("a.parquet", "a.safetensors"):
        with pytest.raises(DataError, match=r"the vector of 'b' has [13] numbers, and that of 'a' has 2"):
            read_feature_table(tmp_path / name)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"path": ["a"]}, r"no vector column 'embedding'\. Known: path"),
        ({"pfad": ["a"], "embedding": [[1.0]]}, "no path column 'path'"),
        ({"path": ["a"], "embedding": [1.0]}, "vectors of type double: write lists of numbers"),
        ({"path": ["a", "b"], "embedding": [[1.0], None]}, "no vector of 'b': the cell is empty"),
        ({"path": ["a"], "embedding": [[]]}, "features are .N, d. of a floating dtype"),
    ],
)
def test_unusable_parquet_is_refused(tmp_path, columns, match):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=match):
        read_feature_table(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.npy", b"no array", "cannot be read as an array"),
        ("a.npy", np.ones((2, 2), np.int64), "holds int64 of shape"),
        ("a.npy", np.ones(2), r"holds float64 of shape \(2,\)"),
        ("a.safetensors", b"nothing", "cannot be read as safetensors"),
        ("a.safetensors", {"a": np.ones((2, 2)), "b": np.ones((2, 2))}, "holds 2 tensors: give one of shape"),
        ("a.parquet", b"nothing", "is not a Parquet file"),
        ("a.csv", b"a", "is not a file of features: give .npy, .parquet or .safetensors"),
        ("a.npy", None, "does not exist: give a file of features"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path, name, content, match):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif isinstance(content, dict):
        save_file(content, tmp_path / name)
    elif content is not None:
        np.save(tmp_path / name, content)
    with pytest.raises(DataError, match=match):
        read_feature_table(tmp_path / name, ["a", "b"])


@pytest.mark.parametrize(
    ("paths", "match"),
    [("a, b", "'paths' that is not JSON"), ('{"a": 1}', "not a list of texts"), ("[1, 2]", "not a l")],
)
def test_unusable_paths_in_metadata_are_refused(tmp_path, paths, match):
    save_file({"vectors": np.eye(2, dtype=np.float32)}, tmp_path / "a.safetensors", {"paths": paths})
    with pytest.raises(DataError, match=match):
        read_feature_table(tmp_path / "a.safetensors")


def test_a_missing_or_unreadable_list_of_paths_is_refused(tmp_path):
    source, _ = write(tmp_path, "npy")
    (tmp_path / "table.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"table.txt' is not UTF-8"):
        read_feature_table(source)
    (tmp_path / "table.txt").unlink()
    with pytest.raises(DataError, match=r"table.txt' does not exist: list the path of each vector's image"):
        read_feature_table(source)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    source, _ = write(tmp_path, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'minimax-al\[parquet\]'"):
        read_feature_table(source)


def test_reading_loads_no_torch(tmp_path):
    source, _ = write(tmp_path, "npy")
    script = f"""
import sys
from minimax_al.data.features.feature_tables import read_feature_table
assert len(read_feature_table({str(source)!r}).vectors) == 3
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "paths", [[path.encode() for path in PATHS], [{"bytes": None, "path": path} for path in PATHS]]
)
def test_paths_may_be_bytes_or_images_of_a_collection(tmp_path, paths):
    pq.write_table(pa.table({"image": paths, "embedding": VECTORS.tolist()}), tmp_path / "t.parquet")
    assert read_feature_table(tmp_path / "t.parquet").paths == PATHS


def test_tensors_of_arrow_are_vectors(tmp_path):
    columns = [pa.array(PATHS), pa.FixedShapeTensorArray.from_numpy_ndarray(VECTORS)]
    pq.write_table(pa.Table.from_arrays(columns, ["path", "embedding"]), tmp_path / "t.parquet")
    assert read_feature_table(tmp_path / "t.parquet").vectors.tolist() == VECTORS.tolist()


@pytest.mark.parametrize(
    ("names", "rows", "match"),
    [
        (["path", "embedding"], 0, "has no rows: write one per image"),
        (["path", "Path", "embedding"], 3, "has the column 'path' twice: keep one of the two"),
    ],
)
def test_empty_and_doubled_columns_are_refused(tmp_path, names, rows, match):
    columns = [pa.array(PATHS)] * (len(names) - 1) + [pa.array(VECTORS.tolist(), pa.list_(pa.float32()))]
    pq.write_table(pa.Table.from_arrays(columns, names).slice(0, rows), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=match):
        read_feature_table(tmp_path / "t.parquet")


def test_a_blank_path_is_refused(tmp_path):
    pq.write_table(pa.table({"path": ["a", None, "c"], "embedding": VECTORS.tolist()}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="line 2: the path is blank: name an image or delete the row"):
        read_feature_table(tmp_path / "t.parquet")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_paths_end_lines_at_line_ends_alone(tmp_path, encoding):
    np.save(tmp_path / "t.npy", VECTORS)
    paths = ("a\u2028b.jpg", "c\x0bd.jpg", "e.jpg")
    (tmp_path / "t.txt").write_bytes("\r\n".join(paths).encode(encoding))
    assert read_feature_table(tmp_path / "t.npy").paths == paths
