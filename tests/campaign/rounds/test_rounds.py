from concurrent.futures import ThreadPoolExecutor

import pytest

from minimax_al.campaign.rounds.querying import open_round
from minimax_al.campaign.rounds.rounds import Choice
from minimax_al.errors import BudgetError, CampaignError, ConfigurationError


def answer_all(campaign, class_name="cat"):
    for pick in campaign.picks():
        campaign.label(pick.item, class_name, author="ann")


def test_the_first_round_is_drawn_at_random_whatever_the_strategy(campaign):
    state = campaign.query(5)
    assert (state.number, state.strategy, state.picks, state.waiting, state.is_open) == (1, "random", 5, 5, True)
    picks = campaign.picks()
    assert [pick.rank for pick in picks] == [0, 1, 2, 3, 4]
    assert len({pick.item for pick in picks}) == 5
    assert all(pick.at_random and pick.suggestion is None for pick in picks)
    assert {pick.reason for pick in picks} == {"random sample: no image has a label yet"}


def test_same_seed_same_picks(make_campaign):
    one = make_campaign(folder="one", seed=3)
    two = make_campaign(folder="two", seed=3, images=one.images)
    other = make_campaign(folder="three", seed=4, images=one.images)
    for campaign in (one, two, other):
        campaign.query(6)
    paths = [[pick.path for pick in campaign.picks()] for campaign in (one, two, other)]
    assert paths[0] == paths[1]
    assert paths[0] != paths[2]


def test_no_second_round_while_one_is_open(campaign):
    campaign.query(3)
    campaign.label(campaign.picks()[0].item, "cat", author="ann")
    with pytest.raises(CampaignError, match="round 1 is still open: 2 of 3 images wait"):
        campaign.query(3)
    campaign.close_round()
    assert not campaign.round().is_open
    assert campaign.query(3, "random").number == 2


def test_a_round_ends_when_every_image_is_answered_and_no_image_is_picked_twice(campaign):
    campaign.query(4)
    first = [pick.item for pick in campaign.picks()]
    campaign.label(first[0], "cat", author="ann")
    campaign.unsure(first[1], author="ann")
    campaign.skip(first[2], author="ann")
    assert campaign.round().waiting == 1
    campaign.label(first[3], "dog", author="ann")
    assert not campaign.round().is_open
    assert [pick.answer for pick in campaign.picks()] == ["label", "unsure", "skip", "label"]
    assert campaign.picks()[3].class_name == "dog"
    campaign.query(9, "random")
    second = {pick.item for pick in campaign.picks()}
    assert second & set(first) == {first[2]}  # what was skipped may be asked again, nothing else
    assert next(pick for pick in campaign.picks() if pick.item == first[2]).answer == "waiting"
    assert len(campaign.picks(1)) == 4


def test_a_round_without_a_class_is_followed_by_another_random_one(campaign):
    campaign.query(2)
    first = [pick.item for pick in campaign.picks()]
    campaign.unsure(first[0], author="ann")
    campaign.label(first[1], "cat", author="ann")
    campaign.undo("ann")
    campaign.unsure(first[1], author="ann")
    assert campaign.query(2).strategy == "random"  # a strategy has nothing to learn from
    assert {pick.reason for pick in campaign.picks()} == {"random sample: no image has a label yet"}
    assert not {pick.item for pick in campaign.picks()} & set(first)


def test_undo_returns_an_image_to_its_round(campaign):
    campaign.query(2)
    answer_all(campaign)
    assert not campaign.round().is_open
    campaign.undo("ann")
    assert campaign.round().waiting == 1
    with pytest.raises(CampaignError, match="round 1 is still open"):
        campaign.query(1)


def test_a_late_answer_to_a_closed_round_is_kept(campaign):
    campaign.query(2)
    late = campaign.picks()[0]
    campaign.close_round()
    campaign.query(10, "random")
    campaign.label(late.item, "dog", author="ann")
    assert campaign.labels() == {late.path: "dog"}


@pytest.mark.parametrize("budget", [0, -1, 13])
def test_a_budget_beyond_the_pool_is_refused(campaign, budget):
    with pytest.raises(BudgetError, match=f"a budget of {budget} was given; it must be from 1 to the 12"):
        campaign.query(budget)


def test_a_query_without_unlabelled_images_is_refused(campaign):
    campaign.query(12)
    answer_all(campaign)
    with pytest.raises(BudgetError, match="every image has its answer"):
        campaign.query(1)
    advice = campaign.status().advice
    assert advice.decision == "stop"
    assert advice.reason == "Every image is labelled."


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_an_invalid_random_share_is_refused(campaign, share):
    with pytest.raises(ConfigurationError, match="must be a fraction"):
        campaign.query(2, random_share=share)


def test_before_the_first_query_round_is_refused_and_picks_are_empty(campaign):
    with pytest.raises(CampaignError, match="no round was opened yet"):
        campaign.round()
    assert campaign.picks() == []


def test_one_of_two_concurrent_queries_is_refused(campaign):
    def query(_):
        try:
            return campaign.query(4).number
        except CampaignError as error:
            assert "still open" in str(error)  # noqa: PT017 - which of the two fails is open
            return None

    with ThreadPoolExecutor(2) as threads:
        assert sorted(map(str, threads.map(query, range(2)))) == ["1", "None"]
    assert len(campaign.picks()) == 4


def ask_model(campaign, budget, by_model, **options):
    settings = {"random_share": 0.0, "choose": by_model, "now": campaign.now} | options
    return open_round(campaign.store, campaign.settings, budget, "mal", **settings)


def test_random_picks_are_spread_among_the_models(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    asked = []

    def by_model(count):
        asked.append(count)
        return [
            Choice(item, "unsure", {"entropy": 1.5}, suggestion=2, confidence=0.5) for item in range(2, 2 + count)
        ], None

    ask_model(campaign, 10, by_model, random_share=0.2)
    picks = campaign.picks()
    assert asked == [8]
    assert [pick.at_random for pick in picks].count(True) == 2
    assert [pick.item for pick in picks if not pick.at_random] == list(range(2, 10))
    assert not picks[0].at_random
    assert not picks[-1].at_random
    chosen = picks[0]
    assert (chosen.suggestion, chosen.confidence, chosen.scores, chosen.reason) == (
        "dog",
        0.5,
        {"entropy": 1.5},
        "unsure",
    )


def test_images_labelled_during_a_query_are_not_picked(campaign):
    campaign.label(1, "cat", author="ann")

    def by_model(count):
        campaign.label(3, "dog", author="bob")
        return [Choice(item, "unsure") for item in (2, 3, 4)], None

    ask_model(campaign, 3, by_model)
    assert [pick.item for pick in campaign.picks()] == [2, 4]


def test_an_outdated_close_leaves_the_next_round_open(campaign):
    campaign.query(3)
    campaign.close_round(1)
    campaign.close_round(1)
    campaign.query(3, "random")
    with pytest.raises(CampaignError, match="round 1 is not the open one, which is round 2: nothing was closed"):
        campaign.close_round(1)
    assert campaign.round(2).is_open
    campaign.close_round(2)
    assert not campaign.round(2).is_open
