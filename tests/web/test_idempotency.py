"""A request that comes again because its answer was lost is answered, and not done again."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from minimax_al.campaign import Campaign

KEY = {"Idempotency-Key": "one"}


def say(client, route, headers=None, **more):
    answer = client.post(f"/api/{route}", json={"author": "ann", **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_undo_that_is_sent_again_takes_back_one_answer(client, campaign):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    first, again = (say(client, "undo", KEY, item=item) for _ in range(2))
    assert first == again
    assert campaign.pick(item).class_name == "cat"
    say(client, "undo", {"Idempotency-Key": "two"}, item=item)
    assert campaign.pick(item).answer == "waiting"


def test_a_server_that_was_started_again_knows_what_was_done_before(client, campaign, make_client):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    first = say(client, "undo", KEY, item=item)
    with Campaign.open(campaign.folder) as reopened:
        assert say(make_client(reopened), "undo", KEY, item=item) == first
        assert reopened.pick(item).class_name == "cat"


def test_a_request_that_comes_twice_at_once_is_done_once(client, campaign):
    item = campaign.picks()[0].item
    for name in ("cat", "dog", "cat"):
        say(client, "label", items=[item], class_name=name)
    together = Barrier(2)

    def send(_):
        together.wait(timeout=30)
        return say(client, "undo", KEY, item=item)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(send, range(2))
    assert first == second
    assert campaign.pick(item).class_name == "dog"


def test_what_comes_again_does_not_hide_what_was_said_since(client, campaign):
    item = campaign.picks()[0].item
    say(client, "label", KEY, items=[item], class_name="cat")
    say(client, "label", author="bob", items=[item], class_name="dog")
    say(client, "label", KEY, items=[item], class_name="cat")
    assert campaign.pick(item).class_name == "dog"


def test_an_undo_that_says_what_it_takes_back_takes_back_nothing_else(client, campaign):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    asked = {"author": "ann", "item": item, "kind": "label"}
    answer = client.post("/api/undo", json={**asked, "class_name": "cat"})
    assert answer.status_code == 400
    assert "another answer since" in answer.json()["error"]
    assert say(client, "undo", item=item, kind="label", class_name="dog")["class_name"] == "dog"
    assert campaign.pick(item).class_name == "cat"


def test_one_key_of_two_people_or_routes_means_two_requests(client, campaign):
    first, second, third, *_ = (pick.item for pick in campaign.picks())
    say(client, "label", KEY, items=[first], class_name="cat")
    say(client, "label", KEY, author="bob", items=[second], class_name="cat")
    say(client, "skip", KEY, items=[third])
    assert [campaign.pick(item).answer for item in (first, second, third)] == ["label", "label", "skip"]


@pytest.mark.parametrize(("route", "more"), [("skip", {}), ("unsure", {}), ("label", {"class_name": "dog"})])
def test_an_answer_that_is_sent_again_is_taken_back_by_one_undo(client, campaign, route, more):
    item = campaign.picks()[0].item
    for _ in range(2):
        say(client, route, KEY, items=[item], **more)
    say(client, "undo", item=item)
    assert campaign.pick(item).answer == "waiting"


def test_a_key_that_comes_with_another_body_is_refused_and_not_taken_for_done(client, campaign):
    first, second, *_ = (pick.item for pick in campaign.picks())
    say(client, "label", KEY, items=[first], class_name="cat")
    answer = client.post("/api/label", json={"author": "ann", "items": [second], "class_name": "cat"}, headers=KEY)
    assert answer.status_code == 400
    assert "for another request" in answer.json()["error"]
    assert campaign.pick(second).answer == "waiting"


def test_a_refused_request_may_do_well_later(client, campaign):
    item = campaign.picks()[0].item
    assert client.post("/api/undo", json={"author": "ann", "item": item}, headers=KEY).status_code == 400
    say(client, "label", items=[item], class_name="cat")
    assert say(client, "undo", KEY, item=item)["class_name"] == "cat"


@pytest.mark.parametrize("key", ["", "x" * 65])
def test_a_key_is_short(onlooker, key):
    answer = onlooker.post("/api/undo", json={"author": "ann"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["error"]
