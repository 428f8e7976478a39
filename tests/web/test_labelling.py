import pytest
from sqlalchemy import select

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import labels


def post(client, route, **body):
    answer = client.post(f"/api/{route}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def items_of(lease):
    return [pick["item"] for pick in lease["picks"]]


def history(campaign):
    """Return (item, kind, author) of every event of the history, in order."""
    with campaign.store.reading() as connection:
        rows = connection.execute(select(labels.c.item_id, labels.c.kind, labels.c.author).order_by(labels.c.id))
        return [tuple(row) for row in rows]


def test_two_annotators_get_disjoint_images(client):
    ann, bob = post(client, "lease", author="ann", count=3), post(client, "lease", author="bob", count=200)
    assert len(ann["picks"]) == 3
    assert len(bob["picks"]) == 5
    assert not set(items_of(ann)) & set(items_of(bob))
    assert (bob["waiting"], bob["with_others"], bob["next_free_at"]) == (8, 3, ann["until"])
    carl = post(client, "lease", author="carl", count=1)
    assert (carl["picks"], carl["with_others"]) == ([], 8)


def test_a_lease_is_the_same_when_the_page_is_loaded_again(client, clock):
    before = post(client, "lease", author="ann", count=3)
    clock.advance(60)
    after = post(client, "lease", author="ann", count=3)
    assert items_of(after) == items_of(before)
    assert after["until"] > before["until"]


def test_released_images_are_free_for_others(client):
    given = items_of(post(client, "lease", author="ann", count=8))
    assert post(client, "release", author="ann") == {"released": 8}
    assert items_of(post(client, "lease", author="bob", count=8)) == given


def test_spaces_around_a_name_are_ignored(client):
    given = post(client, "lease", author=" ann ", count=2)
    assert {pick["lease_holder"] for pick in given["picks"]} == {"ann"}


def test_a_late_label_is_stored_and_the_new_lease_stays(client, campaign, clock):
    (item,) = items_of(post(client, "lease", author="ann", count=1))
    clock.advance(campaign.settings.lease_seconds + 1)
    assert items_of(post(client, "lease", author="bob", count=1)) == [item]
    assert post(client, "label", author="ann", items=[item], class_name="dog") == {"labelled": 1, "answered_before": []}
    assert campaign.pick(item).class_name == "dog"
    assert item not in items_of(post(client, "lease", author="bob", count=8))


def test_many_images_at_once_each_counted_once(client, campaign):
    items = items_of(post(client, "lease", author="ann", count=8))
    assert post(client, "label", author="ann", items=[*items, items[0]], class_name="cat") == {
        "labelled": 8,
        "answered_before": [],
    }
    assert sorted(history(campaign)) == sorted((item, "label", "ann") for item in items)


@pytest.mark.parametrize(("route", "more"), [("label", {"class_name": "cat"}), ("unsure", {})], ids=["label", "unsure"])
def test_a_repeated_request_is_in_the_history_once(client, campaign, route, more):
    items = items_of(post(client, "lease", author="ann", count=2))
    order, key = {"author": "ann", "items": items, **more}, {"Idempotency-Key": "one"}
    first, again = (client.post(f"/api/{route}", json=order, headers=key) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert history(campaign) == [(item, route, "ann") for item in items]
    post(client, "undo", author="ann", item=items[0])
    assert campaign.pick(items[0]).answer == "waiting"


def test_skip_and_unsure_are_different_answers(client, campaign):
    skipped, puzzling, *_ = items_of(post(client, "lease", author="ann", count=8))
    assert post(client, "skip", author="ann", items=[skipped]) == {"answered": 1, "answered_before": []}
    assert post(client, "unsure", author="ann", items=[puzzling]) == {"answered": 1, "answered_before": []}
    assert campaign.pick(skipped).answer == "skip"
    assert campaign.pick(puzzling).answer == "unsure"


def test_undo_revokes_the_authors_last_answer(client):
    first, second, *_ = items_of(post(client, "lease", author="ann", count=3))
    post(client, "label", author="ann", items=[first], class_name="cat")
    post(client, "label", author="bob", items=[second], class_name="dog")
    undone = post(client, "undo", author="ann")
    assert (undone["item"], undone["kind"], undone["class_name"]) == (first, "label", "cat")
    assert (undone["pick"]["answer"], undone["pick"]["class_name"]) == ("waiting", None)
    again = client.post("/api/undo", json={"author": "ann"})
    assert again.status_code == 400
    assert "no answer that could be undone" in again.json()["error"]


def test_undo_of_a_label_that_no_round_asked_for_has_no_pick(make_campaign, make_client):
    campaign = make_campaign()
    client = make_client(campaign)
    post(client, "label", author="ann", items=[1], class_name="cat")
    assert post(client, "undo", author="ann", item=1)["pick"] is None


def test_picks_of_a_round_are_ordered_filtered_and_paged(client, campaign):
    ranked = [pick.item for pick in campaign.picks()]
    post(client, "label", author="ann", items=ranked[::2], class_name="cat")
    post(client, "label", author="ann", items=ranked[1:2], class_name="dog")
    everything = client.get("/api/picks").json()
    assert items_of(everything) == ranked
    assert everything["total"] == 8
    cats = client.get("/api/picks", params={"class_name": "cat", "offset": 1, "limit": 2}).json()
    assert (items_of(cats), cats["total"]) == (ranked[::2][1:3], 4)
    waiting = client.get("/api/picks", params={"round": 1, "answer": "waiting"}).json()
    assert items_of(waiting) == [item for item in ranked[1::2] if item != ranked[1]]


def test_before_the_first_round_there_is_nothing_to_do(make_campaign, make_client):
    client = make_client(make_campaign())
    assert post(client, "lease", author="ann", count=5)["picks"] == []
    assert client.get("/api/picks").json() == {"picks": [], "total": 0}


@pytest.mark.parametrize(
    ("route", "body", "status", "sentence"),
    [
        ("label", {"items": [1], "class_name": "bird"}, 400, "unknown class 'bird'"),
        ("label", {"items": [99], "class_name": "cat"}, 404, "99 is not an image of this campaign"),
        ("label", {"items": [1]}, 422, "class_name"),
        ("label", {"items": [], "class_name": "cat"}, 422, "items"),
        ("label", {"items": [2**40], "class_name": "cat"}, 422, "items.0"),
        ("label", {"items": ["1"], "class_name": "cat"}, 422, "valid integer"),
        ("label", {"items": [1], "class_name": "cat", "colour": "red"}, 422, "colour"),
        ("skip", {"items": [99]}, 404, "99"),
        ("unsure", {"items": [99]}, 404, "99"),
        ("unsure", {"items": list(range(1, 202))}, 422, "200"),
        ("lease", {"count": 0}, 422, "count"),
        ("lease", {"count": 201}, 422, "count"),
        ("undo", {"item": 99}, 404, "99"),
        ("undo", {"item": 1}, 400, "could be undone"),
    ],
)
def test_invalid_requests_are_one_sentence_and_change_nothing(client, route, body, status, sentence):
    answer = client.post(f"/api/{route}", json={"author": "ann", **body})
    assert answer.status_code == status
    assert sentence in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert history(client.app.state.shared.campaign) == []


@pytest.mark.parametrize("author", ["", "   ", "x" * 81, "a\nb", "\ud800", 7, None])
def test_an_empty_author_is_refused(onlooker, author):
    raw = b'{"author": "\\ud800"}' if author == "\ud800" else None
    json_type = {"Content-Type": "application/json"}
    if raw is None:
        answer = onlooker.post("/api/release", json={"author": author})
    else:
        answer = onlooker.post("/api/release", content=raw, headers=json_type)
    assert answer.status_code == 422
    assert "author" in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"not JSON", {"Content-Type": "application/json"}),
        (b'{"author": "ann"}', {"Content-Type": "text/plain"}),
        (b'{"author": "ann"}', {}),
        (b'{"author": "ann", "\\ud800": 1}', {"Content-Type": "application/json"}),
        (b"", {"Content-Type": "application/json"}),
    ],
    ids=["garbage", "text", "untyped", "no code point", "empty"],
)
def test_bodies_without_json_or_its_content_type_are_refused(onlooker, content, headers):
    answer = onlooker.post("/api/release", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_a_round_that_was_never_opened_is_not_found(onlooker):
    answer = onlooker.get("/api/picks", params={"round": 2})
    assert answer.status_code == 404
    assert "round 2 does not exist" in answer.json()["error"]


def test_classes_and_masks_are_kept_apart(make_campaign, make_client):
    campaign = make_campaign(task="segmentation")
    answer = make_client(campaign).post("/api/label", json={"author": "ann", "items": [1], "class_name": "cat"})
    assert answer.status_code == 400
    assert "masks" in answer.json()["error"]


@pytest.mark.parametrize(
    ("route", "more"), [("label", {"items": [1], "class_name": "cat"}), ("lease", {"count": 1}), ("undo", {})]
)
def test_a_locked_database_answers_503(campaign, make_client, route, more):
    with Campaign.open(campaign.folder, wait_seconds=0.01) as impatient, campaign.store.writing():
        answer = make_client(impatient).post(f"/api/{route}", json={"author": "ann", **more})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "try again" in answer.json()["error"]


@pytest.mark.parametrize(("route", "more"), [("label", {"class_name": "cat"}), ("unsure", {})], ids=["label", "unsure"])
def test_if_waiting_keeps_answers_given_meanwhile(client, campaign, clock, route, more):
    """Its lease is over, somebody else has had the image, and the person at it knows nothing of that."""
    mine, theirs = items_of(post(client, "lease", author="ann", count=2))
    clock.advance(campaign.settings.lease_seconds + 1)
    assert theirs in items_of(post(client, "lease", author="bob", count=8))
    post(client, "label", author="bob", items=[theirs], class_name="dog", if_waiting=True)
    said = post(client, route, author="ann", items=[mine, theirs], if_waiting=True, **more)
    assert said["answered_before"] == [theirs]
    assert campaign.pick(theirs).class_name == "dog"
    assert campaign.pick(mine).answer == route
    post(client, "label", author="ann", items=[theirs], class_name="cat")  # looked over, and meant
    assert campaign.pick(theirs).class_name == "cat"


def test_images_lent_to_label_studio_are_not_leased_until_recalled(client, campaign):
    sent = [pick.item for pick in campaign.picks()[:6]]
    campaign.lend(sent, "Label Studio, project 1")
    lease = post(client, "lease", author="ann", count=8)
    assert not set(items_of(lease)) & set(sent)
    assert (len(lease["picks"]), lease["waiting"], lease["with_others"], lease["lent"]) == (2, 8, 0, 6)
    assert client.post("/api/recall", json={"round": 2}).status_code == 409
    assert post(client, "recall", round=1) == {"released": 6}
    assert len(items_of(post(client, "lease", author="ann", count=8))) == 8


def swap(campaign):
    for old, new in (("cat", "x"), ("dog", "cat"), ("x", "dog")):
        campaign.rename_class(old, new)


@pytest.mark.parametrize(("change", "today"), [(swap, "dog"), (lambda one: one.rename_class("cat", "lynx"), "lynx")])
def test_a_label_and_its_undo_follow_a_class_that_was_renamed_on_the_way(client, campaign, change, today):
    item = campaign.picks()[0].item
    cat = client.get("/api/campaign").json()["class_ids"][0]
    change(campaign)
    chosen = {"author": "ann", "class_name": "cat", "class_id": cat}
    assert client.post("/api/label", json={**chosen, "items": [item]}).status_code == 200
    assert campaign.pick(item).class_name == today
    undone = client.post("/api/undo", json={**chosen, "item": item, "kind": "label"})
    assert undone.json()["class_name"] == today
    assert client.post("/api/label", json={"author": "ann", "class_name": "bird", "items": [item]}).status_code == 400


def test_a_label_of_a_class_that_has_left_is_refused(make_campaign, make_client):
    campaign = make_campaign(classes=["cat", "dog", "bird"])
    client = make_client(campaign)
    bird = campaign.class_ids["bird"]
    campaign.merge_classes(["bird"], "dog")
    for number, sentence in (
        (bird, "the class 'bird' was merged or removed after it was chosen: nothing was saved"),
        (991, "unknown class id '991'"),
    ):
        body = {"author": "ann", "items": [1], "class_name": "bird", "class_id": number}
        refused = client.post("/api/label", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"].startswith(sentence)
    assert campaign.labels() == {}
