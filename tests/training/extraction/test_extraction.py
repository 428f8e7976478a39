"""Extraction: killed or not, the same bytes; features depend on the image alone; what changed is computed again."""

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.data.features.feature_store import FeatureStore, open_store
from minimax_al.errors import ConfigurationError, DataError, FeatureStoreError
from minimax_al.networks import Encoder, Preprocessing, fingerprint
from minimax_al.training.extraction import encoding
from minimax_al.training.extraction.encoding import EncodingSettings, in_order
from minimax_al.training.extraction.extraction import TOLERANCE, embed_folder, extract_features
from minimax_al.training.extraction.image_files import ImageFile

WORKER = Path(__file__).with_name("extraction_worker.py")
KILLS = int(os.environ.get("EXTRACTION_KILLS", "4"))
COUNT = 41


@pytest.fixture(scope="module")
def worker():
    specification = importlib.util.spec_from_file_location("extraction_worker", WORKER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A folder of images of many sizes and kinds, two of them alike, and three files without features."""
    folder = tmp_path_factory.mktemp("pool")
    generator = np.random.default_rng(0)
    for i in range(COUNT):
        height, width = generator.integers(20, 70, 2)
        pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = folder / f"{'abc'[i % 3]}/{i:03d}.{('png', 'jpg')[i % 2]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels if i % 5 else pixels[..., 0]).save(path)
    shutil.copy(folder / "a/000.png", folder / "c/copy.png")
    (folder / "b/broken.png").write_bytes((folder / "a/006.png").read_bytes()[:200])
    (folder / "b/empty.jpg").touch()
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def own_pool(pool, tmp_path):
    return Path(shutil.copytree(pool, tmp_path / "pool"))


@pytest.fixture
def encoder(worker):
    return worker.made_encoder()


SETTINGS = EncodingSettings(batch_size=4, workers=2, rows_per_shard=8)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def vectors_by_path(found):
    return dict(
        zip(
            [image.path for image in found.images],
            found.store.features([image.sha256 for image in found.images], [i.path for i in found.images])[:],
            strict=True,
        )
    )


def assert_alike(found, expected):
    assert found.keys() == expected.keys()
    scale = torch.stack(list(expected.values())).abs().max()
    for name, vector in expected.items():
        assert (found[name] - vector).abs().max() <= TOLERANCE * scale, name


def test_features_are_those_of_the_network_on_each_image_alone(pool, encoder, tmp_path):
    found = embed_folder(pool, tmp_path, encoder, SETTINGS)
    expected = {}
    for image in found.images:
        with Image.open(pool / image.path) as opened, torch.inference_mode():
            expected[image.path] = encoder.network(encoder.preprocessing.tensor(opened.convert("RGB")))[0]
    assert len(found.images) == COUNT + 1
    assert found.computed == COUNT == len(found.store)  # the copy has the row of its original
    assert_alike(vectors_by_path(found), expected)
    found.store.verify()


def test_files_without_features_are_set_aside_with_the_reason(pool, encoder, tmp_path):
    reasons = dict(embed_folder(pool, tmp_path, encoder, SETTINGS).set_aside)
    assert reasons.keys() == {"notes.txt", "b/broken.png", "b/empty.jpg"}
    assert "ending '.txt'" in reasons["notes.txt"]
    assert "empty" in reasons["b/empty.jpg"]
    again = embed_folder(pool, tmp_path, encoder, SETTINGS)
    assert (dict(again.set_aside), again.computed) == (reasons, 0)


def test_killed_extractions_equal_an_uninterrupted_one_byte_for_byte(pool, tmp_path):
    words = [sys.executable, WORKER, pool, tmp_path, str(KILLS), "1"]
    result = subprocess.run(words, check=True, capture_output=True, text=True)
    assert int(result.stdout) >= KILLS
    expected = contents(tmp_path / "whole")
    assert len([name for name in expected if name.endswith(".features.npy")]) == 6
    killed = sorted(tmp_path.glob("killed-*"))
    assert killed
    for folder in killed:
        assert contents(folder) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"batch_size": 1},
        {"batch_size": 64},
        {"workers": 1},
        {"workers": 7},
        {"rows_per_shard": 5},
        {"rows_per_shard": 1000},
    ],
)
def test_features_do_not_depend_on_batch_workers_or_shards(pool, encoder, tmp_path, changed):
    expected = vectors_by_path(embed_folder(pool, tmp_path / "expected", encoder, SETTINGS))
    found = embed_folder(pool, tmp_path / "found", encoder, SETTINGS.model_copy(update=changed))
    assert_alike(vectors_by_path(found), expected)


@pytest.mark.parametrize("threads", [2, 9])
def test_features_do_not_depend_on_threads_and_the_setting_is_restored(pool, encoder, tmp_path, threads):
    expected = contents(embed_folder(pool, tmp_path / "expected", encoder, SETTINGS).store.folder)
    torch.set_num_threads(threads)
    try:
        found = embed_folder(pool, tmp_path / "found", encoder, SETTINGS)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    # Up to eight threads each run the network alone, as one thread does: the same bits.
    assert contents(found.store.folder) == expected


def test_features_do_not_depend_on_other_images_of_the_batch(pool, encoder, tmp_path):
    names = [image.path for image in embed_folder(pool, tmp_path / "all", encoder, SETTINGS).images]
    expected = vectors_by_path(embed_folder(pool, tmp_path / "all", encoder, SETTINGS))
    shuffled = [names[i] for i in np.random.default_rng(3).permutation(len(names))[:17]]
    files = [ImageFile(pool / name, name) for name in shuffled]
    found = vectors_by_path(extract_features(files, tmp_path / "some", encoder, SETTINGS))
    assert_alike(found, {name: expected[name] for name in shuffled})


def test_renamed_files_keep_their_rows_and_new_and_changed_ones_are_computed(own_pool, encoder, tmp_path):
    first = embed_folder(own_pool, tmp_path / "out", encoder, SETTINGS)
    before = contents(first.store.folder)
    (own_pool / "elsewhere").mkdir()
    (own_pool / "a/003.jpg").rename(own_pool / "elsewhere/named.jpg")
    Image.new("RGB", (30, 40), "teal").save(own_pool / "a/006.png")  # changed
    Image.new("RGB", (40, 30), "olive").save(own_pool / "new.png")
    second = embed_folder(own_pool, tmp_path / "out", encoder, SETTINGS)
    assert second.computed == 2
    old, new = vectors_by_path(first), vectors_by_path(second)
    assert torch.equal(new["elsewhere/named.jpg"], old["a/003.jpg"])
    assert not torch.equal(new["a/006.png"], old["a/006.png"])
    assert new.keys() == old.keys() - {"a/003.jpg"} | {"elsewhere/named.jpg", "new.png"}
    after = contents(second.store.folder)
    assert {name: after[name] for name in before if name != "images.csv"} == {
        name: content for name, content in before.items() if name != "images.csv"
    }


def test_other_weights_preprocessing_or_precision_make_another_store(pool, encoder, worker, tmp_path):
    folders = {embed_folder(pool, tmp_path, encoder, SETTINGS).store.folder}
    for other in (worker.made_encoder(1), replace(encoder, preprocessing=Preprocessing(size=20))):
        folders.add(embed_folder(pool, tmp_path, other, SETTINGS).store.folder)
    bf16 = embed_folder(pool, tmp_path, encoder, SETTINGS.model_copy(update={"precision": "bf16"}))
    folders.add(bf16.store.folder)
    assert len(folders) == 4
    assert bf16.store.description.precision == "bf16"
    assert open_store(tmp_path, bf16.store.folder.name).description == bf16.store.description


def test_hashes_that_are_known_are_not_computed(pool, encoder, tmp_path, monkeypatch):
    first = embed_folder(pool, tmp_path, encoder, SETTINGS)
    monkeypatch.setattr("hashlib.file_digest", None)
    files = [ImageFile(pool / image.path, image.path, image.sha256) for image in first.images]
    assert extract_features(files, tmp_path, encoder, SETTINGS).computed == 0


def test_pipes_and_broken_links_are_set_aside_at_once(own_pool, encoder, tmp_path):
    os.mkfifo(own_pool / "pipe.png")
    (own_pool / "link.png").symlink_to(own_pool / "gone.png")
    reasons = dict(embed_folder(own_pool, tmp_path / "out", encoder, SETTINGS).set_aside)
    assert reasons["pipe.png"] == "it is not a regular file"
    assert reasons["link.png"] == f"it is a link to {str(own_pool / 'gone.png')!r}, which does not exist"


def test_the_network_does_not_run_for_batches_without_a_readable_image(own_pool, encoder, tmp_path):
    calls = []
    encoder.network.register_forward_hook(lambda *_: calls.append(1))
    before = embed_folder(own_pool, tmp_path / "one", encoder, SETTINGS)
    runs = len(calls)
    (own_pool / "z").mkdir()
    for i in range(12):
        (own_pool / f"z/{i:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([i] * 50))
    after = embed_folder(own_pool, tmp_path / "two", encoder, SETTINGS)
    assert len(calls) == 2 * runs
    assert after.images == before.images
    assert {entry.path for entry in after.set_aside} >= {f"z/{i:02d}.png" for i in range(12)}


def test_a_file_that_changes_during_reading_is_set_aside(own_pool, encoder, tmp_path, monkeypatch):
    original = encoding.signature
    with monkeypatch.context() as patched:
        patched.setattr(encoding, "signature", lambda path: (0, 0) if path.name == "003.jpg" else original(path))
        found = embed_folder(own_pool, tmp_path / "out", encoder, SETTINGS)
    assert dict(found.set_aside)["a/003.jpg"] == "it changed while it was read: run the command again"
    assert (found.computed, "a/003.jpg" in {image.path for image in found.images}) == (COUNT - 1, False)
    assert embed_folder(own_pool, tmp_path / "out", encoder, SETTINGS).computed == 1


def test_unusable_vectors_are_set_aside_with_the_image(own_pool, tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, images):
            brightest = images.amax(dim=(1, 2, 3), keepdim=True)[..., 0, 0]
            return torch.where(brightest > 0.999, torch.inf, torch.where(brightest < 0.001, 0.0, 1.0)).repeat(1, 2)

    network = Encoder("odd", {"odd": Odd()}, 2)
    plain = Preprocessing(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    encoder = worker_encoder(network, plain)
    shutil.rmtree(own_pool)
    own_pool.mkdir()
    for name, colour in {"black": "black", "white": "white", "grey": "grey"}.items():
        Image.new("RGB", (9, 9), colour).save(own_pool / f"{name}.png")
    found = embed_folder(own_pool, tmp_path / "out", encoder)
    assert [image.path for image in found.images] == ["grey.png"]
    assert dict(found.set_aside) == {
        "black.png": "its features are zeros alone",
        "white.png": "its features have NaN or values beyond float16",
    }


def worker_encoder(network, preprocessing):
    from minimax_al.networks import PretrainedEncoder

    return PretrainedEncoder(network, preprocessing, "made", fingerprint(network))


def test_progress_counts_images_and_comes_to_the_end(pool, encoder, tmp_path):
    told = []
    embed_folder(pool, tmp_path, encoder, SETTINGS, progress=lambda *event: told.append(event))
    counts = [done for _, done, _, _ in told]
    assert counts == sorted(set(counts))
    assert told[-1] == ("features", COUNT + 3, COUNT + 3, "images")
    assert len(set(counts)) > 5


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: None, "does not exist: give a folder of images"),
        (lambda path: path.mkdir(), "does not hold images: give a folder of images"),
        (lambda path: path.touch(), "is a file: give a folder of images"),
        (lambda path: (path.mkdir(), (path / "a.txt").touch()), r"does not hold images \('a.txt': its ending"),
        (lambda path: (path.mkdir(), (path / "a.png").touch()), r"none of 1 files in .* has features \('a.png': it is"),
    ],
)
def test_a_folder_without_images_is_refused(encoder, tmp_path, make, match):
    make(tmp_path / "folder")
    with pytest.raises(DataError, match=match):
        embed_folder(tmp_path / "folder", tmp_path / "out", encoder)


@pytest.mark.parametrize("inside", [".", "features", "a/features", "b/../c/features"])
def test_features_among_the_images_are_refused(own_pool, encoder, inside):
    before = contents(own_pool)
    with pytest.raises(ConfigurationError, match=r"is inside the folder of images .*: give a folder outside of it"):
        embed_folder(own_pool, own_pool / inside, encoder, SETTINGS)
    assert contents(own_pool) == before


def test_a_second_extraction_at_once_is_refused(pool, encoder, tmp_path):
    refusals = []

    def again(*_):
        if not refusals:
            with pytest.raises(FeatureStoreError, match="another process is writing") as caught:
                embed_folder(pool, tmp_path, encoder, SETTINGS)
            refusals.append(caught.value)

    embed_folder(pool, tmp_path, encoder, SETTINGS, progress=again)
    assert len(refusals) == 1
    assert len(FeatureStore(open_store(tmp_path).folder)) == COUNT


def test_work_in_order_is_never_far_ahead():
    from concurrent.futures import ThreadPoolExecutor

    taken, lock = [], threading.Lock()

    def items():
        for i in range(30):
            taken.append(i)
            yield i

    with ThreadPoolExecutor(3) as pool:
        for done, result in enumerate(in_order(pool, lambda i: (lock.acquire(), lock.release(), i)[2], items(), 4)):
            assert result == done
            assert len(taken) <= done + 5 + 1
