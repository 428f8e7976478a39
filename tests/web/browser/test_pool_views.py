"""Views of many images at once in a real Chromium: confirm by class, explore, map, review of all labels, grid."""

import itertools
import re
import shutil

import numpy as np
import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.history import current_labels
from minimax_al.exploring.projection import PoolMap, write_map

from ...support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures

COUNT = 90
LABELLED = 30
ONLY_UNLABELLED = """() => {
  const tiles = [...document.querySelectorAll('#explore-tiles .tile')];
  return tiles.length > 20 && tiles.every((tile) => tile.dataset.tone !== 'label');
}"""
POINTS = "() => document.querySelectorAll('#map-legend li').length > 0"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a trained campaign with an open round of 20 images: to copy."""
    place = tmp_path_factory.mktemp("pool")
    images, table = write_clusters(place / "pool", count=COUNT, noise=0.15)
    with Campaign.create(
        place / "herons", images, list(CLASSES), features=str(table), near_duplicates="off"
    ) as campaign:
        campaign.query(LABELLED)
        for pick in campaign.picks():
            campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
        campaign.train()
        campaign.query(20, random_share=0.25)
    return place / "herons"


@pytest.fixture
def ann(modules, trained, tmp_path, browser):
    people, _, _ = modules
    with (
        Campaign.open(shutil.copytree(trained, tmp_path / "herons")) as campaign,
        people.served(campaign) as address,
    ):
        truth = {path.name: class_of(path.name) for path in campaign.images.iterdir()}
        person = people.Person(browser.new_context().new_page(), "ann", truth, list(CLASSES))
        person.page.set_default_timeout(15_000)
        person.open(address)
        yield campaign, person
        person.page.context.close()
        assert person.problems == []


def labels_of(campaign, **wanted):
    """Class of each label, by path, that satisfies conditions on its columns."""
    with campaign.store.reading() as connection:
        rows = connection.execute(current_labels()).all()
    return {
        row.path: row.class_name for row in rows if all(getattr(row, name) == value for name, value in wanted.items())
    }


def tiles(page, view):
    return page.locator(f"#{view}-tiles .tile")


def seen(page, view="confirm"):
    """Wait until the images of a view's first tile have been on the screen long enough."""
    page.wait_for_function(
        f"() => {{ const images = [...document.querySelectorAll('#{view}-tiles .tile img')];"
        " return images.length > 0 && images.filter((one) => one.complete && one.naturalWidth > 0).length >= 1; }"
    )
    page.wait_for_timeout(900)


class TestConfirm:
    def open(self, person, name):
        page = person.page
        page.keyboard.press("Shift+C")
        person.shows("confirm")
        page.wait_for_selector("#confirm-class option", state="attached")
        page.select_option("#confirm-class", name)
        page.wait_for_function("name => document.getElementById('confirm-words').textContent.endsWith(name)", arg=name)
        page.locator("#confirm-class").blur()
        seen(page)

    def test_the_selected_images_get_the_class_and_the_others_stay(self, ann):
        campaign, person = ann
        page = person.page
        page.set_viewport_size({"width": 1280, "height": 1600})
        self.open(person, "red")
        shown = [tiles(page, "confirm").nth(n).get_attribute("title") for n in range(tiles(page, "confirm").count())]
        assert len(shown) > 5
        assert page.locator("#confirm-tiles [aria-selected=true]").count() == len(shown)
        drawn = {pick.path for pick in campaign.picks() if pick.at_random}
        assert not set(shown) & (drawn | labels_of(campaign).keys())
        right, wrong = shown[1:4], {shown[0], *shown[4:]}
        page.keyboard.press("Escape")
        for path in right:
            page.locator(f'#confirm-tiles .tile[title="{path}"]').click()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # pressed twice: nothing that nobody saw is confirmed
        person.saved()
        assert labels_of(campaign, origin="bulk") == dict.fromkeys(right, "red")
        page.wait_for_selector("#confirm-left:not([hidden])")
        assert page.inner_text("#confirm-left-words") == f"{len(wrong)} images left out."
        page.click("#confirm-back")
        page.wait_for_selector(f'#confirm-tiles .tile[title="{shown[0]}"]')
        page.keyboard.press("z")
        person.saved()
        page.wait_for_selector(f'#confirm-tiles .tile[title="{right[0]}"]')
        assert labels_of(campaign, origin="bulk") == {}
        assert campaign.status().confirmed == 0

    def test_a_class_key_labels_the_image_with_the_focus_alone(self, ann):
        campaign, person = ann
        page = person.page
        self.open(person, "green")
        first = tiles(page, "confirm").nth(0)
        path = first.get_attribute("title")
        first.focus()
        page.keyboard.press("1")
        person.saved()
        assert labels_of(campaign, origin="page").items() - labels_of(campaign, round_id=1).items() >= {(path, "red")}
        assert labels_of(campaign, origin="bulk") == {}
        assert len(campaign.labels()) == LABELLED + 1

    def test_tiles_below_the_screen_wait_until_they_are_seen(self, ann):
        campaign, person = ann
        page = person.page
        page.set_viewport_size({"width": 700, "height": 560})
        page.keyboard.press("g")
        page.click('#grid-bar [data-size="large"]')
        self.open(person, "blue")
        count = tiles(page, "confirm").count()
        page.keyboard.press("Enter")
        person.saved()
        confirmed = len(labels_of(campaign, origin="bulk"))
        assert 0 < confirmed < count
        assert re.search(r"further ones were not on the screen yet|saved", page.inner_text("#said"))


