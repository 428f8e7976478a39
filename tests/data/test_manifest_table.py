import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimax_al.data import read_manifest
from minimax_al.errors import ManifestError


@pytest.fixture
def manifest(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "pool.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_rows_labels_and_paths(manifest, tmp_path):
    path = manifest(
        'path,label,note\na/1.jpg,cat,x\n\n/abs/2.jpg, dog ,\n"with, comma.jpg",,"two\nlines"\n猫.png,cat,\n'
    )
    read = read_manifest(path)
    assert read.class_names == ("cat", "dog")
    assert [(row.name, row.label, row.line) for row in read.rows] == [
        ("a/1.jpg", "cat", 2),
        ("/abs/2.jpg", "dog", 4),
        ("with, comma.jpg", None, 6),
        ("猫.png", "cat", 7),
    ]
    assert [str(row.path) for row in read.rows[:2]] == [str(tmp_path / "a/1.jpg"), "/abs/2.jpg"]
    assert not read.has_splits


def test_splits_and_a_byte_order_mark(manifest):
    read = read_manifest(manifest("label,path,split\r\nx,1.png,train\r\ny,2.png,VAL\r\n,3.png,\r\n", "utf-8-sig"))
    assert [row.split for row in read.rows] == ["train", "test", "train"]
    assert read.has_splits


def test_class_names_fix_the_order(manifest):
    assert read_manifest(manifest("path,label\n1.png,b\n"), ["c", "b", "a"]).class_names == ("c", "b", "a")


def test_a_parquet_file_reads_as_its_csv(manifest, tmp_path):
    text = "path,label,split\n1.png,3,train\n2.png,,train\n3.png,12,test\n"
    table = pa.table(
        {"path": ["1.png", "2.png", "3.png"], "label": [3.0, None, 12.0], "split": ["train", None, "test"]}
    )
    pq.write_table(table, tmp_path / "pool.parquet")
    from_parquet = read_manifest(tmp_path / "pool.parquet")
    from_csv = read_manifest(manifest(text))
    assert [row[:4] for row in from_parquet.rows] == [row[:4] for row in from_csv.rows]
    assert [row.line for row in from_parquet.rows] == [1, 2, 3]
    assert from_parquet.class_names == from_csv.class_names == ("12", "3")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: no column 'path'; expected path,label\[,split\], found an empty file"),
        ("file,label\n1.png,a\n", "line 1: no column 'path'; expected .*found file, label"),
        ("path\n1.png\n", "line 1: no column 'label'"),
        ("path;label\n1.png;a\n", r"no column 'path'.*columns are separated by commas"),
        ("path,label,path\n1.png,a,2.png\n", "the column 'path' is there twice"),
        ("path,label\n", "has no rows"),
        ("path,label\n1.png,a\n ,b\n", "line 3: the path is blank"),
        ("path,label\nx/1.png,a\n2.png,b\nx/../x/1.png,a\n", r"line 4: 'x/\.\./x/1\.png' is there already, in line 2"),
        ("path,label\n1.png,a,b\n", "line 2: 3 fields under 2 columns"),
        ("path,label,split\n1.png,a,tset\n", "line 2: unknown split 'tset': train or test"),
        ("path,label,split\n1.png,,test\n", "line 2: a test image has a blank label"),
        ('path,label\n"1.png,a\n', r"line 2: not CSV \("),
    ],
)
def test_wrong_lines_are_named(manifest, text, sentence):
    with pytest.raises(ManifestError, match=rf"pool\.csv'.*{sentence}"):
        read_manifest(manifest(text))


def test_an_unknown_label_names_the_nearest(manifest):
    path = manifest("path,label\n1.png,cat\n2.png,doog\n")
    with pytest.raises(ManifestError, match=r"pool\.csv', line 3: unknown label 'doog'; did you mean 'dog'\?"):
        read_manifest(path, ["cat", "dog"])


def test_files_that_are_no_manifest(manifest, tmp_path):
    with pytest.raises(ManifestError, match=r"no manifest '.*none\.csv'"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(ManifestError, match=r"not UTF-8"):
        read_manifest(manifest("path,label\n1.png,käse\n", "latin-1"))
    (tmp_path / "a.parquet").write_bytes(b"path,label\n")
    with pytest.raises(ManifestError, match=r"a\.parquet' is no Parquet file"):
        read_manifest(tmp_path / "a.parquet")
    pq.write_table(pa.table({"path": ["a.png"]}), tmp_path / "b.parquet")
    with pytest.raises(ManifestError, match=r"b\.parquet', line 1: no column 'label'"):
        read_manifest(tmp_path / "b.parquet")
