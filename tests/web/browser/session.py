"""People at the labelling page: a scripted session in a real Chromium, checked against the campaign on the disk.

    python tests/web/browser/session.py --shots shots                          # drawn images
    python tests/web/browser/session.py --shots shots --images PATH_TO_CLASS_FOLDERS --classes 10 --each 40

Needs Playwright's Python package and a Chromium or Chrome of the system (or its path in `CHROMIUM`).
"""

import argparse
import csv
import json
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from people import BACK, CLASS_KEYS, EPOCH_OR_END, LEFT, PATIENCE, SAYS, SINGLE, Person, launch, served
from playwright.sync_api import Browser, sync_playwright
from shown import copy_flat, draw_images

from minimax_al.campaign import Campaign

JOB_PATIENCE = 600_000  # milliseconds
FILES = re.compile(r"/(images|thumbnails)/\d+$")
LIGHT = {
    "encoder": "conv4",
    "width": 16,
    "augmentation": {"flip": True, "crop": 48},
    "minimax": {"epochs": 8, "steps_per_epoch": 8, "batch_size": 16},
    "task": {"epochs": 20, "batch_size": 16, "schedule": "cosine"},
    "missing_classes": "warn",
}
"""A recipe that one core trains in a minute."""


@dataclass
class Session:
    """One session: a campaign on the disk, its server, two people, and a folder for screenshots."""

    folder: Path
    address: str
    ann: Person
    bob: Person
    shots: Path | None
    figures: dict[str, float] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)  # paths that go to the other annotator too

    def shot(self, name: str, person: Person | None = None) -> None:
        """Keeps what somebody sees."""
        if self.shots is not None:
            (person or self.ann).page.screenshot(path=self.shots / f"{name}.png")

    def disk(self) -> Campaign:
        """The campaign as anybody else would open it."""
        return Campaign.open(self.folder)

    def labels(self) -> dict[str, str | None]:
        """The labels that the disk has."""
        with self.disk() as campaign:
            return campaign.labels()


def first_round(session: Session, budget: int) -> None:
    """Start the first round of a campaign without labels from the page."""
    ann, bob = session.ann, session.bob
    ann.open(session.address)
    ann.shows("start")
    session.shot("01-start")
    ann.page.fill("#start-budget", str(budget))
    ann.page.keyboard.press("Enter")
    ann.shows("single", timeout=3 * PATIENCE)
    bob.open(session.address)
    bob.shows("single")
    with session.disk() as campaign:
        assert campaign.round().picks == budget
        holders = {pick.path: pick.lease_holder for pick in campaign.picks()}
    assert holders[ann.image()] == "ann"
    assert holders[bob.image()] == "bob"
    session.shot("02-single")


def second_thoughts(session: Session) -> None:
    """Skip, unsure, undo and undo again."""
    ann = session.ann
    skipped, unsure = ann.press("s"), ann.press("u")
    wrong = ann.image()
    ann.press(CLASS_KEYS[(ann.classes.index(ann.truth[wrong]) + 1) % len(ann.classes)])
    ann.page.keyboard.press("z")
    ann.page.wait_for_function(BACK, arg=wrong)
    ann.page.keyboard.press("Backspace")
    ann.page.wait_for_function(BACK, arg=unsure)
    ann.saved()
    with session.disk() as campaign:
        answers = {pick.path: pick.answer for pick in campaign.picks()}
        assert campaign.pick(wrong).class_name is None
    assert (answers[skipped], answers[unsure], answers[wrong]) == ("skip", "waiting", "waiting")
    assert ann.press("u") == unsure
    session.unsure.add(unsure)
    assert ann.press(ann.key_of(wrong)) == wrong
    ann.saved()
    assert session.labels()[wrong] == ann.truth[wrong]


def no_image(session: Session) -> None:
    """An image that does not come cannot be labelled, but skipped."""
    page = session.ann.page
    page.route(FILES, lambda route: route.fulfill(body="no image"))
    page.reload()
    session.ann.shows("single")
    page.wait_for_selector(".stage-message:not(:empty)")
    page.wait_for_selector("#stage.ready")
    path = page.get_attribute("#file", "title")
    page.keyboard.press("1")
    assert "not loaded yet" in page.inner_text("#said")
    page.keyboard.press("s")
    page.wait_for_function(LEFT, arg=path)
    session.ann.saved()
    assert next(pick.answer for pick in picks(session) if pick.path == path) == "skip"
    page.unroute(FILES)
    page.reload()
    session.ann.shows("single")
    page.keyboard.press("z")
    page.wait_for_function(BACK, arg=path)


