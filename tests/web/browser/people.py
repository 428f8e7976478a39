"""A browser, the server of the page, and a scripted annotator."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, Playwright

from minimax_al.campaign import Campaign
from minimax_al.web import create_app

CLASS_KEYS = "1234567890abcdeijkmnpqrtvwxy"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PATIENCE = 20_000  # milliseconds
SINGLE = "main > [data-phase=single]:not([hidden])"
EPOCH_OR_END = (
    "() => document.getElementById('job').hidden || document.getElementById('job-step').textContent.includes('epoch')"
)
LEFT = "path => document.querySelector('[data-phase=single]').hidden || document.getElementById('file').title !== path"
BACK = "path => document.getElementById('file').title === path"
SAYS = "([tile, name]) => tile.querySelector('.caption').textContent === name"


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright) -> Browser:
    """Starts the browser."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))


@contextmanager
def served(campaign: Campaign, **options: Any) -> Iterator[str]:
    """Serves the page of a campaign on a free port of this machine; gives its address."""
    config = uvicorn.Config(
        create_app(campaign, **options), port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1
    )
    with config.bind_socket() as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Person:
    """Scripted annotator at the page.

    Attributes:
        page: Page in a browser context of its own.
        name: Name of the annotator.
        truth: Class of each image, by path.
        classes: Class names in the campaign's order.
        seen: Paths of the images that were shown in the single view.
        problems: Errors that the browser reported.
    """

    page: Page
    name: str
    truth: dict[str, str]
    classes: list[str]
    seen: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Open the page, and enter the name if the page requests one."""
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(address)
        self.page.wait_for_selector("#author[open], .said:not(:empty), [data-phase=loading][hidden]", state="attached")
        if self.page.locator("#author[open]").count():
            self.page.fill("#author-input", self.name)
            self.page.keyboard.press("Enter")
        self.page.wait_for_selector("[data-phase=loading]", state="hidden", timeout=PATIENCE)

    def _hear(self, message: Any) -> None:
        # A request that fails while the network is gone is no fault of the page.
        if message.type == "error" and "ERR_INTERNET_DISCONNECTED" not in message.text:
            self.problems.append(message.text)

    def shows(self, phase: str, timeout: float = PATIENCE) -> None:
        """Waits until the middle of the page shows this."""
        self.page.wait_for_selector(f"main > [data-phase={phase}]:not([hidden])", timeout=timeout)

    def image(self) -> str:
        """Return the path of the image on the screen, once it is loaded and a key may answer it."""
        self.page.wait_for_selector("#stage.ready .image.loaded", timeout=PATIENCE)
        path = self.page.get_attribute("#file", "title")
        assert path is not None
        return path

    def key_of(self, path: str) -> str:
        """The key of the image's true class."""
        return CLASS_KEYS[self.classes.index(self.truth[path])]

    def press(self, key: str) -> str:
        """Press a key that answers the image on the screen, wait for the next image, and return the answered path."""
        path = self.image()
        self.seen.append(path)
        self.page.keyboard.press(key)
        self.page.wait_for_function(LEFT, arg=path, timeout=PATIENCE)
        return path

    def label(self, count: int) -> float:
        """Label `count` images by keys, and return the duration in seconds."""
        start = time.perf_counter()
        for _ in range(count):
            self.press(self.key_of(self.image()))
        return time.perf_counter() - start

    def saved(self) -> None:
        """Waits until the server has everything."""
        self.page.wait_for_selector("#save-state[data-stage=saved]", timeout=PATIENCE)

    def job_ends(self, seconds: float = 600) -> None:
        """Waits until a job that was started has ended well."""
        self.page.wait_for_selector("#job", state="hidden", timeout=1000 * seconds)
        assert self.page.locator("#warnings > *").count() == 0, self.page.inner_text("#warnings")
