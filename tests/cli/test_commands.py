import json
import os
import subprocess
import sys

import pytest

import minimax_al
from minimax_al.cli import COMMANDS, main

RESNET18 = {"encoder": 11176512, "classifier": 156928, "discriminator": 525825, "task_model": 11227812}
VGG16_BN = {"encoder": 14723136, "classifier": 12896768, "discriminator": 13108737, "task_model": 17232036}


def run(capsys, *words):
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize(("encoder", "counts"), [("resnet18", RESNET18), ("vgg16_bn", VGG16_BN)])
def test_describe_prints_the_papers_counts(capsys, encoder, counts):
    status, out, _ = run(capsys, "describe", "--encoder", encoder, "--classes", "100", "--json")
    assert status == 0
    assert json.loads(out).items() >= counts.items()


def test_describe_shows_the_papers_figures_beside(capsys):
    _, out, _ = run(capsys, "describe")
    assert "525,825" in out
    assert "525.83K" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dmeo"], "unknown command 'dmeo'; did you mean 'demo'?"),
        (["--foo"], "'--foo' is not an option: write mal COMMAND [OPTIONS], or mal --help"),
        (["bench", "rnu"], "unknown command 'bench rnu'; did you mean 'bench run'?"),
        (["describe", "--encoder", "resnet81"], "unknown encoder 'resnet81'; did you mean 'resnet18'?"),
        (["bench", "run", "digit"], "unknown preset 'digit'; did you mean 'digits'?"),
        (["bench", "run", "digits", "--recipe", "pepar"], "did you mean 'paper'?"),
        (["bench", "run", "digits", "--strategies", "mla"], "unknown strategy 'mla'; did you mean 'mal'?"),
        (["bench", "run", "digits", "--strategies"], "--strategies needs names"),
        (["bench", "run", "digits", "--start", "1"], "start=1 labels cannot cover all 10 classes"),
        (["bench", "run", "digits", "--points", "0"], "greater than 0"),
        (["bench", "run", "digits", "--recipe.encoder", "resnet81"], "unknown encoder 'resnet81'"),
        (["bench", "run", "cifar100", "--data", "no-such-folder"], "no-such-folder"),
        (["bench", "report", "no-such-folder"], "is not a results folder of a benchmark"),
    ],
)
def test_user_errors_are_one_sentence_with_status_2(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *words)
    assert status == 2
    assert sentence in err
    assert err.startswith("mal: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err + out


@pytest.mark.parametrize(
    "words", [["demo", "--seeds", "x"], ["names", "things"], ["bench", "run", "digits", "--sedes", "1"]]
)
def test_a_wrong_flag_ends_with_status_2(words):
    with pytest.raises(SystemExit, match="2"):
        main(words)


def test_help_lists_every_command(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(f"  {name}" in out for name in COMMANDS)
    assert run(capsys)[0] == 2


@pytest.mark.parametrize("words", [[*name.split(), "--help"] for name in COMMANDS] + [["bench", "run", "digits", "-h"]])
def test_every_command_has_help(capsys, words):
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert "usage" in capsys.readouterr().out


def test_names_are_listed(capsys):
    assert "mal" in run(capsys, "names", "strategies")[1].splitlines()
    assert "drn_d_22" in run(capsys, "names", "encoders")[1].splitlines()


@pytest.mark.parametrize("words", ["import minimax_al", "from minimax_al.cli import main; main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_used(words):
    heavy = "{'torch', 'torchvision', 'numpy', 'matplotlib', 'lightning_fabric', 'tyro', 'pydantic', 'rich'}"
    code = f"import sys; {words}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_demo_then_report(capsys, tmp_path, monkeypatch):
    """The demonstration's whole path at the smallest size: a YAML file, three flags, then the report."""
    (tmp_path / "tiny.yaml").write_text(
        "dataset: digits\nstart: 20\nstep: 10\npoints: 2\nseeds: 2\nstrategies: [random, mal]\ninitial: balanced\n"
        "recipe: {encoder: conv4, width: 4, augmentation: {flip: false}, minimax: {epochs: 1, steps_per_epoch: 2},"
        " task: {epochs: 1, steps_per_epoch: 2}, runtime: {threads: 1}}\n"
    )
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "bench", "run", "tiny.yaml", "--out", "results", "--recipe.task.epochs", "2")
    assert status == 0
    assert "Next: mal bench report results" in out
    status, out, _ = run(capsys, "bench", "report", "results")
    assert status == 0
    assert "| random" in out
    page = (tmp_path / "results" / "report.html").read_text()
    assert "random+mal" not in page
    assert page.count("data:image/png") >= 40
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {
        "curves.csv",
        "curve.svg",
        "table.md",
        "table.tex",
    }
    header, *rows = (tmp_path / "results" / "curves.csv").read_text().splitlines()
    assert header == "dataset,strategy,seed,round,labels,metric,value"
    assert any(row.startswith("tiny,mal,1,1,30,classifier_accuracy,") for row in rows)


@pytest.mark.parametrize("module", ["minimax_al.cli", "minimax_al"])
def test_modules_run_as_the_command_does(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"minimax-al {minimax_al.__version__}\n"
    wrong = subprocess.run([sys.executable, "-m", module, "dmeo"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"]])
def test_a_closed_pipe_ends_the_command_silently(words):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        command = [sys.executable, "-m", "minimax_al.cli", *words]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_folder_that_was_removed_is_named(capsys, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(capsys, "names", "strategies")[::2] == (
        2,
        "mal: the current folder does not exist any more: change to another one\n",
    )


@pytest.mark.parametrize("closed", [("stdout",), ("stdout", "stderr")])
def test_closed_streams_do_not_end_a_command(monkeypatch, closed):
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    statuses = main(["names", "strategies"]), main(["dmeo"])
    for name in closed:
        getattr(sys, name).close()
    assert statuses == (0, 2)
