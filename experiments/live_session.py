"""Live session of one scripted annotator: from an empty campaign to some hundred labels, beside random draws.

    python experiments/live_session.py TRAIN TEST --labels 300 --out experiments/live-caltech101

TRAIN and TEST are folders of class folders; the campaign sees the images of TRAIN without their classes. A real
Chromium answers with the truth, `--pause` seconds after an image is on the
screen. Written to OUT:

* `session.json`: seconds of waiting for an image, in all and the longest; seconds until the first image.
* `accuracy.csv`: accuracy on TEST of the campaign's head on the first n labels of the session, beside as many labels
  drawn at random (mean and standard deviation of five draws). Every model is fitted anew, as `mal train` does.
* screenshots, with `--shots FOLDER`.
"""

import argparse
import csv
import json
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minimax_al.campaign import Campaign
from minimax_al.campaign.features.pool_features import PoolFeatures
from minimax_al.campaign.features.recipes import load_source, read_recipe
from minimax_al.campaign.rounds.live_state import LiveOptions
from minimax_al.data import UNKNOWN, Dataset, Features
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.loop import ActiveLearner
from minimax_al.training.extraction.extraction import extract_features
from minimax_al.training.extraction.image_files import ImageFile
from minimax_al.web.learner import Learner

BROWSER = Path(__file__).parents[1] / "tests" / "web" / "browser"
DRAWS = 5


@dataclass
class Session:
    """One session.

    Attributes:
        order: Paths of the labelled images, in order.
        waits: Seconds of waiting for each image.
        first: Seconds from the opening of the page to the first image.
        notes: What the panel showed, by number of labels.
    """

    order: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    first: float = 0.0
    notes: dict[int, str] = field(default_factory=dict)


def label(campaign: Campaign, count: int, pause: float, shots: Path | None, batch: int) -> Session:
    """Label live in a real browser."""
    sys.path.insert(0, str(BROWSER))
    import people  # noqa: PLC0415 - needs Playwright
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    session = Session()
    learner = Learner(campaign, LiveOptions(batch, campaign.settings.random_share))
    with (
        people.served(campaign, learner=learner) as address,
        sync_playwright() as playwright,
        people.launch(playwright) as chromium,
    ):
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        person = people.Person(page, "ann", {}, list(campaign.classes))
        begin = time.perf_counter()
        person.open(address)
        page.wait_for_selector("main > [data-phase=single]:not([hidden])", timeout=600_000)
        session.first = time.perf_counter() - begin
        while len(session.order) < count:
            begin = time.perf_counter()
            path = person.image()
            session.waits.append(time.perf_counter() - begin)
            page.wait_for_timeout(1000 * pause)
            answer(page, path.split("/")[0])
            page.wait_for_function(people.LEFT, arg=path, timeout=60_000)
            session.order.append(path)
            note(session, page, shots)
        person.saved()
        assert not person.problems, person.problems
    return session


def answer(page: Any, name: str) -> None:  # noqa: ANN401 - Playwright's page
    """Accept the suggestion if it is right, as an annotator would; else type the class."""
    suggested = page.locator("#suggestion:visible .name")
    if suggested.count() and suggested.first.inner_text().removeprefix("Suggested: ") == name:
        page.locator("body").press("Enter")
        return
    page.focus("#filter")
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def note(session: Session, page: Any, shots: Path | None) -> None:  # noqa: ANN401 - Playwright's page
    """Record what the page shows, every fifty labels."""
    count = len(session.order)
    if count % 50 and count != 20:
        return
    session.notes[count] = " ".join(page.inner_text("#live").split())
    if shots is not None:
        page.screenshot(path=shots / f"{count:03d}.png")


