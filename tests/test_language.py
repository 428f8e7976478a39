"""The language of docstrings, comments and messages: phrases over which a reader stumbles stay rare.

Each phrase has a plain alternative in CONTRIBUTING.md's sense: a subject, a verb and an object in the field's words.
Some occurrences are good English in their place, so that the limit is not zero.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LIMIT = 40
"""Most occurrences in all of the source; lower it whenever the number falls."""

PHRASES = {
    "a function or a model that speaks": r"\b(says?|said)\b",
    "negation by 'no' after a verb of being": r"\b(?:is|are|was) (?:none|no [a-z]+)\b",
    "likewise instead of a repetition": r"\blikewise\b",
    "a clause instead of a noun": (
        r"\bwhat (?:is|was|are|a|an|the|holds|has|it|they|every|people|could|each|of|such|came|comes)\b"
    ),
    "'in place of' for 'instead of'": r"\bin place of\b",
    "'beside' for 'next to' or 'compared with'": r"\bbeside\b",
    "'so many' for a number": r"\b(?:so|as) many\b",
    "'who' for the user or caller": r"\b(?:who|whoever)\b",
    "'asked for' for 'requested'": r"\b(?:asked for|wanted)\b",
    "things that stand or lie": r"\b(?:stands?|lies)\b",
    "an auxiliary without its verb": r"\bbe had\b|\bcannot be(?=[;:.,])",
}
PER = (
    "picture|image|class|strategy|seed|epoch|batch|run|step|round|pixel|model|pass|channel|line|device|candidate|sample|row"
    "|group|method|pick|location|query|label|training|cell|call|page|node|machine"
)
COUNTED = "one|value|number|picture|image|batch|step|label|class|line|file|run|row|mask|process|draw|pixel"
PHRASES["'one a class' for 'one per class'"] = rf"\b(?:{COUNTED})s? an? (?:{PER})\b"
FRAGMENT = re.compile(r"^\s+\w+: (?:of|for|from|by|in|at|to|as|whose|which|where|when|how|likewise)\b", re.MULTILINE)


def prose(code):
    """Return the docstrings, messages and comments of a module."""
    texts = [
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return texts + [comment for comment in comments if not re.match(r"#\s?(?:noqa|type:|:|!)", comment)]


def found(code):
    """Return the phrases in a module, each with its surroundings."""
    places = []
    for text in prose(code):
        for name, pattern in PHRASES.items():
            places += [(name, _around(text, match)) for match in re.finditer(pattern, text, re.IGNORECASE)]
        places += [("an argument without a noun", _around(text, match)) for match in FRAGMENT.finditer(text)]
    return places


def _around(text, match):
    return " ".join(text[max(0, match.start() - 30) : match.end() + 30].split())


def test_phrases_that_make_a_reader_stumble_stay_rare():
    places = [
        f"{file.relative_to(SOURCE)}: {name}: …{where}…"
        for file in sorted(SOURCE.rglob("*.py"))
        for name, where in found(file.read_text(encoding="utf-8"))
    ]
    assert len(places) < LIMIT, "\n".join(places)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('"""The store says what is new."""', 2),
        ('def f():\n    """Return it.\n\n    Args:\n        folder: of the campaign.\n    """', 1),
        ("x = 1  # one value a class, beside the mean", 2),
        ('raise ValueError("there is no class 7 here")', 1),
        ('"""Return one value per class, next to the mean."""', 0),
        ("folder = says = beside = 1", 0),
    ],
)
def test_phrases_are_seen_in_prose_alone(code, count):
    assert len(found(code)) == count
