import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions, live_options
from minimax_al.campaign.settings.settings import make_settings
from minimax_al.cli import main
from minimax_al.cli.progress import shown_progress
from minimax_al.errors import ConfigurationError

CATS = ("--from-scratch", "--classes", "cat", "dog")
LETTERS = ("--from-scratch", "--classes", "a", "b")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six images, unlike one another, in two subfolders; the working directory is where they lie."""
    noise = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
    (tmp_path / "images" / "broken.jpg").write_text("no image")
    monkeypatch.chdir(tmp_path)
    assert main(["new", "campaign", "--images", "images", *CATS]) == 0
    return tmp_path


def save_noise(path, seed):
    """An image like no other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)


def run(capsys, *words):
    capsys.readouterr()
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_round_by_commands(folder, capsys):
    status, out, _ = run(capsys, "query", "campaign", "--budget", "4")
    assert status == 0
    assert "Round 1 is open: 4 images by random (badge+mal chooses once images have labels)." in out
    assert out.endswith("Next: mal label campaign\n")
    picked = run(capsys, "picks", "campaign")[1].split()
    assert len(set(picked)) == 4
    (folder / "labels.csv").write_text("path,label\n" + "".join(f"{path},cat\n" for path in picked))
    assert run(capsys, "import", "campaign", "labels.csv")[1].startswith("4 labels added")
    assert "4 labelled" in run(capsys, "status", "campaign")[1]
    assert run(capsys, "export", "campaign", "out.csv")[0] == 0
    with (folder / "out.csv").open() as file:
        assert {(row["path"], row["label"]) for row in csv.DictReader(file)} == {(path, "cat") for path in picked}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new", "campaign", "--images", "images", *LETTERS], "campaign"),
        (["new", "other", "--images", "nowhere", "--from-scratch", "--classes", "a", "b"], "nowhere"),
        (["status", "nowhere"], "nowhere"),
        (["query", "campaign", "--budget", "7"], "7"),
        (["import", "campaign", "nowhere.csv"], "nowhere.csv"),
        (["export", "campaign", "out.xyz", "--format", "cvs"], "did you mean 'csv'"),
        (["train", "campaign"], "nothing is labelled yet"),
        (["predict", "campaign", "--images", "images"], "no model was trained yet: run 'mal train campaign' first"),
        (["package", "campaign", "out"], "no model was trained yet: run 'mal train campaign' first"),
        (["close", "campaign"], "no round was opened yet"),
    ],
)
def test_user_errors_are_one_sentence_with_status_2(folder, capsys, words, sentence):
    status, _, err = run(capsys, *words)
    assert status == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_an_unknown_class_names_its_line_and_leaves_nothing(folder, capsys):
    (folder / "labels.csv").write_text("path,label\na/0.png,cat\nb/1.png,bird\n")
    status, _, err = run(capsys, "import", "campaign", "labels.csv")
    assert status == 2
    assert "line 3" in err
    assert "'bird'" in err
    assert "0 labelled" in run(capsys, "status", "campaign")[1]
    assert run(capsys, "import", "campaign", "labels.csv", "--create-classes")[0] == 0
    assert "cat 1, dog 0, bird 1" in run(capsys, "status", "campaign")[1]


TOKEN = "a-token-that-nobody-guesses"


@pytest.mark.parametrize(
    ("words", "expected"), [([], TOKEN), (["--token", TOKEN[::-1]], TOKEN[::-1])], ids=["variable", "flag"]
)
def test_a_token_may_come_from_the_environment(folder, capsys, monkeypatch, words, expected):
    served = []
    monkeypatch.setenv("MINIMAX_AL_TOKEN", TOKEN)
    monkeypatch.setattr("minimax_al.web.serve", lambda campaign, **given: served.append(given["token"]))
    monkeypatch.setattr(
        "minimax_al.web.label_studio_backend.serve_backend", lambda *_, **given: served.append(given["token"])
    )
    assert run(capsys, "label", "campaign", *words)[0] == 0
    key = ["--project", "1", "--api-key", "key"]
    assert run(capsys, "label-studio", "serve", "campaign", *key, *words)[0] == 0
    assert served == [expected, expected]


