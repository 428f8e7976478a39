"""Campaigns whose images are objects of a real S3 server on loopback, or listed by a manifest."""

import csv
import hashlib
import io
import logging
import shutil
import sys

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save_file

from minimax_al.campaign import Campaign
from minimax_al.cli import main
from minimax_al.data import load_dataset
from minimax_al.data.object_storage import objects
from minimax_al.data.object_storage.objects import ATTEMPTS, write_object
from minimax_al.errors import BudgetError, ConfigurationError, ManifestError, StorageError, UnknownNameError
from minimax_al.networks import build_encoder
from minimax_al.web import create_app

from ..support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures
from ..support.object_store import KEY, SECRET, TOKEN  # noqa: TID252
from ..support.storage import bucket, forget, storage_settings  # noqa: F401, TID252 - fixtures

CLASSES = ("red", "green")


def png(number, name):
    """A noisy image in which one colour is brighter."""
    pixels = np.random.default_rng(number).integers(0, 120, (24, 28, 3), dtype=np.uint8)
    pixels[..., CLASSES.index(name)] += 120
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


@pytest.fixture
def pool(bucket):  # noqa: F811
    """URL of 24 images, half of each class, and a text file."""
    for number in range(24):
        name = CLASSES[number % 2]
        write_object(f"{bucket}/pool/{number % 3}/{number:02d}-{name}.png", png(number, name))
    write_object(f"{bucket}/pool/notes.txt", b"not an image")
    forget()
    return f"{bucket}/pool"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(build_encoder("resnet18").state_dict(), path)
    return path


@pytest.fixture
def own_logs(caplog):
    caplog.set_level(logging.DEBUG, logger="minimax_al")
    return caplog


def class_of(path):
    return path.rsplit("-", 1)[1].removesuffix(".png")


def label_all(campaign):
    for pick in campaign.picks():
        campaign.label(pick.item, class_of(pick.path), author="ann")


def create(make_campaign, images, **options):
    return make_campaign(classes=CLASSES, images=images, recipe=TINY_RECIPE, near_duplicates="off", **options)


