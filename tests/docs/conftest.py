"""Pages as text: their code blocks, commands and links. No site is built."""

import re
import textwrap
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)


class Block(NamedTuple):
    language: str
    line: int
    text: str


class Page:
    """A Markdown file, with the files that it takes in."""

    def __init__(self, path):
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        written = path.read_text(encoding="utf-8")
        self.text = SNIPPET.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), written)

    def blocks(self, *languages):
        return [
            Block(match[2], self.text[: match.start()].count("\n") + 2, textwrap.dedent(match[3]))
            for match in FENCE.finditer(self.text)
            if match[2] in languages
        ]

    @property
    def prose(self):
        return FENCE.sub("", self.text)

    @property
    def anchors(self):
        """Of headings, of names in the reference, and those that were given."""
        found = set(re.findall(r"^::: (\S+)$", self.text, re.MULTILINE))
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            given = re.search(r"\{ ?#([\w.-]+) ?\}$", heading)
            slug = given[1] if given else _slug(heading)
            found.add(slug if slug not in found else f"{slug}_1")
        return found

    def __str__(self):
        return self.name


def _slug(heading):
    """As Markdown's table of contents makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


PAGES = [Page(path) for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))]


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        languages = getattr(metafunc.function, "languages", ())
        pages = [page for page in PAGES if not languages or page.blocks(*languages)]
        metafunc.parametrize("page", pages, ids=str)


@pytest.fixture(scope="session")
def pages():
    return {page.name: page for page in PAGES}


@pytest.fixture(scope="session")
def site():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder, but for the results that the pages read."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    return tmp_path
