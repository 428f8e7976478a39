"""Every tool of the drawing surface in a real browser: the pixels that are saved are the pixels that were drawn."""

import importlib
import io
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from skimage.segmentation import slic

from minimax_al.campaign import Campaign
from minimax_al.report.class_colours import class_colours

VOID = 255
SMALL = (64, 48)
CLASSES = ["sky", "road", "car", "tree"]


def save_images(folder, count, size=SMALL):
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        blocks = generator.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def artist(modules):
    return importlib.import_module("artist")


@pytest.fixture(scope="module")
def gallery(modules, tmp_path_factory):
    """A campaign with an open round of sixty images of 64 x 48 pixels, and its address."""
    with opened_gallery(modules, tmp_path_factory.mktemp("gallery"), 60) as both:
        yield both


@pytest.fixture
def quiet_gallery(modules, tmp_path):
    """The same with four images, without the pages of other tests, which lease images and give them back."""
    with opened_gallery(modules, tmp_path, 4) as both:
        yield both


@contextmanager
def opened_gallery(modules, folder, count):
    save_images(folder / "images", count)
    with Campaign.create(
        folder / "campaign", folder / "images", CLASSES, "segmentation", near_duplicates="off"
    ) as campaign:
        campaign.query(count)
        with modules[0].served(campaign) as address:
            yield campaign, address


@pytest.fixture(scope="module")
def open_page(modules, browser, gallery, artist):
    """Return a function that opens the page in a browser of its own."""
    people, _, _ = modules
    opened = []

    def open_page(name="ann", address=gallery[1], **options):
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        person = people.Person(context.new_page(), name, {}, CLASSES)
        person.page.set_default_timeout(10_000)
        opened.append(person)
        person.open(address)
        return artist.Artist(person, SMALL)

    yield open_page
    for person in opened:
        person.page.context.close()
    assert [person.problems for person in opened] == [[] for _ in opened]


@pytest.fixture(scope="module")
def kept_pages():
    return {}


@pytest.fixture
def draws(open_page, kept_pages):
    """Return a function of the ratio of pixels that opens the page, which tests share, with an empty mask."""

    def draw(ratio=1):
        hand = kept_pages.get(ratio)
        if hand is None:
            hand = kept_pages[ratio] = open_page(device_scale_factor=ratio)
        path = hand.ready()
        if hand.page.inner_text("#draw-share") != "0 % labelled":  # of a test that failed
            hand.choose("Escape", "s")
            hand.page.wait_for_function("path => document.getElementById('file').title !== path", arg=path)
            hand.ready()
        return hand

    return draw


def saved(campaign, path):
    return campaign.masks.load(campaign.labels()[path])


def differing(one, other):
    return int((one != other).sum())


@pytest.mark.parametrize("ratio", [1, 2])
def test_brush_and_eraser(draws, gallery, artist, ratio):
    hand = draws(ratio)
    expected = artist.blank(SMALL)
    for size, points in ((16, [(5, 5), (30, 12), (50, 40)]), (5, [(50, 6), (40, 30)]), (2, [(3, 40), (30, 44)])):
        hand.brush_size(size)
        hand.choose("1")
        expected = artist.stroked(expected, hand.drag(points), size, 0)
    hand.choose("[")  # one size less
    hand.zoom((20, 20), -600)
    hand.choose("3")
    expected = artist.stroked(expected, hand.drag([(15, 16), (24, 20), (17, 25)]), 1, 2)
    hand.choose("e", "]")
    expected = artist.stroked(expected, hand.drag([(18, 18), (26, 20)]), 2, VOID)
    assert differing(saved(gallery[0], hand.save()), expected) == 0
    assert set(np.unique(expected)) == {0, 2, VOID}


