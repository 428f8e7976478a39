"""Live labelling under load: how soon suggestions reflect an answer, and whether any answer is lost or doubled.

    python benchmarks/live.py                                # 5 people with pauses, then 20 without, 5,000 labels
    python benchmarks/live.py --images 2000 --answers 100 --labels 600 --name live-small
    python benchmarks/live.py --browser                      # one of the five is a real Chromium

The campaign has generated images and generated features (unit class centres with noise, float16). `mal label` serves
it with its learner; people are HTTP clients on loopback.

* **People**: five annotators answer with a pause each. For every answer, the time until `GET /api/live` shows a state
  that reflects it; with `--browser`, the time from a key to the next painted image.
* **Crowd**: twenty annotators answer without a pause. Then a fresh `Campaign.open` must show that every acknowledged
  answer is in the history once, in each person's order, that no image was leased to two people, and that no image is
  in two open rounds.

Prints a table and writes benchmarks/results/NAME.md. Exits with 1 on any fault.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
from campaign_load import Ledger, Person, Said, Server, check_history
from machine import machine
from PIL import Image
from sqlalchemy import select

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import items, labels, picks, rounds

if TYPE_CHECKING:
    from playwright.sync_api import Page

RESULTS = Path(__file__).parent / "results"
CATCH_UP_SECONDS = 30.0
KEY_SECONDS = 0.8
_ITEMS = select(items.c.id, items.c.path)
WATCH_SECONDS = 0.05


@dataclass
class Seen:
    """What the watcher of `GET /api/live` saw: time, and the last row of the history that suggestions reflect."""

    moments: list[tuple[float, int]] = field(default_factory=list)

    def first(self, row: int) -> float | None:
        """Time at which the state reflected a row; None if it never did."""
        return next((moment for moment, last in self.moments if last >= row), None)


@dataclass
class Outcome:
    """What one case gave.

    Attributes:
        folder: Campaign folder.
        ledger: Record of what was acknowledged.
        crowd: Annotators.
        seen: What the watcher saw.
        painted: Milliseconds from each key to the next image, decoded and drawn, in the browser.
        presented: Milliseconds from a key to the frame after its handlers, of the keys that took 16 or more.
        seconds: Duration.
        cpu: CPU seconds of the server and of the learner.
        pause: Mean pause before an answer, in seconds.
    """

    folder: Path
    ledger: Ledger
    crowd: "list[Annotator]"
    seen: Seen
    painted: list[float] = field(default_factory=list)
    presented: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    pause: float = 0.0


class Annotator(Person):
    """Person who leases a few images at a time and answers with the truth, until told to stop.

    Args:
        name: Name of the annotator.
        server: Server of the page.
        ledger: Record of what was acknowledged.
        truth: Class of each image, by item id.
        stop: Event that ends the work.
        pause: Mean pause before an answer, in seconds.
    """

    def __init__(
        self, name: str, server: Server, ledger: Ledger, *, truth: dict[int, str], stop: threading.Event, pause: float
    ) -> None:
        super().__init__(name, server, ledger)
        self.truth, self.stop, self.pause = truth, stop, pause
        self.sent: list[tuple[float, int]] = []
        self.waited = 0.0
        self._draws = np.random.default_rng(abs(hash(name)) % 2**32)

    def run(self) -> None:
        """Work; an error is a fault."""
        try:
            with self.client:
                while not self.stop.is_set():
                    self._work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed
            self.ledger.faults.append(f"{self.name} had to stop: {type(error).__name__}: {error}")

    def _work(self) -> None:
        begin = time.perf_counter()
        given = self._ask("lease", count=6)["picks"]
        if not given:
            self.stop.wait(0.1)
            self.waited += time.perf_counter() - begin
            return
        items = [pick["item"] for pick in given]
        self.ledger.take(self.name, items)
        for item in items[: 6 if self.pause == 0 else 3]:  # a page asks for more before it has none
            if self.stop.is_set():
                return
            if self.pause:
                self.stop.wait(float(self._draws.uniform(0.5, 1.5)) * self.pause)
            self._look_at(item)
            self.ledger.give(item)
            self.sent.append((time.perf_counter(), item))
            self._ask("label", items=[item], class_name=self.truth[item])
            self.ledger.note(Said(self.name, item, "label", self.truth[item]))
            self.done += 1


@contextmanager
def watched(server: Server, stop: threading.Event) -> Iterator[Seen]:
    """Watch the live state inside the block."""
    seen = Seen()

    def watch() -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not stop.is_set():
                state = client.get(server.page() + "api/live").json()["state"]
                seen.moments.append((time.perf_counter(), 0 if state is None else state["last_label"]))
                stop.wait(WATCH_SECONDS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def cpu_seconds(server: Server) -> dict[str, float]:
    """CPU seconds of the server and of its learner so far; empty where the system does not tell."""
    tick = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    found = {"server": 0.0, "learner": 0.0}
    parent = server._process.pid if server._process is not None else 0  # noqa: SLF001 - our own class
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds = (int(fields[11]) + int(fields[12])) / tick
        if int(stat.parent.name) == parent:
            found["server"] += seconds
        elif int(fields[1]) == parent:
            found["learner"] += seconds
    return found


def run(
    folder: Path,
    truth: dict[int, str],
    people: int,
    answers: int,
    pause: float,
    *,
    minutes: float,
    browser: bool = False,
) -> Outcome:
    """Let people label live until there are enough answers, or the time is over."""
    server, ledger = Server(folder), Ledger(middle=answers)
    server.start()
    stop, over = threading.Event(), threading.Event()
    crowd = [
        Annotator(f"person {n}", server, ledger, truth=truth, stop=stop, pause=pause) for n in range(people - browser)
    ]
    try:
        wait_for_images(server)
        with watched(server, over) as seen:
            outcome = Outcome(folder, ledger, crowd, seen, pause=pause)
            workers: list[threading.Thread] = [*crowd]
            if browser:
                workers.append(threading.Thread(target=look, args=(server, truth, outcome, stop), daemon=True))
            start, before = time.perf_counter(), cpu_seconds(server)
            for worker in workers:
                worker.start()
            while not ledger.half.wait(1.0) and any(person.is_alive() for person in crowd):
                if time.perf_counter() - start > minutes * 60:
                    break
            stop.set()
            for worker in workers:
                worker.join()
            outcome.seconds = time.perf_counter() - start
            outcome.cpu = {name: value - before[name] for name, value in cpu_seconds(server).items()}
            catch_up(server)
        return outcome
    finally:
        server.stop()


def wait_for_images(server: Server) -> None:
    """Wait until the learner has chosen the first images."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        while client.get(server.page() + "api/live").json()["free"] == 0:
            time.sleep(0.2)


