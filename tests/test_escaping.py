import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimax_al.escaping import escape

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.characters(codec=None)))
def test_control_and_invisible_characters_are_escaped(text):
    assert not {unicodedata.category(character) for character in escape(text)} & HIDDEN


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S"))))
def test_letters_and_marks_of_every_script_stay(text):
    assert escape(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\nb.png", r"a\nb.png"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        (b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), r"caf\xe9.jpg"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_escapes_are_those_of_python(raw, shown):
    assert escape(raw) == shown


def test_kept_characters_stay():
    assert escape("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"
