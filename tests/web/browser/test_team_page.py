"""Conflicts and the annotator's link, in a browser."""

import pytest

from minimax_al.campaign import Campaign
from minimax_al.web.roles import Tokens

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def team(modules, browser, tmp_path):
    """A campaign whose images all go to two annotators, served with a token, and a browser."""
    people, shown, _ = modules
    truth = shown.draw_images(tmp_path / "images", each=4)
    classes = sorted(set(truth.values()))
    options = {"recipe": "scratch", "overlap": 1.0, "team_page": True}
    with (
        Campaign.create(tmp_path / "campaign", tmp_path / "images", classes, **options) as campaign,
        people.served(campaign, token=TOKEN) as address,
    ):
        campaign.query(12)
        items = [pick.item for pick in campaign.picks()]
        campaign.label(items, "disc", "ann", if_waiting=True, origin="page")
        campaign.label(items[:2], "square", "bob", if_waiting=True, origin="page")
        campaign.label(items[2:], "disc", "bob", if_waiting=True, origin="page")

        def open_page(token, name):
            contexts.append(browser.new_context())
            page = contexts[-1].new_page()
            person = people.Person(page, name, truth, classes)
            page.goto(f"{address}?token={token}")
            page.wait_for_selector("#author[open]")
            person.open(address)
            return person

        contexts = []
        yield campaign, open_page
        for context in contexts:
            context.close()


def test_a_manager_decides_conflicts_and_can_undo_it(team):
    campaign, open_page = team
    manager = open_page(TOKEN, "meg")
    page = manager.page
    page.click("#conflicts-tab")
    manager.shows("conflicts")
    tiles = page.locator("#conflict-tiles .tile")
    tiles.first.wait_for()
    assert tiles.count() == 2
    assert "ann: disc" in tiles.first.inner_text()
    assert "bob: square" in tiles.first.inner_text()
    tiles.first.click()
    page.keyboard.press("3")
    page.wait_for_function("() => document.querySelectorAll('#conflict-tiles .tile').length === 1")
    manager.saved()
    assert [found.decision.class_name for found in campaign.two_opinions("decided")] == ["triangle"]
    page.keyboard.press("z")
    page.wait_for_function("() => document.querySelectorAll('#conflict-tiles .tile').length === 2")
    manager.saved()
    assert campaign.count_conflicts() == 2
    campaign.decide([one.item for one in campaign.two_opinions("conflict")], "square", "lea")
    tiles.first.click()
    page.keyboard.press("3")
    warning = page.locator("#warnings .warning[data-topic=decision]")
    warning.wait_for()
    assert "'lea' has decided" in warning.inner_text()
    assert "as 'square' at" in warning.inner_text()
    page.wait_for_function("() => document.querySelectorAll('#conflict-tiles .tile').length === 0")
    assert {found.decision.author for found in campaign.two_opinions("decided")} == {"lea"}
    warning.get_by_role("button", name="Replace by triangle").click()
    manager.saved()
    assert warning.count() == 0
    decided = {(found.decision.author, found.decision.class_name) for found in campaign.two_opinions("decided")}
    assert decided == {("lea", "square"), ("meg", "triangle")}
    assert len(manager.problems) == 1  # Chromium logs the refusal
    assert "409 (Conflict)" in manager.problems[0]


def test_the_annotators_link_shows_no_tools_of_managers(team):
    _, open_page = team
    annotator = open_page(Tokens.of(TOKEN).annotator, "eve")
    page = annotator.page
    annotator.shows("done")
    for hidden in ("#train", "#query-form", "#import-file", "#exports", "#conflicts-tab", "#done-form", "#done-train"):
        assert page.is_hidden(hidden), hidden
    assert page.is_visible("#done-title")
    page.keyboard.press("l")
    annotator.shows("review")
    page.wait_for_selector("#review-empty:not([hidden])")  # eve has no answers of her own
    assert annotator.problems == []
