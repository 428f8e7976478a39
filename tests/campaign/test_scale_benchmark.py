"""Arguments of the benchmark of large pools: each wrong combination ends with a sentence, before anything is made."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
URL = "postgresql+psycopg://ann@localhost/pool"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import scale

    return scale


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["round"], "--storage is missing: PostgreSQL makes the rows of round; give postgresql"),
        (["store", "--prefilled"], "--storage is missing: PostgreSQL makes the rows of store --prefilled"),
        (["round", "--storage", "sqlite:///pool.db"], "--storage is 'sqlite'"),
        (["choose", "--prefilled", "--storage", URL], "--prefilled concerns the case store, not choose"),
        (["store", "--steps", "quary"], "unknown step of store 'quary'; did you mean 'query'? Known: export, import"),
        (["store", "--prefilled", "--storage", URL, "--steps", "query", "new"], "unknown step of store 'new'"),
        (["choose", "--steps", "margin", "marginn"], "unknown strategy 'marginn'; did you mean 'margin'?"),
        (["round", "--storage", URL, "--steps", "mal(rul=filter)"], "unknown key 'rul'; did you mean 'rule'?"),
        (["embed", "--steps", "store"], "unknown step of embed 'store'. Known: embed"),
        (["report", "--steps", "query"], "--steps concerns the cases that measure, not report"),
    ],
)
def test_wrong_arguments_end_with_a_sentence(scale, capsys, words, sentence):
    with pytest.raises(SystemExit, match=r"^2$"):
        scale.arguments(words)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["store", "--steps"],
        ["store", "--steps", "new", "query", "lease", "label", "status", "import", "export", "refresh"],
        ["store", "--prefilled", "--storage", URL, "--steps", "query"],
        ["choose", "--steps", "uherding", "mal(rule=filter)", "margin+mal"],
        ["round", "--storage", URL],
        ["embed"],
        ["report"],
    ],
)
def test_right_arguments_are_accepted(scale, words):
    assert scale.arguments(words).case == words[0]
