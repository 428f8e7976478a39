"""Pushing: every waiting image is one task, whatever was interrupted or asked again."""

import hashlib
import io
import json
from dataclasses import replace
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from minimax_al.campaign import Campaign
from minimax_al.campaign.progress.runs import finish_run, start_run
from minimax_al.campaign.rounds.rounds import Choice, add_round
from minimax_al.campaign.store.schema import picks
from minimax_al.errors import CampaignError, ConfigurationError, DataError, UnknownNameError
from minimax_al.label_formats.run_length import decode_label_studio
from minimax_al.label_studio import pull, push

from ..support.fakes import random_image  # noqa: TID252 - the same images
from .fake import payload


def open_round(campaign, items, suggestion=None, confidence=None):
    """A round as a model would open it."""
    now = campaign.now()
    with campaign.store.writing() as connection:
        run_id = None
        if suggestion is not None:
            run_id = start_run(connection, "entropy", f"run {campaign.now()}", labels=1, held_out=0, now=now)
            finish_run(connection, run_id, {}, now, last_label=0)
        choices = [
            Choice(item, f"why {item}", {"entropy": item / 8}, suggestion=suggestion, confidence=confidence)
            for item in items
        ]
        add_round(connection, choices, strategy="entropy", random_share=0, seed=0, run_id=run_id, now=now)
    return run_id


def tasks_by_item(studio):
    assert len({task["data"]["item"] for task in studio.tasks.values()}) == len(studio.tasks)
    return {task["data"]["item"]: task for task in studio.tasks.values()}


def test_waiting_images_are_sent_in_rank_order_with_their_data(make_campaign, studio, client):
    campaign = make_campaign()
    run_id = open_round(campaign, [5, 3, 8, 1], suggestion=2, confidence=0.75)
    campaign.label(8, "cat", author="ann")
    done = push(campaign, client, "herons")
    assert (done.made, done.sent, done.renewed, done.there, done.answered) == (True, 3, 0, 0, 0)
    assert [task["data"]["item"] for task in studio.tasks.values()] == [5, 3, 1]
    task = tasks_by_item(studio)[3]
    file = campaign.image(3)
    assert task["data"] == {
        "image": task["data"]["image"],
        "item": 3,
        "path": file.relative_to(campaign.images).as_posix(),
        "content_hash": hashlib.sha256(file.read_bytes()).hexdigest(),
        "round": 1,
        "rank": 1,
        "reason": "why 3",
        "scores": {"entropy": 0.375},
        "at_random": False,
    }
    sent = {f"/data/{name}": content for name, content in studio.files.values()}
    for item, one in tasks_by_item(studio).items():
        assert sent[one["data"]["image"]] == campaign.image(item).read_bytes()
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], prediction["score"]) == (f"run-{run_id:04d}", 0.75)
    (region,) = prediction["result"]
    assert (region["from_name"], region["to_name"], region["value"]) == ("label", "image", {"choices": ["dog"]})
    assert studio.projects[done.project]["model_version"] == f"run-{run_id:04d}"


