import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import FORMATS
from minimax_al.web.transfer import FILES, _plain_name


def upload(client, filename, content, **params):
    return client.post("/api/import", params={"filename": filename, **params}, content=content)


def png(pixels, mode=None):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(file, format="PNG")
    return file.getvalue()


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


def rgba(alpha, blue=0):
    pixels = np.zeros((16, 20, 4), dtype=np.uint8)
    pixels[..., 2], pixels[..., 3] = blue, alpha
    return png(pixels)


@pytest.fixture
def masks(make_campaign, make_client):
    campaign = make_campaign(task="segmentation")
    return campaign, make_client(campaign)


def test_a_mask_is_a_label(masks):
    campaign, client = masks
    mask = np.zeros((16, 20), dtype=np.uint8)
    mask[3:5] = 1
    assert client.put("/api/masks/1?author=ann", content=png(mask)).json() == {"labelled": 1, "answered_before": []}
    (name,) = campaign.labels().values()
    assert (campaign.masks.load(name) == mask).all()


def palette():
    image = Image.fromarray(MASK).convert("P")
    image.putdata(MASK.ravel().tolist())
    image.putpalette([7, 8, 9] * 256)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


MASK = np.where(np.arange(320).reshape(16, 20) % 7 == 0, 255, np.arange(320).reshape(16, 20) % 2).astype(np.uint8)
KINDS = {
    "numbers": png(MASK),
    "16 bits": png(MASK.astype(np.uint16)),
    "equal colours": png(MASK, "RGB"),
    "equal colours, opaque": png(MASK, "RGBA"),  # what browsers draw
    "palette": palette(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_uploaded_mask_equals_one_imported_from_a_folder(masks, kind, tmp_path):
    campaign, client = masks
    assert client.put("/api/masks/1?author=ann", content=KINDS[kind]).status_code == 200
    (name,) = campaign.labels().values()
    assert (campaign.masks.load(name) == MASK).all()
    (tmp_path / "drawn").mkdir(parents=True)
    (tmp_path / "drawn/0.png").write_bytes(KINDS[kind])
    done = campaign.import_labels(tmp_path / "drawn")
    assert (done.added, done.unchanged) == (0, 1)


def jpeg():
    file = io.BytesIO()
    Image.fromarray(MASK).save(file, format="JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the mask '0.png.png' is not a PNG file"),
        (jpeg(), "'0.png.png' is not a PNG file, whatever its name: save it as one"),
        (png(np.arange(320, dtype=np.uint8).reshape(16, 20))[:-40], "'0.png.png' cannot be read: it is damaged"),
        (png(np.zeros((2, 2), np.uint8)), "2 x 2 pixels"),
        (png(np.full((16, 20), 7, np.uint8)), "has the label 7 at pixel (row 0, column 0)"),
        (png(np.full((16, 20), 255, np.uint8)), "all of the mask is void (255), so that it teaches nothing"),
        (rgba(alpha=128), "is transparent at pixel"),
        (rgba(alpha=255, blue=9), "is in colour ((0, 0, 9) at pixel"),
    ],
    ids=["empty", "JPEG", "cut", "small", "class", "void", "clear", "coloured"],
)
def test_files_that_are_not_masks_of_the_image_are_refused(masks, content, sentence):
    campaign, client = masks
    answer = client.put("/api/masks/1?author=ann", content=content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert campaign.labels() == {}


def test_a_mask_of_another_size_is_refused_before_it_is_decoded(masks, monkeypatch):
    campaign, client = masks
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda _: pytest.fail("it was decoded"))
    assert client.put("/api/masks/1?author=ann", content=png(np.zeros((3000, 3000, 4), np.uint8))).status_code == 400
    assert campaign.labels() == {}


def test_a_mask_named_after_another_image_needs_confirmation(masks):
    campaign, client = masks
    mask = png(np.zeros((16, 20), np.uint8))

    def send(filename):
        return client.put("/api/masks/1", params={"author": "ann", "filename": filename}, content=mask)

    for name in ("1.png", "1_L.png", "1.png.png"):
        refused = send(name)
        assert refused.status_code == 409
        assert refused.json()["error"] == f"{name!r} is named after the image '1.png', and this is '0.png'"
    assert campaign.labels() == {}
    for name in ("0.png", "0_mask.png", "0.png.png", "mask.png", "11.png", "%.png", "_.png"):
        assert send(name).status_code == 200
    assert client.put("/api/masks/1?author=ann", content=mask).status_code == 200  # whoever is sure gives no name


def test_masks_are_of_known_images_by_somebody_in_segmentation(masks, onlooker):
    _, client = masks
    mask = png(np.zeros((16, 20), np.uint8))
    assert client.put("/api/masks/99?author=ann", content=mask).status_code == 404
    assert client.put("/api/masks/1?author=%20", content=mask).status_code == 422
    assert client.put("/api/masks/1", content=mask).status_code == 422
    refused = onlooker.put("/api/masks/1?author=ann", content=mask)
    assert refused.status_code == 400
    assert "use label" in refused.json()["error"]


def test_one_undo_revokes_a_repeated_mask(masks):
    campaign, client = masks
    mask = png(np.zeros((16, 20), np.uint8))
    for _ in range(2):
        sent = client.put("/api/masks/1?author=ann", content=mask, headers={"Idempotency-Key": "one"})
        assert sent.json() == {"labelled": 1, "answered_before": []}
    client.post("/api/undo", json={"author": "ann", "item": 1})
    assert campaign.labels() == {}


def test_every_format_that_is_one_file_can_be_downloaded():
    assert {name for name, entry in FORMATS.items() if not entry.is_folder} == set(FILES)
