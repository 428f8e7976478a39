"""A repeated request runs once; a late answer does not replace one that was given meanwhile."""

import pytest
from sqlalchemy import func, select

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.idempotency import KEPT
from minimax_al.campaign.store.schema import labels, requests, validation
from minimax_al.errors import CampaignError


@pytest.fixture
def item(campaign):
    """An image of the open round."""
    campaign.query(4)
    return campaign.picks()[0].item


def kinds(campaign):
    with campaign.store.reading() as connection:
        return list(connection.scalars(select(labels.c.kind).order_by(labels.c.id)))


def remembered(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(select(func.count()).select_from(requests)).scalar_one()


def test_a_repeated_undo_revokes_one_answer_and_returns_the_same(campaign, item, clock):
    campaign.label(item, "cat", author="ann")
    campaign.label(item, "dog", author="ann")
    first = campaign.undo("ann", item, request="one")
    with Campaign.open(campaign.folder, clock=clock) as reopened:
        assert reopened.undo("ann", item, request="one") == first
        assert reopened.pick(item).class_name == "cat"
        assert reopened.undo("ann", item, request="two").class_name == "cat"
    assert campaign.pick(item).answer == "waiting"


@pytest.mark.parametrize("say", ["label", "unsure", "skip"])
def test_a_repeated_answer_is_in_the_history_once(campaign, item, say):
    words = ("cat",) if say == "label" else ()
    for _ in range(3):
        getattr(campaign, say)(item, *words, author="ann", request="one")
    assert kinds(campaign) == [say]
    getattr(campaign, say)(item, *words, author="ann", request="two")
    assert kinds(campaign) == [say, say]


def test_an_idempotency_key_is_scoped_to_its_author(campaign, item):
    campaign.label(item, "cat", author="ann", request="one")
    campaign.label(item, "dog", author="bob", request="one")
    assert campaign.pick(item).class_name == "dog"


def test_a_key_with_another_request_is_refused(campaign, item):
    other = campaign.picks()[1].item
    campaign.label(item, "cat", author="ann", request="one")
    wishes = [("label", item, "dog"), ("label", other, "cat"), ("label", [item, other], "cat"), ("unsure", item)]
    for say, *what in [*wishes, ("skip", item)]:
        with pytest.raises(CampaignError, match="'ann' has used the idempotency key 'one' for another request"):
            getattr(campaign, say)(*what, author="ann", request="one")
    with pytest.raises(CampaignError, match="idempotency key 'one'"):
        campaign.undo("ann", item, request="one")
    assert kinds(campaign) == ["label"]
    campaign.undo("ann", item, request="two")
    for other_undo in ({}, {"item": other}, {"item": item, "kind": "label"}, {"item": item, "class_name": "cat"}):
        with pytest.raises(CampaignError, match="idempotency key 'two'"):
            campaign.undo("ann", request="two", **other_undo)
    assert kinds(campaign) == ["label", "undo"]
    assert campaign.label([item], "cat", author="ann", request="one", if_waiting=True) == []


def test_keys_of_an_older_version_are_recognised(campaign, item):
    campaign.label(item, "cat", author="ann", request="one")
    with campaign.store.writing() as connection:
        connection.execute(requests.update().values(digest=None))
    campaign.label(item, "cat", author="ann", request="one")
    assert kinds(campaign) == ["label"]


def test_a_refused_request_runs_again(campaign, item):
    with pytest.raises(CampaignError, match="no answer about this image that could be undone"):
        campaign.undo("ann", item, request="one")
    assert remembered(campaign) == 0
    campaign.label(item, "cat", author="ann")
    assert campaign.undo("ann", item, request="one").class_name == "cat"


@pytest.fixture
def few_keys(monkeypatch):
    monkeypatch.setattr("minimax_al.campaign.store.idempotency.KEPT_COUNT", 1)


@pytest.mark.usefixtures("few_keys")
def test_keys_expire(campaign, item, clock):
    campaign.label(item, "cat", author="ann", request="one")
    clock.advance(KEPT.total_seconds())
    campaign.skip(item, author="ann", request="two")
    assert remembered(campaign) == 2
    clock.advance(1)
    campaign.skip(item, author="ann", request="three")
    assert remembered(campaign) == 2


def test_a_clock_that_jumps_ahead_forgets_no_recent_key(campaign, item, clock, monkeypatch):
    monkeypatch.setattr("minimax_al.campaign.store.idempotency.KEPT_COUNT", 3)
    for number in range(6):
        campaign.label(item, "cat", author="ann", request=f"early {number}")
    clock.advance(31 * 86_400)
    campaign.label(item, "dog", author="ann", request="late")
    assert remembered(campaign) == 3
    clock.advance(-31 * 86_400)
    for number in (4, 5):
        campaign.label(item, "cat", author="ann", request=f"early {number}")  # known: nothing is changed
    assert campaign.pick(item).class_name == "dog"
    assert kinds(campaign) == ["label"] * 7


def test_a_late_answer_is_stored_and_does_not_replace_the_current_one(campaign, item):
    other = campaign.picks()[1].item
    campaign.label(item, "dog", author="bob")
    left = [campaign.label([item, other], "cat", author="ann", request="one", if_waiting=True) for _ in range(2)]
    assert left == [[item], [item]]
    assert [campaign.pick(one).class_name for one in (item, other)] == ["dog", "cat"]
    assert kinds(campaign) == ["label", "label", "undo", "label"]
    with pytest.raises(CampaignError, match="no answer about this image"):
        campaign.undo("ann", item)
    assert campaign.unsure(item, author="ann", if_waiting=True) == [item]
    assert campaign.pick(item).class_name == "dog"


def test_a_late_answer_replaces_unsure_but_not_the_authors_other_answer(campaign, item):
    other = campaign.picks()[1].item
    campaign.unsure(item, author="bob")
    campaign.label(other, "dog", author="ann")
    assert campaign.label([item, other], "cat", author="ann", if_waiting=True) == [other]
    assert (campaign.pick(item).class_name, campaign.pick(other).class_name) == ("cat", "dog")
    with campaign.store.reading() as connection:  # what never held is neither trained nor measured on
        assert set(connection.scalars(select(validation.c.item_id))) == {item, other}


def test_an_undo_with_another_expected_answer_is_refused(campaign, item):
    """An author has two pages open: an undo on the older one must not revoke an answer given on the newer one."""
    campaign.label(item, "cat", author="ann")
    campaign.label(item, "dog", author="ann")
    for wrong in ({"kind": "label", "class_name": "cat"}, {"kind": "unsure"}):
        with pytest.raises(CampaignError, match="'ann' has given another answer since"):
            campaign.undo("ann", item, **wrong)
    assert campaign.pick(item).class_name == "dog"
    campaign.undo("ann", item, kind="label", class_name="dog")
    campaign.undo("ann", item, kind="label")
    campaign.skip(item, author="ann")
    assert campaign.undo("ann", item, kind="skip").kind == "skip"


def test_skips_and_revoked_answers_do_not_count_as_answers(campaign, item):
    campaign.skip(item, author="bob")
    campaign.label(item, "dog", author="bob")
    campaign.undo("bob", item)
    assert campaign.label(item, "cat", author="ann", if_waiting=True) == []
    assert campaign.pick(item).class_name == "cat"
