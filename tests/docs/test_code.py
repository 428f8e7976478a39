"""Python in the pages runs. A block that begins with `# not run: …` gives the reason, and its names exist."""

import ast
import builtins
import inspect
import sys
from itertools import islice

import numpy as np
import pytest
from PIL import Image

import minimax_al.training.round
from minimax_al.deployment import preprocess
from minimax_al.networks import encoders
from minimax_al.testing import check_strategy
from minimax_al.training.epochs import run_epochs

NOT_RUN = "# not run: "


def python(test):
    test.languages = ("python",)
    return test


@pytest.fixture
def hasty(monkeypatch):
    """Every training takes two steps, whatever the page sets."""

    def two_steps(name, training, settings, batches, **options):
        short = settings.model_copy(update={"epochs": 1})
        return run_epochs(name, training, short, lambda epoch: islice(batches(epoch), 2), **{**options, "steps": 2})

    monkeypatch.setattr(minimax_al.training.round, "run_epochs", two_steps)


@pytest.fixture
def photos(workplace):
    """A folder of images, small but each unlike the others."""
    folder = workplace / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(40):
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(folder / f"{number:02}.png")


@python
@pytest.mark.usefixtures("hasty", "photos")
def test_blocks_run_in_the_order_of_the_page(page, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "preprocess", preprocess)  # a package of a campaign has it as a file
    monkeypatch.setattr(encoders, "_REGISTERED", {})  # names that a page registers are forgotten after it
    namespace = {"__name__": "page"}
    for block in page.blocks("python"):
        code = compile("\n" * block.line + block.text, page.name, "exec")
        if not block.text.startswith(NOT_RUN):
            exec(code, namespace)
        else:
            _check_names(ast.parse(block.text), namespace)
    if page.name.endswith("write_a_strategy.md"):
        check_strategy(namespace["FarMargin"](), checks=["exact_count", "seed_stable", "explains"])


def _check_names(tree, namespace):
    """Imports work, every name is known, and calls of imported things give arguments that these take."""
    known = dict(namespace)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(compile(ast.Module([node], []), "import", "exec"), known)
    defined = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    defined |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used <= defined | known.keys() | set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
            keywords = [keyword.arg for keyword in node.keywords if keyword.arg]
            inspect.signature(known[node.func.id]).bind_partial(*node.args, **dict.fromkeys(keywords))


@pytest.mark.parametrize("text", ["from minimax_al import learn", "print(nobody)", "from math import gcd; gcd(a=1)"])
def test_names_of_blocks_that_are_not_run_are_looked_up(text):
    with pytest.raises((ImportError, AssertionError, TypeError), match=r"learn|nobody|keyword|argument"):
        _check_names(ast.parse(text), {})
