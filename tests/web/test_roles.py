"""Roles: what the annotator's link opens, and what it does not."""

import pytest
from fastapi.routing import APIRoute

from minimax_al.web import create_app
from minimax_al.web.roles import ManagerOnly, Tokens

TOKEN = "a-token-that-nobody-guesses"
MANAGERS = {
    ("POST", "/api/jobs"),
    ("POST", "/api/close-round"),
    ("POST", "/api/recall"),
    ("POST", "/api/import"),
    ("GET", "/api/export/{format}"),
    ("GET", "/api/conflicts"),
    ("POST", "/api/decide"),
    ("POST", "/api/decide-mask"),
    ("GET", "/api/opinions/{item}/{which}"),
    ("GET", "/opinions/{item}/{layer}.png"),
    ("GET", "/team"),
    ("GET", "/api/classes"),
    *(("POST", f"/api/classes/{change}") for change in ("add", "rename", "merge", "remove")),
    ("POST", "/api/maps"),
}
"""Routes that train, choose strategies, close rounds, import, export, or edit the classes."""


@pytest.fixture
def manager(campaign, make_client):
    return make_client(campaign, token=TOKEN, headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.fixture
def annotator(campaign, make_client):
    return make_client(campaign, token=TOKEN, headers={"Authorization": f"Bearer {Tokens.of(TOKEN).annotator}"})


def routes(app):
    """Yield every route, those of routers that are included later too."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from (context.original_route for context in route.effective_route_contexts())


def test_these_routes_are_for_managers(campaign, annotator):
    marked = {
        (method, route.path)
        for route in routes(create_app(campaign))
        if any(one.dependency is ManagerOnly.dependency for one in route.dependencies)
        for method in route.methods
    }
    assert marked == MANAGERS
    for method, path in marked:
        answer = annotator.request(method, path.format(format="csv", item=1, which="first", layer="first"), json={})
        assert answer.status_code == 403, path
        assert "manager's link" in answer.json()["error"]


def test_each_link_knows_its_role(manager, annotator):
    assert manager.get("/api/campaign").json()["role"] == "manager"
    assert annotator.get("/api/campaign").json()["role"] == "annotator"
    assert 'data-role="annotator"' in annotator.get("/").text


def test_without_a_token_everybody_is_a_manager(client):
    assert client.get("/api/campaign").json()["role"] == "manager"
    assert client.get("/api/export/csv").status_code == 200


def test_the_link_opened_last_counts(campaign, make_client):
    client = make_client(campaign, token=TOKEN)
    for token, role in ((TOKEN, "manager"), (Tokens.of(TOKEN).annotator, "annotator"), (TOKEN, "manager")):
        assert client.get("/", params={"token": token}).status_code == 200
        assert client.get("/api/campaign").json()["role"] == role


def test_an_annotator_labels_and_changes_their_own_answers_only(annotator, manager, campaign):
    one, two = [
        pick["item"] for pick in annotator.post("/api/lease", json={"author": "ann", "count": 2}).json()["picks"]
    ]

    def say(client, item, name, author):
        return client.post("/api/label", json={"author": author, "items": [item], "class_name": name}).json()

    assert say(annotator, one, "cat", "ann")["labelled"] == 1
    assert say(annotator, one, "dog", "ann")["labelled"] == 1  # a change of mind
    assert say(annotator, one, "cat", "bob") == {"labelled": 0, "answered_before": [one]}
    assert annotator.post("/api/unsure", json={"author": "bob", "items": [one]}).json()["answered"] == 0
    assert campaign.pick(one).class_name == "dog"
    assert say(manager, one, "cat", "meg")["labelled"] == 1
    assert campaign.pick(one).class_name == "cat"
    assert say(annotator, two, "dog", "bob")["labelled"] == 1


def test_an_annotator_reviews_their_own_answers_only(annotator, manager, campaign):
    ranked = [pick.item for pick in campaign.picks()]
    for author, items in (("ann", ranked[:3]), ("bob", ranked[3:5])):
        annotator.post("/api/label", json={"author": author, "items": items, "class_name": "cat"})
    annotator.post("/api/skip", json={"author": "ann", "items": ranked[5:6]})

    def seen(client, **params):
        return [pick["item"] for pick in client.get("/api/picks", params=params).json()["picks"]]

    assert seen(annotator, author="ann") == [*ranked[:3], *ranked[5:]]
    assert seen(annotator, author="ann", answer="label") == ranked[:3]
    assert seen(annotator, answer="label") == []
    assert seen(manager, answer="label") == ranked[:5]
    assert seen(manager, answer="label", author="bob") == ranked[3:5]
