"""Saved masks are opened from Review and Conflicts, corrected and saved again; no correction is lost."""

import importlib
import io
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import labels

SIZE = (64, 48)
CLASSES = ["sky", "road", "car"]
SKY = np.zeros(SIZE[::-1], np.uint8)
HALF = np.where(np.arange(SIZE[0]) < 32, 0, 1).astype(np.uint8)[None].repeat(SIZE[1], axis=0)


@pytest.fixture(scope="module")
def lead(modules, browser, tmp_path_factory):
    """A campaign with masks by ann, three conflicts with bob, and Meg at its page."""
    people, _, _ = modules
    folder = tmp_path_factory.mktemp("masks")
    (folder / "images").mkdir()
    for number in range(7):
        Image.new("RGB", SIZE, (30 * number, 90, 200)).save(folder / "images" / f"{number}.png")
    options = {"near_duplicates": "off", "overlap": 1.0, "team_page": True}
    with (
        Campaign.create(folder / "campaign", folder / "images", CLASSES, "segmentation", **options) as campaign,
        people.served(campaign) as address,
        closing(browser.new_context(viewport={"width": 1280, "height": 800})) as context,
    ):
        campaign.query(7)
        for number in range(7):
            campaign.label_mask(f"{number}.png", SKY, "ann", if_waiting=True, origin="page")
            if number >= 4:
                campaign.label_mask(f"{number}.png", HALF, "bob", if_waiting=True, origin="page")
        page = context.new_page()
        person = people.Person(page, "meg", {}, CLASSES)
        page.set_default_timeout(10_000)
        person.open(address)
        yield campaign, importlib.import_module("artist").Artist(person, SIZE)
        assert [said for said in person.problems if "409" not in said] == []


@pytest.fixture(scope="module")
def artist(lead):
    return importlib.import_module("artist")


def show(hand, view):
    if hand.page.get_attribute("body", "data-shown") != view:
        hand.page.click(f"nav [data-view={view}]")
    hand.person.shows(view)


def open_mask(hand, path):
    """Opens a mask from Review."""
    show(hand, "review")
    hand.page.click(f'#review-tiles .tile[title="{path}"]')
    hand.page.keyboard.press("Enter")
    assert hand.ready() == path
    hand.brush_size(5)
    hand.choose("3")


def save(hand, view):
    hand.page.keyboard.press("Enter")
    hand.person.shows(view)
    hand.person.saved()


def saved(campaign, path):
    return campaign.masks.load(campaign.labels()[path])


def history(campaign, path):
    with campaign.store.reading() as connection:
        item = campaign.pick(path).item
        rows = connection.execute(labels.select().where(labels.c.item_id == item).order_by(labels.c.id))
        return [(row.author, row.kind) for row in rows]


def test_a_saved_mask_is_corrected_from_review(lead, artist):
    campaign, hand = lead
    open_mask(hand, "0.png")
    assert hand.page.inner_text("#draw-note") == "The mask of ann."
    expected = artist.stroked(SKY.copy(), hand.drag([(10, 10), (40, 22)]), 5, 2)
    save(hand, "review")
    assert (saved(campaign, "0.png") == expected).all()
    assert history(campaign, "0.png") == [("ann", "label"), ("meg", "label")]
    assert "meg" in hand.page.inner_text('#review-tiles .tile[title="0.png"]')


def test_a_mask_that_was_not_changed_keeps_its_author(lead):
    campaign, hand = lead
    open_mask(hand, "1.png")
    hand.page.wait_for_timeout(350)  # a key pressed too soon is ignored
    save(hand, "review")
    assert "Nothing has changed" in hand.page.inner_text("#said")
    assert history(campaign, "1.png") == [("ann", "label")]
    open_mask(hand, "1.png")
    hand.drag([(10, 10), (40, 22)])
    hand.choose("Escape")
    hand.person.shows("review")
    assert history(campaign, "1.png") == [("ann", "label")]


