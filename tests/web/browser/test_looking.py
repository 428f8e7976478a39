"""What the page shows of an image: pixels as the model sees them, contrast, 1:1, and the keys in the large view."""

from contextlib import ExitStack, closing

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.data.decoding.decode import read_image

SHOWN = """async (selector) => {
  const image = document.querySelector(selector);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(data, (value) => String.fromCharCode(value)).join("");
}"""


def shown_pixels(page, selector):
    """The colours of an image on the page, one row per pixel."""
    return np.frombuffer(page.evaluate(SHOWN, selector).encode("latin-1"), np.uint8).reshape(-1, 4)[:, :3]


def dark_16_bits():
    values = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) % 900  # of 65,535: black in a browser
    return Image.fromarray(values)


def ink(colour):
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[20:40, 30:50] = (*colour, 255)
    return Image.fromarray(pixels)


IMAGES = {"deep": dark_16_bits(), "black ink": ink((0, 0, 0)), "white ink": ink((255, 255, 255))}


@pytest.fixture
def look(modules, browser, tmp_path):
    """Opens the page of a campaign of one kind of image."""
    people, _, _ = modules
    with ExitStack() as opened:

        def make(image, size=None):
            folder = tmp_path / "images"
            folder.mkdir()
            for number in range(3):
                shown = image.resize(size) if size else image
                copy = np.array(shown)
                copy[0, 0] = number + 1  # no two are copies
                Image.fromarray(copy).save(folder / f"{number}.png")
            options = {"recipe": "scratch", "near_duplicates": "off"}
            campaign = opened.enter_context(Campaign.create(tmp_path / "campaign", folder, ["cat", "dog"], **options))
            campaign.query(3)
            address = opened.enter_context(people.served(campaign))
            context = opened.enter_context(closing(browser.new_context()))
            person = people.Person(context.new_page(), "ann", {}, ["cat", "dog"])
            person.open(address)
            person.image()
            return campaign, person

        yield make


@pytest.mark.parametrize("kind", list(IMAGES))
def test_the_image_on_the_screen_has_the_pixels_that_the_model_sees(look, kind):
    campaign, person = look(IMAGES[kind])
    seen = np.asarray(read_image(campaign.images / person.image()))
    shown = shown_pixels(person.page, "#stage .image").reshape(seen.shape)
    assert np.array_equal(shown, seen)
    assert np.ptp(seen.astype(int)) > 100  # there is something to be seen
    person.page.keyboard.press("g")
    person.shows("grid")
    thumbnail = shown_pixels(person.page, "#grid-tiles .tile img")
    assert np.ptp(thumbnail) > 100


def test_brightness_and_contrast_apply_everywhere_and_are_remembered(look):
    _, person = look(IMAGES["deep"])
    page = person.page
    filtered = "(selector) => getComputedStyle(document.querySelector(selector)).filter"
    assert page.evaluate(filtered, "#stage .image") == "none"
    page.click(".adjust summary")
    page.locator("#brightness").fill("300")
    page.locator("#contrast").fill("150")
    expected = "brightness(3) contrast(1.5)"
    assert page.evaluate(filtered, "#stage .image") == expected
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    page.reload()
    person.image()
    page.keyboard.press("g")
    person.shows("grid")
    assert page.evaluate(filtered, "#grid-tiles .tile img") == expected
    page.keyboard.press("g")
    page.click(".adjust summary")
    page.click("#adjust-reset")
    assert page.evaluate(filtered, "#stage .image") == "none"


@pytest.mark.parametrize("size", [None, (3000, 2000)])
def test_one_to_one_shows_a_pixel_per_pixel(look, size):
    _, person = look(Image.fromarray(np.full((60, 80, 3), 120, dtype=np.uint8)), size)
    page = person.page
    page.keyboard.press(",")
    box = page.locator("#stage .image").bounding_box()
    natural = page.evaluate(
        "() => { const i = document.querySelector('#stage .image'); return [i.naturalWidth, i.naturalHeight]; }"
    )
    stage = page.locator("#stage").bounding_box()
    # The element is as large as the stage; the image in it keeps its proportions.
    fitted = min(stage["width"] / natural[0], stage["height"] / natural[1])
    assert fitted * box["width"] / stage["width"] == pytest.approx(1, abs=0.01)
    page.keyboard.press("f")
    assert page.inner_text("#zoom") == "Fit"


def test_the_large_view_keeps_the_class_keys(look):
    campaign, person = look(Image.fromarray(np.full((60, 80, 3), 120, dtype=np.uint8)))
    page = person.page
    page.keyboard.press("g")
    person.shows("grid")
    page.locator("#grid-tiles .tile").first.focus()
    page.keyboard.press("o")
    keys = page.locator("#large-classes .class")
    assert keys.all_inner_texts() == ["1\ncat", "2\ndog"]
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    keys.nth(1).click()
    page.wait_for_function("() => document.querySelectorAll('#grid-tiles .tile').length === 2")
    person.saved()
    assert list(campaign.labels().values()) == ["dog"]
