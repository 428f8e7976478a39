import hashlib
import pickle
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimax_al.data import load_dataset, read_manifest
from minimax_al.data.locations.manifest import read_rows
from minimax_al.data.tables.path_spellings import spellings
from minimax_al.data.tables.table_rows import every_column, parquet_rows
from minimax_al.errors import DataError, ManifestError, MissingColumnError


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
        ("picture,label\n1.png,a\n", "line 1: no column 'path'; expected .*found picture, label"),
        ("a.jpg,cat\nb.jpg,dog\n", "line 1: no column 'path'.*put a header path,label above the first row"),
        ("file,image,label\n1.png,2.png,a\n", "may be in the column 'file' or 'image': call one of them 'path'"),
        ("path\n1.png\n", "line 1: no column 'label'"),
        ("path,label,path\n1.png,a,2.png\n", "the column 'path' is there twice"),
        ("path,label\n", "has no rows"),
        ("path,label\n1.png,a\n ,b\n", "line 3: the path is blank"),
        ("path,label\nx/1.png,a\n2.png,b\nx/../x/1.png,a\n", r"line 4: 'x/\.\./x/1\.png' is there already, in line 2"),
        ("# mine\n\npath,label\n1.png,a\n1.png,b\n", "line 5: '1.png' is there already, in line 4"),
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
    with pytest.raises(ManifestError, match=r"the manifest '.*none\.csv' does not exist"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(ManifestError, match=r"not UTF-8"):
        read_manifest(manifest("path,label\n1.png,käse\n", "latin-1"))
    (tmp_path / "a.parquet").write_bytes(b"path,label\n")
    with pytest.raises(ManifestError, match=r"a\.parquet' is not a Parquet file"):
        read_manifest(tmp_path / "a.parquet")
    pq.write_table(pa.table({"path": ["a.png"]}), tmp_path / "b.parquet")
    with pytest.raises(ManifestError, match=r"b\.parquet', line 1: no column 'label'"):
        read_manifest(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    "content",
    [
        b"Path,Label\na.jpg,cat\nb c.jpg,dog\n",
        b"filename,class\na.jpg,cat\nb c.jpg,dog\n",
        b"image,class\na.jpg,cat\nb c.jpg,dog\n",
        b"File Name,Class Name\na.jpg,cat\nb c.jpg,dog\n",
        b"path;label\na.jpg;cat\nb c.jpg;dog\n",
        b"path\tlabel\na.jpg\tcat\nb c.jpg\tdog\n",
        b"sep=;\r\npath;label\r\na.jpg;cat\r\nb c.jpg;dog\r\n",
        b"path,label\na.jpg,cat,\nb c.jpg,dog,,,\n",
        b"path,label,,\na.jpg,cat,,\nb c.jpg,dog,,\n",
        b",path,label\n0,a.jpg,cat\n1,b c.jpg,dog\n",
        b"path,label\ra.jpg,cat\rb c.jpg,dog\r",
        b" path , label \n a.jpg , cat \nb c.jpg,dog\n",
        b"# labels of ann\n\npath,label\na.jpg,cat\nb c.jpg,dog\n",
        b'"path","label"\n"a.jpg","cat"\n"b c.jpg","dog"\n',
        "path,label\na.jpg,cat\nb c.jpg,dog\n".encode("utf-16"),
        "path\tlabel\r\na.jpg\tcat\r\nb c.jpg\tdog\r\n".encode("utf-16"),
        "\ufeffpath,label\na.jpg,cat\u00a0\nb c.jpg,dog\u200b\n".encode(),
        b"label,weight,path\ncat,1,a.jpg\ndog,2,b c.jpg\n",
        b"path,file,label\na.jpg,x,cat\nb c.jpg,y,dog\n",
    ],
)
def test_tables_of_other_programs(tmp_path, content):
    path = tmp_path / "pool.csv"
    path.write_bytes(content)
    assert [row[1:3] for row in read_manifest(path).rows] == [("a.jpg", "cat"), ("b c.jpg", "dog")]


@pytest.mark.parametrize(
    "columns",
    [
        {"path": [b"a.jpg", b"b.jpg"], "label": [b"cat", b"dog"]},
        {
            "path": pa.array(["a.jpg", "b.jpg"], pa.large_string()),
            "label": pa.array(["cat", "dog"]).dictionary_encode(),
        },
        {"Image": [{"bytes": None, "path": "a.jpg"}, {"bytes": b"x", "path": "b.jpg"}], "Class": ["cat", "dog"]},
    ],
)
def test_parquet_files_of_other_programs(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    assert [row[1:3] for row in read_manifest(tmp_path / "pool.parquet").rows] == [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"image": [{"bytes": b"\x89PNG", "path": None}], "label": ["a"]},
            "the image's bytes and no path: write",
        ),
        ({"image": [b"\x89PNG\r\n"], "label": ["a"]}, "holds bytes that are not text: write images to files first"),
        ({"path": ["a.jpg"], "label": [["cat"]]}, r"label \"\['cat'\]\" is neither text nor a number"),
    ],
)
def test_parquet_cells_without_a_name(tmp_path, columns, sentence):
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    with pytest.raises(ManifestError, match=rf"pool\.parquet', line 1: the .*{sentence}"):
        read_manifest(tmp_path / "pool.parquet")


