"""Drawing masks on the page by a script: steps and modelled seconds to 95 % pixel agreement.

    python benchmarks/mask_drawing.py CAMPAIGN MASKS [--most 20] [--replay 5] [--name mask-drawing]

CAMPAIGN is a copy of a segmentation campaign with an open round that a model has chosen; MASKS has the true mask of
each image, `NAME.png` for the image `NAME.EXTENSION`, with class numbers. The script knows the truth. It corrects the
largest wrong region first, with one gesture of the page's tools, until 95 % of the pixels that are not void agree. Four
ways are compared: polygons and superpixels, each from nothing and from the model's prediction.

Seconds are those of the Keystroke-Level Model (Card, Moran and Newell 1980): a key takes 0.28 s, pointing 1.1 s,
a press and release 0.2 s, and each decision 1.35 s. They rank ways of working; they are not measured on people, who
hesitate, misjudge borders and look again. The first images of each way are drawn in Chromium, which checks that the
saved mask has exactly the pixels of the simulation and measures the page's own time.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_fill_holes, label
from skimage.measure import approximate_polygon, find_contours

from minimax_al.campaign import Campaign
from minimax_al.campaign.images.superpixels import REGIONS, find_superpixels
from minimax_al.data.letterbox import in_place
from minimax_al.vocabulary import IGNORED

BROWSER = Path(__file__).parent.parent / "tests" / "web" / "browser"
RESULTS = Path(__file__).parent / "results"
AGREEMENT = 0.95
KEY, POINT, PRESS, DECIDE = 0.28, 1.1, 0.2, 1.35
WAYS = ("polygons", "superpixels", "prediction, polygons", "prediction, superpixels")
CLOSE = 9  # pixels of the screen around the first corner in which a click closes a polygon
TOLERANCE = 1.0  # pixels that a corner-cutting polygon may leave its region
GRAIN = "medium"

Mask = NDArray[np.uint8]
Point = tuple[float, float]
Paint = Callable[[Mask, list[Point], int], Mask]
"""Function that paints a polygon with a class."""


@dataclass(frozen=True)
class Gesture:
    """One gesture: a tool, the class that it paints, and the points that are clicked, in pixels of the image."""

    tool: str
    value: int
    points: tuple[Point, ...] = ()


@dataclass
class Drawing:
    """A mask on its way to the truth.

    Attributes:
        truth: True class numbers, shape (H, W), 255 = void.
        snap: Function that moves a point to where the pointer can be: whole pixels of the screen.
        scale: Pixels of the screen per pixel of the image.
        mask: Class numbers that are drawn.
        gestures: Gestures so far.
    """

    truth: Mask
    snap: Callable[[Point], Point]
    scale: float
    mask: Mask = field(init=False)
    gestures: list[Gesture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mask = np.full_like(self.truth, IGNORED)

    @property
    def agreement(self) -> float:
        """Share of the pixels with a class that have it."""
        counted = self.truth != IGNORED
        return float((self.mask[counted] == self.truth[counted]).mean())

    def fill(self) -> None:
        """Fill the empty mask with the most frequent class."""
        value = int(np.bincount(self.truth[self.truth != IGNORED]).argmax())
        self.mask[:] = value
        self.gestures.append(Gesture("fill", value, (self.snap((self.mask.shape[1] / 2, self.mask.shape[0] / 2)),)))

    def accept(self, prediction: Mask) -> None:
        """Take the model's prediction."""
        self.mask = np.where(prediction == IGNORED, self.mask, prediction).astype(np.uint8)
        self.gestures.append(Gesture("accept", IGNORED))

    def correct_by_polygons(self, polygon: Paint) -> None:
        """Draw around the largest wrong region, again and again, until the agreement is reached."""
        hopeless: set[tuple[int, int]] = set()
        while self.agreement < AGREEMENT:
            found = self._largest_error(hopeless)
            if found is None:
                return
            region, value = found
            points = self._clickable(corners(region))
            after = polygon(self.mask.copy(), points, value) if len(points) >= 3 else self.mask
            if (after == self.truth).sum() <= (self.mask == self.truth).sum():
                hopeless.add(
                    tuple(int(place) for place in np.argwhere(region)[0])
                )  # thinner than a pixel of the screen
                continue
            self.mask = after
            self.gestures.append(Gesture("polygon", value, tuple(points)))

    def correct_by_superpixels(self, regions: NDArray[np.uint16]) -> None:
        """Click on the superpixels that gain most, class by class, until the agreement is reached or none gains."""
        gains = []
        for region in range(int(regions.max()) + 1):
            inside = regions == region
            counted = self.truth[inside & (self.truth != IGNORED)]
            if len(counted) == 0:
                continue
            value = int(np.bincount(counted).argmax())
            gain = int((counted == value).sum() - (self.mask[inside] == self.truth[inside]).sum())
            if gain > 0:
                gains.append((gain, region, value, inside))
        gains.sort(key=lambda one: -one[0])
        chosen = []
        for _, _, value, inside in gains:
            if self.agreement >= AGREEMENT:
                break
            self.mask[inside] = value
            chosen.append((value, self.snap(centre(inside))))
        for value, point in sorted(chosen, key=lambda one: one[0]):
            self.gestures.append(Gesture("superpixel", value, (point,)))

    def _clickable(self, points: list[Point]) -> list[Point]:
        """Leave out corners so near to the first one that a click on them would close the polygon."""
        first, *others = [self.snap(point) for point in points]
        near = [np.hypot(x - first[0], y - first[1]) * self.scale <= CLOSE for x, y in others]
        return [first, *(point for point, is_near in zip(others, near, strict=True) if not is_near)]

    def _largest_error(self, hopeless: set[tuple[int, int]]) -> tuple[NDArray[np.bool_], int] | None:
        wrong = (self.mask != self.truth) & (self.truth != IGNORED)
        best: tuple[int, NDArray[np.bool_], int] | None = None
        for value in np.unique(self.truth[wrong]):
            parts, _ = label(wrong & (self.truth == value))
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            for part in np.argsort(-sizes)[:4]:
                region = parts == part
                first = tuple(int(place) for place in np.argwhere(region)[0])
                if sizes[part] > (best[0] if best else 2) and first not in hopeless:
                    best = int(sizes[part]), region, int(value)
                    break
        return None if best is None else best[1:]