def test_an_empty_variable_is_no_token_and_an_empty_flag_is_refused(folder, capsys, monkeypatch):
    served = []
    monkeypatch.setenv("MINIMAX_AL_TOKEN", "")
    monkeypatch.setattr("minimax_al.web.serve", lambda campaign, **given: served.append(given["token"]))
    assert run(capsys, "label", "campaign")[0] == 0
    assert served == [None]
    monkeypatch.undo()
    status, _, err = run(capsys, "label", str(folder / "campaign"), "--token", "")
    assert status == 2
    assert "at least 16 letters" in err


def test_a_new_campaign_names_what_it_does_not_ask_about(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        save_noise(tmp_path / "images" / f"{number}.png", number)
    for number in range(7):
        (tmp_path / "images" / f"broken-{number}.jpg").write_text("no image")
    shutil.copy("images/3.png", "images/copy of 3.png")
    status, out, _ = run(capsys, "new", "my campaign", "--images", "images", *CATS)
    assert status == 0
    assert [line.split(":")[1] for line in out.splitlines() if line.startswith("set aside: broken")] == [
        f" broken-{number}.jpg" for number in range(5)
    ]
    assert "set aside: 2 more; mal status 'my campaign' --files lists all" in out
    assert "learns from the images: every round trains a network from random weights" in out
    assert "duplicate: copy of 3.png equals 3.png" in out
    assert "10 images, 1 duplicate, 7 files set aside; 0 labelled" in out
    budget = re.search(r"Next: mal query 'my campaign' --budget (\d+)\n", out)
    assert run(capsys, "query", "my campaign", "--budget", budget[1])[0] == 0


def test_the_next_step_follows_from_where_a_campaign_stands(folder, capsys):
    def following():
        return run(capsys, "status", "campaign")[1].splitlines()[-1]

    assert following() == "Next: mal query campaign --budget 3"
    run(capsys, "query", "campaign", "--budget", "4", "--strategy", "random")
    picked = run(capsys, "picks", "campaign")[1].split()
    assert following() == "Next: mal label campaign"
    Path("labels.csv").write_text("path,label\n" + "".join(f"{path},cat\n" for path in picked))
    run(capsys, "import", "campaign", "labels.csv")
    assert following() == "Next: mal query campaign --budget 1"  # one class is nothing to train on
    Path("labels.csv").write_text(f"path,label\n{picked[0]},dog\n")
    run(capsys, "import", "campaign", "labels.csv")
    assert following() == "Next: mal train campaign"


def test_without_a_terminal_every_epoch_is_printed_at_once(capsys):
    with shown_progress() as shown:
        shown.on_start("badge+mal", 45, 12)
        assert capsys.readouterr().err == "Training badge+mal on 45 labels (12 held out)…\n"
        for epoch in (1, 2):
            shown.progress("task model", epoch, 2, "epochs")
    assert capsys.readouterr().err == "task model: 1 of 2 epochs\ntask model: 2 of 2 epochs\n"


def test_on_a_terminal_a_bar_is_there_before_the_first_epoch(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown_progress() as shown:
        shown.on_start("badge+mal", 45, 12)
    assert "Training badge+mal on" in capsys.readouterr().err


def test_messages_use_the_command_lines_words(folder, capsys):
    Path("labels.csv").write_text("where,what\na/0.png,cat\n")
    assert "expected path,label[,author,answer], found" in run(capsys, "import", "campaign", "labels.csv")[2]
    Path("labels.csv").write_text("path,label\na/0.png,bird\n")
    assert "or import with --create-classes to add it" in run(capsys, "import", "campaign", "labels.csv")[2]


def test_images_come_back_from_label_studio_by_a_command(folder, capsys):
    assert run(capsys, "query", "campaign", "--budget", "4")[0] == 0
    with Campaign.open("campaign") as campaign:
        campaign.lend([pick.item for pick in campaign.picks()], "Label Studio, project 1")
        assert campaign.lease("ann", 4).picks == ()
        assert run(capsys, "label-studio", "recall", "campaign")[1].startswith(
            "4 images are back on the labelling page"
        )
        assert len(campaign.lease("ann", 4).picks) == 4


def test_an_import_reports_unsure_answers_and_new_classes(folder, capsys):
    (folder / "labels.csv").write_text("path,label,answer\na/0.png,bird,label\nb/1.png,,unsure\na/2.png,,unsure\n")
    status, out, _ = run(capsys, "import", "campaign", "labels.csv", "--create-classes")
    assert status == 0
    assert out.splitlines()[:2] == ["1 labels added, 0 changed, 0 unchanged, 2 unsure (csv)", "New classes: bird"]


def test_masks_are_exported_as_masks_and_a_class_called_void_is_told(folder, capsys):
    words = ("--classes", "ground", "Void", "--task", "segmentation", "--recipe", "scratch-small")
    told = run(capsys, "new", "masked", "--images", "images", *words)[1]
    assert "class 'Void' is learnt like any other; pixels of no class need none: they are 255 in masks" in told
    assert "class 'ground'" not in told
    mask = np.random.default_rng(0).integers(0, 2, (24, 24)).astype(np.uint8)
    (folder / "drawn/a").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "drawn/a/0.png")
    assert run(capsys, "import", "masked", "drawn")[1].startswith("1 labels added")
    assert run(capsys, "export", "masked", "out")[1] == "1 labels are in out\n"
    with Image.open(folder / "out/a/0.png.png") as exported:
        np.testing.assert_array_equal(np.asarray(exported), mask)


def test_copies_equal_and_near_duplicates_look_like(folder, capsys):
    shutil.copy(folder / "images/a/0.png", folder / "images/a/copy.png")
    with Image.open(folder / "images/a/2.png") as image:
        image.save(folder / "images/a/near.bmp")
    told = run(capsys, "new", "other", "--images", "images", *CATS)[1]
    assert "duplicate: a/copy.png equals a/0.png" in told
    assert "duplicate: a/near.bmp looks like a/2.png" in told


def test_status_lists_the_files_that_are_not_simply_images(folder, capsys):
    shutil.copy("images/a/0.png", "images/a/copy.png")
    shutil.move("images/b/1.png", "images/b/moved.png")
    Path("images/b/3.png").unlink()
    save_noise(Path("images/new.png"), 77)
    shown = run(capsys, "status", "campaign", "--files")[1].splitlines()
    assert {line for line in shown if ": " in line and not line.startswith(("advice", "Next"))} >= {
        "added: a/copy.png",
        "added: new.png",
        "moved: b/moved.png",
        "missing: b/3.png",
        "duplicate: a/copy.png (a copy of a/0.png)",
    }
    assert any(line.startswith("set-aside: broken.jpg (") for line in shown)
    assert "added" not in run(capsys, "status", "campaign", "--files")[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--weights", "none.pth"], "--weights 'none.pth' does not exist: give a file of an encoder's weights"),
        (["--features", "none.npy"], "--features 'none.npy' does not exist: give a file of feature vectors"),
        (["--from-scratch", "--recipe", "features"], "--from-scratch and --recipe 'features' contradict each other"),
        (["--from-scratch", "--weights", "published"], "--from-scratch and --weights 'published' contradict"),
        (["--encoder", "resnet81"], "unknown encoder 'resnet81'; did you mean 'resnet18'?"),
        (["--encoder", "conv4"], "encoder 'conv4' has no published weights: give a file of weights"),
    ],
)
def test_flags_of_a_new_campaign_are_refused_in_their_own_words(folder, capsys, words, sentence):
    status, _, err = run(capsys, "new", "other", "--images", "images", "--classes", "a", "b", *words)
    assert (status, Path("other").exists()) == (2, False)
    assert sentence in err