def test_a_first_round_has_no_predictions(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(3)
    push(campaign, client, "herons")
    assert [task["predictions"] for task in studio.tasks.values()] == [[], [], []]


def test_pushing_again_sends_nothing(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(5)
    first = push(campaign, client, "herons")
    before = json.dumps(studio.tasks)
    again = push(campaign, client, first.project)
    assert again == replace(first, made=False, sent=0, there=5)
    assert json.dumps(studio.tasks) == before


def test_an_interrupted_push_resumes(make_campaign, studio, client, monkeypatch):
    monkeypatch.setattr("minimax_al.label_studio.pushing._PORTION_FILES", 2)
    campaign = make_campaign()
    campaign.query(7)
    for allowed in range(1, 30):  # cut off after every single request, in turn
        studio.requests.clear()
        studio.fail_at = (allowed, httpx.ConnectError("gone"))
        try:
            push(campaign, client, "herons")
        except CampaignError:
            tasks_by_item(studio)
        else:
            break
    assert len(studio.projects) == 1
    assert set(tasks_by_item(studio)) == {pick.item for pick in campaign.picks()}


def test_portions_respect_bytes(make_campaign, studio, client, monkeypatch):
    monkeypatch.setattr("minimax_al.label_studio.pushing._PORTION_BYTES", 1)
    campaign = make_campaign()
    campaign.query(3)
    seen = []
    push(campaign, client, "herons", progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_newer_round_adds_tasks_and_renews_unanswered_ones(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(4)
    first = push(campaign, client, "herons")
    untouched, skipped, labelled, labelled_here = (pick.item for pick in campaign.picks())
    numbers = {item: task["id"] for item, task in tasks_by_item(studio).items()}
    studio.annotate(numbers[skipped], [], cancelled=True)
    studio.choose(numbers[labelled], "cat")
    campaign.label(labelled_here, "dog", author="bob")
    campaign.close_round()
    fresh = next(item for item in range(1, 13) if item not in numbers)
    run_id = open_round(campaign, [untouched, skipped, labelled, fresh], suggestion=1)
    done = push(campaign, client, first.project)
    assert (done.sent, done.renewed, done.there, done.answered) == (2, 1, 0, 1)
    assert {task["data"]["item"] for task in list(studio.tasks.values())[4:]} == {skipped, fresh}
    renewed = studio.tasks[numbers[untouched]]
    assert (renewed["data"]["round"], renewed["data"]["reason"]) == (2, f"why {untouched}")
    assert renewed["data"]["image"].startswith("/data/upload/")
    assert [one["model_version"] for one in renewed["predictions"]] == [f"run-{run_id:04d}"]
    assert studio.projects[done.project]["model_version"] == f"run-{run_id:04d}"
    assert push(campaign, client, first.project) == replace(done, sent=0, renewed=0, there=3)


def test_label_studio_shows_the_predictions_of_the_model_that_chose_last(make_campaign, studio, client):
    campaign = make_campaign()
    open_round(campaign, [1, 2], suggestion=1)
    number = push(campaign, client, "herons").project
    campaign.close_round()
    run_id = open_round(campaign, [3], suggestion=2)
    push(campaign, client, "herons")
    assert studio.projects[number]["model_version"] == f"run-{run_id:04d}"


def test_images_may_be_links(make_campaign, studio, client, tmp_path):
    (tmp_path / "odd").mkdir()
    random_image(1).save(tmp_path / "odd" / "größe 100%.png")
    random_image(2).save(tmp_path / "odd" / "b.png")
    campaign = make_campaign(images=tmp_path / "odd")
    campaign.query(2)
    push(campaign, client, "herons", images_url="https://images.test/all")
    push(campaign, client, "egrets", images_url="/data/local-files/?d=")
    links = [task["data"]["image"] for task in studio.tasks.values()]
    assert sorted(map(unquote, links[:2])) == [
        "https://images.test/all/b.png",
        "https://images.test/all/größe 100%.png",
    ]
    assert "/data/local-files/?d=gr%C3%B6%C3%9Fe%20100%25.png" in links
    assert not studio.files
    with pytest.raises(ConfigurationError, match="images_url='photos' is not an address"):
        push(campaign, client, "herons", images_url="photos")


def test_formats_that_browsers_cannot_show_are_sent_as_png(make_campaign, studio, client, tmp_path):
    (tmp_path / "odd").mkdir()
    image = random_image(1)
    image.save(tmp_path / "odd" / "a.tif")
    image.rotate(90).save(tmp_path / "odd" / "b.jpg")
    campaign = make_campaign(images=tmp_path / "odd")
    campaign.query(2)
    push(campaign, client, "herons")
    files = {name.rpartition("-")[0]: (name, content) for name, content in studio.files.values()}
    name, content = next(file for file in files.values() if file[0].endswith(".png"))
    assert "item-1-" in name
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(image))
    assert any(content == (tmp_path / "odd" / "b.jpg").read_bytes() for _, content in files.values())


def test_changed_and_missing_images_are_not_sent(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(12)
    file = campaign.image(1)
    random_image(99).save(file)
    with pytest.raises(DataError, match=r"'a/000.png' has changed since the campaign read it: run 'mal status'"):
        push(campaign, client, "herons")
    file.unlink()
    with pytest.raises(DataError, match=r"'a/000.png' is gone"):
        push(campaign, client, "herons")
    campaign.refresh()
    push(campaign, client, "herons")
    assert set(tasks_by_item(studio)) == set(range(2, 13))


def test_a_predicted_mask_is_sent_as_brushes_in_the_images_size(make_campaign, studio, client):
    campaign = make_campaign(task="segmentation")
    open_round(campaign, [1, 2], suggestion=1)
    with campaign.store.writing() as connection:
        connection.execute(update(picks).values(suggestion=None))
    square = np.array([[0, 1], [2, 2]], dtype=np.uint8)  # of all of the image, stretched
    content = hashlib.sha256(campaign.image(1).read_bytes()).hexdigest()
    campaign.views.save(content, "prediction", square, (16, 20), 1.0)
    push(campaign, client, "herons")
    (prediction,) = tasks_by_item(studio)[1]["predictions"]
    assert tasks_by_item(studio)[2]["predictions"] == []
    assert "score" not in prediction
    expected = np.kron(square, np.ones((8, 10), dtype=np.uint8))
    assert len(prediction["result"]) == 3
    for region in prediction["result"]:
        assert (region["type"], region["from_name"], region["to_name"]) == ("brushlabels", "label", "image")
        assert (region["original_width"], region["original_height"]) == (20, 16)
        index = ("cat", "dog", "n/a").index(region["value"]["brushlabels"][0])
        np.testing.assert_array_equal(decode_label_studio(region["value"]["rle"], (16, 20)), expected == index)


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_the_configuration_is_as_label_studio_parses_it(make_campaign, studio, client, kind):
    """Label Studio's own parse of the same configuration was recorded."""
    campaign = make_campaign(task=kind)
    campaign.query(1)
    made = push(campaign, client, "herons").project
    recorded = payload("project" if kind == "classification" else "project_segmentation")
    assert studio.projects[made]["label_config"] == recorded["label_config"]
    assert studio.projects[made]["parsed_label_config"] == recorded["parsed_label_config"]


def test_classes_that_joined_later_are_added_to_the_project(make_campaign, studio, client):
    campaign = make_campaign(classes=["cat", "dog"])
    campaign.query(1)
    number = push(campaign, client, "herons").project
    campaign.add_classes(['the "best" & <last>'])
    push(campaign, client, "herons")
    assert studio.projects[number]["parsed_label_config"]["label"]["labels"] == ["cat", "dog", 'the "best" & <last>']


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (
            '<Text name="t" value="$t"/>',
            r"'other' \(1\) has no Choices on an Image, as classification needs, but nothing",
        ),
        (
            '<Image name="i" value="$i"/><BrushLabels name="b" toName="i"><Label value="cat"/></BrushLabels>',
            "has no Choices on an Image, as classification needs, but BrushLabels",
        ),
        (
            '<Image name="i" value="$i"/><Choices name="c" toName="i"><Choice value="zebra"/></Choices>',
            r"has other classes: its Choices offers 'zebra', which the campaign \(cat, dog, n/a\) does not have",
        ),
    ],
)
def test_a_project_with_other_labels_is_refused_before_sending(make_campaign, studio, client, config, match):
    campaign = make_campaign()
    campaign.query(1)
    client.post("/api/projects/", dict, json={"title": "other", "label_config": f"<View>{config}</View>"})
    with pytest.raises(ConfigurationError, match=match):
        push(campaign, client, "other")
    with pytest.raises(ConfigurationError, match=match):
        pull(campaign, client, "other")
    assert not studio.tasks


def test_an_existing_project_is_used_with_its_own_tag_names(make_campaign, studio, client):
    campaign = make_campaign(classes=["cat", "dog"])
    open_round(campaign, [1], suggestion=1)
    config = (
        '<View><Image name="photo" value="$url"/><Choices name="animal" toName="photo">'
        '<Choice value="Katze" alias="cat"/><Choice value="Hund" alias="dog"/></Choices></View>'
    )
    client.post("/api/projects/", dict, json={"title": "other", "label_config": config})
    push(campaign, client, "other")
    (task,) = studio.tasks.values()
    assert task["data"]["url"].startswith("/data/upload/")
    assert task["predictions"][0]["result"][0]["from_name"] == "animal"
    assert task["predictions"][0]["result"][0]["to_name"] == "photo"


def test_without_an_open_round_there_is_nothing_to_push(make_campaign, client):
    campaign = make_campaign()
    with pytest.raises(CampaignError, match="no round was opened yet"):
        push(campaign, client, "herons")
    campaign.query(2)
    campaign.close_round()
    with pytest.raises(CampaignError, match="round 1 has no waiting images: query first"):
        push(campaign, client, "herons")


def test_a_number_makes_no_project_and_a_short_title_is_label_studios_to_refuse(make_campaign, studio, client):
    campaign = make_campaign()
    campaign.query(1)
    with pytest.raises(UnknownNameError, match=r"unknown project of Label Studio at .* '77'"):
        push(campaign, client, "77")
    with pytest.raises(DataError, match="title: Ensure this field has at least 3 characters"):
        push(campaign, client, "x")
    assert isinstance(campaign, Campaign)
    assert not studio.projects


def test_pushed_images_are_not_leased(make_campaign, studio, client, monkeypatch):
    """After an interrupted push this holds for the images that arrived, after the next push for all, until a pull."""
    monkeypatch.setattr("minimax_al.label_studio.pushing._PORTION_FILES", 2)
    campaign = make_campaign()
    campaign.query(6)

    def interrupt(done, todo):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(campaign, client, "herons", progress=interrupt)
    lease = campaign.lease("ann", 6)
    assert lease.lent == len(studio.tasks) == 2
    assert not {pick.item for pick in lease.picks} & tasks_by_item(studio).keys()
    campaign.release("ann")
    push(campaign, client, "herons")
    lease = campaign.lease("ann", 6)
    assert (lease.picks, lease.waiting, lease.lent) == ((), 6, 6)
    for name, task in zip(("cat", "dog"), list(studio.tasks), strict=False):
        studio.choose(task, name)
    pull(campaign, client, "herons")
    lease = campaign.lease("ann", 6)
    assert (lease.picks, lease.waiting, lease.lent) == ((), 4, 4)
    campaign.recall()
    push(campaign, client, "herons")  # those that are there already, too
    assert campaign.lease("ann", 6).lent == 4


def test_leased_images_are_not_sent(make_campaign, studio, client, clock):
    campaign = make_campaign()
    campaign.query(6)
    hers = [pick.item for pick in campaign.lease("ann", 2).picks]
    done = push(campaign, client, "herons")
    assert (done.sent, done.held) == (4, 2)
    assert not tasks_by_item(studio).keys() & set(hers)
    assert [pick.item for pick in campaign.lease("ann", 6).picks] == hers
    campaign.label(hers[0], "cat", author="ann")
    clock.advance(600)
    done = push(campaign, client, "herons")
    assert (done.sent, done.there, done.held) == (1, 4, 0)
    assert hers[1] in tasks_by_item(studio)
