"""The pages and the code know of one another: links, public names, strategies, figures."""

import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

from minimax_al.campaign import strategy_names
from minimax_al.errors import MinimaxALError
from minimax_al.training import MinimaxSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INLINE_CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
REFERENCE_LINK = re.compile(r"(?<=\])\[(minimax_al[\w.]*)\]")
MODULES = [
    *("acquisition", "networks", "data", "training", "strategies", "loop", "benchmark", "report", "testing", "errors"),
    *("campaign", "label_studio", "web"),
]


def names_in_reference(pages):
    text = "\n".join(page.text for name, page in pages.items() if name.startswith("docs/reference/"))
    return re.findall(r"^::: (\S+)$", text, re.MULTILINE)


def public_names(module):
    """Return the names in `__all__`, or else the classes and functions that the module defines."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    return {
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def test_links_lead_to_files_and_headings(page, pages):
    prose = INLINE_CODE.sub("", page.prose)
    for target in LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.path.parent / path).resolve() if path else page.path
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in pages[file.relative_to(ROOT).as_posix()].anchors, f"{page} links to {target}"


def test_links_stay_within_the_pages(page):
    """A link out of docs/ works in a checkout and not on the site; figures alone are taken along."""
    if not page.path.is_relative_to(DOCS):
        return
    for target in LINK.findall(INLINE_CODE.sub("", page.prose)):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            file = (page.path.parent / target.partition("#")[0]).resolve()
            assert file.is_relative_to(DOCS) or file.suffix in {".svg", ".webp"}, f"{page} links to {target}"


def test_links_to_the_reference_lead_there(page, pages):
    assert set(REFERENCE_LINK.findall(page.prose)) <= set(names_in_reference(pages))


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_in_the_reference_once(name, pages):
    module = importlib.import_module(f"minimax_al.{name}")
    listed = [full for full in names_in_reference(pages) if full.rpartition(".")[0] == module.__name__]
    assert sorted(listed) == sorted(f"{module.__name__}.{public}" for public in public_names(module))


def test_every_public_name_at_the_root_is_told_of(pages):
    root = importlib.import_module("minimax_al")
    told = set(re.findall(r"\[`(\w+)`\]\[minimax_al", pages["docs/reference/index.md"].text))
    assert told == set(root.__all__)


def test_every_page_is_in_the_navigation_once(site):
    def files(entry):
        if isinstance(entry, str):
            return [entry]
        return [file for value in (entry.values() if isinstance(entry, dict) else entry) for file in files(value)]

    assert sorted(files(site["nav"])) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_the_site_loads_nothing_from_other_hosts(site, pages):
    assert site["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript"} & site.keys()
    assert not [name for name, page in pages.items() if re.search(r"<script|<iframe|```mermaid", page.text)]


def sections(page):
    parts = re.split(r"^### (\S+) \{ #(\S+) \}$", page.text, flags=re.MULTILINE)[1:]
    return {
        name: re.split("^## ", text, flags=re.MULTILINE)[0] for name, text in zip(parts[::3], parts[2::3], strict=True)
    }


def test_every_strategy_has_its_section(pages):
    found = sections(pages["docs/strategies.md"])
    assert sorted(found) == strategy_names()
    assert all(name in pages["docs/strategies.md"].anchors for name in found)


def test_figures_of_strategies_are_those_of_the_experiment(pages):
    header, _, *rows = (ROOT / "experiments/digits-all/table.md").read_text(encoding="utf-8").strip().splitlines()
    labels = [cell.strip() for cell in header.split("|")[2:-1]]
    table = {}
    for row in rows:
        name, *cells = (cell.strip().replace("**", "").replace("\\", "") for cell in row.split("|")[1:-1])
        table[name] = dict(zip(labels, cells, strict=True))
    found = sections(pages["docs/strategies.md"])
    measured = {name: text for name, text in found.items() if "**Digits**" in text}
    assert len(measured) == len(table) - sum("+mal" in name for name in table)
    for name, text in measured.items():
        (line,) = re.findall(r"^.*\*\*Digits\*\*.*$", text, re.MULTILINE)
        said = re.findall(r"([\d.]+ ± [\d.]+) at (\d+)", line)
        assert said, name
        assert all(table[name][labels] == value for value, labels in said), name


def test_settings_that_undo_a_departure_exist(pages):
    text = pages["docs/how_mal_works.md"].text.partition("## Where the paper leaves a choice")[2]
    named = set(re.findall(r"`(\w+)=", text)) | set(re.findall(r"`(\w+_\w+)`", text.partition("## In the code")[0]))
    assert named
    assert named <= MinimaxSettings.model_fields.keys()


def test_every_error_is_drawn_in_the_tree(pages):
    errors = importlib.import_module("minimax_al.errors")
    family = [name for name in public_names(errors) if inspect.isclass(getattr(errors, name))]
    assert all(issubclass(getattr(errors, name), MinimaxALError) for name in family)
    (drawn,) = pages["docs/reference/errors.md"].blocks("text")
    assert textwrap.indent(drawn.text.strip(), "    ") in errors.__doc__
    assert set(family) == set(re.findall(r"^\W*(\w+Error)\b", drawn.text, re.MULTILINE))
