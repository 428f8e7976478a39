"""Second opinions: overlap, "unsure" by one annotator, conflicts and their decision."""

import pytest

from minimax_al.campaign.opinions.second_opinions import in_overlap
from minimax_al.errors import AnsweredMeanwhileError


def lease(campaign, author, count=12, session=None):
    return campaign.lease(author, count, session=session).picks


def say(campaign, picks, name, author):
    return campaign.label([pick.item for pick in picks], name, author, if_waiting=True)


@pytest.fixture
def pair(make_campaign):
    """A campaign whose images all go to two annotators; ann has labelled the two of the round."""
    campaign = make_campaign(overlap=1.0)
    campaign.query(2)
    first = lease(campaign, "ann")
    say(campaign, first, "cat", "ann")
    return campaign, [pick.item for pick in first]


def test_an_image_answered_unsure_goes_to_another_annotator_and_not_to_the_same(campaign):
    campaign.query(4)
    (one,) = lease(campaign, "ann", 1)
    campaign.unsure(one.item, "ann", if_waiting=True)
    assert one.item not in [pick.item for pick in lease(campaign, "ann")]
    campaign.release("ann")
    theirs = {pick.item: pick for pick in lease(campaign, "bob")}
    blind = theirs[one.item]
    assert (blind.answer, blind.class_name, blind.second_opinion) == ("waiting", None, True)
    assert say(campaign, [one], "dog", "bob") == []
    assert campaign.pick(one.item).class_name == "dog"
    assert one.item not in [pick.item for pick in lease(campaign, "eve")]
    assert [pair.state for pair in campaign.two_opinions()] == ["agreed"]


def test_a_round_of_one_annotator_ends_in_spite_of_unsure(campaign):
    campaign.query(2)
    campaign.unsure([pick.item for pick in lease(campaign, "ann")], "ann")
    assert not campaign.round().is_open
    assert lease(campaign, "ann") == ()
    assert len(lease(campaign, "bob", 2)) == 1  # half of what a page asks for
    assert len(lease(campaign, "bob", 12)) == 2


def test_an_image_that_two_found_unsure_goes_to_nobody(campaign):
    campaign.query(1)
    (one,) = lease(campaign, "ann", 1)
    campaign.unsure(one.item, "ann", if_waiting=True)
    lease(campaign, "bob")
    campaign.unsure(one.item, "bob", if_waiting=True)
    assert lease(campaign, "eve") == ()
    assert campaign.status().unsure == 1
    assert campaign.two_opinions("conflict") == []


def test_a_second_opinion_is_leased_to_one_annotator_at_a_time(pair, clock):
    campaign, items = pair
    assert [pick.item for pick in lease(campaign, "bob")] == items
    assert lease(campaign, "eve") == ()
    assert lease(campaign, "bob", session="elsewhere") == ()
    clock.advance(campaign.settings.lease_seconds)
    assert [pick.item for pick in lease(campaign, "eve")] == items
    assert campaign.release("eve") == 2
    assert [pick.item for pick in lease(campaign, "bob")] == items


def test_equal_opinions_agree_and_different_ones_wait_for_a_decision(pair):
    campaign, (one, two) = pair
    campaign.label(one, "cat", "bob", if_waiting=True)
    assert campaign.agreement_sentences() == [
        "Two annotators labelled 1 image independently: the labels of 1 are the same."
    ]
    campaign.label(two, "dog", "bob", if_waiting=True)
    assert campaign.agreement_sentences()[1].startswith("1 conflict waits for a decision")
    assert {found.item: found.state for found in campaign.two_opinions()} == {one: "agreed", two: "conflict"}
    (conflict,) = campaign.two_opinions("conflict")
    assert (conflict.first.author, conflict.first.class_name) == ("ann", "cat")
    assert (conflict.second.author, conflict.second.class_name) == ("bob", "dog")
    campaign.decide(two, "n/a", "meg")
    assert campaign.two_opinions("conflict") == []
    (decided,) = campaign.two_opinions("decided")
    assert (decided.decision.author, decided.decision.class_name) == ("meg", "n/a")
    assert campaign.pick(two).class_name == "n/a"