def test_a_new_campaign_takes_strategy_settings_and_near_duplicates(folder, capsys):
    words = ["--strategy", "mal(rule=filter)", "--near-duplicates", "off"]
    assert run(capsys, "new", "other", "--images", "images", *CATS, *words)[0] == 0
    shown = run(capsys, "configure", "other")[1].splitlines()
    assert {"strategy=mal(rule=filter)", "near_duplicates=off"} <= set(shown)
    status, _, err = run(capsys, "new", "third", "--images", "images", *LETTERS, "--strategy", "mal(x=1)")
    assert (status, Path("third").exists()) == (2, False)
    assert "unknown key 'x'" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--batch", "0"), "batch=0 must be from 1 to 1,000 images"),
        (("--batch", "5"), "batch=5 is an option of live labelling, but the campaign does not learn on features: "),
        (("--batch", "5", "--rounds"), "batch=5 is an option of live labelling, but --rounds is given: leave it out"),
        (("--random-share", "0", "--rounds"), "but --rounds is given: leave it out, and use --random-share of 'mal q"),
        (("--certificate", "missing.pem"), "'missing.pem' is not a file"),
        (("--token", "short"), "a token has at least 16 letters"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_page_that_cannot_be_served_changes_no_setting(capsys, words, sentence):
    status, _, error = run(capsys, "label", "campaign", "--overlap", "0.5", "--no-browser", *words)
    assert (status, sentence in error) == (2, True)
    with Campaign.open("campaign") as campaign:
        assert campaign.settings.overlap == 0


@pytest.mark.parametrize(
    ("given", "options"),
    [((None, None), (10, 0.3)), ((7, None), (7, 0.3)), ((None, 0.0), (10, 0.0))],
)
def test_live_options_default_to_the_settings_of_the_campaign(given, options):
    settings = make_settings(images="/images", features={"encoder": "conv4"}, random_share=0.3)
    assert live_options(settings, *given) == LiveOptions(*options)
    assert live_options(settings, rounds=True) is None


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "", ".hidden"])
@pytest.mark.usefixtures("folder")
def test_instructions_are_a_folder_of_the_campaign(capsys, name):
    status, _, error = run(capsys, "configure", "campaign", f"instructions={name}")
    assert status == 2
    assert f"instructions={name!r} is not a folder name: put the folder into the campaign folder" in error