def corners(region: NDArray[np.bool_]) -> list[Point]:
    """Return the corners of a polygon around a region, holes included, in pixels of the image."""
    outline = max(find_contours(np.pad(binary_fill_holes(region), 1).astype(float), 0.5), key=len)
    height, width = region.shape
    # A click on the very border of the image may miss the stage; a quarter of a pixel inside, no centre is lost.
    return [
        (float(np.clip(x - 0.5, 0.25, width - 0.25)), float(np.clip(y - 0.5, 0.25, height - 0.25)))
        for y, x in approximate_polygon(outline, TOLERANCE)[:-1]
    ]


def centre(region: NDArray[np.bool_]) -> Point:
    """Return the centre of the pixel of a region that is nearest to its centroid."""
    places = np.argwhere(region)
    y, x = places[np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()]
    return x + 0.5, y + 0.5


def seconds(gestures: list[Gesture]) -> float:
    """Return the time of gestures by the Keystroke-Level Model."""
    total, tool, value = 0.0, "", IGNORED
    for gesture in gestures:
        is_same = (gesture.tool, gesture.value) == (tool, value)
        total += (0 if is_same and gesture.tool == "superpixel" else DECIDE) + len(gesture.points) * (POINT + PRESS)
        total += KEY * ((gesture.tool != tool) + (gesture.value not in (value, IGNORED)) + (gesture.tool == "polygon"))
        tool, value = gesture.tool, gesture.value
    return total + DECIDE + KEY  # Enter saves


def draw(way: str, drawing: Drawing, prediction: Mask, regions: NDArray[np.uint16], polygon: Paint) -> None:
    """Bring a drawing to the agreement."""
    if way.startswith("prediction"):
        drawing.accept(prediction)
    else:
        drawing.fill()
    if way.endswith("superpixels"):
        drawing.correct_by_superpixels(regions)
    drawing.correct_by_polygons(polygon)


def replay(
    hand: Any,  # noqa: ANN401 - the tests' annotator
    gestures: list[Gesture],
    class_keys: Callable[[int], list[str]],
) -> tuple[str, float]:
    """Repeat gestures on the page, and save; return the path of the image, and the seconds that the page took."""
    keys = {"fill": "k", "polygon": "p", "superpixel": "x"}
    hand.ready()
    hand.page.keyboard.press("x")
    hand.page.wait_for_function("() => document.getElementById('draw-note').textContent !== 'Computing superpixels …'")
    start, tool, value = time.perf_counter(), "x", None
    for gesture in gestures:
        if gesture.tool == "accept":
            hand.page.keyboard.press("a")
            continue
        if keys[gesture.tool] != tool:
            hand.page.keyboard.press(tool := keys[gesture.tool])
        if gesture.value != value:
            hand.choose(*class_keys(value := gesture.value))
        hand.click(*gesture.points)
        if gesture.tool == "polygon":
            hand.page.keyboard.press("Enter")
    path = hand.save()
    return path, time.perf_counter() - start