@pytest.mark.parametrize("ratio", [1, 2])
def test_polygon_by_clicks_and_by_outline(draws, gallery, artist, ratio):
    hand = draws(ratio)
    hand.choose("p", "2")
    corners = hand.click((10.3, 5.2), (40.7, 9.1), (33.3, 30.9), (20.6, 15.5))
    hand.choose("Enter")
    expected = artist.filled_polygon(artist.blank(SMALL), corners, 1)
    hand.choose("4")
    angles = np.linspace(0, 2 * np.pi, 60)
    outline = hand.drag([(40.2 + 9 * np.cos(a), 30.4 + 9 * np.sin(a)) for a in angles])
    outline = apart(outline, 3 / hand.view.scale)
    expected = artist.filled_polygon(expected, outline, 3)
    assert differing(saved(gallery[0], hand.save()), expected) == 0
    assert set(np.unique(expected)) == {1, 3, VOID}


def apart(points, distance):
    """The points of an outline that become corners: those farther from the last one than a distance."""
    kept = points[:1]
    for point in points[1:]:
        if np.hypot(point[0] - kept[-1][0], point[1] - kept[-1][1]) > distance:
            kept.append(point)
    return kept


def test_open_polygon_can_be_shortened_and_cancelled(draws, gallery, artist):
    hand = draws()
    hand.choose("p", "2")
    corners = hand.click((10.3, 5.2), (40.7, 9.1), (33.3, 30.9), (60.1, 40.2))
    hand.choose("Backspace", "Enter")
    expected = artist.filled_polygon(artist.blank(SMALL), corners[:3], 1)
    hand.click((3.3, 3.2), (3.7, 40.1), (20.3, 40.9))
    hand.choose("Escape")
    assert differing(saved(gallery[0], hand.save()), expected) == 0


def test_fill_paints_the_connected_region(draws, gallery, artist):
    hand = draws()
    hand.brush_size(2)
    hand.choose("1")
    ring = hand.drag([(10, 10), (40, 12), (35, 38), (12, 35), (10, 10)])
    hand.choose("k", "2")
    inside = hand.click((20, 20))[0]
    expected = artist.stroked(artist.blank(SMALL), ring, 2, 0)
    expected = artist.filled_region(expected, inside, 1)
    hand.choose("3")
    expected = artist.filled_region(expected, hand.click((60, 3))[0], 2)
    assert differing(saved(gallery[0], hand.save()), expected) == 0
    assert set(np.unique(expected)) == {0, 1, 2}


def test_superpixels_are_those_of_slic(draws, gallery, artist):
    campaign, _ = gallery
    hand = draws()
    path = hand.ready()
    hand.choose("x", "]", "2")  # the coarsest
    hand.page.wait_for_function("() => document.getElementById('draw-note').textContent === ''")
    clicked = hand.click((20, 20))[0]
    passed = hand.drag([(40, 10), (40, 14), (40, 30), (56, 40)])
    with Image.open(campaign.images / path) as image:
        regions = slic(np.asarray(image.convert("RGB")), n_segments=300, compactness=10.0, start_label=0)
    expected = artist.blank(SMALL)
    for x, y in [clicked, *between(passed)]:
        expected[regions == regions[int(y), int(x)]] = 1
    mask = saved(campaign, hand.save())
    assert differing(mask, expected) == 0
    assert (mask == 1).sum() > 12


def between(points):
    """The points of a way and those between them, at most a pixel apart."""
    found = points[:1]
    for (x1, y1), (x2, y2) in pairwise(points):
        steps = max(1, int(np.ceil(max(abs(x2 - x1), abs(y2 - y1)))))
        found += [(x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps) for step in range(1, steps + 1)]
    return found


