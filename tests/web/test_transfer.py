import csv
import io
import json

import pytest

from minimax_al.campaign import FORMATS
from minimax_al.errors import StoreError
from minimax_al.web.transfer import FILES, _plain_name


def upload(client, filename, content, **params):
    return client.post("/api/import", params={"filename": filename, **params}, content=content)


@pytest.mark.parametrize(
    ("name", "media_type", "file"),
    [
        ("csv", "text/csv; charset=utf-8", "herons.csv"),
        ("parquet", "application/vnd.apache.parquet", "herons.parquet"),
        ("coco", "application/json", "herons-coco.json"),
        ("label-studio", "application/json", "herons-label-studio.json"),
    ],
)
def test_an_export_can_be_imported(campaign, client, name, media_type, file):
    items = [pick.item for pick in campaign.picks()]
    campaign.label(items[:3], "cat", author="ann")
    campaign.label(items[3:5], "dog", author="bob")
    before = campaign.labels()
    answer = client.get(f"/api/export/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == media_type
    assert file in answer.headers["Content-Disposition"]
    for item in items[:5]:
        campaign.undo("ann" if item in items[:3] else "bob", item)
    assert campaign.labels() == {}
    done = upload(client, file, answer.content)
    assert done.status_code == 200, done.text
    assert (done.json()["source"], done.json()["format"], done.json()["added"]) == (file, name, 5)
    assert campaign.labels() == before


def test_temporary_files_of_transfers_are_removed(client, monkeypatch, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert client.get("/api/export/csv").status_code == 200
    assert client.get("/api/export/label-studio").status_code == 200
    assert upload(client, "labels.csv", b"nonsense").status_code == 400
    assert upload(client, "labels.csv", b"path,label\n0.png,cat\n").status_code == 200
    assert list(folder.iterdir()) == []


def test_an_export_is_a_table_of_answers(campaign, client):
    pick = campaign.picks()[0]
    campaign.label(pick.item, "dog", author="ann")
    (row,) = csv.DictReader(io.StringIO(client.get("/api/export/csv").text))
    assert (row["path"], row["label"], row["author"]) == (pick.path, "dog", "ann")


@pytest.mark.parametrize("name", ["imagefolder", "masks", "cvs", "..%2fcsv"])
def test_only_files_are_exported(onlooker, name):
    assert onlooker.get(f"/api/export/{name}").status_code in (404, 422)


def test_a_format_without_a_place_for_masks_is_refused(make_campaign, make_client):
    answer = make_client(make_campaign(task="segmentation")).get("/api/export/csv")
    assert answer.status_code == 400
    assert "cannot hold labels of segmentation" in answer.json()["error"]


@pytest.mark.parametrize(
    ("filename", "content", "sentence"),
    [
        ("labels.csv", b"path,label\n0.png,cat\n1.png,bird\n", "'labels.csv', line 3: unknown class 'bird'"),
        ("labels.csv", b"path,label\n99.png,cat\n", "'99.png' is not an image"),
        ("labels.csv", b"", "'labels.csv'"),
        ("labels.xyz", b"", "ends in '.xyz'"),
        ("labels", b"", "ends in ''"),
        ("labels.json", b"{", "is not JSON"),
        ("../../labels.csv", b"path,label\n99.png,cat\n", "'_.._labels.csv', line 2"),
    ],
)
def test_an_invalid_import_is_one_sentence_and_changes_nothing(client, campaign, filename, content, sentence):
    answer = upload(client, filename, content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert "labels-" not in answer.json()["error"]  # where it lay for a moment
    assert campaign.labels() == {}


def test_text_of_an_upload_that_looks_like_its_folder_is_kept(client, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tempfile._get_candidate_names", lambda: iter(["x"]))
    label = f"{tmp_path}/labels-x/bird"
    answer = upload(client, "labels.csv", f"path,label\n0.png,{label}\n".encode())
    assert answer.json()["error"].startswith(f"'labels.csv', line 2: unknown class {label!r}")


def test_an_import_into_a_busy_database_may_be_repeated(client, campaign, monkeypatch):
    def busy(*_, **__):
        raise StoreError("the database is locked: try again")

    monkeypatch.setattr(type(campaign), "import_labels", busy)
    answer = upload(client, "labels.csv", b"path,label\n0.png,cat\n")
    assert (answer.status_code, answer.json()["error"]) == (503, "the database is locked: try again")


def test_new_classes_and_the_author_of_an_import(client, campaign):
    done = upload(client, "labels.csv", b"path,label\n0.png,bird\n", author="carl", create_classes=True).json()
    assert (done["added"], done["new_classes"]) == (1, ["bird"])
    assert campaign.labels() == {"0.png": "bird"}
    assert client.post("/api/undo", json={"author": "carl"}).json()["class_name"] == "bird"


def deep(depth):
    return b"[" * depth + b"]" * depth


TASK = {"data": {"path": "0.png"}, "annotations": [{"result": [{"type": "choices", "value": {"choices": ["cat"]}}]}]}
TASK_BY_NOBODY = {**TASK, "annotations": [{**TASK["annotations"][0], "completed_by": "\ud800"}]}
COCO = {
    "images": [{"id": 1, "file_name": "0.png", "width": 20, "height": 16}],
    "categories": [{"id": 1, "name": "cat"}],
}


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("a.json", deep(100_000)),
        ("a.json", b"\xff\xfe\x00"),
        ("a.json", b"[1, 2]"),
        ("a.json", b"[null]"),
        ("a.json", b"17"),
        ("a.json", b"null"),
        ("a.json", b'"text"'),
        ("a.json", b'{"images": 1, "categories": [], "annotations": []}'),
        ("a.json", b'{"images": [1], "categories": [1], "annotations": [1]}'),
        ("a.json", json.dumps([TASK_BY_NOBODY]).encode()),
        ("a.json", json.dumps([{**TASK, "data": {"path": "\ud800.png"}}]).encode()),
        ("a.json", json.dumps([{**TASK, "data": {"path": "a\x00.png"}}]).encode()),
        ("a.json", json.dumps({**COCO, "annotations": [{"image_id": 1, "category_id": [1]}]}).encode()),
        ("a.json", json.dumps({**COCO, "annotations": [{"image_id": [1], "category_id": 1}]}).encode()),
        ("a.json", b"[" + b"9" * 5000 + b"]"),
        ("a.csv", b"\x00" * 100),
        ("a.csv", b"path,label\n\xff\xfe,cat\n"),
        ("a.csv", b"path,label\n" + b"x" * 200_000 + b",cat\n"),
        ("a.csv", b'path,label\n"0.png,cat\n'),
        ("a.csv", b"path,label\na\x00b.png,cat\n"),
        ("a.csv", b"path,path\n1,2\n"),
        ("a.parquet", b"PAR1 no more PAR1"),
        ("a.parquet", b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_no_file_makes_the_server_fail(request, filename, content, task):
    client = request.getfixturevalue("onlooker" if task == "classification" else "onlooker_of_masks")
    answer = upload(client, filename, content, create_classes=True)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "name",
    [
        "a.csv",
        "/etc/passwd",
        "..",
        ".",
        ".csv",
        "a/b.json",
        "a\\b.csv",
        "x" * 300 + ".csv",
        "é .csv",
        "\0.csv",
        "💥" * 99,
    ],
)
def test_the_name_of_an_upload_is_not_used_as_a_path(tmp_path, name):
    plain = _plain_name(name)
    assert (tmp_path / plain).parent == tmp_path
    assert len(plain.encode()) < 250
    (tmp_path / plain).write_bytes(b"")
    assert not plain.startswith(".")


def test_every_format_that_is_one_file_can_be_downloaded():
    assert {name for name, entry in FORMATS.items() if not entry.is_folder} == set(FILES)
