"""A plain installation serves the engineer; everything that needs an extra is refused in one sentence."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CAMPAIGN = [re.match(r"[\w-]+", one)[0] for one in PROJECT["optional-dependencies"]["campaign"]]


def run_without(packages, code):
    """Run Python as if packages were not installed."""
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in packages)
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {hidden}{code}"], capture_output=True, text=True, check=False
    )


def test_a_plain_installation_serves_the_engineer():
    """Without the campaign's packages every other room can be imported, and the loop runs."""
    rooms = ("acquisition", "networks", "data", "training", "strategies", "loop", "report", "benchmark", "testing")
    code = (
        f"import importlib; [importlib.import_module('minimax_al.' + room) for room in {rooms}]; "
        "from minimax_al import ActiveLearner, Recipe, load_dataset; few = {'epochs': 1, 'steps_per_epoch': 1}; "
        "data = load_dataset('digits'); recipe = Recipe(encoder='conv4', width=4, minimax=few, task=few,"
        " missing_classes='warn'); learner = ActiveLearner(data, 'mal', recipe, seed=0);"
        " learner.teach(range(20), data.train_targets[:20]); learner.fit(); print(len(learner.query(5).indices))"
    )
    done = run_without(CAMPAIGN, code)
    assert done.stdout == "5\n", done.stderr


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("sqlalchemy", ["status", "somewhere"]),
        ("sqlalchemy", ["label", "somewhere"]),
        ("fastapi", ["label", "somewhere"]),
        ("uvicorn", ["label", "somewhere"]),
        ("httpx", ["label-studio", "push", "somewhere", "--project", "p"]),
    ],
)
def test_a_missing_package_is_one_sentence_with_the_command(package, words):
    done = run_without([package], f"from minimax_al.cli import main; sys.exit(main({words!r}))")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert f"needs the package '{package}': pip install 'minimax-al[campaign]'" in done.stderr


def test_another_missing_package_is_not_blamed_on_an_extra():
    done = run_without(["numpy"], "import minimax_al.campaign")
    assert "numpy" in done.stderr
    assert "minimax-al[" not in done.stderr
