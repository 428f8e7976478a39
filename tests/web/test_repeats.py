"""A request that comes again because its answer was lost is answered, and not done again."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from minimax_al.web.repeats import Repeats

KEY = {"Idempotency-Key": "one"}
A, B, C = (("route", "ann", key) for key in "abc")


def test_a_repeat_has_the_first_answer_and_another_key_is_done():
    repeats, done = Repeats(), []
    for key in (A, A, B, A):
        assert repeats.once(key, lambda: done.append(0) or len(done)) == (1 if key == A else 2)
    assert len(done) == 2


def test_what_was_refused_is_tried_again():
    repeats = Repeats()
    with pytest.raises(ZeroDivisionError, match="by zero"):
        repeats.once(A, lambda: 1 / 0)
    assert repeats.once(A, lambda: 7) == 7


def test_the_oldest_keys_are_forgotten():
    repeats = Repeats(most=2)
    for key in (A, B, C):
        repeats.once(key, lambda: "first")
    assert [repeats.once(key, lambda: "again") for key in (B, C, A)] == ["first", "first", "again"]
    assert len(repeats._known) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_repeat_waits_for_the_first_while_that_runs(fails):
    repeats, begun, go_on = Repeats(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(timeout=30)
        return 1 // (not fails)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(repeats.once, A, slow)
        assert begun.wait(timeout=30)
        second = pool.submit(repeats.once, A, lambda: "not done")
        other = pool.submit(repeats.once, B, lambda: "done")
        assert other.result(timeout=30) == "done"
        assert not second.done()
        go_on.set()
        said = {type(one.exception(30)) if fails else one.result(30) for one in (first, second)}
    assert said == ({ZeroDivisionError} if fails else {1})


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