def test_prediction_is_accepted_and_corrected(draws, gallery, artist):
    campaign, _ = gallery
    hand = draws()
    path = hand.ready()
    generator = np.random.default_rng(1)
    square = generator.integers(0, 4, (16, 16)).astype(np.uint8)
    digest = (
        campaign.context.store
        and hand.page.evaluate(
            "item => fetch(`api/drawing/${item}?author=ann`).then((answer) => answer.json())", campaign.pick(path).item
        )["digest"]
    )
    campaign.views.save(digest, "prediction", square, SMALL[::-1], 1.0)
    campaign.views.save(digest, "entropy", generator.integers(0, 256, (16, 16)).astype(np.uint8), SMALL[::-1], 1.0)
    hand.page.reload()
    hand.ready()
    hand.page.wait_for_selector("#draw-accept:enabled")
    assert "Enter accepts it" in hand.page.inner_text("#draw-note")
    hand.page.wait_for_timeout(350)  # a key pressed too soon is ignored
    hand.choose("Enter")
    hand.page.wait_for_selector("text=The prediction is in the mask")
    with Image.open(campaign.views.path(digest, "prediction")) as view:
        expected = np.array(view.resize(SMALL, Image.Resampling.NEAREST))
    hand.brush_size(5)
    hand.choose("1")
    expected = artist.stroked(expected, hand.drag([(10, 10), (50, 30)]), 5, 0)
    hand.page.mouse.move(*hand.view.to_screen((30.5, 20.5)))
    assert "uncertainty" in hand.page.inner_text("#draw-under")
    assert differing(saved(campaign, hand.save()), expected) == 0


def test_unlabelled_only_protects_what_is_drawn(draws, gallery, artist):
    hand = draws()
    hand.brush_size(8)
    hand.choose("1")
    first = artist.stroked(artist.blank(SMALL), hand.drag([(10, 10), (50, 10)]), 8, 0)
    hand.choose("w", "2")
    second = artist.stroked(artist.blank(SMALL), hand.drag([(30, 5), (30, 40)]), 8, 1)
    hand.choose("w")
    expected = np.where(first == VOID, second, first)
    assert differing(saved(gallery[0], hand.save()), expected) == 0


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_mask_on_the_screen_is_the_one_that_is_drawn(draws, artist, ratio):
    hand = draws(ratio)
    hand.brush_size(6)
    hand.choose("2")
    expected = artist.stroked(artist.blank(SMALL), hand.drag([(8, 8), (50, 40)]), 6, 1)
    hand.page.evaluate("() => (document.querySelector('.layer-classes').style.opacity = 1)")
    hand.page.mouse.move(1, 1)  # no ring of the brush
    hand.page.keyboard.press("v")
    screen = np.asarray(Image.open(io.BytesIO(hand.page.screenshot())).convert("RGB"))
    places = [(x + 0.5, y + 0.5) for x in range(0, SMALL[0] - 8, 3) for y in range(0, SMALL[1] - 8, 3)]
    at = [tuple(int(ratio * side) for side in hand.view.to_screen(place)) for place in places]
    colour = class_colours(4)[1]
    shown = [bool((screen[y, x] == colour).all()) for x, y in at]
    assert shown == [bool(expected[int(y), int(x)] == 1) for x, y in places]
    hand.page.evaluate("() => document.getElementById('overlay-strength').dispatchEvent(new Event('input'))")
    hand.choose("z")


def test_undo_and_redo_return_to_every_step(draws, gallery, artist):
    hand = draws()
    hand.brush_size(6)
    steps = [artist.blank(SMALL)]
    for key, points in [("1", [(5, 5), (50, 30)]), ("2", [(20, 5), (20, 40)]), ("3", [(5, 30), (60, 12)])]:
        hand.choose(key)
        steps.append(artist.stroked(steps[-1].copy(), hand.drag(points), 6, int(key) - 1))
    hand.choose("z", "z", "z", "y", "y")
    assert differing(saved(gallery[0], hand.save()), steps[2]) == 0


def test_drawing_by_keyboard_alone(draws, gallery, artist):
    hand = draws()
    hand.brush_size(1)
    hand.page.focus("#stage")
    hand.choose("2", "ArrowRight")  # the cross appears in the middle
    hand.page.keyboard.down("Space")
    hand.choose("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowDown")
    hand.page.keyboard.up("Space")
    x, y = SMALL[0] // 2, SMALL[1] // 2
    way = [(x, y), (x + 1, y), (x + 2, y), (x + 2, y + 1), (x + 2, y + 11)]
    expected = artist.stroked(artist.blank(SMALL), [(a + 0.5, b + 0.5) for a, b in way], 1, 1)
    hand.page.wait_for_timeout(300)
    assert differing(saved(gallery[0], hand.save()), expected) == 0
    assert (expected == 1).sum() == 14


