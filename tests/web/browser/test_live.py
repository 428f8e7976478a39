"""Live labelling in a real browser: suggestions and accuracy change on the page while its annotator answers."""

from contextlib import closing

import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.web.learner import Learner

from ...support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures

PATIENCE = 60_000  # milliseconds: the learner's process loads torch


@pytest.fixture
def live_page(modules, browser, tmp_path):
    """An empty campaign on features with its learner, and Ann at the page."""
    people, _, _ = modules
    images, table = write_clusters(tmp_path / "pool", count=60)
    truth = {path.name: class_of(path.name) for path in images.iterdir()}
    made = Campaign.create(
        tmp_path / "campaign", images, CLASSES, recipe="features", features=str(table), near_duplicates="off"
    )
    with made as campaign:
        learner = Learner(campaign, LiveOptions(batch=6, random_share=0.0))
        with people.served(campaign, learner=learner) as address, closing(browser.new_context()) as context:
            person = people.Person(context.new_page(), "ann", truth, list(CLASSES))
            person.open(address)
            yield campaign, person, learner


def test_the_page_follows_the_learner_and_goes_on_while_it_is_killed(live_page):
    campaign, person, learner = live_page
    page = person.page
    person.shows("single", PATIENCE)
    page.evaluate("window.sameDocument = true")
    assert page.is_hidden("#suggestion")
    assert page.is_hidden("#score")
    person.label(9)
    page.wait_for_selector("#suggestion:not([hidden])", timeout=PATIENCE)
    page.wait_for_selector("#score:not([hidden])", timeout=PATIENCE)
    # Images that this page holds have the suggestion of the present model, which tells the clusters apart.
    for _ in range(4):
        path = person.image()
        page.wait_for_selector("#suggestion:not([hidden])", timeout=PATIENCE)
        assert class_of(path) in page.inner_text("#suggestion")
        person.press("Enter")
    person.saved()
    assert campaign.labels() == {path: class_of(path) for path in person.seen}
    # The accuracy is shown once ten images are measured.
    page.wait_for_function("() => document.getElementById('score-number').textContent === '100.0 %'", timeout=PATIENCE)
    for _ in range(8):  # answers that contradict the model
        path = person.image()
        person.press(str(1 + (CLASSES.index(class_of(path)) + 1) % 3))
    page.wait_for_function("() => document.getElementById('score-number').textContent !== '100.0 %'", timeout=PATIENCE)
    page.wait_for_function("() => !document.getElementById('live-last').hidden", timeout=PATIENCE)
    assert "The last 10 answers changed the accuracy from" in page.inner_text("#live-last")
    killed = learner.report.pid
    learner._process.kill()
    person.label(2)  # those that the page holds
    page.wait_for_function(
        "() => document.getElementById('live-labels').textContent.includes(' 23 labels')", timeout=PATIENCE
    )
    assert learner.report.pid != killed
    person.label(2)
    person.saved()
    assert len(campaign.labels()) == 25
    assert page.evaluate("window.sameDocument")
    assert person.problems == []
