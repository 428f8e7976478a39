"""Classes edited on the page."""

import pytest


def post(client, route, **body):
    return client.post(f"/api/classes/{route}", json=body)


def test_classes_are_added_renamed_merged_and_removed(client, campaign):
    one, two, *_ = campaign.picks()
    campaign.label(one.item, "cat", "ann")
    campaign.label(two.item, "dog", "ann")
    assert post(client, "add", names=["bird", "fish"]).json() == {
        "classes": ["cat", "dog", "bird", "fish"],
        "labels": 0,
    }
    assert post(client, "rename", old="cat", new="lynx").json()["classes"] == ["lynx", "dog", "bird", "fish"]
    assert client.get("/api/classes").json() == [
        {"name": "lynx", "labels": 1},
        {"name": "dog", "labels": 1},
        {"name": "bird", "labels": 0},
        {"name": "fish", "labels": 0},
    ]
    assert post(client, "merge", names=["lynx"], into="bird").json() == {
        "classes": ["dog", "bird", "fish"],
        "labels": 1,
    }
    assert campaign.pick(one.item).class_name == "bird"
    assert post(client, "remove", name="fish").json()["classes"] == ["dog", "bird"]
    assert [entry["name"] for entry in client.get("/api/status").json()["classes"]] == ["dog", "bird"]


@pytest.mark.parametrize(
    ("route", "body", "sentence"),
    [
        ("add", {"names": ["cat"]}, "'cat' is there already"),
        ("add", {"names": [" bird"]}, "without spaces around it"),
        ("rename", {"old": "bird", "new": "fish"}, "unknown class 'bird'"),
        ("rename", {"old": "cat", "new": "dog"}, "class names must differ"),
        ("merge", {"names": ["cat"], "into": "cat"}, "give other classes"),
        ("merge", {"names": ["cat"], "into": "dog"}, "only one class would remain"),
        ("remove", {"name": "cat"}, "1 images are labelled 'cat'"),
    ],
)
def test_changes_that_are_not_possible_are_one_sentence_and_change_nothing(client, campaign, route, body, sentence):
    campaign.label(campaign.picks()[0].item, "cat", "ann")
    answer = post(client, route, **body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert campaign.classes == ("cat", "dog")