def catch_up(server: Server) -> None:
    """Wait until the suggestions reflect all answers."""
    end = time.perf_counter() + CATCH_UP_SECONDS
    with httpx.Client(trust_env=False, timeout=60) as client:
        while client.get(server.page() + "api/live").json()["is_behind"] and time.perf_counter() < end:
            time.sleep(0.1)
    time.sleep(2 * WATCH_SECONDS)


_PAINTED = """
window.painted = [];
window.presented = [];
let key = null; // time of the last key, and the image that it answers
addEventListener("keydown", (event) => { key = { at: event.timeStamp, name: event.key }; }, true);
const image = document.querySelector("#stage .image");
new MutationObserver(async () => {
  const pressed = key;
  key = null;
  if (pressed === null) return;
  const started = image.src;
  await image.decode().catch(() => undefined);
  if (image.src !== started) return;
  await new Promise(requestAnimationFrame); // the frame that draws the decoded image
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => window.painted.push(performance.now() - pressed.at);
  port2.postMessage(null); // a task after that frame's drawing
}).observe(image, { attributes: true, attributeFilter: ["src"] });
new PerformanceObserver((list) => {
  for (const { name, duration } of list.getEntries()) if (name === "keydown") window.presented.push(duration);
}).observe({ type: "event", durationThreshold: 16 });
"""


_KEY_OF = """name =>
  document.querySelector(`#shortcuts button[title="${name}"]`)?.getAttribute("aria-keyshortcuts") ?? null
"""


