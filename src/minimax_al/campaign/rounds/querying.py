"""Opening of a round: choose images, at random or by a model, and store the choice in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from minimax_al.campaign.rounds.pool_filter import check_filter
from minimax_al.campaign.rounds.rounds import (
    Choice,
    add_round,
    candidates,
    check_budget,
    check_no_round_is_open,
    count_candidates,
    draw,
    next_round_number,
    still_candidates,
)
from minimax_al.campaign.settings.settings import CampaignSettings
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.first_look import check_has_seen_all
from minimax_al.campaign.store.history import has_labels
from minimax_al.errors import CampaignError, ConfigurationError
from minimax_al.report.reasons import AT_RANDOM, BY_RANDOM, FIRST_ROUND
from minimax_al.strategies.usual import is_cold_start

RANDOM = "random"


class Plan(NamedTuple):
    """Plan of a round's images.

    Attributes:
        chosen: Number of images that a strategy chooses.
        at_random: Number of images drawn at random in addition.
        reason: Reason for the drawn images, one sentence.
    """

    chosen: int
    at_random: int
    reason: str


Choose = Callable[[int], tuple[Sequence[Choice], int | None]]
"""Function of a number of images that returns choices in pick order, and the id of the model's run, if any."""


def open_round(
    store: Store,
    settings: CampaignSettings,
    budget: int,
    strategy: str,
    *,
    random_share: float,
    choose: Choose,
    now: Callable[[], datetime],
    where: str | None = None,
) -> int:
    """Choose images and open a round with them.

    A strategy needs labels, unless it uses the images alone: the first round of other strategies is a random sample.
    The sample is determined by the campaign's seed and the number of the round.

    Args:
        store: Database of the campaign.
        settings: Settings of the campaign.
        budget: Number of images.
        strategy: Name of the strategy.
        random_share: Share of the budget drawn at random, in [0, 1].
        choose: Function that runs the strategy; called outside of any transaction, as it may train for hours.
        now: Function that returns the current time.
        where: Filter on the further columns of a manifest; None for all images.

    Returns:
        The number of the round.

    Raises:
        CampaignError: A round is open, or the first look at the images has not ended.
        BudgetError: The budget is larger than the number of candidates.
        ConfigurationError: The share is not a fraction.
    """
    with store.reading() as connection:
        check_no_round_is_open(connection)
        check_has_seen_all(connection)
        check_filter(connection, where)
        check_budget(budget, count_candidates(connection, where), where)
        plan = _plan(connection, budget, strategy, random_share)
    choices, run_id = choose(plan.chosen) if plan.chosen else ((), None)
    with store.writing() as connection:
        # Others may have opened a round or labelled images while the model chose.
        check_no_round_is_open(connection)
        free = still_candidates(connection, [choice.item_id for choice in choices], where)
        kept = [choice for choice in choices if choice.item_id in free]
        drawn = _drawn(connection, kept, plan, settings, where)
        if not kept and not drawn:
            raise CampaignError("all chosen images were answered while the model chose: query again")
        return add_round(
            connection,
            interleaved(kept, drawn),
            strategy=strategy if plan.chosen else RANDOM,
            random_share=random_share,
            seed=settings.seed,
            run_id=run_id,
            now=now(),
        )


def _plan(connection: Connection, budget: int, strategy: str, random_share: float) -> Plan:
    if not 0 <= random_share <= 1:
        raise ConfigurationError(f"random_share={random_share!r} must be a fraction from 0 to 1")
    if strategy == RANDOM:
        return Plan(0, budget, BY_RANDOM)
    if not is_cold_start(strategy) and not has_labels(connection):
        return Plan(0, budget, FIRST_ROUND)
    at_random = round(random_share * budget)
    return Plan(budget - at_random, at_random, AT_RANDOM)


def _drawn(
    connection: Connection, kept: Sequence[Choice], plan: Plan, settings: CampaignSettings, where: str | None
) -> list[Choice]:
    if not plan.at_random:
        return []
    free = candidates(connection, where)
    free = free[~np.isin(free, [choice.item_id for choice in kept])]
    ids = draw(free, plan.at_random, settings.seed, next_round_number(connection))
    return [Choice(item, plan.reason, at_random=True) for item in ids]


def interleaved(kept: Sequence[Choice], drawn: Sequence[Choice]) -> list[Choice]:
    """Return chosen and drawn images, evenly mixed, so that an unfinished round has its share of both."""
    positions = [
        ((2 * i + 1) / (2 * len(chosen)), order, one)
        for order, chosen in enumerate((kept, drawn))
        for i, one in enumerate(chosen)
    ]
    return [one for _, _, one in sorted(positions, key=lambda position: position[:2])]