def test_instructions_that_do_not_exist_are_refused_with_the_nearest_folder(folder, capsys):
    (folder / "campaign" / "guide").mkdir()
    (folder / "campaign" / "text").touch()
    status, _, error = run(capsys, "configure", "campaign", "instructions=giude", "overlap=0.5")
    assert (status, error.count("\n")) == (2, 1)
    assert "the campaign folder 'campaign' has no folder instructions='giude'; did you mean 'guide'?" in error
    assert run(capsys, "configure", "campaign", "instructions=text")[0] == 2
    with pytest.raises(ConfigurationError, match=r"'other' has no folder instructions='guide': make it first"):
        Campaign.create("other", "images", ["a", "b"], recipe="scratch", instructions="guide")
    assert not Path("other").exists()
    assert run(capsys, "configure", "campaign", "instructions=guide")[0] == 0
    (folder / "campaign" / "guide").rmdir()
    assert run(capsys, "configure", "campaign", "overlap=0.25")[0] == 0  # which does not name the folder
    assert run(capsys, "configure", "campaign", "instructions=instructions")[0] == 0  # the default need not exist


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ("s3://", "the URL 's3://' names no bucket or host: give one, as in s3://BUCKET/FOLDER"),
        ("s3:///photos", "the URL 's3:///photos' names no bucket or host"),
        ("named.csv", "no column 'path'; expected path or uri, and any further columns, found name, site"),
        ("nowhere.csv", "'nowhere.csv' does not exist: give a folder of images, a manifest (CSV or Parquet) or a URL"),
    ],
)
def test_a_location_that_is_none_makes_no_campaign(folder, capsys, images, sentence):
    (folder / "named.csv").write_text("name,site\nimages/a/0.png,A\n")
    status, _, error = run(capsys, "new", "other", "--images", images, *CATS)
    assert (status, sentence in error) == (2, True)
    assert not (folder / "other").exists()
