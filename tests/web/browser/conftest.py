import importlib
import shutil
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from minimax_al.campaign import Campaign

# Scripts, which load Playwright; without this, pytest would load them to look for doctests.
collect_ignore = ["artist.py", "mask_session.py", "people.py", "session.py", "shown.py"]

HERE = Path(__file__).parent


@pytest.fixture(scope="package")
def modules():
    """Scripts in the folder of this file, which import one another by name."""
    pytest.importorskip("playwright", reason="Playwright's Python package is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        people = importlib.import_module("people")
        if people.find_chromium() is None:
            pytest.skip("no Chromium or Chrome is installed")
        yield people, importlib.import_module("shown"), importlib.import_module("session")


@pytest.fixture(scope="module")
def browser(modules):
    """One Chromium for the tests of a file; each test has contexts of its own in it."""
    # Not for longer: Playwright's event loop would be in the way of tests of asyncio in the same process. The scope
    # "package" lasts as long as the session where a folder has no `__init__.py`.
    people, _, session = modules
    with session.sync_playwright() as playwright, people.launch(playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def shapes(modules, tmp_path_factory):
    """The folder of a campaign of nine images with an open round of six, to copy; and the images' classes."""
    place = tmp_path_factory.mktemp("shapes")
    truth = modules[1].draw_images(place / "images", each=3)
    with Campaign.create(
        place / "campaign", place / "images", sorted(set(truth.values())), recipe="scratch"
    ) as campaign:
        campaign.query(6)
    return place / "campaign", truth


@pytest.fixture
def ann(modules, browser, shapes, tmp_path):
    """A campaign with an open round, and Ann at its page."""
    people, _, _ = modules
    template, truth = shapes
    with (
        Campaign.open(shutil.copytree(template, tmp_path / "campaign")) as campaign,
        people.served(campaign) as address,
        closing(browser.new_context()) as context,
    ):
        person = people.Person(context.new_page(), "ann", truth, list(campaign.classes))
        person.open(address)
        yield campaign, person


@dataclass
class Stoppable:
    """Second server of the campaign, which a test can stop."""

    address: str
    running: ExitStack

    def stop(self):
        self.running.close()


@pytest.fixture
def stoppable(ann, modules):
    with ExitStack() as running:
        yield Stoppable(running.enter_context(modules[0].served(ann[0])), running)
