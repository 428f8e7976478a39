"""Drawing masks on the page by a script: steps and modelled seconds to 95 % pixel agreement.

    python benchmarks/mask_drawing.py CAMPAIGN MASKS [--most 20] [--replay 11] [--name mask-drawing]

CAMPAIGN is a copy of a segmentation campaign with an open round that a model has chosen; MASKS has the true mask of
each image, `NAME.png` for the image `NAME.EXTENSION`, with class numbers. The script knows the truth. It corrects the
largest wrong region first, with one gesture of the page's tools, until 95 % of the pixels that are not void agree. The
ways are compared from nothing (the image is flooded with its most frequent class by one click) and from the model's
prediction:

* polygons: a click on each corner; outlines: the same regions, drawn around without lifting the pointer.
* superpixels, clicked: one click each; dragged: drags that pass through all superpixels of a class, and no others.
* brush: to and fro inside of the region, with the size of the page's slider that paints most per second.
* outline, fill: a thin closed stroke of the brush along the inside of the border, and a flood fill in it.

Ways other than polygons finish what they cannot reach with polygons. The times are models, see `drawing_time`; they
rank ways of working. They are not measured on people, who hesitate, misjudge borders and look again. The first drawings
of each way are repeated in Chromium, which checks that the saved mask has exactly the pixels of the simulation.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from drawing_time import STEER, Gesture, seconds
from drawing_ways import AGREEMENT, TOOLS, Drawing, Mask
from machine import machine
from numpy.typing import NDArray
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.data.decoding.letterbox import in_place
from minimax_al.data.masks.superpixels import REGIONS, find_superpixels
from minimax_al.vocabulary import IGNORED

BROWSER = Path(__file__).parent.parent / "tests" / "web" / "browser"
RESULTS = Path(__file__).parent / "results"
WAYS = (*TOOLS, *(f"prediction, {tool}" for tool in TOOLS[:-1]))
GRAIN = "medium"


def draw(way: str, drawing: Drawing, prediction: Mask, regions: NDArray[np.uint16]) -> None:
    """Bring a drawing to the agreement."""
    if way.startswith("prediction"):
        drawing.accept(prediction)
    else:
        drawing.fill()
    drawing.correct(way.removeprefix("prediction, "), regions)


def replay(
    hand: Any,  # noqa: ANN401 - the tests' annotator
    gestures: list[Gesture],
    class_keys: Callable[[int], list[str]],
) -> tuple[str, float]:
    """Repeat gestures on the page, and save; return the path of the image, and the seconds that the page took."""
    keys = {"fill": "k", "polygon": "p", "superpixel": "x", "brush": "b"}
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
        if gesture.size:
            hand.brush_size(gesture.size)
        (hand.drag(list(gesture.points)) if gesture.is_drag else hand.click(*gesture.points))
        if gesture.closes:
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


def measure(
    campaign: Campaign, masks: Path, most: int, replayed: int, known: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Draw the images of the open round in every way, and repeat some drawings in the browser."""
    picks = [pick for pick in campaign.picks() if pick.answer == "waiting" and campaign.view(pick.item, "prediction")]
    with Image.open(campaign.image(picks[0].item)) as first:
        size = first.size
    rows = []
    with page_of(campaign, size) as (hand, artist):
        hand.ready()
        view = hand.view

        def simulate(path: str, way: str) -> Drawing:
            truth, prediction, regions = read_layers(campaign, path, masks)
            drawing = Drawing(truth, lambda point: view.to_image(view.to_screen(point)), view.scale, artist)
            draw(way, drawing, prediction, regions)
            return drawing

        for pick in picks[:most]:
            for way in WAYS:
                same = [one for one in known if (one["image"], one["way"]) == (pick.path, way)]
                rows += same or [
                    row(pick.path, way, simulate(pick.path, way), read_layers(campaign, pick.path, masks)[1])
                ]
        check(campaign, hand, simulate, replayed, rows)
    return rows


def read_layers(campaign: Campaign, path: str, masks: Path) -> tuple[Mask, Mask, NDArray[np.uint16]]:
    """Return truth, prediction and superpixels of an image."""
    truth = np.asarray(Image.open(masks / f"{Path(path).stem}.png")).copy()
    truth[truth >= len(campaign.classes)] = IGNORED
    with Image.open(campaign.image(path)) as image:
        regions = find_superpixels(image.convert("RGB"), REGIONS[GRAIN])
    with Image.open(str(campaign.view(path, "prediction"))) as stored:
        prediction = in_place(np.asarray(stored), truth.shape, 1.0, IGNORED)
    return truth, prediction, regions