def test_a_correction_that_another_has_overtaken_is_kept_and_compared(lead, artist):
    campaign, hand = lead
    open_mask(hand, "2.png")
    mine = artist.stroked(SKY.copy(), hand.drag([(10, 10), (40, 22)]), 5, 2)
    campaign.label_mask("2.png", HALF, "zoe")
    save(hand, "review")
    hand.page.wait_for_selector(".warning")
    assert "'zoe' has answered '2.png'" in hand.page.inner_text(".warning")
    assert (saved(campaign, "2.png") == HALF).all()
    hand.page.click("nav [data-view=single]")  # the image opens over the queue
    hand.person.shows("single")
    hand.page.click("text=Compare both")
    assert hand.ready() == "2.png"
    assert hand.page.is_hidden("#skip")
    hand.page.wait_for_timeout(350)
    hand.page.keyboard.press("s")
    assert "Not skipped: the image has an answer; correct its mask" in hand.page.inner_text("#said")
    assert hand.page.inner_text("#draw-note") == "Your mask, which is not saved."
    assert hand.page.get_attribute("#draw-differs", "aria-pressed") == "true"
    hand.choose("c")
    assert hand.page.inner_text("#draw-accept-words") == "Take zoe's mask"
    hand.choose("c")
    hand.page.wait_for_timeout(350)
    save(hand, "single")
    assert (saved(campaign, "2.png") == mine).all()
    assert history(campaign, "2.png") == [("ann", "label"), ("zoe", "label"), ("meg", "label")]


def test_arrow_keys_open_the_next_image_of_the_list(lead):
    _, hand = lead
    open_mask(hand, "3.png")
    hand.page.focus("body")
    paths = hand.page.evaluate("() => [...document.querySelectorAll('#review-tiles .tile')].map((tile) => tile.title)")
    place = paths.index("3.png")
    key, other = ("ArrowRight", paths[place + 1]) if place + 1 < len(paths) else ("ArrowLeft", paths[place - 1])
    hand.page.evaluate("() => document.activeElement.blur()")
    hand.page.keyboard.press(key)
    hand.page.wait_for_function("path => document.getElementById('file').title === path", arg=other)
    hand.ready()
    hand.choose("Escape")
    hand.person.shows("review")


def test_masks_are_reviewed_by_class(lead):
    campaign, hand = lead
    show(hand, "review")
    hand.page.select_option("#review-class", "road")
    shown = [f"{number}.png" for number in range(7) if (saved(campaign, f"{number}.png") == 1).any()]
    listed = "() => [...document.querySelectorAll('#review-tiles .tile')].map((tile) => tile.title).sort()"
    hand.page.wait_for_function(f"paths => String(({listed})()) === String(paths)", arg=shown)
    address = hand.page.locator("#review-tiles .tile .laid").first.get_attribute("src")
    pixels = np.asarray(Image.open(io.BytesIO(hand.page.request.get(hand.page.url.split("?")[0] + address).body())))
    path = hand.page.locator("#review-tiles .tile").first.get_attribute("title")
    assert ((pixels[..., 3] > 0) == (saved(campaign, path) == 1)).all()
    hand.page.select_option("#review-class", "")


def tiles(hand):
    return hand.page.locator("#conflict-tiles .tile")


def test_a_conflict_shows_both_masks_and_where_they_differ(lead):
    campaign, hand = lead
    show(hand, "conflicts")
    tiles(hand).first.wait_for()
    assert tiles(hand).count() == campaign.count_conflicts() == 3
    first = tiles(hand).first
    assert first.locator(".frame-title").all_inner_texts() == ["ann", "bob", "differences"]
    assert "differ on 50\u00a0%" in first.inner_text()
    for name, share in (("first", 0), ("second", 0), ("difference", 0.5)):
        item = first.get_attribute("data-item")
        body = hand.page.request.get(hand.page.url.split("?")[0] + f"opinions/{item}/{name}.png").body()
        assert (np.asarray(Image.open(io.BytesIO(body)))[..., 3] == 0).mean() == share


