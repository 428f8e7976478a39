"""Strategies that a campaign offers."""

import pytest

from minimax_al.campaign import strategy_names
from minimax_al.campaign.settings.named_recipes import ON_FEATURES, STRATEGIES
from minimax_al.strategies import get_strategy, list_strategies
from minimax_al.strategies.usual import COLD_START, USUAL, check_choosing

DEFAULTS = {**STRATEGIES, "features": ON_FEATURES}


@pytest.mark.parametrize("kind", USUAL)
def test_usual_strategies_can_choose_and_the_default_is_first(kind):
    assert DEFAULTS[kind] == next(iter(USUAL[kind]))
    for name in USUAL[kind]:
        check_choosing(name)
        if name not in COLD_START:
            assert ("classification" if kind == "features" else kind) in get_strategy(name).tasks


@pytest.mark.parametrize("task", STRATEGIES)
def test_all_for_a_task_are_offered_and_no_others(task):
    expected = {name for name in list_strategies() if task in get_strategy(name).tasks} | set(COLD_START)
    assert set(strategy_names(task)) == expected