def row(path: str, way: str, drawing: Drawing, prediction: Mask) -> dict[str, Any]:
    """Return the figures of one drawing."""
    counted = drawing.truth != IGNORED
    return {
        "image": path,
        "way": way,
        "steps": len(drawing.gestures),
        "presses": sum(1 if gesture.is_drag else len(gesture.points) for gesture in drawing.gestures),
        "klm": round(seconds(drawing.gestures, drawing.scale), 1),
        "fitts": round(seconds(drawing.gestures, drawing.scale, "FITTS"), 1),
        "fitts_half": round(seconds(drawing.gestures, drawing.scale, "FITTS", STEER / 2), 1),
        "fitts_twice": round(seconds(drawing.gestures, drawing.scale, "FITTS", STEER * 2), 1),
        "agreement": round(drawing.agreement, 4),
        "prediction": round(float((prediction[counted] == drawing.truth[counted]).mean()), 4),
    }


def check(
    campaign: Campaign,
    hand: Any,  # noqa: ANN401 - the tests' annotator
    simulate: Callable[[str, str], Drawing],
    most: int,
    rows: list[dict[str, Any]],
) -> None:
    """Draw some images in the browser, and compare the saved masks with the simulation pixel by pixel."""
    for number in range(most):
        path = hand.ready()
        way = WAYS[number % len(WAYS)]
        drawing = simulate(path, way)
        _, took = replay(hand, drawing.gestures, keys_of(campaign.classes))
        saved = campaign.masks.load(str(campaign.labels()[path]))
        figures = next(one for one in rows if (one["image"], one["way"]) == (path, way))
        figures["page_seconds"] = round(took, 1)
        figures["differing_pixels"] = int((saved != drawing.mask).sum())


def report(rows: list[dict[str, Any]], command: str) -> str:
    """Return the figures as a Markdown table: medians over the images."""
    images = len({one["image"] for one in rows})
    alone = statistics.median(one["prediction"] for one in rows)
    what = (
        f"Median over {images} images, to {AGREEMENT:.0%} agreement; quartiles in brackets. The prediction alone "
        f"agrees on {alone:.1%}. Seconds: pointing by the Keystroke-Level Model, or by Fitts's law; then Fitts's law "
        "with half and with twice the constant of the steering law."
    )
    lines = [
        f"`{command}` on {machine(('minimax-al', 'numpy', 'scikit-image', 'playwright'))}",
        "",
        what,
        "",
        "| way | steps | presses | seconds, KLM | seconds, Fitts | half to twice the steering | reached |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way in WAYS:
        own = [one for one in rows if one["way"] == way]
        steps, presses, half, twice = (
            statistics.median(one[name] for one in own) for name in ("steps", "presses", "fitts_half", "fitts_twice")
        )
        klm, fitts = (quartiles([one[name] for one in own]) for name in ("klm", "fitts"))
        reached = sum(one["agreement"] >= AGREEMENT for one in own)
        lines.append(
            f"| {way} | {steps:g} | {presses:g} | {klm} | {fitts} | {half:.0f} to {twice:.0f} | "
            f"{reached} of {len(own)} |"
        )
    replayed = [one for one in rows if "differing_pixels" in one]
    if replayed:
        differing = sum(one["differing_pixels"] for one in replayed)
        lines += [
            "",
            f"{len(replayed)} drawings were repeated in Chromium: {differing} pixels differ from the simulation.",
        ]
    return "\n".join([*lines, "", *(part for part in (__doc__ or "").split("\n\n")[2:])])


def quartiles(values: list[float]) -> str:
    """Return the median of values with their quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def main() -> None:
    """Measure, print and write the table and the figures of every image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--most", type=int, default=20, help="images")
    parser.add_argument("--replay", type=int, default=11, help="drawings that are repeated in the browser")
    parser.add_argument("--name", default="mask-drawing", help="name of the results")
    parser.add_argument("--resume", action="store_true", help="take the images of the results that are there")
    given = parser.parse_args()
    stored = RESULTS / f"{given.name}.json"
    known = json.loads(stored.read_text()) if given.resume else []
    with Campaign.open(given.campaign) as campaign:
        rows = measure(campaign, given.masks, given.most, given.replay, known)
    command = f"python benchmarks/mask_drawing.py CAMPAIGN MASKS --most {given.most} --replay {given.replay}"
    text = report(rows, command)
    sys.stdout.write(text)
    (RESULTS / f"{given.name}.md").write_text(text)
    stored.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
