"""The learning curve compares models on the same images; suggestions are those of the model that is evaluated."""

import shutil

import pytest

from minimax_al.campaign.features.training_data import read_training_data
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.data.datasets.files import load_images
from minimax_al.deployment.model_file import load_trained
from minimax_al.deployment.prediction import predict

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

CLASSES = ["cat", "dog"]


@pytest.fixture
def campaign(make_campaign):
    """Labels by the parity of the image's number: noise, of which every model is about half right."""
    return make_campaign(count=40, classes=CLASSES, stored_size=16, recipe=TINY_RECIPE, near_duplicates="off")


def label(campaign, items):
    for item in items:
        campaign.label(item, CLASSES[item % 2], author="ann")


def said(campaign, run, paths):
    trained = load_trained(run_folder(campaign.folder, run))
    images = load_images(campaign.images, paths, trained.stored_size, trained.fit)
    return {one.path: one for one in predict(trained, images)}


def truth(campaign):
    with campaign.store.reading() as connection:
        return {known.path: CLASSES[known.target] for known in read_training_data(connection).held_out}


def test_all_points_are_of_the_images_that_are_held_out_now(campaign):
    runs = []
    for items in (range(1, 13), range(13, 25), range(25, 37)):
        label(campaign, items)
        runs.append(campaign.train("entropy"))
        held_out = truth(campaign)
        expected = {}
        for run in runs:
            answers = said(campaign, run.run, list(held_out))
            right = sum(answers[path].class_name == name for path, name in held_out.items())
            expected[run.labels] = right / len(held_out)
        assert {point.labels: pytest.approx(point.score) for point in campaign.curve()} == expected
        assert expected[runs[-1].labels] == pytest.approx(campaign.status().model.score)
    assert len(held_out) > runs[0].held_out


def test_missing_and_incomparable_models_have_no_point(campaign):
    for items in (range(1, 9), range(9, 17), range(17, 25)):
        label(campaign, items)
        campaign.train("entropy")
    shutil.rmtree(run_folder(campaign.folder, 1))
    first, second, third = (point.labels for point in campaign.curve())
    label(campaign, range(25, 33))
    fourth = campaign.train("entropy").labels
    assert [point.labels for point in campaign.curve()] == [second, third, fourth]
    campaign.configure(stored_size=24)
    label(campaign, range(33, 40))
    last = campaign.train("entropy").labels
    assert [point.labels for point in campaign.curve()] == [last]
    assert first < second


def test_runs_of_an_older_version_count_as_they_were_measured(campaign):
    accuracies = {}
    for items in (range(1, 13), range(13, 25)):
        label(campaign, items)
        model = campaign.train("entropy")
        accuracies[model.labels] = model.score
        (run_folder(campaign.folder, model.run) / "curve.json").unlink()
    assert {point.labels: point.score for point in campaign.curve()} == accuracies


def test_suggestions_come_from_the_measured_model(campaign):
    """MAL chooses by other networks, C∘F and D."""
    label(campaign, range(1, 13))
    campaign.query(10, "badge+mal")
    picks = campaign.picks()
    expected = said(campaign, 1, [pick.path for pick in picks])
    assert [pick.suggestion for pick in picks] == [expected[pick.path].class_name for pick in picks]
    assert [pick.confidence for pick in picks] == pytest.approx([expected[pick.path].confidence for pick in picks])