class Fingers:
    """Real touches and a real pen, dispatched by the browser's own input system."""

    def __init__(self, hand):
        self.hand = hand
        self.session = hand.page.context.new_cdp_session(hand.page)

    def touch(self, kind, *points):
        found = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": found})

    def pen(self, kind, point):
        held = {"type": f"mouse{kind}", "x": point[0], "y": point[1], "button": "left", "pointerType": "pen"}
        self.session.send("Input.dispatchMouseEvent", {**held, "buttons": int(kind != "Released"), "clickCount": 1})

    def coordinates(self, point):
        """The pixel of the image under a point of the screen, as the page names it."""
        self.hand.page.mouse.move(point[0] + 1, point[1])
        self.hand.page.mouse.move(*point)
        return [int(part) for part in self.hand.page.inner_text("#draw-under").split(" · ")[0].split(", ")]


@pytest.fixture(scope="module")
def touch_page(open_page):
    return open_page(name="tina", has_touch=True)


@pytest.fixture
def fingers(touch_page):
    """Fingers on a page that the touch tests share, with an empty mask, the whole image and a brush of class 1."""
    touch_page.ready()
    touch_page.page.evaluate("() => document.getElementById('zoom').click()")
    touch_page.brush_size(5)
    touch_page.choose("1")
    return Fingers(touch_page)


def test_one_finger_draws_and_two_fingers_zoom(fingers, gallery, artist):
    hand = fingers.hand
    way = [hand.view.to_screen(point) for point in [(10, 10), (20, 20), (40, 22)]]
    fingers.touch("Start", way[0])
    for point in way[1:]:
        fingers.touch("Move", point)
    fingers.touch("End")
    expected = artist.stroked(artist.blank(SMALL), [hand.view.to_image(point) for point in way], 5, 0)
    one, other = (hand.view.to_screen(point) for point in [(20, 30), (30, 30)])
    middle = (one[0] + other[0]) // 2, one[1]
    before = fingers.coordinates(middle)
    fingers.touch("Start", one)
    fingers.touch("Start", one, other)
    fingers.touch("Move", (one[0] - 60, one[1]), (other[0] + 60, other[1]))
    fingers.touch("End")
    factor = (other[0] - one[0] + 120) / (other[0] - one[0])
    assert hand.page.inner_text("#zoom") == f"{round(100 * hand.view.scale * factor)} %"
    assert fingers.coordinates(middle) == before  # the image is scaled about the middle of the fingers
    assert differing(saved(gallery[0], hand.save()), expected) == 0


def test_a_second_finger_takes_the_stroke_back_and_moves_the_image(fingers, gallery, artist):
    hand = fingers.hand
    drawn = artist.stroked(artist.blank(SMALL), hand.drag([(50, 40), (55, 40)]), 5, 0)
    here = hand.view.to_screen((20.5, 20.5))
    before = fingers.coordinates(here)
    one, other = hand.view.to_screen((10, 10)), hand.view.to_screen((20, 12))
    fingers.touch("Start", one)
    fingers.touch("Move", (one[0] + 40, one[1]))
    one = one[0] + 40, one[1]
    fingers.touch("Start", one, other)
    pixels = [round(part * hand.view.scale) for part in (4, 3)]
    fingers.touch("Move", *((x + pixels[0], y + pixels[1]) for x, y in (one, other)))
    fingers.touch("End")
    assert fingers.coordinates(here) == [before[0] - 4, before[1] - 3]
    assert differing(saved(gallery[0], hand.save()), drawn) == 0


def test_a_pinch_between_two_corners_keeps_the_polygon(fingers, gallery, artist):
    hand = fingers.hand
    hand.choose("p", "2")
    corners = hand.click((10.3, 5.2), (40.7, 9.1))
    one, other = hand.view.to_screen((20, 30)), hand.view.to_screen((30, 30))
    fingers.touch("Start", one)
    fingers.touch("Start", one, other)
    fingers.touch("End")
    corners += hand.click((33.3, 30.9))
    hand.choose("Enter")
    expected = artist.filled_polygon(artist.blank(SMALL), corners, 1)
    assert differing(saved(gallery[0], hand.save()), expected) == 0


