"""Buttons of classes: long names, many classes, likely and recent ones on the digits."""

from contextlib import ExitStack, closing

import numpy as np
import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.progress.pool_predictions import Likeliest, write_pool_predictions
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.store.schema import runs

LONG = [
    f"Great crested grebe, {age} {sex}, in {plumage} plumage"
    for age in ("adult", "juvenile")
    for sex in ("male", "female")
    for plumage in ("breeding", "winter")
]
MANY = [f"{kind} {number:02d}" for kind in ("heron", "egret", "stork", "ibis") for number in range(30)]


@pytest.fixture
def open_page(modules, browser, tmp_path):
    """Opens the page of a campaign with the given classes."""
    people, shown, _ = modules
    truth = shown.draw_images(tmp_path / "images", each=4)
    with ExitStack() as opened:

        def make(classes, model=False):
            campaign = opened.enter_context(
                Campaign.create(tmp_path / "campaign", tmp_path / "images", classes, recipe="scratch")
            )
            campaign.query(10)
            if model:
                add_model(campaign)
            address = opened.enter_context(people.served(campaign))
            context = opened.enter_context(closing(browser.new_context()))
            person = people.Person(context.new_page(), "ann", truth, classes)
            person.open(address)
            person.shows("single")
            person.image()
            return campaign, person

        yield make


def add_model(campaign):
    """Record a model whose five likeliest classes of every image are the last five, in reverse order."""
    items = np.array(sorted(pick.item for pick in campaign.picks()))
    values = {"state": "done", "strategy": "random", "fingerprint": "x", "labels": 9, "held_out": 0, "metrics": {}}
    with campaign.store.writing() as connection:
        ids = np.array(list(class_ids(connection).values()))
        now = campaign.now()
        insert = runs.insert().values(started_at=now, finished_at=now, **values).returning(runs.c.id)
        run = connection.execute(insert).scalar_one()
    order = np.tile(np.arange(len(ids))[::-1][:5], (len(items), 1))
    shares = np.tile(np.array([0.5, 0.2, 0.1, 0.1, 0.05], dtype=np.float32), (len(items), 1))
    found = Likeliest(order, shares, np.zeros(len(items), dtype=np.float32))
    folder = run_folder(campaign.folder, run)
    folder.mkdir(parents=True)
    write_pool_predictions(folder, items, found, ids, np.zeros(len(items), dtype=bool))


CUT = """() => [...document.querySelectorAll('.class .name')].filter(
  (name) => name.scrollWidth > name.clientWidth || name.scrollHeight > name.clientHeight + 1).length"""


@pytest.mark.parametrize("width", [1280, 375])
def test_eight_long_names_can_be_told_apart(open_page, width):
    _, person = open_page(LONG)
    page = person.page
    page.set_viewport_size({"width": width, "height": 800})
    names = page.locator("#classes .class .name").all_inner_texts()
    assert len(set(names)) == 8
    assert page.evaluate(CUT) == 0
    assert page.locator("#classes .class").first.get_attribute("title") == LONG[0]


def test_arrow_keys_move_among_matches_and_the_image_keeps_its_size(open_page):
    campaign, person = open_page(MANY)
    page, path = person.page, person.image()
    size = "() => JSON.stringify(document.getElementById('stage').getBoundingClientRect())"
    before = page.evaluate(size)
    page.keyboard.press("/")
    for letter in "sto":
        page.keyboard.press(letter)
        assert page.evaluate(size) == before
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert "2 of 30 · stork 01" in page.inner_text("#matches")
    page.keyboard.type("rk 2")
    assert page.evaluate(size) == before
    page.keyboard.press("ArrowUp")  # from the first to the last
    page.keyboard.press("Enter")
    person.saved()
    assert campaign.labels()[path] == "stork 29"
    assert page.input_value("#filter") == ""


def test_likely_classes_are_on_the_first_digits_and_recent_ones_on_the_others(open_page):
    campaign, person = open_page(MANY, model=True)
    page = person.page
    page.wait_for_selector("#shortcuts .class >> nth=4")
    shown = page.locator("#shortcuts .class").all_inner_texts()
    assert [text.split()[0] for text in shown] == ["1", "2", "3", "4", "5"]
    assert shown[0].split() == ["1", "ibis", "29", "50", "%"]
    first = person.press("2")
    page.keyboard.press("/")
    page.keyboard.type("egret 07")
    second = person.image()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.wait_for_function("path => document.getElementById('file').title !== path", arg=second)
    third = person.press("6")  # the class used first keeps its digit
    fourth = person.press("7")
    letter = person.press("a")  # letters are the classes in their order
    person.saved()
    labels = campaign.labels()
    assert [labels[path] for path in (first, second, third, fourth)] == ["ibis 28", "egret 07", "ibis 28", "egret 07"]
    assert labels[letter] == "heron 00"
    assert person.problems == []


def test_recent_classes_are_known_after_a_reload(open_page):
    campaign, person = open_page(MANY)
    page = person.page
    page.keyboard.press("/")
    page.keyboard.type("ibis 03")
    page.keyboard.press("Enter")
    person.saved()
    page.reload()
    path = person.press("6")
    person.saved()
    assert campaign.labels()[path] == "ibis 03"
