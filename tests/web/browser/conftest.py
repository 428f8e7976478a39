import importlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from minimax_al.campaign import Campaign

# Scripts, which load Playwright; without this, pytest would load them to look for doctests.
collect_ignore = ["artist.py", "mask_session.py", "people.py", "session.py", "shown.py"]

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    """Scripts in the folder of this file, which import one another by name."""
    pytest.importorskip("playwright", reason="Playwright's Python package is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        people = importlib.import_module("people")
        if people.find_chromium() is None:
            pytest.skip("no Chromium or Chrome is installed")
        yield people, importlib.import_module("shown"), importlib.import_module("session")


@pytest.fixture
def ann(modules, tmp_path):
    """A campaign with an open round, and Ann at its page."""
    people, shown, session = modules
    truth = shown.draw_images(tmp_path / "images", each=3)
    classes = sorted(set(truth.values()))
    with (
        Campaign.create(tmp_path / "campaign", tmp_path / "images", classes, recipe="scratch") as campaign,
        people.served(campaign) as address,
        session.sync_playwright() as playwright,
        people.launch(playwright) as browser,
    ):
        campaign.query(6)
        person = people.Person(browser.new_context().new_page(), "ann", truth, classes)
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
