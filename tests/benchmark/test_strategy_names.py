import pytest

from minimax_al.benchmark import load_protocol
from minimax_al.benchmark.options import parse_run
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.strategies.strategy_names import build_strategy, split_commas, split_name, strategy_name


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("mal(rule=filter)", "rule", "filter"),
        ("mal(rule=filter,filter_factor=5)", "filter_factor", 5),
        ("mal(entropy_weight=0.5)", "entropy_weight", 0.5),
        ("mal(rule=entropy, discriminator=false)", "discriminator", False),
        ("entropy+mal", "training", "minimax"),
        ("mal-product", "rule", "product"),
    ],
)
def test_settings_in_parentheses_reach_the_strategy(name, field, value):
    assert getattr(build_strategy(name), field) == value


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("mal", "mal"),
        (" mal ( rule = filter ) ", "mal(rule=filter)"),
        ({"mal": {"rule": "filter", "filter_factor": 5}}, "mal(rule=filter,filter_factor=5)"),
        ({"mal": None}, "mal"),
        ("mal(discriminator=False,rule=entropy)", "mal(discriminator=false,rule=entropy)"),
        ("own(sizes=[1, 2])", "own(sizes=[1, 2])"),
    ],
)
def test_every_form_has_one_canonical_name_that_reads_back(entry, name):
    assert strategy_name(entry) == name
    assert strategy_name(name) == name


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("mal(rule)", r"'rule' in 'mal\(rule\)' is not a setting: write KEY=VALUE"),
        ("mal(rule=", r"is not a strategy: write settings as"),
        ("mal(rule=)", "is not a setting"),
        (5, "5 is not a strategy: give a name such as mal"),
        ({"mal": 5}, "is not a strategy"),
        ({"mal": {}, "random": {}}, "is not a strategy"),
    ],
)
def test_malformed_entries_are_refused(entry, match):
    with pytest.raises(ConfigurationError, match=match):
        strategy_name(entry)


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("mal(rule=filtre)", ConfigurationError, "strategy 'mal', rule: .*'filtre' was given"),
        ("mal(rul=filter)", ConfigurationError, "unknown key 'rul'; did you mean 'rule'"),
        ("mla(rule=filter)", UnknownNameError, "unknown strategy 'mla'; did you mean 'mal'"),
    ],
)
def test_a_protocol_refuses_unknown_settings(name, error, match):
    with pytest.raises(error, match=match):
        build_strategy(name)
    with pytest.raises(ConfigurationError, match=match):
        load_protocol("digits", strategies=(name,))


def test_commas_inside_parentheses_do_not_split():
    assert split_commas("a,b(c=1,d=[2,3]),,e") == ["a", "b(c=1,d=[2,3])", "e"]
    assert split_name("b(c=1,d=[2,3])") == ("b", {"c": 1, "d": [2, 3]})


@pytest.mark.parametrize(
    "words",
    [
        ["--strategies", "random,mal(rule=filter,filter_factor=5)"],
        ["--strategies", "random", "mal(rule=filter,filter_factor=5)"],
        ["--strategies=random,mal(rule=filter,filter_factor=5)"],
    ],
)
def test_the_command_line_accepts_settings(words):
    assert parse_run(["digits", *words]).protocol.strategies == ("random", "mal(rule=filter,filter_factor=5)")


def test_a_file_accepts_settings_as_a_mapping(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "dataset: digits\nstart: 20\nstep: 10\npoints: 2\nseeds: 1\nrecipe: {encoder: conv4}\n"
        "strategies:\n- random\n- mal: {rule: filter}\n"
    )
    assert load_protocol(str(path)).strategies == ("random", "mal(rule=filter)")


def test_settings_of_one_strategy_have_folders_of_their_own(tmp_path):
    names = ["mal", "mal(rule=filter)", "own(path=a/b)", "own(path=..)"]
    folders = [Cell(name, 0).folder(tmp_path) for name in names]
    assert len(set(folders)) == len(names)
    assert all(folder.parent.parent == tmp_path / "cells" for folder in folders)