def test_repeated_paths_where_they_are_allowed(manifest):
    path = manifest("path,label\n1.png,a\n1.png,b\n")
    assert [row.label for row in read_manifest(path, repeats=True).rows] == ["a", "b"]


NFC, NFD = unicodedata.normalize("NFC", "café.png"), unicodedata.normalize("NFD", "café.png")


@pytest.mark.parametrize(
    ("name", "on_disk"),
    [
        *(("sub\\b.png", "sub/b.png"), (NFC, NFD), (NFD, NFC), ("sub/c%20d.png", "sub/c d.png")),
        *((f"sub\\{NFC}", f"sub/{NFD}"), ("a%23b.png", "a#b.png"), ("100%.png", "100%.png"), ("./a.png", "a.png")),
    ],
)
def test_names_as_other_systems_spell_them(tmp_path, save_image, name, on_disk):
    save_image(on_disk)
    save_image("other.png")
    (tmp_path / "pool.csv").write_text(f"path,label,split\n{name},x,train\nother.png,y,train\n", encoding="utf-8")
    made = load_dataset("manifest", tmp_path / "pool.csv", stored_size=4)
    assert made.set_aside == ()
    assert made.train.names == (name, "other.png")


def test_two_spellings_of_one_file_are_no_choice(tmp_path, save_image):
    """On macOS both Unicode forms of a name open the same file; links stand in for that here."""
    save_image("other.png")
    composed = save_image(f"sub/{NFC}")
    if not (tmp_path / "sub" / NFD).exists():
        (tmp_path / "sub" / NFD).symlink_to(composed)
    (tmp_path / "pool.csv").write_text(f"path,label\nsub\\{NFC},x\nother.png,y\n", encoding="utf-8")
    made = load_dataset("manifest", tmp_path / "pool.csv", stored_size=4, test_size=0)
    assert (made.set_aside, len(made.train)) == ((), 2)


def test_file_urls(tmp_path, save_image):
    paths = [save_image(name) for name in ("a b.png", "c.png")]
    rows = "".join(f"{path.as_uri()},{label},train\n" for path, label in zip(paths, "xy", strict=True))
    (tmp_path / "pool.csv").write_text(f"path,label,split\n{rows}")
    assert len(load_dataset("manifest", tmp_path / "pool.csv", stored_size=4).train) == 2


