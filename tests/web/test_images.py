import contextlib
import hashlib
import io
import os

import anyio
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import items
from minimax_al.web import images
from minimax_al.web.images import SHOWN
from minimax_al.web.thumbnails import LONG_SIDE, Thumbnails

RED, GREEN, BLUE, YELLOW = (220, 20, 20), (20, 180, 20), (20, 20, 220), (220, 220, 20)


def quarters(width=64, height=48):
    """Red and green above, blue and yellow below: which way up is plain to see."""
    image = Image.new("RGB", (width, height))
    for place, colour in zip(((0, 0), (1, 0), (0, 1), (1, 1)), (RED, GREEN, BLUE, YELLOW), strict=True):
        half = (width // 2, height // 2)
        image.paste(
            colour, (place[0] * half[0], place[1] * half[1], (place[0] + 1) * half[0], (place[1] + 1) * half[1])
        )
    return image


def corners(image):
    """The colours near the four corners, in the order of `quarters`, as the nearest of the four."""
    width, height = image.size
    seen = [image.convert("RGB").getpixel((x, y)) for y in (height // 8, height - height // 8 - 1)
            for x in (width // 8, width - width // 8 - 1)]  # fmt: skip
    distance = [
        [sum((a - b) ** 2 for a, b in zip(one, colour, strict=True)) for colour in (RED, GREEN, BLUE, YELLOW)]
        for one in seen
    ]
    return [int(np.argmin(row)) for row in distance]


def ids(campaign):
    with campaign.store.reading() as connection:
        return {row.path: row.id for row in connection.execute(select(items.c.path, items.c.id))}


def opened(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


@pytest.fixture
def show(tmp_path, make_client):
    """A client over a campaign of files that the test writes, and the ids of these."""
    made = []

    def make(write, task="classification", **options):
        folder = tmp_path / "files"
        folder.mkdir()
        write(folder)
        quarters(20, 20).rotate(90).save(folder / "filler.png")
        campaign = Campaign.create(
            tmp_path / "campaign", folder, ["cat", "dog"], task, near_duplicates="off", recipe="scratch"
        )
        made.append(campaign)
        return make_client(campaign), ids(campaign)

    yield make
    for campaign in made:
        campaign.close()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.jpg", "image/jpeg"), ("a.png", "image/png"), ("a.webp", "image/webp"), ("a.gif", "image/gif"),
     ("a.bmp", "image/bmp"), ("a.avif", "image/avif")],
)  # fmt: skip
def test_formats_of_browsers_are_sent_unchanged(show, tmp_path, name, media_type):
    client, known = show(lambda folder: quarters().save(folder / name))
    answer = client.get(f"/images/{known[name]}")
    assert answer.headers["Content-Type"] == media_type
    assert answer.content == (tmp_path / "files" / name).read_bytes()
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert media_type in SHOWN


@pytest.mark.parametrize("name", ["a.tif", "a.tga", "a.ppm", "a.jp2"])
def test_other_formats_are_sent_as_full_size_jpeg(show, name):
    client, known = show(lambda folder: quarters().save(folder / name))
    answer = client.get(f"/images/{known[name]}")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert opened(answer).size == (64, 48)
    assert corners(opened(answer)) == [0, 1, 2, 3]


def test_the_media_type_follows_the_content_not_the_suffix(show):
    client, known = show(lambda folder: quarters().save(folder / "a.png", format="JPEG"))
    assert client.get(f"/images/{known['a.png']}").headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(1, None), (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)],
)
def test_thumbnails_are_upright_small_and_true(show, orientation, stored):
    upright = quarters(1200, 800)

    def write(folder):
        exif = Image.Exif()
        exif[0x0112] = orientation
        (upright if stored is None else upright.transpose(stored)).save(folder / "a.jpg", exif=exif, quality=90)

    client, known = show(write)
    answer = client.get(f"/thumbnails/{known['a.jpg']}")
    small = opened(answer)
    assert (small.format, small.size) == ("JPEG", (LONG_SIDE, 213))
    assert corners(small) == [0, 1, 2, 3]
    assert len(answer.content) < 20_000


def test_small_images_are_not_enlarged(show):
    client, known = show(lambda folder: quarters(30, 20).save(folder / "a.png"))
    assert opened(client.get(f"/thumbnails/{known['a.png']}")).size == (30, 20)


@pytest.mark.parametrize("route", ["images", "thumbnails"])
def test_an_unchanged_image_is_not_sent_again(show, tmp_path, route):
    client, known = show(lambda folder: quarters().save(folder / "a.png"))
    path, address = tmp_path / "files" / "a.png", f"/{route}/{known['a.png']}"
    first = client.get(address)
    tag = first.headers["ETag"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() in tag
    for condition in (tag, f"W/{tag}", f'"other", {tag}'):
        unchanged = client.get(address, headers={"If-None-Match": condition})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
    os.utime(path, ns=(1, 1))
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    quarters().rotate(180).save(path)
    changed = client.get(address, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert corners(opened(changed)) == [3, 2, 1, 0]


@pytest.mark.parametrize("route", ["images", "thumbnails"])
def test_an_unreadable_image_is_one_sentence(show, tmp_path, route):
    def write(folder):
        for name in ("gone.png", "broken.png", "cut.jpg"):
            quarters().save(folder / name)
        (folder / "never.png").write_bytes(b"no image")

    client, known = show(write)
    folder = tmp_path / "files"
    (folder / "gone.png").unlink()
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-200])
    for name in ("gone.png", "broken.png", "cut.jpg", "never.png"):
        answer = client.get(f"/{route}/{known[name]}")
        assert answer.status_code == 404, name
        assert name in answer.json()["error"]
    answer = client.get(f"/{route}/999")
    assert answer.status_code == 404
    assert "999" in answer.json()["error"]
    for wrong in ("0", "-1", "x", str(2**40), "1.5"):
        assert client.get(f"/{route}/{wrong}").status_code == 422


@pytest.mark.parametrize("route", ["images", "thumbnails"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_that_lead_out_of_the_folder_are_not_followed(show, tmp_path, route, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    quarters().save(outside / "secret.png")

    def write(folder):
        if what == "file":
            (folder / "secret.png").symlink_to(outside / "secret.png")
        else:
            (folder / "sub").symlink_to(outside)
        (folder / "inside.png").symlink_to(folder / "filler.png")

    client, known = show(write)
    answer = client.get(f"/{route}/{known['secret.png' if what == 'file' else 'sub/secret.png']}")
    assert answer.status_code == 404
    assert "leads out" in answer.json()["error"]
    assert client.get(f"/{route}/{known['inside.png']}").status_code == 200


def test_a_link_changed_later_is_not_followed(show, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n secret")
    client, known = show(lambda folder: quarters().save(folder / "a.png"))
    (tmp_path / "files" / "a.png").unlink()
    (tmp_path / "files" / "a.png").symlink_to(tmp_path / "secret.png")
    assert client.get(f"/images/{known['a.png']}").status_code == 404


def test_thumbnails_are_kept_up_to_a_limit_the_latest_first(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        Image.effect_noise((200, 200), 10 + number).save(path)
    kept = Thumbnails(limit=1)
    sizes = [len(kept.of(path, path.name)) for path in paths]
    assert kept.size <= 1
    kept = Thumbnails(limit=sum(sizes[-2:]))
    for path in paths:
        kept.of(path, path.name)
    for path in paths:
        path.unlink()
    assert kept.size <= kept.limit
    assert [len(kept.of(path, path.name)) for path in paths[-2:]] == sizes[-2:]
    with pytest.raises(ValueError, match="does not exist"):
        kept.of(paths[0], paths[0].name)


def test_thumbnails_do_not_occupy_all_threads(client):
    """Images are decoded in threads of their own, fewer than the server has for everything else."""
    from anyio.to_thread import current_default_thread_limiter

    async def default():
        return current_default_thread_limiter().total_tokens

    with client:
        assert client.app.state.shared.decoders.total_tokens < client.portal.call(default)


def test_masks_are_laid_over_in_the_colours_of_their_classes(show):
    client, known = show(lambda folder: quarters(4, 2).save(folder / "a.png"), task="segmentation")
    item = known["a.png"]
    missing = client.get(f"/views/{item}/label.png")
    assert missing.status_code == 404
    assert "no label of image" in missing.json()["error"]
    numbers = np.array([[0, 1, 255, 0], [0, 1, 255, 255]], dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(numbers).save(file, format="PNG")
    put = client.put(f"/api/masks/{item}", params={"author": "ann"}, content=file.getvalue())
    assert put.json() == {"labelled": 1, "answered_before": []}
    answer = client.get(f"/views/{item}/label.png")
    pixels = np.asarray(opened(answer))
    colours = [
        [int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in client.get("/api/campaign").json()["colours"]
    ]
    for number, colour in enumerate(colours):
        assert (pixels[numbers == number] == [*colour, 255]).all()
    assert (pixels[numbers == 255][:, 3] == 0).all()
    tag = answer.headers["ETag"]
    assert client.get(f"/views/{item}/label.png", headers={"If-None-Match": tag}).status_code == 304


def test_uncertainty_is_laid_over_as_heat(show):
    client, known = show(lambda folder: quarters(4, 4).save(folder / "a.png"), task="segmentation")
    campaign = client.app.state.shared.campaign
    digest = hashlib.sha256((campaign.images / "a.png").read_bytes()).hexdigest()
    entropy = np.arange(0, 256, 17, dtype=np.uint8).reshape(4, 4)
    campaign.views.save(digest, "entropy", entropy, (4, 4), 1.0)
    pixels = np.asarray(opened(client.get(f"/views/{known['a.png']}/entropy.png")))
    assert (pixels[..., 3] == entropy).all()


def test_views_are_of_known_kinds_and_images(onlooker):
    assert onlooker.get("/views/1/label.png").status_code == 404
    assert onlooker.get("/views/999/label.png").status_code == 404
    assert onlooker.get("/views/1/secrets.png").status_code == 422


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_disconnect_closes_the_file(tmp_path, taken):
    (tmp_path / "image").write_bytes(bytes(3 * images._CHUNK))
    file = (tmp_path / "image").open("rb")
    response = images._FileResponse(file, "image/png", {})
    sent = []

    async def send(message):
        sent.append(message)
        if len(sent) > taken:
            raise OSError("gone")

    async def receive():
        await anyio.sleep_forever()

    async def leave():
        with contextlib.suppress(BaseException):
            await response({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)

    anyio.run(leave)
    assert len(sent) == taken + 1
    assert file.closed
