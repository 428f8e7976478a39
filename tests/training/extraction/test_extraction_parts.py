"""One process, four ranks, and parts that were joined: the same features, and so the same picks."""

import hashlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.acquisition import cluster_margin, k_center_greedy
from minimax_al.data.features.feature_store import open_store
from minimax_al.data.object_storage.objects import list_objects, write_object
from minimax_al.errors import ConfigurationError, FeatureStoreError, StorageError
from minimax_al.training.extraction import extraction
from minimax_al.training.extraction.encoding import EncodingSettings
from minimax_al.training.extraction.extraction import embed_folder
from minimax_al.training.extraction.extraction_parts import JobPart, check_parts, parse_part
from minimax_al.training.extraction.image_files import ImageFile

from ...support.storage import bucket, forget, storage_settings  # noqa: F401, TID252 - fixtures

HERE = Path(__file__).parent
SETTINGS = EncodingSettings(batch_size=4, workers=2, rows_per_shard=8)
COUNT = 42


@pytest.fixture(scope="module")
def encoder():
    specification = importlib.util.spec_from_file_location("extraction_worker", HERE / "extraction_worker.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.made_encoder()


def save_noise(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 34, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A folder of images, two of them alike although they are in different parts, and one that is broken."""
    folder = tmp_path_factory.mktemp("pool")
    for number in range(COUNT):
        save_noise(folder / f"{number:02d}.png", number % (COUNT - 1))
    (folder / "20.png").write_bytes((folder / "20.png").read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def alone(pool, encoder, tmp_path_factory):
    return embed_folder(pool, tmp_path_factory.mktemp("alone"), encoder, SETTINGS)


@pytest.fixture
def failing(storage_settings):  # noqa: F811
    """A server that takes the first shard alone."""
    storage_settings.fail("00001.features", "503 Slow Down", "SlowDown", times=99, method="PUT")
    return storage_settings


def embed(pool, out, encoder, **options):
    return embed_folder(pool, out, encoder, SETTINGS, **options)


def matrix(found):
    images = found.images
    return found.store.features([image.sha256 for image in images], [image.path for image in images])[:]


def picks_of(features):
    """Picks of an exact strategy and of one that draws."""
    margins = features[:, 0] - features[:, 0].min()
    generator = torch.Generator().manual_seed(0)
    return k_center_greedy(features, 8).tolist(), cluster_margin(features, margins, 4, generator=generator).tolist()


def assert_same(found, alone):
    assert found.images == alone.images
    assert found.set_aside == alone.set_aside
    found.store.verify()
    assert torch.equal(matrix(found), matrix(alone))
    assert picks_of(matrix(found)) == picks_of(matrix(alone))


def test_parts_that_are_joined_equal_one_process(pool, encoder, alone, tmp_path):
    for number in (3, 1, 2):  # in any order
        part = embed(pool, tmp_path, encoder, part=JobPart(number, 3))
        assert part.computed in {13, 14}
    found = embed(pool, tmp_path, encoder)
    assert_same(found, alone)
    assert (found.joined, found.computed) == (COUNT - 2, 0)
    again = embed(pool, tmp_path, encoder)
    assert (again.joined, again.computed) == (0, 0)


def test_an_image_that_changes_after_the_join_is_computed_again(encoder, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for number in range(3):
        save_noise(images / f"{number}.png", number)
    embed(images, out, encoder, part=JobPart(1, 1))
    assert embed(images, out, encoder).joined == 3
    save_noise(images / "1.png", 9)
    found = embed(images, out, encoder)
    assert (found.joined, found.computed) == (0, 1)
    assert found.images[1].sha256 == hashlib.sha256((images / "1.png").read_bytes()).hexdigest()


def test_four_ranks_equal_one_process(pool, alone, tmp_path, encoder):
    subprocess.run([sys.executable, HERE / "parts_worker.py", pool, tmp_path], check=True)
    assert open_store(tmp_path).shape == alone.store.shape
    found = embed(pool, tmp_path, encoder)
    assert found.computed == 0
    assert_same(found, alone)


def test_a_lost_part_costs_itself_alone(pool, encoder, alone, tmp_path):
    for number in (1, 3):
        embed(pool, tmp_path, encoder, part=JobPart(number, 3))
    found = embed(pool, tmp_path, encoder)
    assert_same(found, alone)
    assert found.computed == 13


def test_a_killed_part_keeps_its_shards_and_resumes(pool, encoder, alone, tmp_path, monkeypatch):
    embed(pool, tmp_path, encoder, part=JobPart(1, 2))
    append, shards = extraction.FeatureWriter.append, []

    def killed(writer, *words):
        if len(shards) == 1:
            raise KeyboardInterrupt
        shards.append(append(writer, *words))

    with monkeypatch.context() as patch:
        patch.setattr(extraction.FeatureWriter, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            embed(pool, tmp_path, encoder, part=JobPart(2, 2))
    assert embed(pool, tmp_path, encoder, part=JobPart(2, 2)).computed == 13  # of 21, since 8 were kept
    found = embed(pool, tmp_path, encoder)
    assert_same(found, alone)
    assert found.computed == 0


def test_a_damaged_part_is_refused(pool, encoder, tmp_path):
    embed(pool, tmp_path, encoder, part=JobPart(1, 2))
    shard = next(tmp_path.rglob("00001.features.npy"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(FeatureStoreError, match=r"00001.features.npy' is damaged .* compute the part again"):
        embed(pool, tmp_path, encoder)


class TestRefusedJoin:
    """A location that has nothing to join is refused before anything is written."""

    def refused(self, pool, encoder, tmp_path, join, sentence):
        with pytest.raises(ConfigurationError, match=re.escape(f"join={str(join)!r} {sentence}")):
            embed(pool, tmp_path / "out", encoder, join=join)
        assert not (tmp_path / "out").exists()

    def test_folder_that_does_not_exist(self, pool, encoder, tmp_path):
        self.refused(pool, encoder, tmp_path, tmp_path / "missing", "does not exist: give the folder or URL")

    def test_file(self, pool, encoder, tmp_path):
        self.refused(pool, encoder, tmp_path, pool / "01.png", "is a file: give the folder or URL")

    def test_folder_without_features(self, pool, encoder, tmp_path):
        self.refused(pool, encoder, tmp_path, pool, "has no parts, whose files are named parts/1-of-8/")

    def test_features_that_are_not_parts(self, pool, encoder, alone, tmp_path):
        self.refused(pool, encoder, tmp_path, alone.store.folder.parent, "has no parts")

    def test_features_of_another_encoder(self, pool, encoder, alone, tmp_path):
        other = tmp_path / "parts" / "1-of-2" / "resnet18-224px-01234567"
        shutil.copytree(alone.store.folder, other)
        sentence = f"has parts of other features alone ({other.name}), not of {alone.store.folder.name}: "
        self.refused(pool, encoder, tmp_path, tmp_path, sentence)
        # Parts in the folder of the features itself may be of another encoder, whose store is next to this one.
        found = embed(pool, tmp_path, encoder)
        assert (found.joined, found.computed) == (0, COUNT - 2)


class TestObjectStorage:
    def test_join_of_an_empty_url_is_refused(self, pool, encoder, bucket, tmp_path):  # noqa: F811
        with pytest.raises(ConfigurationError, match=r"join='\S+/nothing' has no parts"):
            embed(pool, tmp_path / "out", encoder, join=f"{bucket}/nothing")

    def test_join_is_refused_while_the_storage_cannot_be_listed(self, alone, storage_settings, bucket):  # noqa: F811
        storage_settings.fail(bucket.removeprefix("s3://"), "503 Slow Down", "SlowDown", times=99)
        with pytest.raises(StorageError, match="nothing is lost"):
            check_parts(f"{bucket}/features", alone.store.description)

    def test_parts_are_written_there_and_joined_from_there(self, pool, encoder, alone, bucket, tmp_path):  # noqa: F811
        for number in (1, 2):
            embed(pool, f"{bucket}/features", encoder, part=JobPart(number, 2))
        names = [each.name for each in list_objects(f"{bucket}/features")]
        assert {name.split("/")[1] for name in names} == {"1-of-2", "2-of-2"}
        found = embed(pool, tmp_path / "joined", encoder, join=f"{bucket}/features")
        assert_same(found, alone)
        assert found.computed == 0

    def test_a_part_whose_storage_vanished_continues(self, pool, encoder, bucket, failing, tmp_path):  # noqa: F811
        with pytest.raises(StorageError, match=r"nothing is lost"):
            embed(pool, f"{bucket}/features", encoder, part=JobPart(1, 1))
        failing.failures.clear()
        forget()
        for folder in tmp_path.glob("parts/*"):  # on another machine
            folder.rename(tmp_path / "elsewhere")
        assert embed(pool, f"{bucket}/features", encoder, part=JobPart(1, 1)).computed == COUNT - 2 - 8
        found = embed(pool, tmp_path / "joined", encoder, join=f"{bucket}/features")
        assert (found.joined, found.computed) == (COUNT - 2, 0)


@pytest.fixture
def in_memory(tmp_path, monkeypatch):
    """URL of five images in a file system without ETags."""
    monkeypatch.setenv("MINIMAX_AL_CACHE", str(tmp_path / "cache"))
    forget()
    url = f"memory://{tmp_path.name}/pool"
    for number in range(5):
        write_object(f"{url}/{number}.png", png(number))
    yield url
    forget()


def png(number):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (30, 34, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_object_that_changed_after_it_was_embedded_is_computed_anew(in_memory, encoder, tmp_path):
    before = embed(in_memory, tmp_path / "features", encoder)
    write_object(f"{in_memory}/2.png", png(99))
    forget()
    after = embed(in_memory, tmp_path / "features", encoder)
    assert (before.computed, after.computed) == (5, 1)
    differs = [one != other for one, other in zip(before.images, after.images, strict=True)]
    assert differs == [False, False, True, False, False]
    assert torch.equal(matrix(after), matrix(embed(in_memory, tmp_path / "anew", encoder)))


def test_an_object_that_changed_after_the_campaign_saw_it_is_left_out_and_costs_itself(in_memory, encoder, tmp_path):
    digests = [hashlib.sha256(png(number)).hexdigest() for number in range(5)]
    files = [ImageFile(f"{in_memory}/{n}.png", f"{n}.png", digest) for n, digest in enumerate(digests)]
    write_object(f"{in_memory}/2.png", png(99))
    found = extraction.extract_features(files, tmp_path / "features", encoder, SETTINGS)
    reason = "its content has changed since it was examined: run 'mal status'"
    assert [tuple(each) for each in found.set_aside] == [("2.png", reason)]
    assert (found.store.rows(digests) >= 0).tolist() == [True, True, False, True, True]
    write_object(f"{in_memory}/2.png", png(2))  # as the campaign knows it
    forget()
    again = extraction.extract_features(files, tmp_path / "features", encoder, SETTINGS)
    assert (again.computed, again.set_aside) == (1, ())


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", ""])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(ConfigurationError, match="is not a part: give I/N"):
        parse_part(text)


def test_parts_hold_every_image_once():
    for count in (0, 1, 7, 100):
        found = [number for part in range(1, 9) for number in range(count)[JobPart(part, 8).slice_of(count)]]
        assert found == list(range(count))


def test_only_parts_are_written_to_a_url(pool, encoder):
    with pytest.raises(ConfigurationError, match="only parts"):
        embed(pool, "s3://bucket/features", encoder)
