"""People who label at the same time, through the real server; then what they were promised is checked.

    python benchmarks/campaign_load.py
    python benchmarks/campaign_load.py --kill
    python benchmarks/campaign_load.py --storage postgresql+psycopg://USER@HOST/DATABASE

Twenty people lease and label 5,000 generated images over HTTP on loopback; now and then one looks at the status,
takes a label back, or says another. With `--kill` the server is killed (SIGKILL) in the middle and started again;
people send again what was not acknowledged. Then a fresh `Campaign.open` must show that

* every acknowledged answer is in the history, in each person's order, and nothing else is;
* every image has the label that follows from the history, and one that was acknowledged;
* no image was ever leased to two people at once.

Prints requests a second, and the median and 99th percentile of every route's time. Exits with 1 on any fault.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from PIL import Image
from sqlalchemy import select, text

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import classes, labels

CLASSES = ("cat", "dog", "fox")
PATIENCE_SECONDS = 60.0
SERVER = "import sys; from minimax_al.cli import main; sys.exit(main())"


class Said(NamedTuple):
    """An answer that the server has acknowledged, or a row of the history."""

    author: str
    item: int
    kind: str
    class_name: str | None


@dataclass
class Ledger:
    """What all people have seen, as they have seen it.

    Attributes:
        middle: how many acknowledged answers are half of the work.
        half: set when there are so many.
        said: every person's acknowledged answers, in order.
        times: seconds of every answered request, by route.
        faults: what was wrong while it went on.
        resent: requests that were sent again.
    """

    middle: int
    half: threading.Event = field(default_factory=threading.Event)
    said: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    resent: int = 0
    _count: int = 0
    _holders: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, author: str, items: Sequence[int]) -> None:
        """Record the images leased to an author; an image that another author holds is a fault."""
        with self._lock:
            for item in items:
                other = self._holders.setdefault(item, author)
                if other != author:
                    self.faults.append(f"image {item} was leased to {author} while {other} had it")

    def note(self, said: Said) -> None:
        """Record an acknowledged answer."""
        with self._lock:
            self.said[said.author].append(said)
            self._count += 1
            if self._count >= self.middle:
                self.half.set()

    def give(self, item: int) -> None:
        """Record that an author is about to release an image; called before the request is sent."""
        with self._lock:
            self._holders.pop(item, None)


class Server:
    """The real server in a process of its own, which can be killed and started again.

    Args:
        folder: of the campaign.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._changed = threading.Condition()
        self._page = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server on a free port, and wait until it has printed the port."""
        words = [sys.executable, "-c", SERVER, "label", str(self.folder), "--port", "0"]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdout is not None
        page = self._process.stdout.readline().split()[-1]
        with self._changed:
            self._page = page
            self._changed.notify_all()

    def kill(self) -> None:
        """Kill the server at once."""
        assert self._process is not None
        with self._changed:
            self._page = ""
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """Asks it to end."""
        assert self._process is not None
        self._process.terminate()
        self._end()

    def page(self) -> str:
        """Its address; waits while it is down."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._page, PATIENCE_SECONDS):
                raise TimeoutError("the server did not come back")
            return self._page

    def _end(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.wait(PATIENCE_SECONDS)
        self._process.stdout.close()


class Person(threading.Thread):
    """Leases images and labels them until none is left.

    Args:
        name: who answers.
        server: where.
        ledger: where everything is noted.
    """

    def __init__(self, name: str, server: Server, ledger: Ledger) -> None:
        super().__init__(name=name, daemon=True)
        self.server, self.ledger = server, ledger
        self.client = httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False)
        self.done = 0

    def run(self) -> None:
        """Works; what stops the work is a fault."""
        try:
            with self.client:
                while picks := self._ask("lease", count=10)["picks"]:
                    items = [pick["item"] for pick in picks]
                    self.ledger.take(self.name, items)
                    for item in items:
                        self._look_at(item)
                        self._answer(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed
            self.ledger.faults.append(f"{self.name} had to stop: {type(error).__name__}: {error}")

    def _look_at(self, item: int) -> None:
        self._send("GET", f"images/{item}", "GET /images")
        if self.done % 5 == 0:
            self._send("GET", f"thumbnails/{item}", "GET /thumbnails")
        if self.done % 20 == 0:
            self._send("GET", "api/status", "GET /api/status")

    def _answer(self, item: int) -> None:
        """One label; sometimes another after it, sometimes after it was taken back."""
        self.done += 1
        first, second = CLASSES[item % 3], CLASSES[(item + 1) % 3]
        self.ledger.give(item)
        self._label(item, first)
        if self.done % 15 == 0:
            self._undo(item)
            self._label(item, second)
        elif self.done % 10 == 0:
            self._label(item, second)

    def _label(self, item: int, class_name: str) -> None:
        self._ask("label", items=[item], class_name=class_name)
        self.ledger.note(Said(self.name, item, "label", class_name))

    def _undo(self, item: int) -> None:
        self._ask("undo", item=item)
        self.ledger.note(Said(self.name, item, "undo", None))

    def _ask(self, route: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        return self._send("POST", f"api/{route}", f"POST /api/{route}", {"author": self.name, **body}).json()

    def _send(self, method: str, path: str, route: str, body: object = None) -> httpx.Response:
        """Repeat a request with one idempotency key until the server answers, as the page does."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        while True:
            page = self.server.page()
            start = time.perf_counter()
            try:
                answer = self.client.request(method, page + path, json=body, headers=headers)
            except httpx.TransportError:
                self.ledger.resent += 1
                time.sleep(0.05)
                continue
            self.ledger.times[route].append(time.perf_counter() - start)
            if answer.is_success:
                return answer
            raise RuntimeError(f"{route} answered {answer.status_code}: {answer.text}")


def work(folder: Path, people: int, images: int, *, kill: bool) -> tuple[Ledger, float]:
    """Lets people label a campaign's open round through a server.

    Args:
        folder: of the campaign.
        people: how many.
        images: in the round.
        kill: whether the server is killed when half of them are labelled.

    Returns:
        What they have seen, and the seconds that it took.
    """
    server, ledger = Server(folder), Ledger(middle=images // 2)
    server.start()
    start = time.perf_counter()
    crowd = [Person(f"person {number}", server, ledger) for number in range(people)]
    try:
        for person in crowd:
            person.start()
        if kill:
            if not ledger.half.wait(20 * PATIENCE_SECONDS):
                ledger.faults.append("half of the work was never done")
            server.kill()
            server.start()
        for person in crowd:
            person.join()
        return ledger, time.perf_counter() - start
    finally:
        server.stop()


def check(campaign: Campaign, ledger: Ledger, images: int) -> list[str]:
    """Return the faults of a campaign after the load: differences between its history and the ledger."""
    history = _history(campaign)
    faults = [*ledger.faults, *check_history(campaign, ledger)]
    paths = {pick.path: pick.item for pick in campaign.picks()}
    follows = _replayed(history)
    holds = {paths[path]: class_name for path, class_name in campaign.labels().items()}
    faults += [f"image {item} has the label {holds.get(item)!r}, but {name!r} follows from the history"
               for item, name in follows.items() if holds.get(item) != name]  # fmt: skip
    if len(holds) != images or campaign.round().waiting:
        faults.append(f"{len(holds)} of {images} images are labelled, and {campaign.round().waiting} wait")
    return faults


def check_history(campaign: Campaign, ledger: Ledger) -> list[str]:
    """Return the differences between the history and the acknowledged answers, author by author."""
    history, faults = _history(campaign), []
    for author in sorted({row.author for row in history} | set(ledger.said)):
        kept, promised = [row for row in history if row.author == author], ledger.said.get(author, [])
        if kept != promised:
            faults.append(
                f"{author} was promised {len(promised)} answers, and the history has {_difference(kept, promised)}"
            )
    return faults


def _history(campaign: Campaign) -> list[Said]:
    rows = select(labels.c.author, labels.c.item_id, labels.c.kind, classes.c.name)
    with campaign.store.reading() as connection:
        return [Said(*row) for row in connection.execute(rows.outerjoin(classes).order_by(labels.c.id))]


def _replayed(history: Sequence[Said]) -> dict[int, str | None]:
    """Return the current label of every image, replayed from the history."""
    standing: dict[int, list[Said]] = defaultdict(list)
    for row in history:
        said = standing[row.item]
        if row.kind == "undo":
            del said[max(place for place, one in enumerate(said) if one.author == row.author)]
        else:
            said.append(row)
    return {item: said[-1].class_name for item, said in standing.items() if said}


def _difference(kept: Sequence[Said], promised: Sequence[Said]) -> str:
    place = next((i for i, pair in enumerate(zip(kept, promised, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"{len(kept)}: {(list(kept) + list(promised))[min(len(kept), len(promised))]} is too many or too few"
    return f"{len(kept)}, the first other one {kept[place]} in place of {promised[place]}"


def make_campaign(root: Path, images: int, storage: str | None) -> Path:
    """Create a campaign over generated images, all in one open round, and return its folder."""
    noise = np.random.default_rng(0)
    for number in range(images):
        path = root / "images" / f"{number // 500:03d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    folder = root / "campaign"
    with Campaign.create(
        folder, root / "images", CLASSES, storage=storage, recipe="scratch", near_duplicates="off", lease_seconds=3600
    ) as campaign:
        campaign.query(images, "random")
    return folder


def run(people: int, images: int, *, kill: bool = False, storage: str | None = None) -> tuple[Ledger, float]:
    """Run the load on a campaign in a temporary folder; the ledger lists the faults."""
    with tempfile.TemporaryDirectory(prefix="campaign-load-") as root:
        folder = make_campaign(Path(root), images, storage)
        ledger, seconds = work(folder, people, images, kill=kill)
        with Campaign.open(folder) as campaign:
            ledger.faults = check(campaign, ledger, images)
            if campaign.store.schema is not None:
                with campaign.store.writing() as connection:
                    connection.execute(text(f'DROP SCHEMA "{campaign.store.schema}" CASCADE'))
    return ledger, seconds


def summary(ledger: Ledger, seconds: float) -> Iterator[str]:
    """Lines of text: requests a second, and the times of every route."""
    requests, answers = sum(map(len, ledger.times.values())), sum(map(len, ledger.said.values()))
    yield (
        f"{requests:,} requests in {seconds:.1f} s: {requests / seconds:.0f} a second, {answers / seconds:.0f} answers "
        f"of people a second; {ledger.resent} sent again"
    )
    yield f"{'route':<20} {'requests':>9} {'p50 ms':>8} {'p99 ms':>8}"
    for route, times in sorted(ledger.times.items()):
        cuts = (
            statistics.quantiles([1000 * time for time in times], n=100) if len(times) > 1 else [1000 * times[0]] * 99
        )
        yield f"{route:<20} {len(times):>9,} {cuts[49]:>8.1f} {cuts[98]:>8.1f}"


def main() -> int:
    """Run the load from the command line; exit with status 1 if a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--labels", type=int, default=5000, help="images to label")
    parser.add_argument("--kill", action="store_true", help="kill the server in the middle")
    parser.add_argument("--storage", help="a PostgreSQL URL; by default a SQLite file")
    words = parser.parse_args()
    ledger, seconds = run(words.people, words.labels, kill=words.kill, storage=words.storage)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    database = "PostgreSQL" if words.storage else f"SQLite {sqlite3.sqlite_version}"
    print(f"{os.cpu_count()} cores{load}; {platform.system()}, Python {platform.python_version()}, {database}")  # noqa: T201
    print(f"{words.people} people, {words.labels:,} images{', server killed once' if words.kill else ''}")  # noqa: T201
    print("\n".join(summary(ledger, seconds)))  # noqa: T201
    print("\n".join(ledger.faults) or "no fault: every acknowledged answer is there once, no image was leased twice")  # noqa: T201
    return 1 if ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