def measured(campaign: Campaign, test: Path, order: Sequence[str], counts: Sequence[int]) -> list[dict[str, float]]:
    """Return the accuracy on the test images after each number of labels, beside random draws."""
    store = PoolFeatures(campaign.context).store
    assert store is not None
    with campaign.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT path, content_hash FROM items WHERE status = 'active'").all()
    paths = [row[0] for row in rows]
    pool = store.features([row[1] for row in rows], paths)
    classes = campaign.classes
    targets = torch.tensor([classes.index(path.split("/")[0]) for path in paths])
    held, held_targets = described(campaign, test)
    place = {path: position for position, path in enumerate(paths)}
    session = torch.tensor([place[path] for path in order])
    found = []
    for count in counts:
        drawn = [np.random.default_rng([seed, 7]).permutation(len(paths))[:count] for seed in range(DRAWS)]
        at_random = [fitted(campaign, pool, targets, held, held_targets, torch.from_numpy(one.copy())) for one in drawn]
        live = fitted(campaign, pool, targets, held, held_targets, session[:count])
        found.append(
            {
                "labels": count,
                "live": round(live, 4),
                "random_mean": round(float(np.mean(at_random)), 4),
                "random_std": round(float(np.std(at_random, ddof=1)), 4),
            }
        )
    return found


def fitted(  # noqa: PLR0917 - pool, test set and labels
    campaign: Campaign,
    pool: Features,
    targets: torch.Tensor,
    held: Features,
    held_targets: torch.Tensor,
    labelled: torch.Tensor,
) -> float:
    """Return the test accuracy of the campaign's head on some labels."""
    unknown = torch.full((len(pool),), UNKNOWN)
    dataset = Dataset("session", "classification", campaign.classes, pool, unknown, held, held_targets)
    learner = ActiveLearner(dataset, "cluster_margin", read_recipe(campaign.settings), seed=campaign.settings.seed)
    learner.teach(labelled, targets[labelled])
    learner.fit()
    accuracy: float = learner.evaluate().metrics["accuracy"]
    return accuracy


def described(campaign: Campaign, test: Path) -> tuple[Features, torch.Tensor]:
    """Return features and classes of the test images, by the campaign's encoder."""
    source = campaign.settings.features
    assert source is not None
    files = sorted(path for path in test.rglob("*") if path.is_file())
    images = [ImageFile(path, path.relative_to(test).as_posix(), f"{number:064x}") for number, path in enumerate(files)]
    with tempfile.TemporaryDirectory() as folder:
        store: FeatureStore = extract_features(images, Path(folder), load_source(source)).store
        kept = store.features([image[2] for image in images], [image[1] for image in images])
        vectors = kept[torch.arange(len(kept))]
    targets = [campaign.classes.index(path.relative_to(test).parts[0]) for path in files]
    return Features(vectors), torch.tensor(targets)


def main() -> None:
    """Run the session from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds before each answer")
    parser.add_argument("--encoder", default="timm:tf_efficientnet_lite0")
    parser.add_argument("--input-size", type=int, default=160)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shots", type=Path)
    words = parser.parse_args()
    logging.getLogger("minimax_al.training.fits.fits").setLevel(logging.ERROR)
    classes = sorted(path.name for path in words.train.iterdir())
    for folder in (words.out, words.shots):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="session-") as root:
        features = {"encoder": words.encoder, "input_size": words.input_size}
        made = Campaign.create(Path(root) / "campaign", words.train, classes, features=features, near_duplicates="off")
        with made as campaign:
            session = label(campaign, words.labels, words.pause, words.shots, words.batch)
            model = campaign.status().model
            counts = [n for n in (20, 50, 100, 150, 200, 250, 300, 400, 500) if n <= words.labels]
            rows = measured(campaign, words.test, session.order, counts)
    result = {
        "command": "python experiments/live_session.py TRAIN TEST " + " ".join(sys.argv[3:]),
        "seconds_to_first_image": round(session.first, 1),
        "seconds_waiting": round(sum(session.waits), 1),
        "longest_wait": round(max(session.waits), 2),
        "waits_over_a_second": sum(wait > 1 for wait in session.waits),
        "pause": words.pause,
        "panel": session.notes,
        "cross_validated": None if model is None else {"labels": model.labels, "score": model.score},
    }
    (words.out / "session.json").write_text(json.dumps(result, indent=2) + "\n")
    with (words.out / "accuracy.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(json.dumps(result, indent=2), *rows, sep="\n")  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