def test_a_pen_beats_the_hand_that_holds_it(fingers, gallery, artist):
    hand = fingers.hand
    palm = hand.view.to_screen((50, 40))
    way = [hand.view.to_screen(point) for point in [(10, 10), (20, 20), (40, 22)]]
    fingers.touch("Start", palm)  # the palm comes first, and begins a stroke
    fingers.touch("Move", (palm[0] - 30, palm[1]))
    fingers.pen("Pressed", way[0])
    fingers.touch("Move", (palm[0] - 60, palm[1]))
    fingers.pen("Moved", way[1])
    fingers.touch("Start", (palm[0] - 60, palm[1]), hand.view.to_screen((55, 20)))  # and another knuckle
    fingers.pen("Moved", way[2])
    fingers.pen("Released", way[2])
    fingers.touch("Move", (palm[0] - 90, palm[1]), hand.view.to_screen((55, 20)))
    fingers.touch("End")
    expected = artist.stroked(artist.blank(SMALL), [hand.view.to_image(point) for point in way], 5, 0)
    assert hand.page.inner_text("#zoom") == "Fit"
    assert differing(saved(gallery[0], hand.save()), expected) == 0


def test_a_pens_other_end_erases(draws, gallery, artist):
    hand = draws()
    hand.brush_size(8)
    hand.choose("1")
    way = [hand.view.to_screen(point) for point in [(10, 10), (40, 22)]]
    expected = artist.blank(SMALL)
    for buttons, value in ((1, 0), (32, VOID)):
        hand.page.evaluate(PEN, [way, buttons])
        expected = artist.stroked(expected, [hand.view.to_image(point) for point in way], 8, value)
        way = way[:1] * 2
    assert differing(saved(gallery[0], hand.save()), expected) == 0
    assert set(np.unique(expected)) == {0, VOID}


LARGEST = """() => {
  const size = document.getElementById('draw-size');
  size.value = size.max;
  size.dispatchEvent(new Event('input'));
}"""


PEN = """([way, buttons]) => {
  const stage = document.getElementById('stage');
  const pen = { pointerId: 7, pointerType: 'pen', button: buttons === 32 ? 5 : 0, bubbles: true, cancelable: true };
  const send = (type, [clientX, clientY], held) =>
    stage.dispatchEvent(new PointerEvent(type, { ...pen, clientX, clientY, buttons: held }));
  send('pointerdown', way[0], buttons);
  for (const point of way.slice(1)) send('pointermove', point, buttons);
  send('pointerup', way.at(-1), 0);
}"""


def test_a_draft_outlives_the_page_and_follows_to_another_browser(open_page, quiet_gallery, artist):
    campaign, address = quiet_gallery
    hand = open_page(name="dora", address=address)
    path = hand.ready()
    hand.brush_size(8)
    hand.choose("2")
    expected = artist.stroked(artist.blank(SMALL), hand.drag([(10, 10), (40, 22)]), 8, 1)
    with hand.page.expect_response("**/api/drafts/*") as stored:
        pass
    assert stored.value.ok
    context = hand.page.context
    hand.page.wait_for_load_state("networkidle")  # no lease of this page is on its way
    hand.page.close()
    campaign.release("dora")
    hand.person.page = context.new_page()
    hand.person.open(address)
    assert hand.ready() == path
    assert hand.page.inner_text("#draw-note") == "Your draft."
    hand.page.wait_for_load_state("networkidle")
    hand.page.context.close()
    campaign.release("dora")
    other = open_page(name="dora", address=address)
    assert other.ready() == path
    assert other.page.inner_text("#draw-note") == "Your draft from another browser."
    other.page.wait_for_timeout(350)  # a key pressed too soon is ignored
    assert differing(saved(campaign, other.save()), expected) == 0
    other.page.context.close()


