"""Masks over the network: saved as they were drawn, one sentence for what is wrong, drafts, layers and superpixels."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from skimage.segmentation import slic

from minimax_al.campaign import Campaign
from minimax_al.campaign.masks.drafts import DRAFTS, Draft, DraftFiles
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.data.masks.superpixels import MOST_PIXELS, REGIONS, SuperpixelFiles, find_superpixels
from minimax_al.errors import CampaignError
from minimax_al.web import pixels
from minimax_al.web.roles import Tokens


def png(values, mode=None):
    file = io.BytesIO()
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(file, format="PNG")
    return file.getvalue()


def rgba(alpha, blue=0):
    values = np.zeros((16, 20, 4), dtype=np.uint8)
    values[..., 2], values[..., 3] = blue, alpha
    return png(values)


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


def map_of(answer, dtype=np.uint8):
    assert answer.status_code == 200, answer.text
    width, height = map(int, answer.headers["Pixels-Size"].split("x"))
    return np.frombuffer(answer.content, dtype).reshape(height, width)


def test_the_facts_of_an_image_to_draw_on(masks):
    campaign, client = masks
    before = client.get("/api/drawing/1?author=ann").json()
    with Image.open(campaign.image(1)) as image:
        assert (before["width"], before["height"]) == image.size
    assert [before[name] for name in ("label", "prediction", "entropy", "draft_at")] == [False, False, False, None]
    campaign.label_mask(1, np.ones((16, 20), np.uint8), "bob")
    campaign.views.save(before["digest"], "prediction", np.zeros((8, 8), np.uint8), (16, 20), 1.0)
    after = client.get("/api/drawing/1?author=ann").json()
    assert (after["label"], after["prediction"], after["entropy"]) == (True, True, False)
    assert client.get("/api/drawing/99?author=ann").status_code == 404
    assert client.get("/api/drawing/1").status_code == 422


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_maps_are_the_stored_numbers(masks, encoding):
    campaign, client = masks
    mask = np.random.default_rng(0).integers(0, 2, (16, 20)).astype(np.uint8)
    campaign.label_mask(1, mask, "bob")
    answer = client.get("/api/pixels/1/label", headers={"Accept-Encoding": encoding})
    assert (map_of(answer) == mask).all()
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    known = {"If-None-Match": answer.headers["ETag"]}
    assert client.get("/api/pixels/1/label", headers=known).status_code == 304
    missing = client.get("/api/pixels/1/prediction")
    assert (missing.status_code, missing.json()["error"]) == (404, "there is no prediction of image 1")


def test_the_annotators_link_shows_a_mask_to_its_author_alone(make_campaign, make_client):
    campaign = make_campaign(task="segmentation")
    campaign.label_mask(1, MASK, "ann")
    links = {name: {"Authorization": f"Bearer {token}"} for name, token in Tokens.of("t" * 24)._asdict().items()}
    manager, annotator = (make_client(campaign, token="t" * 24, headers=links[name]) for name in links)
    for address in ("/api/pixels/1/label", "/views/1/label.png"):
        assert [annotator.get(f"{address}?author={name}").status_code for name in ("ann", "bob")] == [200, 404]
        assert annotator.get(address).status_code == 404
        assert manager.get(address).status_code == 200
    facts = [client.get("/api/drawing/1?author=bob").json() for client in (annotator, manager)]
    assert [(one["label"], one["answer"] and one["answer"]["author"]) for one in facts] == [
        (False, None),
        (True, "ann"),
    ]
    refused = annotator.put("/api/masks/1?author=bob&decides=true", content=png(MASK))
    assert (refused.status_code, "manager's link" in refused.json()["error"]) == (403, True)


def test_a_correction_that_was_overtaken_is_refused(masks):
    campaign, client = masks
    campaign.label_mask(1, MASK, "ann")
    seen = client.get("/api/drawing/1?author=meg").json()["answer"]["id"]
    campaign.label_mask(1, np.zeros_like(MASK), "bob")
    refused = client.put(f"/api/masks/1?author=meg&replaces={seen}", content=png(MASK))
    assert refused.status_code == 409
    assert "'bob' has answered '0.png'" in refused.json()["error"]
    seen = client.get("/api/drawing/1?author=meg").json()["answer"]["id"]
    assert client.put(f"/api/masks/1?author=meg&replaces={seen}", content=png(MASK)).status_code == 200
    assert client.get("/api/drawing/1?author=meg").json()["answer"]["author"] == "meg"


@pytest.fixture
def birds(make_campaign, make_client):
    campaign = make_campaign(task="segmentation", classes=["ground", "bird", "sky"])
    return campaign, make_client(campaign)


NAMES = np.array(["ground", "bird", "sky"])
DRAWN_NAMES = NAMES[np.arange(320).reshape(16, 20) % 2]  # no sky


def numbers_of(names, classes):
    return (names[..., None] == classes).argmax(axis=-1).astype(np.uint8)


CLASS_CHANGES = {
    "reordered": lambda campaign: campaign.reorder_classes(["sky", "bird", "ground"]),
    "renamed": lambda campaign: campaign.rename_class("sky", "air"),
    "an unused class merged": lambda campaign: campaign.merge_classes(["sky"], "bird"),
    "removed and reordered": lambda campaign: (
        campaign.remove_class("sky"),
        campaign.reorder_classes(["bird", "ground"]),
    ),
    "added in front": lambda campaign: (
        campaign.add_classes(["tree"]),
        campaign.reorder_classes(["tree", "ground", "bird", "sky"]),
    ),
}


@pytest.mark.parametrize("change", CLASS_CHANGES.values(), ids=CLASS_CHANGES)
@pytest.mark.parametrize("kind", ["masks", "drafts"])
def test_a_mask_keeps_its_classes_whatever_happens_to_them_on_the_way(birds, change, kind):
    campaign, client = birds
    ids = client.get("/api/drawing/1?author=ann").json()["class_ids"]
    assert ids == client.get("/api/campaign").json()["class_ids"]
    change(campaign)
    params = {"author": "ann", "at": 5, "class_id": ids} if kind == "drafts" else {"author": "ann", "class_id": ids}
    drawn = png(numbers_of(DRAWN_NAMES, NAMES))
    assert client.put(f"/api/{kind}/1", params=params, content=drawn).status_code == 200
    shown = map_of(client.get(f"/api/pixels/1/{'draft' if kind == 'drafts' else 'label'}?author=ann"))
    assert (np.array(campaign.classes)[shown] == DRAWN_NAMES).all()


def test_a_mask_with_a_class_that_has_left_is_refused_and_its_draft_kept(birds):
    campaign, client = birds
    ids = list(campaign.class_ids.values())
    params = {"author": "ann", "class_id": ids}
    drawn = png(numbers_of(DRAWN_NAMES, NAMES))
    assert client.put("/api/drafts/1", params={**params, "at": 5}, content=drawn).status_code == 200
    campaign.merge_classes(["bird"], "sky")
    answer = client.put("/api/masks/1", params=params, content=drawn)
    assert answer.status_code == 409
    assert answer.json()["error"] == (
        "the class 'bird' was merged or removed after the mask of '0.png' was drawn with it: nothing was saved"
    )
    assert campaign.labels() == {}
    assert client.get("/api/drawing/1?author=ann").json()["draft_at"] == 5
    unknown = client.put("/api/masks/1", params={"author": "ann", "class_id": [991, 992]}, content=drawn)
    assert (unknown.status_code, "unknown class id '99" in unknown.json()["error"]) == (400, True)


def test_a_repeated_mask_runs_once_though_the_classes_changed_between(birds):
    campaign, client = birds
    params = {"author": "ann", "class_id": list(campaign.class_ids.values())}
    for _ in range(2):
        sent = client.put(
            "/api/masks/1", params=params, content=png(numbers_of(DRAWN_NAMES, NAMES)), headers={"Idempotency-Key": "k"}
        )
        assert sent.json() == {"labelled": 1, "answered_before": []}
        campaign.reorder_classes(["sky", "bird", "ground"])
    assert (np.array(campaign.classes)[map_of(client.get("/api/pixels/1/label?author=ann"))] == DRAWN_NAMES).all()


def test_classes_that_change_between_check_and_transaction_renumber_the_mask(birds, monkeypatch):
    campaign, _ = birds
    save = MaskFiles.save

    def change_first(files, mask):
        monkeypatch.setattr(MaskFiles, "save", save)
        campaign.reorder_classes(["sky", "bird", "ground"])
        return save(files, mask)

    monkeypatch.setattr(MaskFiles, "save", change_first)
    campaign.label_mask(1, numbers_of(DRAWN_NAMES, NAMES), "ann")
    (name,) = campaign.labels().values()
    assert (np.array(campaign.classes)[campaign.masks.load(name)] == DRAWN_NAMES).all()


@pytest.mark.parametrize("kind", ["label", "draft"])
def test_a_map_names_the_classes_of_its_numbers_even_if_they_change_while_it_is_read(birds, monkeypatch, kind):
    campaign, client = birds
    ids, drawn, read = dict(campaign.class_ids), numbers_of(DRAWN_NAMES, NAMES), pixels._map_of
    if kind == "draft":
        client.put(
            "/api/drafts/1", params={"author": "ann", "at": 5, "class_id": list(ids.values())}, content=png(drawn)
        )
    else:
        campaign.label_mask(1, drawn, "ann")

    def change_then_answer(*given):
        found = read(*given)
        if campaign.classes == tuple(NAMES):
            campaign.reorder_classes(["sky", "bird", "ground"])
        return found

    monkeypatch.setattr(pixels, "_map_of", change_then_answer)
    answer = client.get(f"/api/pixels/1/{kind}?author=ann")
    named = {str(identity): name for name, identity in ids.items()}
    shown = np.array([named[one] for one in answer.headers["Class-Ids"].split(",")])[map_of(answer)]
    assert (shown == DRAWN_NAMES).all()
    monkeypatch.setattr(pixels, "_map_of", read)
    known = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(f"/api/pixels/1/{kind}?author=ann", headers=known).status_code == 304


def test_one_class_of_a_mask_can_be_shown_alone(masks):
    campaign, client = masks
    campaign.label_mask(1, MASK, "ann")
    image = Image.open(io.BytesIO(client.get("/views/1/label.png?only=1").content))
    assert ((np.asarray(image)[..., 3] > 0) == (MASK == 1)).all()


def test_a_draft_is_kept_until_the_mask_is_saved(masks):
    campaign, client = masks
    drawn = np.full((16, 20), 255, np.uint8)  # nothing yet: a draft may be void everywhere, a mask may not
    assert client.put("/api/drafts/1?author=ann&at=5", content=png(drawn)).json() == {"at": 5}
    drawn[3:5] = 1
    assert client.put("/api/drafts/1?author=ann&at=7", content=png(drawn)).status_code == 200
    assert client.get("/api/drawing/1?author=ann").json()["draft_at"] == 7
    assert client.get("/api/drawing/1?author=bob").json()["draft_at"] is None
    assert (map_of(client.get("/api/pixels/1/draft?author=ann")) == drawn).all()
    assert client.get("/api/pixels/1/draft?author=bob").status_code == 404
    assert campaign.labels() == {}
    assert client.put("/api/masks/1?author=ann", content=png(drawn)).status_code == 200
    assert client.get("/api/drawing/1?author=ann").json()["draft_at"] is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a PNG file"),
        (png(np.zeros((4, 4), np.uint8)), "has 4 x 4 pixels"),
        (png(np.full((16, 20), 9, np.uint8)), "the label 9"),
    ],
)
def test_a_draft_that_is_no_mask_of_the_image_is_refused(masks, content, sentence):
    campaign, client = masks
    answer = client.put("/api/drafts/1?author=ann&at=5", content=content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert not (campaign.folder / DRAFTS).exists()


def test_a_draft_follows_a_change_of_the_classes(tmp_path):
    files = DraftFiles(tmp_path)
    files.save("ab12", "ann", Draft(np.array([[0, 1, 2, 255]], np.uint8), 3), [11, 12, 13])
    assert files.load("ab12", "ann", [11, 12, 13]).mask.tolist() == [[0, 1, 2, 255]]
    assert files.load("ab12", "ann", [13, 11]).mask.tolist() == [[1, 255, 0, 255]]  # 12 is gone, 13 comes first
    assert files.load("ab12", "bob", [11]) is None
    files.path("ab12", "ann").write_bytes(b"damaged")
    assert files.load("ab12", "ann", [11]) is files.drawn_at("ab12", "ann") is None


DRAWN = np.arange(320, dtype=np.uint8).reshape(16, 20) % 3


def written_draft(tmp_path):
    files = DraftFiles(tmp_path / DRAFTS)
    files.save("f" * 64, "ann", Draft(DRAWN, 7), [1, 2, 3])
    return files, files.path("f" * 64, "ann")


def test_a_damaged_draft_is_none_wherever_it_is_damaged(tmp_path):
    files, path = written_draft(tmp_path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        found = files.load("f" * 64, "ann", [1, 2, 3])
        assert found is None or (found.mask == DRAWN).all()  # whole where the end marker alone is missing
        assert found is None or cut > len(content) // 2
    for place in generator.choice(len(content), 60, replace=False):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        found = files.load("f" * 64, "ann", [1, 2, 3])
        assert found is None or found.mask.shape[1] > 0
    text = PngInfo()
    text.add_text("minimax-al", '{"at": "7", "classes": [1]}')  # not as it is written
    Image.fromarray(DRAWN).save(path, pnginfo=text)
    assert files.drawn_at("f" * 64, "ann") is None
    path.unlink()
    assert files.load("f" * 64, "ann", [1, 2, 3]) is None


def test_a_draft_that_cannot_be_opened_is_not_taken_for_none(tmp_path, monkeypatch):
    files, path = written_draft(tmp_path)

    def refused(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refused)
    for read in (lambda: files.load("f" * 64, "ann", [1, 2, 3]), lambda: files.drawn_at("f" * 64, "ann")):
        with pytest.raises(CampaignError, match=r"the draft '.*' cannot be read \(Permission denied\): allow reading"):
            read()


def test_a_fault_of_the_program_is_not_taken_for_a_damaged_draft(tmp_path):
    files, _ = written_draft(tmp_path)
    with pytest.raises(TypeError, match="not iterable"):
        files.load("f" * 64, "ann", None)


def test_a_draft_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "ab").write_text("a file where a folder must be")
    with pytest.raises(CampaignError, match=r"the draft .* cannot be written .* the disk has room"):
        DraftFiles(tmp_path).save("ab12", "ann", Draft(np.zeros((2, 2), np.uint8), 3), [1])


@pytest.mark.parametrize("grain", list(REGIONS))
def test_superpixels_are_those_of_slic_and_computed_once(masks, grain, monkeypatch):
    campaign, client = masks
    kind = f"/api/pixels/1/superpixels-{grain}"
    first = map_of(client.get(kind), np.uint16)
    with Image.open(campaign.image(1)) as image:
        pixels = np.asarray(image.convert("RGB"))
    most = pixels.shape[0] * pixels.shape[1] // 9
    expected = slic(pixels, n_segments=min(most, REGIONS[grain]), compactness=10.0, start_label=0)
    assert (np.unique(first, return_inverse=True)[1] == np.unique(expected, return_inverse=True)[1]).all()
    monkeypatch.setattr("minimax_al.data.masks.superpixels.find_superpixels", None)
    assert (map_of(client.get(kind), np.uint16) == first).all()


def test_damaged_superpixels_are_computed_again(tmp_path):
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(tmp_path / "black.png")
    files = SuperpixelFiles(tmp_path / "superpixels")
    first = files.load("ab12", "coarse", tmp_path / "black.png")
    files.path("ab12", "coarse").write_bytes(b"damaged")
    assert (files.load("ab12", "coarse", tmp_path / "black.png") == first).all()


def test_superpixels_of_a_large_image_cover_it_with_fewer_pixels():
    regions = find_superpixels(Image.new("RGB", (2400, 600), "white"), 50)
    assert regions.size <= MOST_PIXELS
    assert abs(regions.shape[1] / regions.shape[0] - 4) < 0.02
    assert set(np.unique(regions)) == set(range(int(regions.max()) + 1))


@pytest.mark.parametrize(("size", "preview"), [((3000, 1500), (2048, 1024)), ((500, 300), (500, 300))])
def test_a_preview_is_at_most_2048_pixels_wide(tmp_path, make_client, size, preview):
    (tmp_path / "pool").mkdir()
    Image.new("RGB", size, "red").save(tmp_path / "pool" / "red.jpg")
    with Campaign.create(tmp_path / "campaign", tmp_path / "pool", ["cat", "dog"], "segmentation") as campaign:
        client = make_client(campaign)
        answer = client.get("/previews/1")
        assert Image.open(io.BytesIO(answer.content)).size == preview
        known = {"If-None-Match": answer.headers["ETag"]}
        assert client.get("/previews/1", headers=known).status_code == 304


def test_tiles_and_maps_of_a_conflict_that_the_browser_has_are_not_read_again(make_campaign, make_client, monkeypatch):
    campaign = make_campaign(task="segmentation", classes=["ground", "bird"], overlap=1.0)
    client = make_client(campaign)
    campaign.query(1)
    (pick,) = campaign.picks()
    for author, number in (("ann", 0), ("bob", 1)):
        campaign.label_mask(pick.item, np.full((16, 20), number, np.uint8), author, if_waiting=True)
    urls = [f"/opinions/{pick.item}/{layer}.png" for layer in ("first", "second", "difference")]
    urls += [f"/api/opinions/{pick.item}/{which}" for which in ("first", "second")]
    tags = {url: client.get(url).headers["ETag"] for url in urls}
    assert len(set(tags.values())) == 5
    load = MaskFiles.load
    monkeypatch.setattr(MaskFiles, "load", lambda *_: pytest.fail("a mask was read"))
    for url, tag in tags.items():
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    monkeypatch.setattr(MaskFiles, "load", load)
    campaign.reorder_classes(["bird", "ground"])  # the numbers change, the files of both annotators do not
    assert all(client.get(url, headers={"If-None-Match": tag}).status_code == 200 for url, tag in tags.items())