def both_label(session: Session, turns: int) -> None:
    """Two people label at once and never see one image, unless one of them was unsure."""
    ann, bob = session.ann, session.bob
    for _ in range(turns):
        ann.label(1)
        bob.label(1)
    assert set(ann.seen) & set(bob.seen) <= session.unsure


def lost_network(session: Session) -> None:
    """Answers without a network are shown as such, and outlive even the page."""
    ann = session.ann
    ann.saved()
    context = ann.page.context
    context.set_offline(True)
    said = [ann.press(ann.key_of(ann.image())) for _ in range(2)]
    ann.page.wait_for_selector("#save-state[data-stage=offline]")
    assert "2 answers are kept in this browser" in ann.page.inner_text("#trouble")
    session.shot("03-offline")
    assert not set(said) & set(session.labels())
    ann.page.close(run_before_unload=False)
    context.set_offline(False)
    ann.page = context.new_page()
    ann.open(session.address)
    ann.page.wait_for_function("() => document.querySelectorAll('#author[open]').length === 0")
    wait_for(lambda: set(said) <= set(session.labels()))
    ann.shows("single")
    assert ann.image() not in said


def grid(session: Session) -> None:
    """Selected images get one label with one key."""
    ann = session.ann
    ann.page.keyboard.press("g")
    ann.shows("grid")
    tiles = ann.page.locator("#grid-tiles .tile")
    paths = [tiles.nth(place).get_attribute("title") or "" for place in range(tiles.count())]
    name = ann.truth[paths[0]]
    same = [path for path in paths if ann.truth[path] == name]
    for path in same:
        ann.page.locator(f'#grid-tiles .tile[title="{path}"]').click()
    session.shot("04-grid")
    ann.page.keyboard.press(ann.key_of(same[0]))
    ann.saved()
    labels = session.labels()
    assert all(labels[path] == name for path in same)
    ann.page.keyboard.press("g")
    ann.shows("single")


def finish_round(session: Session) -> None:
    """Both label until nothing waits; the rate is ann's alone."""
    ann, bob = session.ann, session.bob
    bob.page.close()  # gives back what he held
    wait_for(lambda: all(pick.lease_holder != "bob" for pick in picks(session)))
    with session.disk() as campaign:
        left = campaign.round().waiting
    seconds = ann.label(left)
    if left:
        session.figures["labels per minute"] = round(60 * left / seconds, 1)
    ann.shows("done")
    ann.saved()
    session.shot("05-done")
    with session.disk() as campaign:
        assert campaign.round().waiting == 0
        labels = campaign.labels()
    assert all(labels[path] == ann.truth[path] for path in labels)
    assert set(ann.seen) & set(bob.seen) <= session.unsure


def next_round(session: Session, budget: int, *, train: bool) -> None:
    """Trains and chooses again, from the page."""
    ann, bob = session.ann, session.bob
    start = time.perf_counter()
    if train:
        ann.page.click("#done-train")
        ann.page.wait_for_selector("#job", state="visible", timeout=PATIENCE)
        ann.page.wait_for_function(EPOCH_OR_END, timeout=600_000)
        session.shot("06-training")
        ann.job_ends()
        session.figures["training, seconds"] = round(time.perf_counter() - start, 1)
        ann.page.wait_for_selector("#score-number:has-text('%')", timeout=PATIENCE)
    ann.page.fill("#budget", str(budget))
    ann.page.click("#query")
    ann.page.wait_for_selector(f"{SINGLE}, #warnings > *", timeout=JOB_PATIENCE)
    assert not ann.page.inner_text("#warnings")
    session.figures["training and choosing, seconds"] = round(time.perf_counter() - start, 1)
    bob.page = bob.page.context.new_page()
    bob.open(session.address)
    bob.shows("single")
    with session.disk() as campaign:
        state = campaign.round()
        first = campaign.pick(ann.image())
        assert (state.number, state.picks) == (2, budget)
        assert not train or campaign.status().model is not None
    if first.suggestion is not None:
        assert first.suggestion in ann.page.inner_text("#suggestion")
        ann.page.keyboard.press("h")
        assert not ann.page.is_visible("#suggestion")
        ann.page.keyboard.press("h")
    session.shot("07-second-round")
    ann.seen.clear()
    bob.seen.clear()
    confirmed = ann.press("Enter") if first.suggestion is not None else None
    both_label(session, 1)
    ann.saved()
    bob.saved()
    if confirmed is not None:
        assert session.labels()[confirmed] == first.suggestion