def test_a_campaign_from_new_to_package(pool, weights, tmp_path, capsys, own_logs):
    """By the commands that people give; afterwards no file and no output has a credential."""
    folder, outputs = tmp_path / "campaign", []

    def mal(*words):
        status = main([str(word) for word in words])
        outputs.append("".join(capsys.readouterr()))
        assert status == 0, outputs[-1]

    source = ("--encoder", "resnet18", "--weights", weights)
    mal("new", folder, "--images", pool, "--classes", *CLASSES, *source, "--near-duplicates", "off")
    assert "set aside: notes.txt" in outputs[-1]
    with Campaign.open(folder) as campaign:
        campaign.configure(features={"encoder": "resnet18", "weights": str(weights), "input_size": 32})
        assert campaign.status().items == {"active": 24, "set-aside": 1}
        assert campaign.settings.images == pool
    for budget in (8, 6):
        mal("query", folder, "--budget", budget)
        with Campaign.open(folder) as campaign:
            label_all(campaign)
    mal("train", folder)
    mal("status", folder, "--files")
    mal("picks", folder, "--out", tmp_path / "picks")
    assert len(list((tmp_path / "picks").rglob("*.png"))) == 6
    mal("export", folder, tmp_path / "by class", "--format", "imagefolder")
    assert len(list((tmp_path / "by class").rglob("*.png"))) == 14
    mal("export", folder, tmp_path / "labels.csv", "--format", "csv")
    mal("import", folder, tmp_path / "labels.csv")
    mal("report", folder)
    mal("predict", folder, "--images", pool, "--out", tmp_path / "predictions.csv")
    predicted = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(predicted) == 24
    assert sum(row["class"] == class_of(row["path"]) for row in predicted) >= 20
    mal("embed", pool, "--out", tmp_path / "features", *source, "--input-size", 32)
    assert "24 images have 512 features" in outputs[-1]
    mal("package", folder, tmp_path / "model")
    assert (tmp_path / "model" / "model.onnx").is_file()
    with Campaign.open(folder) as campaign, TestClient(create_app(campaign), base_url="http://127.0.0.1") as page:
        item = campaign.picks()[0].item
        answers = [page.get(f"/thumbnails/{item}"), page.get(f"/images/{item}")]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[1].content == objects.read_object(f"{pool}/{campaign.picks()[0].path}")
        outputs += [str(answer.headers) for answer in answers] + [page.get("/").text]
    secrets = [secret.encode() for secret in (KEY, SECRET, TOKEN)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 50
    for content in [*(path.read_bytes() for path in files), "".join(outputs).encode(), own_logs.text.encode()]:
        assert not any(secret in content for secret in secrets)
        assert b"X-Amz-" not in content


def test_a_refresh_follows_the_bucket(pool, make_campaign):
    campaign = create(make_campaign, pool)
    assert str(campaign.refresh()) == "nothing new"
    write_object(f"{pool}/0/99-red.png", png(99, "red"))
    campaign.label("0/00-red.png", "red", author="ann")
    write_object(f"{pool}/0/00-red.png", png(98, "red"))
    write_object(f"{pool}/broken.png", b"\x89PNG\r\n\x1a\n")
    found = campaign.refresh()
    assert (found.added, found.changed, found.set_aside) == (("0/99-red.png",), ("0/00-red.png",), ("broken.png",))


def test_failures_on_the_way_are_retried_or_set_aside(pool, storage_settings, make_campaign):  # noqa: F811
    storage_settings.fail("02-red", "503 Slow Down", "SlowDown", times=3)
    storage_settings.halve("04-red", times=2)
    storage_settings.halve("06-red", times=ATTEMPTS)
    storage_settings.fail("08-red", "404 Not Found", "NoSuchKey", times=1)
    campaign = create(make_campaign, pool)
    aside = dict(campaign.status().set_aside)
    assert campaign.status().items == {"active": 22, "set-aside": 3}
    assert "it cannot be read in 6 attempts" in aside["0/06-red.png"]
    assert aside["2/08-red.png"] == "it does not exist"
    assert str(campaign.refresh()) == "nothing new"  # both arrive now
    assert campaign.status().items == {"active": 24, "set-aside": 1}


@pytest.fixture
def short_pauses(storage_settings, monkeypatch):  # noqa: F811
    monkeypatch.setattr(objects, "FIRST_PAUSE_SECONDS", 0.002)


@pytest.mark.usefixtures("short_pauses")
class TestInterruption:
    @pytest.mark.parametrize(
        "case",
        [
            ("500 Internal Server Error", "InternalError", "does not answer properly"),
            ("403 Forbidden", "ExpiredToken", "refuses the credentials"),
        ],
    )
    def test_a_creation_continues_in_the_next_look(self, pool, storage_settings, make_campaign, tmp_path, case):  # noqa: F811
        status, code, sentence = case
        storage_settings.fail(".png", status, code, times=9999, after=3)
        with pytest.raises(StorageError, match=sentence) as raised:
            create(make_campaign, pool)
        assert not any(secret in str(raised.value) for secret in (KEY, SECRET, TOKEN))
        assert "\n" not in str(raised.value)
        storage_settings.failures.clear()
        forget()
        with Campaign.open(tmp_path / "campaign") as campaign:
            campaign.refresh()
            assert campaign.status().items == {"active": 24, "set-aside": 1}


def test_a_url_with_a_credential_is_refused_without_showing_it(make_campaign, tmp_path):
    for url in (f"s3://{KEY}:{SECRET}@bucket/pool", f"https://host/pool?X-Amz-Signature={SECRET}"):
        with pytest.raises(ConfigurationError, match="environment") as raised:
            create(make_campaign, url)
        assert SECRET not in str(raised.value)
    assert not (tmp_path / "campaign").exists()


class TestManifest:
    def write(self, path, rows):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def rows(self, pool):
        return [
            {"uri": f"{pool}/{n % 3}/{n:02d}-{CLASSES[n % 2]}.png", "site": "AB"[n % 2], "Year": 2000 + n}
            for n in range(24)
        ]

    def test_columns_stay_attached_filter_the_pool_and_are_exported(self, pool, make_campaign, tmp_path):
        campaign = create(make_campaign, self.write(tmp_path / "pool.csv", self.rows(pool)))
        assert campaign.status().items == {"active": 24}
        campaign.query(5, where="site = A and year >= 2010")
        picked = [pick.path for pick in campaign.picks()]
        assert all(int(path.rsplit("/", 1)[1][:2]) >= 10 and class_of(path) == "red" for path in picked)
        label_all(campaign)
        campaign.export("csv", tmp_path / "labels.csv")
        exported = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
        assert {row["site"] for row in exported} == {"A"}
        assert {row["path"] for row in exported} == set(picked)
        assert all(row["year"] == str(2000 + int(row["path"].rsplit("/", 1)[1][:2])) for row in exported)
        assert campaign.import_labels(tmp_path / "labels.csv").unchanged == 5

    def test_a_filter_that_no_image_passes_is_refused(self, pool, make_campaign, tmp_path):
        campaign = create(make_campaign, self.write(tmp_path / "pool.csv", self.rows(pool)))
        with pytest.raises(BudgetError, match="no unlabelled image has site = C"):
            campaign.query(5, where="site = C")
        with pytest.raises(UnknownNameError, match=r"column of the manifest 'sit'; did you mean 'site'\?"):
            campaign.query(5, where="sit = A")
        with pytest.raises(ConfigurationError, match="is not a filter"):
            campaign.query(5, where="site like A")
        with pytest.raises(ConfigurationError, match="'old' is not one"):
            campaign.query(5, where="year < old")

    def test_a_manifest_may_be_an_object_itself_with_paths_below_it(self, pool, make_campaign):
        lines = ["path,site", *(f"{n % 3}/{n:02d}-{CLASSES[n % 2]}.png,A" for n in range(10))]
        write_object(f"{pool}/pool.csv", "\n".join(lines).encode())
        campaign = create(make_campaign, f"{pool}/pool.csv")
        assert campaign.status().items == {"active": 10}
        write_object(f"{pool}/pool.csv", "\n".join(lines[:-2]).encode())
        assert len(campaign.refresh().missing) == 2

    def test_stated_hashes_and_sizes_spare_the_reading(self, pool, storage_settings, make_campaign, tmp_path):  # noqa: F811
        rows = self.rows(pool)
        for row in rows:
            content = png(int(row["uri"].rsplit("/", 1)[1][:2]), class_of(row["uri"]))
            row |= {"sha256": hashlib.sha256(content).hexdigest(), "width": 28, "height": 24}
        storage_settings.requests.clear()
        campaign = create(make_campaign, self.write(tmp_path / "pool.csv", rows))
        assert campaign.status().items == {"active": 24}
        assert not storage_settings.requests
        assert str(campaign.refresh()) == "nothing new"

    def test_a_wrong_line_is_named(self, make_campaign, tmp_path):
        for text, sentence in (
            ("site,year\nA,1\n", "line 1: no column 'path'"),
            ("path,site\n,A\n", "line 2: the path is blank"),
            (f"uri\ns3://{KEY}:{SECRET}@b/a.png\n", "line 2: the URL 's3://…@b/a.png' has a user"),
            ("path,width\na.png,wide\n", "line 2: width='wide' is not a whole number"),
            ("path,sha256\na.png,12\n", "line 2: sha256='12' is not a SHA-256"),
        ):
            (tmp_path / "pool.csv").write_text(text)
            with pytest.raises(ManifestError, match=sentence):
                create(make_campaign, tmp_path / "pool.csv")

    def test_local_paths_start_at_the_manifest(self, make_campaign, save_images, tmp_path):
        images = save_images(6)
        rows = [{"path": path.relative_to(tmp_path).as_posix(), "site": "A"} for path in sorted(images.rglob("*.png"))]
        campaign = create(make_campaign, self.write(tmp_path / "pool.csv", rows))
        assert campaign.status().items == {"active": 6}
        shutil.move(images / "a", images / "c")
        moved = [{**row, "path": row["path"].replace("/a/", "/c/")} for row in rows]
        self.write(tmp_path / "pool.csv", moved)
        assert len(campaign.refresh().moved) == 3

    def test_a_data_set_is_loaded_from_the_same_places(self, pool, tmp_path, storage_settings):  # noqa: F811
        rows = [{**row, "label": class_of(row["uri"])} for row in self.rows(pool)]
        found = load_dataset("manifest", self.write(tmp_path / "pool.csv", rows), test_size=4, stored_size=16)
        assert (len(found.train), len(found.test), found.class_names) == (20, 4, ("green", "red"))
        by_class = {"red": [], "green": []}
        for row in rows:
            by_class[row["label"]].append(row["uri"])
        for name, urls in by_class.items():
            for url in urls:
                write_object(f"{pool}-by-class/{name}/{url.rsplit('/', 1)[1]}", objects.read_object(url))
        loaded = load_dataset("folder", f"{pool}-by-class", test_size=4, stored_size=16, resident=False)
        assert (len(loaded.train), len(loaded.test), loaded.class_names) == (20, 4, ("green", "red"))
        batches = list(loaded.train.stream([torch.arange(10), torch.arange(10, 20)]))
        assert [tuple(batch.shape) for batch in batches] == [(10, 3, 16, 16)] * 2


def test_a_folder_needs_no_fsspec(make_campaign, save_images, monkeypatch):
    for name in ("fsspec", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    campaign = create(make_campaign, save_images(4))
    assert campaign.status().items == {"active": 4}


def test_the_status_is_shown_without_the_storage(pool, storage_settings, make_campaign, capsys):  # noqa: F811
    campaign = create(make_campaign, pool)
    storage_settings.stop()
    forget()
    assert main(["status", str(campaign.folder)]) == 0
    shown = capsys.readouterr().out
    assert "does not answer properly" in shown
    assert "move-images" not in shown
    assert "24" in shown