@contextmanager
def page_of(campaign: Campaign, size: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """Yield a scripted annotator at the campaign's page, and the module of its reference rasters."""
    sys.path.insert(0, str(BROWSER))
    import artist  # noqa: PLC0415 - the tests' own
    import people  # noqa: PLC0415
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with people.served(campaign) as address, sync_playwright() as playwright, people.launch(playwright) as browser:
        person = people.Person(
            browser.new_context(viewport={"width": 1280, "height": 900}).new_page(), "script", {}, []
        )
        person.page.set_default_timeout(120_000)
        person.open(address)
        yield artist.Artist(person, size), artist


def keys_of(classes: tuple[str, ...]) -> Callable[[int], list[str]]:
    """Return the keys that choose a class: a digit, or its name in the box."""
    return lambda number: [str(number + 1)] if number < 9 else ["/", *classes[number], "Enter"]


def measure(campaign: Campaign, masks: Path, most: int, replayed: int) -> list[dict[str, Any]]:
    """Draw the images of the open round in every way."""
    rows = []
    picks = [pick for pick in campaign.picks() if pick.answer == "waiting" and campaign.view(pick.item, "prediction")]
    with Image.open(campaign.image(picks[0].item)) as first:
        size = first.size
    with page_of(campaign, size) as (hand, artist):
        hand.ready()
        view = hand.view

        def snap(point: Point) -> Point:
            return view.to_image(view.to_screen(point))

        drawn: dict[str, dict[str, Drawing]] = {}
        for pick in picks[:most]:
            truth = np.asarray(Image.open(masks / f"{Path(pick.path).stem}.png")).copy()
            truth[truth >= len(campaign.classes)] = IGNORED
            with Image.open(campaign.image(pick.item)) as image:
                regions = find_superpixels(image.convert("RGB"), REGIONS[GRAIN])
            with Image.open(campaign.view(pick.item, "prediction")) as stored:
                prediction = in_place(np.asarray(stored), size[::-1], 1.0, IGNORED)
            drawn[pick.path] = {}
            for way in WAYS:
                drawing = Drawing(truth, snap, view.scale)
                draw(way, drawing, prediction, regions, artist.filled_polygon)
                drawn[pick.path][way] = drawing
                rows.append(row(pick.path, way, drawing, prediction))
        check(campaign, hand, drawn, replayed, rows)
    return rows


def row(path: str, way: str, drawing: Drawing, prediction: Mask) -> dict[str, Any]:
    """Return the figures of one drawing."""
    counted = drawing.truth != IGNORED
    return {
        "image": path,
        "way": way,
        "steps": len(drawing.gestures),
        "clicks": sum(len(gesture.points) for gesture in drawing.gestures),
        "seconds": round(seconds(drawing.gestures), 1),
        "agreement": round(drawing.agreement, 4),
        "prediction": round(float((prediction[counted] == drawing.truth[counted]).mean()), 4),
    }


def check(
    campaign: Campaign,
    hand: Any,  # noqa: ANN401 - the tests' annotator
    drawn: dict[str, dict[str, Drawing]],
    most: int,
    rows: list[dict[str, Any]],
) -> None:
    """Draw some images in the browser, and compare the saved masks with the simulation pixel by pixel."""
    for number in range(most):
        path = hand.ready()
        way = WAYS[number % len(WAYS)]
        _, took = replay(hand, drawn[path][way].gestures, keys_of(campaign.classes))
        saved = campaign.masks.load(str(campaign.labels()[path]))
        figures = next(one for one in rows if (one["image"], one["way"]) == (path, way))
        figures["page_seconds"] = round(took, 1)
        figures["differing_pixels"] = int((saved != drawn[path][way].mask).sum())


def report(rows: list[dict[str, Any]], command: str) -> str:
    """Return the figures as a Markdown table: medians over the images."""
    images = len({one["image"] for one in rows})
    alone = statistics.median(one["prediction"] for one in rows)
    what = f"Median over {images} images (with quartiles of the seconds), to {AGREEMENT:.0%} agreement."
    lines = [
        f"`{command}` on {machine(('minimax-al', 'numpy', 'scikit-image', 'playwright'))}",
        "",
        f"{what} The prediction alone agrees on {alone:.1%}.",
        "",
        "| way | steps | clicks | modelled seconds | reached |",
        "|---|---:|---:|---:|---:|",
    ]
    for way in WAYS:
        own = [one for one in rows if one["way"] == way]
        low, middle, high = statistics.quantiles([one["seconds"] for one in own], n=4)
        steps, clicks = (statistics.median(one[name] for one in own) for name in ("steps", "clicks"))
        reached = sum(one["agreement"] >= AGREEMENT for one in own)
        lines.append(
            f"| {way} | {steps:g} | {clicks:g} | {middle:.0f} ({low:.0f} to {high:.0f}) | {reached} of {len(own)} |"
        )
    replayed = [one for one in rows if "page_seconds" in one]
    if replayed:
        each = statistics.median(1000 * one["page_seconds"] / max(1, one["clicks"]) for one in replayed)
        differing = sum(one["differing_pixels"] for one in replayed)
        lines.append("")
        lines.append(
            f"{len(replayed)} drawings were repeated in Chromium: {differing} pixels differ from the simulation; "
            f"page and script took {each:.0f} ms per click, saving included."
        )
    return "\n".join([*lines, "", (__doc__ or "").split("\n\n")[3].replace("\n", " "), ""])


def main() -> None:
    """Measure, print and write the table and the figures of every image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--most", type=int, default=20, help="images")
    parser.add_argument("--replay", type=int, default=5, help="drawings that are repeated in the browser")
    parser.add_argument("--name", default="mask-drawing", help="name of the results")
    given = parser.parse_args()
    with Campaign.open(given.campaign) as campaign:
        rows = measure(campaign, given.masks, given.most, given.replay)
    command = f"python benchmarks/mask_drawing.py CAMPAIGN MASKS --most {given.most} --replay {given.replay}"
    text = report(rows, command)
    sys.stdout.write(text)
    (RESULTS / f"{given.name}.md").write_text(text)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