def look(server: Server, truth: dict[int, str], outcome: Outcome, stop: threading.Event) -> None:
    """Answer in a real browser, and record the time from a key to the next painted image, in milliseconds.

    The key is that of the class, or Enter in the search of classes where it has none.
    """
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "web" / "browser"))
    import people as browsing  # noqa: PLC0415 - needs Playwright
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with Campaign.open(outcome.folder) as campaign:
        classes = list(campaign.classes)
        with campaign.store.reading() as connection:
            ids = {row.path: row.id for row in connection.execute(_ITEMS)}
    with sync_playwright() as playwright, browsing.launch(playwright) as chromium:
        page = chromium.new_page()
        person = browsing.Person(page, "browser", {}, classes)
        person.open(server.page())
        person.shows("single")
        page.evaluate(_PAINTED)
        while not stop.is_set():
            path = person.image()
            page.wait_for_timeout(1000 * KEY_SECONDS)
            press(page, truth[ids[path]])
            page.wait_for_function(browsing.LEFT, arg=path, timeout=60_000)
        person.saved()
        outcome.painted += page.evaluate("window.painted")
        outcome.presented += page.evaluate("window.presented")
        outcome.ledger.faults += [f"the browser reported: {problem}" for problem in person.problems]


def press(page: "Page", class_name: str) -> None:
    """Label the image on the screen by keys."""
    key = page.evaluate(_KEY_OF, class_name)
    if key is not None:
        page.keyboard.press(key)
        return
    page.keyboard.press("/")
    page.keyboard.type(class_name)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # leaves the box, for the digits


def latencies(outcome: Outcome) -> list[float]:
    """Return seconds from the sending of each answer until the published state reflected it."""
    with Campaign.open(outcome.folder) as campaign, campaign.store.reading() as connection:
        rows = connection.execute(select(labels.c.author, labels.c.item_id, labels.c.id).order_by(labels.c.id)).all()
    row_of = {(row.author, row.item_id): row.id for row in rows}
    found = []
    for person in outcome.crowd:
        for sent, item in person.sent:
            moment = outcome.seen.first(row_of[person.name, item]) if (person.name, item) in row_of else None
            if moment is not None:
                found.append(moment - sent)
    return found


def faults_of(folder: Path, ledger: Ledger, *, browser: bool) -> list[str]:
    """Return what was lost, doubled or mixed up."""
    with Campaign.open(folder) as campaign:
        faults = [*ledger.faults]
        if not browser:  # its answers are in no ledger
            faults += check_history(campaign, ledger)
        with campaign.store.reading() as connection:
            opened = select(picks.c.item_id).join(rounds, rounds.c.id == picks.c.round_id)
            held = Counter(connection.scalars(opened.where(rounds.c.closed_at.is_(None))))
            answered = Counter(connection.scalars(select(labels.c.item_id).where(labels.c.kind == "label")))
        faults += [f"image {item} is in {count} open rounds" for item, count in held.items() if count > 1]
        faults += [f"image {item} was answered {count} times" for item, count in answered.items() if count > 1]
    return faults