class TestExplore:
    def test_similar_images_are_found_and_labelled_at_once(self, ann):
        campaign, person = ann
        page, path = person.page, person.image()
        page.keyboard.press(".")
        person.shows("explore")
        page.wait_for_selector("text=most similar to")
        page.select_option("#explore-wanted", "unlabelled")
        page.wait_for_function(ONLY_UNLABELLED)  # before the answer, the tiles of all images are still there
        found = [tiles(page, "explore").nth(n).get_attribute("title") for n in range(6)]
        assert path not in found
        same = [one for one in found if class_of(one) == class_of(path)]
        assert len(same) >= 5
        for one in same:
            page.locator(f'#explore-tiles .tile[title="{one}"]').click()
        page.keyboard.press(person.key_of(path))
        person.saved()
        assert {one: campaign.labels()[one] for one in same} == dict.fromkeys(same, class_of(path))
        waiting = campaign.round().waiting
        assert page.inner_text("#round-done").startswith(f"{20 - waiting} of 20")
        page.keyboard.press("z")
        person.saved()
        assert not set(same) & campaign.labels().keys()
        page.keyboard.press("Shift+E")
        person.shows("single")  # images outside the round did not enter the queue
        queue = {pick.path for pick in campaign.picks()}
        assert person.image() in queue

    def test_words_are_searched_in_paths_and_labels(self, ann):
        _, person = ann
        page = person.page
        page.keyboard.press("Shift+E")
        page.wait_for_selector(f"text={COUNT} images")
        page.fill("#explore-text", "green 000")
        page.wait_for_selector("text=3 images with “green 000”")
        assert {class_of(tiles(page, "explore").nth(n).get_attribute("title")) for n in range(3)} == {"green"}
        page.click("#explore-clear")
        page.wait_for_selector(f"text={COUNT} images")
        page.select_option("#explore-wanted", "labelled")
        page.wait_for_selector(f"text={LABELLED} images")
        page.select_option("#explore-wanted", "all")
        page.click("#explore-pager button:has-text('Next')")
        page.wait_for_selector(f"text=61 to {COUNT} of {COUNT}")

    def test_images_are_selected_on_the_map_by_lasso_and_by_keys(self, ann):
        _, person = ann
        page = person.page
        page.keyboard.press("Shift+E")
        page.click("#map-compute")
        page.wait_for_function(POINTS, timeout=60_000)
        legend = page.locator("#map-legend li").all_inner_texts()
        assert f"no label\n{COUNT - LABELLED}" in [
            entry.replace(" ", "\n") if "\n" not in entry else entry for entry in legend
        ] or any("no label" in entry and str(COUNT - LABELLED) in entry for entry in legend)
        box = page.locator("#map").bounding_box()
        page.click("#map-lasso")
        corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=8)
        page.mouse.up()
        page.wait_for_selector(f"text={COUNT} images selected on the map")
        page.click("#map-lasso")
        page.focus("#map")
        page.keyboard.press("ArrowLeft")
        for _ in range(12):
            page.keyboard.press("]")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "number => document.getElementById('map-said').textContent === `${number} images selected`", arg=COUNT
        )
        for _ in range(14):
            page.keyboard.press("[")
        page.keyboard.press("Escape")
        page.wait_for_function("() => document.querySelectorAll('#map-layer polygon').length === 0")
        for colour in ("predicted", "uncertainty", "picked", "label"):
            page.select_option("#map-colour", colour)
        page.select_option("#map-colour", "predicted")
        page.locator("#map-legend button").first.click()
        assert page.locator("#map-legend [aria-pressed=true]").count() == 1

    def test_a_click_on_a_point_shows_similar_images(self, ann):
        campaign, person = ann
        page = person.page
        every = np.arange(1, COUNT + 1)
        spiral = np.stack([np.cos(every), np.sin(every)], axis=1) * every[:, None] / COUNT
        write_map(campaign.folder, "pca", PoolMap(every, spiral.astype(np.float32), "features"))
        page.keyboard.press("Shift+E")
        page.wait_for_function(POINTS)
        place = page.evaluate("""async () => {
          const content = await (await fetch('/api/maps/pca/points')).arrayBuffer();
          const count = content.byteLength / 12;
          const points = new Float32Array(content, 4 * count);
          const box = document.getElementById('map').getBoundingClientRect();
          const unit = 0.96 * Math.min(box.width, box.height) / 2;
          return [box.left + box.width / 2 + points[20] * unit, box.top + box.height / 2 - points[21] * unit];
        }""")
        page.mouse.click(place[0], place[1])
        page.wait_for_selector("text=/most similar to image \\d+ first/")