def test_a_lead_takes_one_mask_undoes_it_and_corrects_the_other(lead, artist):
    campaign, hand = lead
    show(hand, "conflicts")
    tiles(hand).first.click()
    path = tiles(hand).first.get_attribute("title")
    hand.choose("2")
    hand.page.wait_for_function("() => document.querySelectorAll('#conflict-tiles .tile').length === 2")
    hand.person.saved()
    assert (saved(campaign, path) == HALF).all()
    hand.choose("Backspace")
    hand.page.wait_for_function("() => document.querySelectorAll('#conflict-tiles .tile').length === 3")
    hand.person.saved()
    assert campaign.count_conflicts() == 3
    hand.page.locator(f'#conflict-tiles .tile[title="{path}"]').click()
    hand.choose("Enter")
    assert hand.ready() == path
    hand.choose("c")  # ann's
    hand.choose("a")
    hand.brush_size(5)
    hand.choose("3")
    expected = artist.stroked(SKY.copy(), hand.drag([(10, 10), (40, 22)]), 5, 2)
    save(hand, "conflicts")
    assert (saved(campaign, path) == expected).all()
    (decided,) = campaign.two_opinions("decided")
    assert (decided.path, decided.decision.author) == (path, "meg")
    assert tiles(hand).count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["conflicts", "opened", "team"])
def test_no_violation_of_accessibility_rules(lead, view, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    _, hand = lead
    page = hand.page
    page.emulate_media(color_scheme=scheme)
    address = page.url
    if view == "team":
        page.goto(address + "team")
        assert "3 images have the masks of two annotators. 50 % of the pixels" in page.inner_text("main")
    else:
        show(hand, "conflicts")
        tiles(hand).first.wait_for()
    if view == "opened":
        tiles(hand).first.click()
        hand.choose("Enter")
        hand.ready()
    wrong = [(one["id"], one["nodes"][0]["html"][:200]) for one in axe.Axe().run(page).response["violations"]]
    if view == "team":
        page.goto(address)
        page.wait_for_selector("[data-phase=loading]", state="hidden")
    else:
        hand.choose("Escape", "Escape")
    assert wrong == []


def after_reload(hand, act):
    with hand.page.expect_event("load"):
        act()
    hand.page.wait_for_selector(".warning")
    return hand.page.inner_text(".warning")


def test_a_mask_that_a_change_of_the_classes_overtakes_stays_a_draft_with_its_classes(lead, artist):
    campaign, hand = lead
    open_mask(hand, "3.png")
    expected = artist.stroked(SKY.copy(), hand.drag([(10, 10), (40, 22)]), 5, 2)
    campaign.reorder_classes(["car", "sky", "road"])
    hand.page.wait_for_timeout(350)
    assert "The classes were changed" in after_reload(hand, lambda: hand.page.keyboard.press("Enter"))
    open_mask(hand, "3.png")
    assert hand.page.inner_text("#draw-note") == "Your mask, which is not saved."
    hand.page.wait_for_timeout(350)
    save(hand, "review")
    assert (np.array(campaign.classes)[saved(campaign, "3.png")] == np.array(CLASSES)[expected]).all()


def test_a_mask_with_a_class_that_was_merged_is_refused_and_the_page_has_the_new_classes(lead):
    campaign, hand = lead
    campaign.add_classes(["boat"])
    hand.page.reload()
    hand.page.wait_for_selector("[data-phase=loading]", state="hidden")
    open_mask(hand, "3.png")
    hand.choose("4")
    hand.drag([(10, 10), (40, 22)])
    campaign.merge_classes(["boat"], "car")
    hand.page.wait_for_timeout(350)
    warning = after_reload(hand, lambda: hand.page.keyboard.press("Enter"))
    assert "The class 'boat' was merged or removed after the mask of '3.png' was drawn with it" in warning
    assert "Your mask is kept as a draft." in warning
    open_mask(hand, "3.png")
    assert "car" in hand.page.inner_text("#answers")
    assert "boat" not in hand.page.inner_text("#answers")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 760), (1280, 800)])
def test_long_messages_are_readable_whole(lead, modules, size, scheme):
    page = lead[1].page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme=scheme)
    open_mask(lead[1], "0.png")
    assert modules[1].cut_off_messages(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})
    lead[1].choose("Escape")
