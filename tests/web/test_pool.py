"""Routes about many images at once, over a campaign on given features."""

import itertools
import shutil
import time

import numpy as np
import pytest
from fastapi.testclient import TestClient

from minimax_al.campaign import Campaign
from minimax_al.exploring.projection import read_map
from minimax_al.web import create_app
from minimax_al.web.roles import Tokens

from ..support.fakes import Clock  # noqa: TID252 - the same time and images
from ..support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252
from .conftest import HOME


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a trained campaign of 60 images with 27 labels: to copy."""
    place = tmp_path_factory.mktemp("pool")
    images, table = write_clusters(place / "pool", count=60, noise=0.3)
    with Campaign.create(
        place / "herons", images, list(CLASSES), clock=Clock(), features=str(table), near_duplicates="off"
    ) as campaign:
        campaign.query(27)
        for pick in campaign.picks():
            campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
        campaign.train()
    return place / "herons"


@pytest.fixture
def pool(trained, tmp_path, make_client):
    with Campaign.open(shutil.copytree(trained, tmp_path / "herons"), clock=Clock()) as campaign:
        yield campaign, make_client(campaign)


def test_a_class_is_confirmed_in_bulk(pool):
    _, client = pool
    asked = {"class_name": "red", "limit": 5}
    page = client.get("/api/candidates", params=asked).json()
    assert page["predicted"] == page["unlabelled"] == 33
    assert sum(count["images"] for count in page["classes"]) == 33
    items = [image["item"] for image in page["images"]]
    assert len(items) == 5 < page["total"]
    confirm = {"author": "ann", "items": items, "class_name": "red", "if_waiting": True, "origin": "bulk"}
    for _ in range(2):  # the answer was lost: the same request again
        answer = client.post("/api/label", json=confirm, headers={"Idempotency-Key": "k"}).json()
        assert answer == {"labelled": 5, "answered_before": []}
    assert client.get("/api/candidates", params=asked).json()["total"] == page["total"] - 5
    bulk = client.get("/api/labels", params={"origin": "bulk"}).json()
    assert {image["item"] for image in bulk["images"]} == set(items)
    assert client.get("/api/status").json()["confirmed"] == 5


def test_candidates_of_an_unknown_class_are_refused(pool):
    answer = pool[1].get("/api/candidates", params={"class_name": "reed"})
    assert answer.status_code == 400
    assert "'reed'" in answer.json()["error"]


def test_labels_are_paged_with_true_counts(pool):
    _, client = pool
    first = client.get("/api/labels", params={"limit": 20}).json()
    rest = client.get("/api/labels", params={"limit": 20, "offset": 20}).json()
    assert first["total"] == rest["total"] == first["counts"]["kinds"]["label"] == 27
    assert len({image["item"] for image in first["images"] + rest["images"]}) == 27
    assert first["run"] == 1
    assert [image["contradiction"] for image in first["images"]] == sorted(
        (image["contradiction"] for image in first["images"]), reverse=True
    )


def test_search_look_up_neighbours_and_likeness(pool):
    _, client = pool
    found = client.get("/api/search", params={"text": "blue 000", "wanted": "all"}).json()
    assert found["total"] == 3
    ids = [image["item"] for image in found["images"]]
    looked = client.post("/api/look-up", json={"items": [ids[2], ids[0], 2_000_000, ids[2]]}).json()
    assert [image["item"] for image in looked["images"]] == [ids[2], ids[0]]
    pages = [
        client.post("/api/neighbours", json={"items": ids[:1], "limit": 10, "offset": offset}).json()["images"]
        for offset in (0, 10)
    ]
    similarities = [image["similarity"] for page in pages for image in page]
    assert similarities == sorted(similarities, reverse=True)
    assert len({image["item"] for page in pages for image in page}) == 20
    assert client.post("/api/neighbours", json={"items": [2_000_000]}).status_code == 404
    order = client.post("/api/likeness", json={"items": list(range(1, 31))}).json()["items"]
    assert sorted(order) == list(range(1, 31))
    classes = [class_of(image["path"]) for image in client.post("/api/look-up", json={"items": order}).json()["images"]]
    assert sum(one != other for one, other in itertools.pairwise(classes)) <= 5


def test_a_campaign_without_features_says_so(client):
    assert client.post("/api/neighbours", json={"items": [1]}).status_code == 409
    refused = client.post("/api/likeness", json={"items": [1, 2]})
    assert refused.status_code == 409
    assert "it has no features to compare them by" in refused.json()["error"]
    maps = client.get("/api/maps").json()
    assert (maps["features"], maps["images"], [one["version"] for one in maps["maps"]]) == (False, 0, [None, None])
    assert client.post("/api/maps", json={"method": "pca"}).status_code == 409
    assert client.get("/api/maps/pca/points").status_code == 404
    empty = client.get("/api/candidates", params={"class_name": "cat"}).json()
    assert (empty["images"], empty["predicted"], empty["unlabelled"], empty["run"]) == ([], 0, 8, None)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_is_computed_by_a_process_and_coloured(pool, method):
    if method == "tsne":
        pytest.importorskip("openTSNE", reason="the extra 'map' is not installed")
    campaign, client = pool
    assert client.post("/api/maps", json={"method": method}).status_code == 202
    deadline = time.monotonic() + 300
    while (maps := client.get("/api/maps").json())["job"]["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert maps["job"]["message"] == "the map shows 60 images"
    state = next(one for one in maps["maps"] if one["method"] == method)
    assert (state["images"], maps["images"]) == (60, 60)
    content = client.get(f"/api/maps/{method}/points").content
    ids = np.frombuffer(content, "<i4", 60)
    points = np.frombuffer(content, "<f4", offset=240).reshape(60, 2)
    assert ids.tolist() == list(range(1, 61))
    assert np.abs(points).max() <= 1
    assert np.array_equal(points, read_map(campaign.folder, method).points)
    label, predicted, uncertainty, picked = np.frombuffer(
        client.get(f"/api/maps/{method}/colours").content, "<i2"
    ).reshape(4, 60)
    truth = np.array(
        [CLASSES.index(class_of(path)) for path in sorted(path.name for path in campaign.images.iterdir())]
    )
    assert (label >= 0).sum() == (picked == 1).sum() == 27
    assert (label[label >= 0] == truth[label >= 0]).all()
    assert (predicted == truth).mean() > 0.9
    assert ((uncertainty >= 0) & (uncertainty <= 1000)).all()
    # Images of one class lie together: the nearest other point is mostly of the same class.
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2) + np.diag(np.full(60, np.inf))
    assert (truth[distances.argmin(axis=1)] == truth).mean() > 0.8


def test_an_annotators_link_computes_no_maps_and_shows_no_answers_of_others(trained, tmp_path):
    manager = "a-token-of-the-manager"
    with Campaign.open(shutil.copytree(trained, tmp_path / "herons")) as campaign:
        app = create_app(campaign, token=manager)
        headers = {"Authorization": f"Bearer {Tokens.of(manager).annotator}"}
        with TestClient(app, base_url=HOME, headers=headers) as client:
            assert client.post("/api/maps", json={"method": "pca"}).status_code == 403
            assert client.get("/api/maps").status_code == 200
            others = client.get("/api/labels", params={"author": "bob"}).json()
            assert (others["total"], others["counts"]["kinds"]["label"]) == (0, 0)
            own = client.get("/api/labels", params={"author": "ann"}).json()
            assert (own["total"], own["counts"]["authors"]) == (27, {"ann": 27})
            assert client.get("/api/labels").json()["total"] == 0
            # Answers are hidden elsewhere, so that a second opinion is one's own.
            found = client.get("/api/search", params={"wanted": "labelled"}).json()
            assert found["total"] == 27
            assert {(image["answer"], image["class_name"], image["author"]) for image in found["images"]} == {
                ("label", None, None)
            }
            campaign.label(1, "green", "ann")
            assert client.get("/api/search", params={"text": "green 0000"}).json()["total"] == 0
            example = {"items": [found["images"][0]["item"]]}
            for route in ("look-up", "neighbours"):
                images = client.post(f"/api/{route}", json=example).json()["images"]
                assert {image["class_name"] for image in images} == {None}