def test_the_later_of_two_leads_is_told_of_the_decision(pair):
    campaign, items = pair
    one, two = items
    campaign.label(items, "dog", "bob", if_waiting=True)
    campaign.decide(two, "n/a", "meg", request="one")
    path = campaign.pick(two).path
    with pytest.raises(AnsweredMeanwhileError, match=rf"^'meg' has decided '{path}' as 'n/a' at \d\d:\d\d UTC: "):
        campaign.decide(items, "dog", "lea")
    assert [campaign.pick(item).class_name for item in items] == ["dog", "n/a"]
    assert campaign.count_conflicts() == 1  # all images of the request are refused
    campaign.decide(two, "n/a", "meg", request="one")  # a retry
    campaign.decide(two, "cat", "meg")  # meg's own decision
    campaign.decide(items, None, "lea", replace=True)
    assert [pair.decision.author for pair in campaign.two_opinions("decided")] == ["lea", "lea"]
    with pytest.raises(AnsweredMeanwhileError, match=r"'lea' has decided '.*' as unsure at"):
        campaign.decide(one, "cat", "meg")


def test_what_is_no_conflict_is_not_decided(pair):
    campaign, (one, two) = pair
    campaign.label(one, "cat", "bob", if_waiting=True)
    for item in (one, two):  # both agree; there is no second answer
        with pytest.raises(AnsweredMeanwhileError, match="is not a conflict between two annotators any more"):
            campaign.decide(item, "dog", "meg")
    campaign.decide(one, "dog", "meg", replace=True)
    assert [(pair.state, pair.decision.class_name) for pair in campaign.two_opinions()] == [("decided", "dog")]


def test_one_of_the_two_annotators_may_decide(pair):
    campaign, (one, _) = pair
    campaign.label(one, "dog", "bob", if_waiting=True)
    campaign.decide(one, "dog", "ann")
    assert [found.state for found in campaign.two_opinions()] == ["decided"]
    campaign.undo("ann")
    assert [found.state for found in campaign.two_opinions()] == ["conflict"]


def test_an_undone_opinion_is_asked_for_again(pair):
    campaign, (one, two) = pair
    lease(campaign, "bob")
    campaign.label(one, "dog", "bob", if_waiting=True)
    campaign.undo("bob")
    assert campaign.two_opinions() == []
    assert campaign.pick(one).class_name == "cat"
    assert {pick.item for pick in lease(campaign, "bob")} == {one, two}


def test_an_undone_first_answer_leaves_the_second_as_the_first(pair):
    campaign, (one, _) = pair
    campaign.label(one, "dog", "bob", if_waiting=True)
    campaign.undo("ann", one)
    assert campaign.two_opinions() == []
    assert campaign.pick(one).class_name == "dog"
    assert one in [pick.item for pick in lease(campaign, "ann")]


def test_a_skipped_second_opinion_goes_to_others(pair):
    campaign, items = pair
    campaign.skip([pick.item for pick in lease(campaign, "bob")], "bob")
    assert lease(campaign, "bob") == ()
    assert [pick.item for pick in lease(campaign, "eve")] == items


def test_an_open_correction_is_a_decision_and_no_second_opinion(pair):
    campaign, (one, _) = pair
    campaign.label(one, "dog", "meg")  # in full knowledge of ann's answer
    assert campaign.two_opinions() == []
    assert campaign.pick(one).class_name == "dog"
    assert one not in [pick.item for pick in lease(campaign, "bob")]


def test_withdrawn_labels_are_forgotten(pair):
    campaign, (one, _) = pair
    campaign.label(one, "dog", "bob", if_waiting=True)
    campaign.withdraw_labels([one], "meg")
    assert campaign.two_opinions() == []
    assert campaign.pick(one).answer == "waiting"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_overlap_is_the_share_that_was_set(campaign, share):
    settings = campaign.configure(overlap=share)
    found = sum(in_overlap(item, settings) for item in range(4000)) / 4000
    assert found == pytest.approx(share, abs=0.03)
    assert found in (0.0, 1.0) or 0 < found < 1


def test_a_third_answer_that_comes_late_changes_nothing(pair):
    campaign, (one, _) = pair
    campaign.label(one, "dog", "bob", if_waiting=True)
    assert campaign.label(one, "n/a", "eve", if_waiting=True) == [one]
    assert campaign.pick(one).class_name == "dog"
    assert [found.state for found in campaign.two_opinions()] == ["conflict"]
