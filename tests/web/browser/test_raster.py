"""The page's rasters against NumPy, SciPy and scikit-image, on random shapes; undo in bounded memory; PNG files."""

import importlib
import io
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign

VOID = 255
SIZE = (40, 30)


@pytest.fixture(scope="module")
def page(modules, browser, tmp_path_factory):
    """A page that has loaded nothing but can import the page's modules."""
    people, shown, _ = modules
    place = tmp_path_factory.mktemp("rasters")
    shown.draw_images(place / "images", each=2)
    with (
        Campaign.create(place / "campaign", place / "images", ["disc", "square"], recipe="scratch") as campaign,
        people.served(campaign) as address,
        closing(browser.new_page()) as page,
    ):
        page.goto(f"{address}static/icon.svg")
        yield page


@pytest.fixture(scope="module")
def artist(modules):
    return importlib.import_module("artist")


def as_text(pixels):
    """Numbers below 256 as the characters of a text, which reaches the page and back faster than a list."""
    return np.asarray(pixels, np.uint8).tobytes().decode("latin-1")


def as_bytes(text):
    return text.encode("latin-1")


def as_masks(texts):
    return np.frombuffer(as_bytes("".join(texts)), np.uint8).reshape(-1, SIZE[1], SIZE[0])


STROKES = """async ([[width, height], cases]) => {
  const { Raster } = await import('/static/raster.js');
  const { snap, stroke } = await import('/static/shapes.js');
  return cases.map(([from, to, size]) => {
    const raster = new Raster(width, height);
    stroke(snap(...from, size), snap(...to, size), size, (row, left, right) => raster.span(row, left, right, 1));
    return String.fromCharCode(...raster.pixels);
  });
}"""


def test_strokes_of_any_direction_and_size(page, artist):
    generator = np.random.default_rng(0)
    cases = [
        (generator.uniform(-5, 45, 2).tolist(), generator.uniform(-5, 45, 2).tolist(), int(generator.integers(1, 14)))
        for _ in range(300)
    ]
    cases += [([20.5, 9.5], [20.5, 21.5], 6), ([3.5, 9.5], [33.5, 9.5], 7), ([9, 9], [9, 9], 1), ([4, 4], [24, 24], 5)]
    drawn = as_masks(page.evaluate(STROKES, [SIZE, cases]))
    expected = [artist.stroked(artist.blank(SIZE), [start, end], size, 1) for start, end, size in cases]
    assert [int((one != other).sum()) for one, other in zip(drawn, expected, strict=True)] == [0] * len(cases)


POLYGONS = """async ([[width, height], cases]) => {
  const { Raster } = await import('/static/raster.js');
  const { polygon } = await import('/static/shapes.js');
  return cases.map((points) => {
    const raster = new Raster(width, height);
    polygon(points, height, (row, left, right) => raster.span(row, left, right, 1));
    return String.fromCharCode(...raster.pixels);
  });
}"""