def make_campaign(root: Path, images: int, width: int, classes: int) -> Path:
    """Create a campaign of generated images on generated features; return its folder."""
    draws = np.random.default_rng(0)
    names = [f"{number:06d}.jpg" for number in range(images)]
    (root / "images").mkdir(parents=True)
    for name in names:
        pixels = Image.fromarray(draws.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        pixels.resize((256, 256), Image.Resampling.BICUBIC).save(root / "images" / name, quality=85)
    centres = np.abs(draws.normal(size=(classes, width))).astype(np.float32)
    vectors = np.abs(centres[np.arange(images) % classes] + 2 * draws.normal(size=(images, width)).astype(np.float32))
    np.save(root / "vectors.npy", vectors.astype(np.float32))
    (root / "vectors.txt").write_text("\n".join(names))
    folder = root / "campaign"
    Campaign.create(
        folder,
        root / "images",
        [f"class {number:02d}" for number in range(classes)],
        recipe="features",
        features=str(root / "vectors.npy"),
        near_duplicates="off",
    ).close()
    return folder


def truth_of(folder: Path, classes: int) -> dict[int, str]:
    """Return the class of each image, by item id."""
    with Campaign.open(folder) as campaign, campaign.store.reading() as connection:
        return {row.id: f"class {int(row.path[:6]) % classes:02d}" for row in connection.execute(_ITEMS)}


def quantiles(values: Sequence[float], unit: float = 1.0) -> str:
    """Return median, 90th and 99th percentile as cells of a table."""
    if len(values) < 2:
        return " | | "
    cuts = statistics.quantiles([value / unit for value in values], n=100)
    return f"{cuts[49]:.2f} | {cuts[89]:.2f} | {cuts[98]:.2f}"


def table(rows: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield "| | number | median | 90 % | 99 % |"
    yield "|---|---:|---:|---:|---:|"
    for name, count, cells in rows:
        yield f"| {name} | {count:,} | {cells} |"


def main() -> int:
    """Run both cases; return 1 if a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--answers", type=int, default=300, help="answers of the people with pauses")
    parser.add_argument("--pause", type=float, default=1.5, help="mean pause before an answer, in seconds")
    parser.add_argument("--crowd", type=int, default=20)
    parser.add_argument("--labels", type=int, default=5000, help="answers of the crowd; 0 leaves it out")
    parser.add_argument("--browser", action="store_true", help="one of the people is a Chromium")
    parser.add_argument("--minutes", type=float, default=60.0, help="longest duration of either case")
    parser.add_argument("--name", default="live")
    words = parser.parse_args()
    lines, faults = measure(words)
    text = f"`python benchmarks/live.py {' '.join(sys.argv[1:])}`, {machine(['minimax-al', 'torch', 'fastapi'])}\n\n"
    text += "\n".join(lines) + "\n"
    print(text)  # noqa: T201
    print("\n".join(faults) or "no fault: every acknowledged answer is there once, no image was leased twice")  # noqa: T201
    (RESULTS / f"{words.name}.md").write_text(text)
    return 1 if faults else 0


def measure(words: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the lines of the result, and the faults."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="live-") as root:
        template = make_campaign(Path(root) / "made", words.images, words.width, words.classes)
        truth = truth_of(template, words.classes)
        lines = [f"{words.images:,} images × {words.width:,} features, {words.classes} classes.", ""]
        cases = [(words.people, words.answers, words.pause, words.browser), (words.crowd, words.labels, 0.0, False)]
        for people, answers, pause, browser in cases:
            if answers == 0:
                continue
            folder = Path(shutil.copytree(template, Path(root) / f"run {people}"))
            outcome = run(folder, truth, people, answers, pause, minutes=words.minutes, browser=browser)
            faults += faults_of(folder, outcome.ledger, browser=browser)
            lines += report(outcome)
            print("\n".join(lines), flush=True)  # noqa: T201
    return lines, faults


def report(outcome: Outcome) -> list[str]:
    """Return the lines of one case."""
    found, times = latencies(outcome), outcome.ledger.times
    count = sum(map(len, outcome.ledger.said.values())) + len(outcome.painted)
    waited = sum(person.waited for person in outcome.crowd)
    cpu = ", ".join(f"{name} {value:.0f}" for name, value in outcome.cpu.items())
    how = f"a pause of {outcome.pause:g} s each" if outcome.pause else "no pause"
    with Campaign.open(outcome.folder) as campaign:
        model = campaign.status().model
    last = "no model" if model is None else f"last measured model: {model.labels:,} labels, {model.score or 0:.1%}"
    rows = [("seconds from an answer to suggestions that reflect it", len(found), quantiles(found))]
    rows += [(f"{route}, ms", len(times[route]), quantiles(times[route], 1e-3)) for route in sorted(times)]
    if outcome.painted:
        rows.append(("key to painted image, ms", len(outcome.painted), quantiles(outcome.painted)))
        rows.append(("key to next frame where 16 ms or more, ms", len(outcome.presented), quantiles(outcome.presented)))
    summary = (
        f"**{len(outcome.crowd) + bool(outcome.painted)} people, {how}**: {count:,} answers in {outcome.seconds:.0f} s "
        f"({count / outcome.seconds:.1f} a second); {waited:.0f} person-seconds without an image; CPU seconds: {cpu}; "
        f"{last}."
    )
    return [summary, "", *table(rows), ""]


if __name__ == "__main__":
    sys.exit(main())
