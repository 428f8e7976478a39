"""Views of many images at full size: neighbours, all labels, maps, and the map's frames in a browser.

    python benchmarks/exploring.py
    python benchmarks/exploring.py --images 100000 --width 1280 --tsne

Neighbours are searched among the images of a store of ReLU-like features in clusters. The labels' view is that of a
campaign with a label on every image. Frames are counted while the view moves, in a headless Chromium whose WebGL runs
in software (SwiftShader), and with the painter for browsers without WebGL, on a usual and on a dense screen; a graphics
card draws them faster. The CPU seconds of a search or view hold on a busy machine, too.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
from machine import machine
from PIL import Image
from playwright.sync_api import sync_playwright
from sqlalchemy import insert

from minimax_al.campaign import Campaign
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.progress.pool_predictions import likeliest_classes, write_pool_predictions
from minimax_al.campaign.progress.runs import finish_run, run_folder, start_run
from minimax_al.campaign.store.schema import items, labels
from minimax_al.data.features.feature_description import FeatureDescription
from minimax_al.data.features.feature_store import FeatureStore
from minimax_al.data.features.feature_writer import open_writer
from minimax_al.exploring.explorer import Explorer
from minimax_al.exploring.label_list import LabelFilter, count_labels, find_labels
from minimax_al.exploring.neighbours import NeighbourIndex
from minimax_al.exploring.projection import compute_map

CLASSES = 100
PACKAGES = ("numpy", "sqlalchemy", "scikit-learn", "openTSNE")
STATIC = Path(__file__).parents[1] / "src/minimax_al/web/static"
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
SCREENS = (
    ("without WebGL", ("--disable-gpu",), (900, 640), 1),
    ("without WebGL", ("--disable-gpu",), (900, 900), 2),
    ("WebGL in software", WEBGL, (900, 640), 1),
)
"""Name, flags of the browser, size of the map in CSS pixels, and pixels of the screen per CSS pixel."""

ACCEPT_SOFTWARE = """() => {
  const own = WebGLRenderingContext.prototype.getParameter;
  WebGLRenderingContext.prototype.getParameter = function (name) {
    return name === 37446 ? "a graphics card" : own.call(this, name); // UNMASKED_RENDERER_WEBGL
  };
}"""
FRAMES = """async ([count, seconds, width, height]) => {
  const { PointMap } = await import('/pointmap.js');
  document.body.innerHTML = `<canvas style="width:${width}px;height:${height}px"></canvas>`;
  const map = new PointMap(document.querySelector('canvas'));
  const points = new Float32Array(2 * count), rgb = new Uint8Array(4 * count);
  let seed = 1;
  const draw = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let index = 0; index < count; index += 1) {
    const [angle, radius] = [6.2832 * Math.floor(100 * draw()) / 100 + 0.1 * draw(), Math.sqrt(draw())];
    points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * index);
    rgb.set([255 * draw(), 255 * draw(), 255 * draw(), index % 3 ? 255 : 0], 4 * index);
  }
  map.setPoints(Int32Array.from({ length: count }, (_, index) => index), points);
  map.setColours(rgb);
  const start = performance.now();
  let frames = 0;
  const paints = [];
  await new Promise((resolve) => {
    const step = () => {
      map.zoom(Math.sin(frames / 9) / 2);
      map.pan(3 * Math.sin(frames / 5), 3);
      const before = performance.now();
      map.paint();
      paints.push(performance.now() - before);
      frames += 1;
      if (performance.now() - start > 1000 * seconds) resolve();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  const wall = (performance.now() - start) / 1000, began = performance.now();
  const inside = map.inside([[100, 100], [800, 100], [800, 600], [100, 600]]).length;
  paints.sort((one, other) => one - other);
  const [painter, paint] = [map.painter.constructor.name, paints[Math.floor(frames / 10)]];
  return { painter, frames: frames / wall, paint, lasso: performance.now() - began, inside };
}"""


def timed(name: str, work: Callable[[], object], turns: int = 5) -> str:
    """Return a row of a table: the fastest wall time and the CPU time of some turns."""
    walls, cpus = [], []
    for _ in range(turns):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return f"| {name} | {min(walls):.3f} | {sorted(walls)[len(walls) // 2]:.3f} | {min(cpus):.3f} |"


def make_store(folder: Path, count: int, width: int) -> FeatureStore:
    """Write clusters of non-negative features, as networks have them."""
    draws = np.random.default_rng(0)
    centres = np.maximum(draws.standard_normal((CLASSES, width), dtype=np.float32), 0)
    with open_writer(folder, FeatureDescription("benchmark", "none", "0" * 64, {"size": 224}, width)) as writer:
        for start in range(0, count, 20_000):
            size = min(20_000, count - start)
            noise = 0.7 * draws.standard_normal((size, width), dtype=np.float32)
            keys = np.zeros((size, 32), np.uint8)
            keys[:, :8] = np.arange(start, start + size, dtype=">u8")[:, None].view(np.uint8)
            writer.append(keys, np.maximum(centres[draws.integers(0, CLASSES, size)] + noise, 0).astype(np.float16))
        return writer.store


def make_campaign(folder: Path, count: int) -> Campaign:
    """Make a campaign whose database has `count` labelled images, and predictions for all of them."""
    images = folder / "images"
    images.mkdir()
    Image.new("RGB", (8, 8), (200, 0, 0)).save(images / "one.png")
    names = [f"class {number:03d}" for number in range(CLASSES)]
    campaign = Campaign.create(folder / "campaign", images, names, recipe="scratch")
    now, draws = datetime.now(UTC), np.random.default_rng(1)
    truth = draws.integers(0, CLASSES, count)
    with campaign.store.writing() as connection:
        ids = list(class_ids(connection).values())
        rows = [
            {
                "id": n + 2,
                "path": f"folder {n % 100:02d}/{n:06d}.jpg",
                "status": "active",
                "content_hash": f"{n:064x}",
                "width": 64,
                "height": 64,
                "size_bytes": 1,
                "modified_ns": 0,
                "added_at": now,
            }
            for n in range(count)
        ]
        connection.execute(insert(items), rows)
        connection.execute(
            insert(labels),
            [
                {
                    "item_id": n + 2,
                    "kind": "label",
                    "class_id": ids[truth[n]],
                    "author": f"author {n % 7}",
                    "at": now,
                    "origin": ("page", "import", "bulk")[n % 3],
                }
                for n in range(count)
            ],
        )
        run = start_run(connection, "random", "benchmark", labels=count, held_out=0, now=now)
        finish_run(connection, run, {"accuracy": 0.9}, now, count)
    probabilities = draws.dirichlet(np.full(CLASSES, 0.02), count).astype(np.float32)
    run_folder(campaign.folder, run).mkdir(parents=True)
    write_pool_predictions(
        run_folder(campaign.folder, run),
        np.arange(2, count + 2),
        likeliest_classes(probabilities),
        np.array(ids),
        np.zeros(count, dtype=np.bool_),
    )
    return campaign


def neighbours(count: int, width: int, *, tsne: bool) -> list[str]:
    """Return the rows of searches by likeness and of maps."""
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place) / "features", count, width)
        start = time.perf_counter()
        index = NeighbourIndex(store, Path(place) / "codes")
        rows = [f"| first search: codes of all images | {time.perf_counter() - start:.3f} | | |"]
        every, draws = np.arange(count), np.random.default_rng(2)
        rows.append(timed("60 nearest of all images", lambda: index.nearest(draws.integers(0, count, 1), every, 60)))
        rows.append(timed("60 nearest to 20 examples", lambda: index.nearest(draws.integers(0, count, 20), every, 60)))
        rows.append(timed("map by principal components", lambda: compute_map(index, every, every, "pca", seed=0), 1))
        if tsne:
            rows.append(timed("map by t-SNE", lambda: compute_map(index, every, every, "tsne", seed=0), 1))
        return rows


def all_labels(count: int) -> list[str]:
    """Return the rows of the view of all labels."""
    with tempfile.TemporaryDirectory() as place, make_campaign(Path(place), count) as campaign:
        explorer = Explorer(campaign.context)
        rows = [timed("labels: first view, reading everything", explorer.view, 1)]
        rows.append(timed("labels: view again", explorer.view))

        def answer() -> None:
            campaign.label(draws.integers(2, count, 5).tolist(), "class 001", "ann")
            explorer.view()

        draws = np.random.default_rng(3)
        rows.append(timed("labels: five answers, and the view after them", answer))
        view = explorer.view()

        def page(**conditions: object) -> Callable[[], object]:
            found = LabelFilter(**conditions)  # type: ignore[arg-type]
            return lambda: (view.describe(find_labels(view, found)[5000:5100]), count_labels(view))

        rows.append(timed("labels: a page by disagreement, with counts", page()))
        rows.append(timed("labels: a page of one author and source", page(author="author 3", origin="import")))
        rows.append(timed("labels: a page of a search", page(search="folder 07 class")))
        rows.append(timed("search of all paths", lambda: explorer.search(view, "folder 07 99")))
        return rows


class Quiet(SimpleHTTPRequestHandler):
    """Server of the page's files that prints nothing."""

    def log_message(self, *args: object) -> None:  # type: ignore[override]
        """Print nothing."""


def frames(count: int, seconds: float) -> list[str]:
    """Return the rows of the map in a browser."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=STATIC))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/icon.svg"
    rows = []
    with sync_playwright() as playwright:
        for name, flags, side, ratio in SCREENS:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", *flags]
            )
            page = browser.new_page(viewport={"width": 1920, "height": 1080}, device_scale_factor=ratio)
            page.goto(address.replace("icon.svg", "base.css"))
            if name.startswith("WebGL"):  # the page itself would not use it
                page.evaluate(ACCEPT_SOFTWARE)
            found = page.evaluate(FRAMES, [count, seconds, *side])
            what = f"{name}: {found['painter']}, {side[0]} × {side[1]}, {ratio} pixels per unit"
            rows.append(f"| {what} | {found['frames']:.0f} | {found['paint']:.1f} | {found['lasso']:.0f} |")
            browser.close()
    server.shutdown()
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--tsne", action="store_true", help="also the map by t-SNE, which takes minutes")
    parser.add_argument("--seconds", type=float, default=6.0, help="duration of the movement on the map")
    parser.add_argument("--only", choices=["neighbours", "labels", "frames"])
    given = parser.parse_args()
    lines = [f"{given.images:,} images, features of {given.width} numbers. {machine(PACKAGES)}", ""]
    times = ["| work | fastest, s | median, s | CPU, s |", "|:--|--:|--:|--:|"]
    if given.only in (None, "neighbours"):
        times += neighbours(given.images, given.width, tsne=given.tsne)
    if given.only in (None, "labels"):
        times += all_labels(given.images)
    if len(times) > 2:
        lines += [*times, ""]
    if given.only in (None, "frames"):
        lines += ["| painter of the map | frames per second | a frame, ms | lasso, ms |", "|:--|--:|--:|--:|"]
        lines += frames(given.images, given.seconds)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