def even_odd(points):
    """Whether the centre of each pixel is inside, by counting the edges that a ray to the left crosses."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    inside = np.zeros(y.shape, bool)
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        crosses = (y1 <= y) != (y2 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x1 + (y - y1) * (x2 - x1) / np.float64(y2 - y1) <= x)
    return inside


def test_polygons_that_cross_themselves_and_leave_the_image(page):
    generator = np.random.default_rng(1)
    cases = [generator.uniform(-10, 50, (generator.integers(3, 12), 2)).tolist() for _ in range(200)]
    drawn = as_masks(page.evaluate(POLYGONS, [SIZE, cases])) == 1
    assert all((one == even_odd(points)).all() for one, points in zip(drawn, cases, strict=True))


def test_neighbours_share_no_pixel_and_leave_none_between_them(page):
    # Whole and half coordinates: many centres lie exactly on a common edge.
    generator = np.random.default_rng(2)
    corners = [[0, 0], [SIZE[0], 0], [*SIZE], [0, SIZE[1]]]
    for _ in range(30):
        middle = (generator.integers(0, 2 * np.array(SIZE) + 1) / 2).tolist()
        fans = [[corners[place], corners[(place + 1) % 4], middle] for place in range(4)]
        fans = [fan if generator.random() < 0.5 else fan[::-1] for fan in fans]
        drawn = as_masks(page.evaluate(POLYGONS, [SIZE, fans])) == 1
        assert (drawn.sum(axis=0) == 1).all()


FILLS = """async ([[width, height], cases]) => {
  const { Raster } = await import('/static/raster.js');
  return cases.map(([pixels, [x, y], value]) => {
    const raster = new Raster(width, height, Uint8Array.from(pixels, (one) => one.charCodeAt(0)));
    raster.fill(x, y, value);
    const counts = new Float64Array(256);
    for (const one of raster.pixels) counts[one] += 1;
    if (String(counts) !== String(raster.counts)) throw new Error('the counts are wrong');
    return String.fromCharCode(...raster.pixels);
  });
}"""


def test_fills_of_mazes(page, artist):
    generator = np.random.default_rng(3)
    cases, expected = [], []
    for share in (0.1, 0.35, 0.45, 0.5, 0.9):
        for _ in range(10):
            maze = np.where(generator.random(SIZE[::-1]) < share, 0, VOID).astype(np.uint8)
            x, y = (int(generator.integers(0, length)) for length in SIZE)
            cases.append([as_text(maze), [x, y], 7])
            expected.append(artist.filled_region(maze.copy(), (x, y), 7))
    drawn = as_masks(page.evaluate(FILLS, [SIZE, cases]))
    assert (drawn == np.array(expected)).all()


EDITS = """async ([[width, height], strokes, limit]) => {
  const { Raster } = await import('/static/raster.js');
  const { Edits } = await import('/static/edits.js');
  const { snap, stroke } = await import('/static/shapes.js');
  const raster = new Raster(width, height);
  const edits = new Edits(raster, limit);
  const states = [String.fromCharCode(...raster.pixels)];
  let most = 0;
  for (const [from, to, size, value] of strokes) {
    edits.run(() => stroke(snap(...from, size), snap(...to, size), size, (row, left, right) => raster.span(row, left, right, value)));
    states.push(String.fromCharCode(...raster.pixels));
    most = Math.max(most, edits.bytes);
  }
  const back = [];
  while (edits.undo()) back.push(String.fromCharCode(...raster.pixels));
  while (edits.redo());
  return { states, back, again: String.fromCharCode(...raster.pixels), most };
}"""  # noqa: E501


def strokes_with_classes(count):
    generator = np.random.default_rng(4)
    return [
        (generator.uniform(0, 40, 2).tolist(), generator.uniform(0, 30, 2).tolist(), 6, number % 5)
        for number in range(count)
    ]


def test_undo_returns_to_every_state_and_redo_to_the_last(page):
    told = page.evaluate(EDITS, [SIZE, strokes_with_classes(40), 1 << 20])
    states = [state for place, state in enumerate(told["states"]) if place == 0 or state != told["states"][place - 1]]
    assert told["back"] == states[-2::-1]
    assert told["again"] == states[-1]


def test_the_memory_of_undo_is_bounded(page):
    told = page.evaluate(EDITS, [SIZE, strokes_with_classes(40), 2_000])
    assert told["most"] <= 2_000
    assert 2 <= len(told["back"]) < 30
    assert told["back"] == told["states"][-2 : -2 - len(told["back"]) : -1]
    assert told["again"] == told["states"][-1]


PNGS = """async ([[width, height], pixels]) => {
  const { encode, decode } = await import('/static/maskpng.js');
  const file = await encode({ width, height, pixels: Uint8Array.from(pixels, (one) => one.charCodeAt(0)) });
  const back = await decode(file);
  const [coded, decoded] = [file, back.pixels].map((bytes) => String.fromCharCode(...bytes));
  return { file: coded, back: decoded, size: [back.width, back.height] };
}"""


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (257, 5), (64, 48)])
def test_files_of_masks_are_png_files_of_the_exact_numbers(page, size):
    mask = np.random.default_rng(5).integers(0, 256, size[::-1]).astype(np.uint8)
    told = page.evaluate(PNGS, [list(size), as_text(mask)])
    with Image.open(io.BytesIO(as_bytes(told["file"]))) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == mask).all()
    assert told["back"] == as_text(mask)
    assert told["size"] == list(size)


REGIONS = """async ([[width, height], [small, low], labels]) => {
  const { Raster } = await import('/static/raster.js');
  const { Regions } = await import('/static/regions.js');
  const regions = new Regions(Uint16Array.from(labels), { width: small, height: low }, { width, height });
  const raster = new Raster(width, height);
  for (let region = 0; region <= Math.max(...labels); region += 1) regions.spans(region, (row, left, right) => raster.span(row, left, right, region));
  const taken = new Raster(width, height);
  taken.take({ width: small, height: low, pixels: Uint8Array.from(labels) });
  return [String.fromCharCode(...raster.pixels), String.fromCharCode(...taken.pixels)];
}"""  # noqa: E501


@pytest.mark.parametrize("coarse", [(40, 30), (13, 7), (20, 15), (39, 29), (1, 1), (50, 60)])
def test_coarser_maps_are_scaled_by_nearest_neighbour(page, coarse):
    labels = np.random.default_rng(6).integers(0, 50, coarse[::-1]).astype(np.uint8)
    by_region, taken = as_masks(page.evaluate(REGIONS, [SIZE, coarse, labels.ravel().tolist()]))
    scaled = np.asarray(Image.fromarray(labels).resize(SIZE, Image.Resampling.NEAREST))
    assert (by_region == scaled).all()
    assert (taken == scaled).all()
