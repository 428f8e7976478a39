"""A segmentation campaign labelled on the page alone: new, draw, train, correct predictions, package; with screenshots.

    python tests/web/browser/mask_session.py IMAGES MASKS CLASSES.txt --shots shots [--first 10] [--second 5]

MASKS has a PNG of class numbers for each image, `NAME.png`; the scripted annotator draws it by superpixels and
polygons, until 95 % of its pixels agree (see benchmarks/mask_drawing.py, which explains what such an annotator is).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE.parents[2] / "benchmarks")]

import artist  # noqa: E402
from mask_drawing import GRAIN, Drawing, draw, keys_of, replay  # noqa: E402
from people import Person, launch, served  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from minimax_al.campaign import Campaign  # noqa: E402
from minimax_al.data.decoding.letterbox import in_place  # noqa: E402
from minimax_al.data.masks.superpixels import REGIONS, find_superpixels  # noqa: E402

LIGHT = ("stored_size=64", "recipe.task.epochs=3", "recipe.task.steps_per_epoch=10")
JOB = 1_500_000  # milliseconds that a training may take on a busy machine


def draw_shown(campaign, hand, masks, way):
    """Draws the image on the page; returns its path, the share of right pixels, and the number of steps."""
    path = hand.ready()
    truth = np.array(Image.open(masks / f"{Path(path).stem}.png"))
    truth[truth >= len(campaign.classes)] = artist.VOID
    with Image.open(campaign.images / path) as image:
        regions = find_superpixels(image.convert("RGB"), REGIONS[GRAIN])
        size = image.size
    view = campaign.view(path, "prediction")
    prediction = None if view is None else in_place(np.asarray(Image.open(view)), size[::-1], 1.0, artist.VOID)
    drawing = Drawing(truth, lambda point: hand.view.to_image(hand.view.to_screen(point)), hand.view.scale, artist)
    draw(way, drawing, prediction, regions)
    replay(hand, drawing.gestures, keys_of(campaign.classes))
    saved = campaign.masks.load(campaign.labels()[path])
    assert (saved == drawing.mask).all()
    return path, round(drawing.agreement, 4), len(drawing.gestures)


def run(folder, images, masks, names, *, shots, first, second):
    """The whole session; returns its figures."""
    figures = {}
    mal = [str(Path(sys.executable).parent / "mal")]
    new = ["new", str(folder), "--images", str(images), "--classes", *names, "--task", "segmentation"]
    subprocess.run([*mal, *new, "--recipe", "scratch-small", "--strategy", "entropy"], check=True)
    subprocess.run([*mal, "configure", str(folder), *LIGHT], check=True)
    with (
        Campaign.open(folder) as campaign,
        served(campaign) as address,
        sync_playwright() as playwright,
        launch(playwright) as browser,
    ):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(120_000)
        person = Person(page, "ann", {}, names)

        def shot(name):
            page.screenshot(path=shots / f"{name}.png")

        person.open(address)
        person.shows("start")
        shot("01-start")
        page.fill("#start-budget", str(first))
        page.keyboard.press("Enter")
        person.shows("single", timeout=120_000)
        with Image.open(campaign.images / campaign.picks()[0].path) as image:
            hand = artist.Artist(person, image.size)
        hand.ready()
        shot("02-empty")
        figures["from nothing"] = []
        for number in range(first):
            figures["from nothing"].append(draw_shown(campaign, hand, masks, "superpixels, dragged"))
            page.keyboard.press("Backspace") if number == 0 else None
            if number == 0:  # back to the drawn image, to look at it
                page.wait_for_function(
                    "path => document.getElementById('file').title === path", arg=figures["from nothing"][0][0]
                )
                hand.ready()
                page.wait_for_timeout(400)
                shot("03-drawn")
                hand.save()
        person.shows("done")
        shot("04-done")
        start = time.perf_counter()
        page.fill("#done-budget", str(second))
        page.click("#done-query")
        page.wait_for_selector("main > [data-phase=single]:not([hidden]), #warnings > *", timeout=JOB)
        assert not page.inner_text("#warnings")
        figures["training and choosing, seconds"] = round(time.perf_counter() - start, 1)
        hand.ready()
        page.wait_for_selector("#draw-accept:enabled")
        shot("05-prediction")
        page.keyboard.press("t")
        page.wait_for_timeout(300)
        shot("06-uncertainty")
        page.keyboard.press("t")
        figures["from the prediction"] = [
            draw_shown(campaign, hand, masks, "prediction, outlines") for _ in range(second)
        ]
        person.shows("done")
        page.keyboard.press("l")
        person.shows("review")
        page.wait_for_timeout(500)
        shot("07-review")
        page.keyboard.press("l")
        page.click("#train")
        page.wait_for_selector("#job", state="visible")
        person.job_ends(JOB / 1000)
        page.wait_for_timeout(500)
        shot("08-trained")
        assert person.problems == []
        figures["labels"] = len(campaign.labels())
    subprocess.run([*mal, "package", str(folder), str(folder.parent / "package")], check=True)
    figures["package"] = sorted(path.name for path in (folder.parent / "package").iterdir())
    return figures


def main():
    """Runs the session and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("classes", type=Path, help="names of the classes, one a line")
    parser.add_argument("--shots", type=Path, required=True, help="folder for screenshots")
    parser.add_argument("--first", type=int, default=10, help="images that are drawn from nothing")
    parser.add_argument("--second", type=int, default=5, help="images whose predictions are corrected")
    given = parser.parse_args()
    given.shots.mkdir(parents=True, exist_ok=True)
    names = given.classes.read_text().split()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "campaign"
        figures = run(
            place, given.images, given.masks, names, shots=given.shots, first=given.first, second=given.second
        )
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