def test_two_files_that_a_name_may_mean_are_not_chosen_between(tmp_path, save_image):
    save_image("sub/b.png")
    save_image("a.png")
    save_image("x%20y.png")
    save_image("x y.png")
    (tmp_path / "pool.csv").write_text("path,label\nx%20y.png,a\na.png,b\n")
    made = load_dataset("manifest", tmp_path / "pool.csv", stored_size=4, test_size=0)
    assert made.train.names == ("x%20y.png", "a.png")  # the name itself comes first
    for name in ("c%2520d.png", "q"):
        assert name not in spellings(name)
    save_image("sub/c d.png")
    save_image("sub/c%20d.png")
    (tmp_path / "pool.csv").write_text("path,label\nsub\\c%20d.png,a\na.png,b\n")
    with pytest.raises(DataError, match=r"pool\.csv', line 2: .* may be '.*c%20d\.png' or '.*c d\.png': write the one"):
        load_dataset("manifest", tmp_path / "pool.csv", stored_size=4)


@pytest.mark.parametrize(
    ("text", "found", "is_row"),
    [("name,site\n1.png,A\n", ("name", "site"), False), ("a.jpg,cat\n", ("a.jpg", "cat"), True)],
)
def test_a_missing_column_is_data_of_the_error(manifest, text, found, is_row):
    with pytest.raises(MissingColumnError, match="no column 'path'") as caught:
        read_manifest(manifest(text))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.column, error.found, error.is_row, str(error)) == ("path", found, is_row, str(caught.value))
    with pytest.raises(MissingColumnError, match="expected path or uri, and any further columns, found") as listed:
        list(read_rows(manifest(text)))
    assert ("put a header with path above the first row" in str(listed.value)) == is_row


@pytest.mark.parametrize("read", [every_column, lambda file: parquet_rows(file, ())])
def test_memory_holds_one_group_of_a_parquet_file(tmp_path, read):
    def peak(groups):
        names = [hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(3000)]
        file = tmp_path / f"{groups}.parquet"
        table = pa.table({"path": names * groups, "label": ["a"] * len(names) * groups})
        pq.write_table(table, file, row_group_size=len(names))
        del table
        before = pa.total_allocated_bytes()
        return max(pa.total_allocated_bytes() - before for _ in read(file))

    assert peak(20) < 2 * peak(1)


TWO_ROWS = "path,label\na/1.jpg,cat\nb/2.jpg,dog\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TWO_ROWS.replace(",", "|"), "utf-8"),
        ("sep=|\r\n" + TWO_ROWS.replace(",", "|"), "utf-8-sig"),
        ("sep=^\n" + TWO_ROWS.replace(",", "^"), "utf-8"),
        ('"sep=;"\n' + TWO_ROWS.replace(",", ";"), "utf-8"),
        ("sep=\t\r\n" + TWO_ROWS.replace(",", "\t"), "utf-16"),
        ("sep=\r\n" + TWO_ROWS, "utf-8"),
        (TWO_ROWS, "utf-16-le"),
        (TWO_ROWS, "utf-16-be"),
        (TWO_ROWS, "utf-32"),
    ],
)
def test_tables_of_other_delimiters_and_encodings(manifest, text, encoding):
    rows = read_manifest(manifest(text, encoding)).rows
    assert [(row.name, row.label) for row in rows] == [("a/1.jpg", "cat"), ("b/2.jpg", "dog")]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00", "a workbook or a ZIP archive, not CSV: save its table as CSV"),
        (b"\x1f\x8b\x08", "compressed by gzip, not CSV"),
        (b"PAR1", "a Parquet file, not CSV: save its table as CSV, or as Parquet in a .parquet file"),
        ("path,label\na.jpg,cat\n".encode("utf-16")[:-1], r"line 2: not UTF-16 \(truncated data\): save it as UTF-8"),
    ],
)
def test_files_that_are_not_text_are_named(tmp_path, content, kind):
    (tmp_path / "pool.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=kind):
        read_manifest(tmp_path / "pool.csv")


def test_short_rows_are_not_blamed_on_commas(manifest):
    with pytest.raises(ManifestError, match="line 2: 2 fields under 3 columns: write a delimiter for each field"):
        read_manifest(manifest("path,label,split\n1.png,a\n"))
    with pytest.raises(ManifestError, match="line 2: 3 fields under 2 columns: put quotes around a field"):
        read_manifest(manifest("path,label\n1,2.png,a\n"))