def look_over(session: Session) -> None:
    """An earlier answer is changed, taken back, and changed again."""
    ann = session.ann
    ann.page.keyboard.press("l")
    ann.shows("review")
    tile = ann.page.locator("#review-tiles .tile").first
    tile.click()
    path = tile.get_attribute("title") or ""
    before = session.labels()[path]
    other = next(name for name in ann.classes if name != before)
    key = CLASS_KEYS[ann.classes.index(other)]
    page = ann.page
    page.route("**/api/undo", lambda route: (route.fetch(), route.fulfill(body="its answer is lost")), times=1)
    for keys, expected in ((key, other), ("z", before), (key, other)):
        ann.page.keyboard.press(keys)
        ann.page.wait_for_function(SAYS, arg=[tile.element_handle(), expected])
        ann.saved()
        assert session.labels()[path] == expected
    session.shot("08-look-over")
    ann.page.keyboard.press("l")
    ann.shows("single")


def export(session: Session) -> None:
    """The file has the labels that the disk has."""
    with session.ann.page.expect_download() as download:
        session.ann.page.click("#exports a >> text=CSV")
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        exported = {row["path"]: row["label"] for row in csv.DictReader(file) if row["label"]}
    assert exported == session.labels()


def looks(session: Session) -> None:
    """Help, dark, phone: for people to look at; nothing sticks out of a phone."""
    page = session.ann.page
    page.keyboard.press("?")
    session.shot("09-help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    page.emulate_media(color_scheme="dark")
    session.shot("10-dark")
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size({"width": 360, "height": 740})
    for key, name in (("g", "grid"), ("l", "look-over"), ("l", "single")):
        page.keyboard.press(key)
        session.ann.shows({"look-over": "review"}.get(name, name))
        session.shot(f"11-phone-{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#panel-open")
    page.wait_for_selector("#panel-close", state="visible")
    session.shot("12-phone-panel")
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")


def play(session: Session, budget: int, *, train: bool) -> None:
    """From a folder of images to an exported file."""
    first_round(session, budget)
    second_thoughts(session)
    no_image(session)
    both_label(session, max(1, budget // 10))
    lost_network(session)
    grid(session)
    finish_round(session)
    next_round(session, max(6, budget // 2), train=train)
    look_over(session)
    export(session)
    looks(session)
    for person in (session.ann, session.bob):
        assert person.problems == [], person.problems


def picks(session: Session) -> list[Any]:
    """The picks of the latest round, as the disk has them."""
    with session.disk() as campaign:
        return campaign.picks()


def wait_for(condition: Any, seconds: float = 20) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        threading.Event().wait(0.05)


def run(
    place: Path,
    truth: dict[str, str],
    budget: int,
    browser: Browser,
    *,
    shots: Path | None,
    train: bool,
    **settings: Any,
) -> dict[str, float]:
    """The whole session over the images in `place/images`; returns its figures."""
    classes = sorted(set(truth.values()))
    folder = place / "session"
    with (
        Campaign.create(
            folder, place / "images", classes, recipe=LIGHT, stored_size=64, near_duplicates="off", **settings
        ) as campaign,
        served(campaign) as address,
    ):
        sizes = {"width": 1280, "height": 800}
        people = [
            Person(browser.new_context(viewport=sizes).new_page(), name, truth, classes) for name in ("ann", "bob")
        ]
        session = Session(folder, address, *people, shots)
        try:
            play(session, budget, train=train)
        except BaseException:
            session.shot("failed-ann")
            raise
        session.figures["labels"] = len(session.labels())
        return session.figures


def main() -> None:
    """Runs the session and prints its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--images", type=Path, help="class folders; without, images are drawn")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--each", type=int, default=40, help="images of each class")
    parser.add_argument("--budget", type=int, default=100, help="of the first round")
    parser.add_argument("--strategy", default="mal")
    given = parser.parse_args()
    if given.shots is not None:
        given.shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if given.images is None:
            truth = draw_images(place / "images", given.each)
        else:
            truth = copy_flat(given.images, place / "images", given.classes, given.each)
        with sync_playwright() as playwright, launch(playwright) as browser:
            figures = run(place, truth, given.budget, browser, shots=given.shots, train=True, strategy=given.strategy)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