def test_masks_drawn_without_a_network_arrive_when_it_is_back(open_page, gallery, artist):
    campaign, _ = gallery
    hand = open_page(name="olga")
    hand.ready()
    hand.brush_size(5)
    hand.choose("1")
    hand.page.wait_for_load_state("networkidle")  # the next images are loaded ahead
    hand.page.context.set_offline(True)
    hand.page.wait_for_selector("#trouble:not([hidden])")
    expected = {}
    for row in (10, 30):
        path = hand.ready()
        expected[path] = artist.stroked(artist.blank(SMALL), hand.drag([(10, row), (40, row + 5)]), 5, 0)
        hand.page.wait_for_timeout(350)  # a key pressed too soon is ignored
        hand.choose("Enter")
        hand.page.wait_for_function("path => document.getElementById('file').title !== path", arg=path)
    assert not set(expected) & set(campaign.labels())
    hand.page.context.set_offline(False)
    hand.page.wait_for_selector("#save-state[data-stage=saved]")
    assert [differing(saved(campaign, path), mask) for path, mask in expected.items()] == [0, 0]
    hand.person.problems.clear()  # the browser reports the requests that failed
    hand.page.context.close()


def test_an_undone_mask_can_be_corrected(draws, gallery, artist):
    campaign, _ = gallery
    hand = draws()
    hand.brush_size(5)
    hand.choose("1")
    expected = artist.stroked(artist.blank(SMALL), hand.drag([(10, 10), (40, 22)]), 5, 0)
    path = hand.save()
    hand.page.keyboard.press("Backspace")
    hand.page.wait_for_function("path => document.getElementById('file').title === path", arg=path)
    hand.ready()
    hand.page.wait_for_selector("#save-state[data-stage=saved]")
    assert path not in campaign.labels()
    hand.choose("2")
    expected = artist.stroked(expected, hand.drag([(10, 40), (40, 42)]), 5, 1)
    assert hand.save() == path
    assert differing(saved(campaign, path), expected) == 0


def test_an_empty_mask_is_not_saved(draws, gallery):
    hand = draws()
    path = hand.ready()
    hand.page.wait_for_timeout(350)
    hand.choose("Enter")
    hand.page.wait_for_selector("text=Nothing is drawn yet")
    assert path not in gallery[0].labels()


def test_a_mask_of_24_megapixels(modules, browser, artist, tmp_path):
    people, _, _ = modules
    size = (6000, 4000)
    (tmp_path / "images").mkdir()
    across = np.linspace(0, 255, size[0]).astype(np.uint8)
    Image.fromarray(np.broadcast_to(across[None, :, None], (size[1], size[0], 3)).copy()).save(
        tmp_path / "images" / "large.jpg", quality=80
    )
    with Campaign.create(tmp_path / "campaign", tmp_path / "images", CLASSES, "segmentation") as campaign:
        campaign.query(1)
        with people.served(campaign) as address:
            person = people.Person(
                browser.new_context(viewport={"width": 1280, "height": 800}).new_page(), "ann", {}, CLASSES
            )
            person.open(address)
            hand = artist.Artist(person, size)
            hand.ready()
            hand.choose("1")
            hand.page.evaluate(LARGEST)
            largest = int(hand.page.inner_text("#draw-size-value").removesuffix(" px"))
            expected = artist.stroked(
                artist.blank(size), hand.drag([(700, 700), (5200, 900), (5000, 3500)]), largest, 0
            )
            hand.choose("p", "2")
            expected = artist.filled_polygon(
                expected, hand.click((900.3, 1500.2), (4000.7, 1700.9), (1000.6, 3700.4)), 1
            )
            hand.choose("Enter", "k", "3")
            expected = artist.filled_region(expected, hand.click((5900, 200))[0], 2)
            with hand.page.expect_response("**/images/*"):  # the full resolution, only now
                hand.zoom((3000, 2000), -1200)
            hand.brush_size(1)
            hand.choose("4")
            expected = artist.stroked(expected, hand.drag([(2990, 1990), (3011, 2002), (3005, 2015)]), 1, 3)
            path = hand.save()
            mask = saved(campaign, path)
            assert mask.shape == (size[1], size[0])
            assert differing(mask, expected) == 0
            assert set(np.unique(mask)) >= {0, 1, 2, 3}
            assert person.problems == []
            person.page.context.close()