class TestReview:
    def test_all_labels_are_listed_and_suspected_mistakes_come_first(self, ann, tmp_path):
        campaign, person = ann
        page = person.page
        waiting = sorted(pick.path for pick in campaign.picks() if pick.answer == "waiting")
        (tmp_path / "labels.csv").write_text(
            "path,label\n" + "".join(f"{path},{class_of(path)}\n" for path in waiting[:5])
        )
        campaign.import_labels(tmp_path / "labels.csv")
        wrong = [pick.path for pick in campaign.picks(1) if class_of(pick.path) == "red"][:1]
        campaign.label(wrong, "green", "bob", origin="page")
        campaign.train()
        page.keyboard.press("l")
        person.shows("review")
        page.wait_for_selector(f"text={LABELLED + 5} answers")
        first = tiles(page, "review").first
        assert first.get_attribute("title") == wrong[0]
        assert "suspected: red" in first.inner_text()
        page.select_option("#review-opinion", "suspected")
        suspected = len(campaign.review().suspicions)
        page.wait_for_selector(f"text=/^{suspected} answers?$/")
        first.click()
        page.keyboard.press("Enter")
        person.saved()
        assert campaign.labels()[wrong[0]] == "red"
        page.wait_for_function(
            "end => document.querySelector('#review-opinion option[value=suspected]').textContent.endsWith(end)",
            arg=f"({suspected - 1})",
        )
        page.keyboard.press("Escape")
        page.select_option("#review-opinion", "any")
        page.select_option("#review-origin", "import")
        page.wait_for_selector("text=/^5 answers$/")
        assert {tiles(page, "review").nth(n).get_attribute("title") for n in range(5)} == set(waiting[:5])
        page.select_option("#review-origin", "")
        page.fill("#review-search", wrong[0].split()[0])
        page.wait_for_selector("text=/^1 answer$/")
        page.fill("#review-search", "no such image")
        page.wait_for_selector("text=No answer satisfies these filters.")


class TestGrid:
    def test_similar_images_follow_one_another_in_tiles_of_the_chosen_size(self, ann):
        campaign, person = ann
        page = person.page
        page.keyboard.press("g")
        person.shows("grid")
        page.wait_for_function("() => document.querySelectorAll('#grid-tiles .tile').length === 20")
        width = tiles(page, "grid").first.bounding_box()["width"]
        page.click('#grid-bar [data-size="small"]')
        assert tiles(page, "grid").first.bounding_box()["width"] < width
        by_rank = [tiles(page, "grid").nth(n).get_attribute("title") for n in range(20)]
        assert by_rank == [pick.path for pick in campaign.picks()]
        page.select_option("#grid-order", "likeness")
        page.wait_for_function("first => document.querySelector('#grid-tiles .tile').title !== first", arg=by_rank[0])
        order = [class_of(tiles(page, "grid").nth(n).get_attribute("title")) for n in range(20)]
        changes = [
            sum(one != other for one, other in itertools.pairwise(names))
            for names in (order, [class_of(path) for path in by_rank])
        ]
        assert changes[0] < changes[1]

    def test_the_random_sample_is_not_accepted_in_bulk(self, ann):
        campaign, person = ann
        page = person.page
        page.keyboard.press("g")
        page.wait_for_function("() => document.querySelectorAll('#grid-tiles .tile').length === 20")
        page.keyboard.press("Control+a")
        page.locator("#grid-tiles .tile").first.focus()
        page.keyboard.press("Enter")
        person.saved()
        drawn = {pick.path for pick in campaign.picks() if pick.at_random}
        assert len(drawn) == 5
        assert labels_of(campaign, origin="bulk").keys() == {pick.path for pick in campaign.picks()} - drawn
