"""What a team is offered to choose with."""

import pytest

from minimax_al.campaign import strategy_names
from minimax_al.campaign.rounds.strategies import COLD_START, USUAL, check_choosing
from minimax_al.campaign.settings import STRATEGIES
from minimax_al.strategies import get_strategy, list_strategies


@pytest.mark.parametrize("task", USUAL)
def test_the_usual_ones_can_choose_for_their_task(task):
    assert STRATEGIES[task] == next(iter(USUAL[task]))  # what a campaign takes by itself comes first
    for name in USUAL[task]:
        check_choosing(name)
        if name not in COLD_START:
            assert task in get_strategy(name).tasks


@pytest.mark.parametrize("task", USUAL)
def test_all_for_a_task_are_offered_and_no_others(task):
    expected = {name for name in list_strategies() if task in get_strategy(name).tasks} | set(COLD_START)
    assert set(strategy_names(task)) == expected
