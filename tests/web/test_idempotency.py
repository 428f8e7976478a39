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


def test_a_repeated_undo_revokes_one_answer(client, campaign):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    first, again = (say(client, "undo", KEY, item=item) for _ in range(2))
    assert first == again
    assert campaign.pick(item).class_name == "cat"
    say(client, "undo", {"Idempotency-Key": "two"}, item=item)
    assert campaign.pick(item).answer == "waiting"


def test_keys_survive_a_restart_of_the_server(client, campaign, make_client):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    first = say(client, "undo", KEY, item=item)
    with Campaign.open(campaign.folder) as reopened:
        assert say(make_client(reopened), "undo", KEY, item=item) == first
        assert reopened.pick(item).class_name == "cat"


def test_concurrent_requests_with_one_key_run_once(client, campaign):
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


def test_a_repeated_request_does_not_replace_a_newer_answer(client, campaign):
    item = campaign.picks()[0].item
    say(client, "label", KEY, items=[item], class_name="cat")
    say(client, "label", author="bob", items=[item], class_name="dog")
    say(client, "label", KEY, items=[item], class_name="cat")
    assert campaign.pick(item).class_name == "dog"


def test_an_undo_with_an_expected_answer_revokes_no_other(client, campaign):
    item = campaign.picks()[0].item
    for name in ("cat", "dog"):
        say(client, "label", items=[item], class_name=name)
    asked = {"author": "ann", "item": item, "kind": "label"}
    answer = client.post("/api/undo", json={**asked, "class_name": "cat"})
    assert answer.status_code == 400
    assert "another answer since" in answer.json()["error"]
    assert say(client, "undo", item=item, kind="label", class_name="dog")["class_name"] == "dog"
    assert campaign.pick(item).class_name == "cat"


def test_keys_are_scoped_to_author_and_route(client, campaign):
    first, second, third, *_ = (pick.item for pick in campaign.picks())
    say(client, "label", KEY, items=[first], class_name="cat")
    say(client, "label", KEY, author="bob", items=[second], class_name="cat")
    say(client, "skip", KEY, items=[third])
    assert [campaign.pick(item).answer for item in (first, second, third)] == ["label", "label", "skip"]


@pytest.mark.parametrize(("route", "more"), [("skip", {}), ("unsure", {}), ("label", {"class_name": "dog"})])
def test_one_undo_revokes_a_repeated_answer(client, campaign, route, more):
    item = campaign.picks()[0].item
    for _ in range(2):
        say(client, route, KEY, items=[item], **more)
    say(client, "undo", item=item)
    assert campaign.pick(item).answer == "waiting"


def test_a_key_with_another_body_is_refused(client, campaign):
    first, second, *_ = (pick.item for pick in campaign.picks())
    say(client, "label", KEY, items=[first], class_name="cat")
    answer = client.post("/api/label", json={"author": "ann", "items": [second], "class_name": "cat"}, headers=KEY)
    assert answer.status_code == 400
    assert "for another request" in answer.json()["error"]
    assert campaign.pick(second).answer == "waiting"


def test_a_refused_request_can_be_repeated(client, campaign):
    item = campaign.picks()[0].item
    assert client.post("/api/undo", json={"author": "ann", "item": item}, headers=KEY).status_code == 400
    say(client, "label", items=[item], class_name="cat")
    assert say(client, "undo", KEY, item=item)["class_name"] == "cat"


@pytest.mark.parametrize("key", ["", "x" * 65])
def test_a_long_key_is_refused(onlooker, key):
    answer = onlooker.post("/api/undo", json={"author": "ann"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["error"]
