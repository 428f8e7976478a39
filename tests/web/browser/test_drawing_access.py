"""The drawing page breaks no rule of axe, light and dark, with 8 and with 120 classes; 120 are found by name."""

import importlib

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign

SIZE = (64, 48)


@pytest.fixture(scope="module", params=[8, 120])
def page(request, modules, browser, tmp_path_factory):
    people, _, _ = modules
    folder = tmp_path_factory.mktemp("access")
    (folder / "images").mkdir()
    for number in range(6):
        Image.fromarray(np.full((SIZE[1], SIZE[0], 3), 40 * number, np.uint8)).save(folder / "images" / f"{number}.png")
    classes = [f"class {number}" if number != 77 else "zebra crossing" for number in range(request.param)]
    with (
        Campaign.create(
            folder / "campaign", folder / "images", classes, "segmentation", near_duplicates="off"
        ) as campaign,
        people.served(campaign) as address,
    ):
        campaign.query(6)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        person = people.Person(context.new_page(), "ann", {}, classes)
        person.open(address)
        hand = importlib.import_module("artist").Artist(person, SIZE)
        hand.ready()
        yield campaign, hand, len(classes)
        context.close()
        assert person.problems == []


KEYS = {"superpixels": "x", "help": "?", "review": "l"}
VIEWS = ("single", "superpixels", "help", "review", "phone")


@pytest.mark.parametrize("view", VIEWS)
def test_no_violation_of_accessibility_rules(page, view):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    _, hand, classes = page
    if classes > 100 and view in KEYS:
        return  # these do not depend on the number of classes
    screen = hand.page
    if view in KEYS:
        screen.keyboard.press(KEYS[view])
    if view == "phone":
        screen.set_viewport_size({"width": 360, "height": 740})
        assert screen.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wrong = []
    for scheme in ("light", "dark"):
        screen.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(screen).response["violations"]
        wrong += [(scheme, one["id"], one["nodes"][0]["html"][:200]) for one in found]
    if view in ("help", "review"):
        screen.keyboard.press(KEYS[view])
    screen.set_viewport_size({"width": 1280, "height": 800})
    assert wrong == []


def test_a_class_is_found_by_its_name(page):
    campaign, hand, classes = page
    screen = hand.page
    if classes < 100:
        return
    hand.ready()
    hand.choose("b", "/")
    before = screen.evaluate(importlib.import_module("artist").BOX)
    screen.keyboard.type("zebra")
    assert screen.evaluate(importlib.import_module("artist").BOX) == before  # the image must not move
    assert screen.inner_text("#palette-matches") == "Enter chooses zebra crossing"
    screen.fill("#palette-filter", "class 10")
    hand.choose("ArrowDown", "ArrowDown", "ArrowUp")
    assert screen.inner_text("#palette-matches") == "Enter chooses class 100 · ↑ ↓"
    assert screen.locator("#palette .first").inner_text().split()[:2] == ["class", "100"]
    screen.fill("#palette-filter", "zebra")
    hand.choose("Enter")
    hand.drag([(10, 10), (20, 10)])
    path = hand.save()
    mask = campaign.masks.load(campaign.labels()[path])
    assert set(np.unique(mask)) == {77, 255}
    hand.ready()
    assert screen.locator("#palette button").nth(1).inner_text().split()[:3] == ["1", "zebra", "crossing"]
    hand.choose("0", "1")
    hand.drag([(10, 10), (20, 10)])
    path = hand.save()
    mask = campaign.masks.load(campaign.labels()[path])
    assert set(np.unique(mask)) == {77, 255}
