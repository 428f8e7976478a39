from importlib.metadata import EntryPoint

import pytest

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.strategies import get_strategy, list_strategies, registry
from minimax_al.strategies.mal import MAL

PAPER = ["random", "entropy", "bald", "coreset", "vaal", "mal"]
ABLATIONS = ["mal-no-minimax", "mal-no-discriminator", "mal-entropy-only", "mal-diversity-only"]
READINGS = ["mal-threshold", "mal-filter", "mal-product"]
OTHERS = ["random-equal-work", "margin", "least_confidence", "batchbald", "badge", "ensemble"]
COVERING = ["centroids", "coverage", "maxherding", "probcover", "typicality"]
HYBRID = ["cluster_margin", "dropquery", "uherding"]
TABLES = ["alfa_mix", "bait", "galaxy", "learning_loss", "powerbald", "waal"]


@pytest.fixture
def announced(monkeypatch):
    """Announces entry points, and forgets them afterwards."""

    def announce(*pairs):
        points = [EntryPoint(name, value, registry.ENTRY_POINTS) for name, value in pairs]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry._announced.cache_clear()

    yield announce
    registry._announced.cache_clear()


def test_names():
    assert list_strategies() == sorted(PAPER + ABLATIONS + READINGS + OTHERS + COVERING + HYBRID + TABLES)
    assert all(get_strategy(name) for name in list_strategies())


def test_a_plus_puts_any_choice_under_minimax_training():
    for name in ("random+mal", "badge+mal"):
        assert get_strategy(name).training == "minimax"
    assert get_strategy("random").training == "supervised"
    assert get_strategy("mal") == MAL()
    assert get_strategy("mal-filter", filter_factor=3) == MAL(rule="filter", filter_factor=3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("entrpy", "unknown strategy 'entrpy'; did you mean 'entropy'"),
        ("mal+mal", r"unknown strategy 'mal\+mal'; did you mean 'mal'"),
        ("ensemble+mal", r"unknown strategy 'ensemble\+mal'; did you mean 'ensemble'"),
        ("entrpy+mal", r"unknown strategy 'entrpy\+mal'"),
        ("mal-product+mal", r"unknown strategy 'mal-product\+mal'; did you mean 'mal-product'"),
        ("", r"unknown strategy ''\. Known: alfa_mix"),
    ],
)
def test_unknown_names(name, sentence):
    with pytest.raises(UnknownNameError, match=sentence):
        get_strategy(name)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("mal", {"rul": "product"}, "strategy 'mal': unknown key 'rul'; did you mean 'rule'"),
        ("mal", {"rule": "best"}, "strategy 'mal', rule: Input should be .* but 'best' was given"),
        ("mal-no-discriminator", {"rule": "product"}, "rule 'product' asks the discriminator: set discriminator to"),
        ("bald", {"passes": 0}, "strategy 'bald', passes: .* greater than 0"),
        ("bald", {"dropout": 0}, "strategy 'bald', dropout: .* greater than 0"),
        ("ensemble", {"members": 1}, "strategy 'ensemble', members: .* greater than or equal to 2"),
        ("ensemble", {"training": "minimax"}, "strategy 'ensemble', training: Input should be 'supervised'"),
        ("random", {"passes": 3}, "strategy 'random': unknown key 'passes'"),
    ],
)
def test_wrong_settings(name, settings, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        get_strategy(name, **settings)


def test_two_of_one_name_are_an_error(announced):
    announced(("mine", "first.package:Mine"), ("mine", "second.package:Mine"))
    with pytest.raises(
        ConfigurationError, match=r"two strategies are called 'mine': first\.package:Mine and second\.pac"
    ):
        list_strategies()
    announced(("mine", "first.package:Mine"), ("mine", "first.package:Mine"))
    assert "mine" in list_strategies()
    announced(("mal-filter", "first.package:Mine"))
    with pytest.raises(ConfigurationError, match=r"'mal-filter' of first\.package:Mine has the name of a combination"):
        get_strategy("random")


def test_a_name_that_passes_the_check_builds_and_no_other():
    for name in [name + ending for name in list_strategies() for ending in ("", "+mal")]:
        try:
            registry.check_strategy_name(name)
        except UnknownNameError:
            with pytest.raises(UnknownNameError, match="unknown strategy"):
                get_strategy(name)
        else:
            assert get_strategy(name)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("no_such_package:Mine", "strategy 'mine' cannot be loaded from no_such_package:Mine: No module named"),
        ("minimax_al.strategies:Mine", r"strategy 'mine' cannot be loaded from minimax_al.strategies:Mine: .* Mine"),
        (
            "minimax_al.strategies:picks",
            r"entry point 'mine' of minimax_al.strategies is .*, not a subclass of Strategy",
        ),
    ],
)
def test_entry_points_that_lead_nowhere(announced, value, sentence):
    announced(("mine", value))
    with pytest.raises(ConfigurationError, match=sentence):
        get_strategy("mine")
