"""Conflicts between annotators, and the page with each annotator's speed and agreement."""

import re

import pytest


def post(client, route, **body):
    answer = client.post(f"/api/{route}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def shared(campaign, make_client):
    """A page of a campaign whose images all go to two annotators; ann and bob have labelled all eight."""
    campaign.configure(overlap=1.0)
    client = make_client(campaign)
    for author, dogs in (("ann", 1), ("bob", 3)):
        items = sorted(pick["item"] for pick in post(client, "lease", author=author, count=16)["picks"])
        assert len(items) == 8
        waiting = {"author": author, "if_waiting": True}
        assert post(client, "label", items=items[:dogs], class_name="dog", **waiting)["labelled"] == dogs
        assert post(client, "label", items=items[dogs:], class_name="cat", **waiting)["labelled"] == 8 - dogs
    return client, items


def test_the_first_answer_is_hidden_from_the_second_annotator(campaign, make_client):
    campaign.configure(overlap=1.0)
    client = make_client(campaign)
    first = post(client, "lease", author="ann", count=8)["picks"]
    post(client, "label", author="ann", items=[pick["item"] for pick in first], class_name="dog")
    second = post(client, "lease", author="bob", count=16)["picks"]
    assert [pick["item"] for pick in second] == [pick["item"] for pick in first]
    blind = {(pick["answer"], pick["class_name"], pick["second_opinion"]) for pick in second}
    assert blind == {("waiting", None, True)}


def test_conflicts_are_listed_until_they_are_decided(shared, campaign):
    client, items = shared
    assert client.get("/api/status").json()["conflicts"] == 2
    found = client.get("/api/conflicts").json()
    assert [(one["item"], one["first"]["class_name"], one["second"]["class_name"]) for one in found] == [
        (items[1], "cat", "dog"),
        (items[2], "cat", "dog"),
    ]
    assert post(client, "decide", author="meg", items=items[1:2], class_name="cat") == {
        "answered": 1,
        "answered_before": [],
    }
    assert campaign.pick(items[1]).class_name == "cat"
    assert client.get("/api/status").json()["conflicts"] == 1
    post(client, "decide", author="meg", items=items[2:3], class_name=None)
    assert campaign.pick(items[2]).answer == "unsure"
    assert client.get("/api/conflicts").json() == []
    post(client, "undo", author="meg")
    assert [one["item"] for one in client.get("/api/conflicts").json()] == [items[2]]


def test_the_later_of_two_managers_is_told_and_may_replace_the_decision(shared, campaign):
    client, items = shared
    order = {"items": items[1:3], "class_name": "dog"}
    post(client, "decide", author="meg", items=items[1:2], class_name="cat")
    late = client.post("/api/decide", json={**order, "author": "lea"})
    assert late.status_code == 409
    assert re.match(r"'meg' has decided '.*' as 'cat' at \d\d:\d\d UTC: nothing was saved", late.json()["error"])
    assert campaign.count_conflicts() == 1
    assert client.post("/api/decide", json={**order, "author": "lea", "replace": True}).status_code == 200
    assert [campaign.pick(item).class_name for item in items[1:3]] == ["dog", "dog"]


def test_a_repeated_decision_is_made_once(shared, campaign):
    client, items = shared
    order, key = {"author": "meg", "items": items[1:2], "class_name": "cat"}, {"Idempotency-Key": "one"}
    answers = [client.post("/api/decide", json=order, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    campaign.undo("meg")
    assert campaign.count_conflicts() == 2


def test_the_page_of_the_team_is_off_by_default(shared, campaign):
    client, _ = shared
    off = client.get("/team")
    assert off.status_code == 404
    assert "team_page=true" in off.json()["error"]
    assert 'href="team"' not in client.get("/").text
    campaign.configure(team_page=True)
    assert 'href="team"' in client.get("/").text
    page = client.get("/team").text
    assert "6 of 8 images have the same label" in page
    assert "2 conflicts wait" in page
    assert "6 of 8 images" in page
    assert " %" not in page.replace("95 %", ""), "no percentage of fewer than ten images"


def test_speed_is_the_median_time_between_answers_without_pauses(campaign, clock):
    for pick in campaign.lease("ann", 8).picks:
        campaign.label(pick.item, "cat", "ann", origin="page")
        clock.advance(3)
    assert campaign.team().annotators[0].seconds is None
    items = [pick.item for pick in campaign.picks()]
    for number, item in enumerate(items):
        clock.advance(5 if number else 900)
        campaign.label(item, "dog", "ann", origin="page")
    (ann,) = campaign.team().annotators
    assert (ann.name, ann.labelled, ann.seconds) == ("ann", 16, 4.0)
