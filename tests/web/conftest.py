import shutil
from importlib.util import find_spec

import pytest
from fastapi.testclient import TestClient

from minimax_al.campaign import Campaign
from minimax_al.web import create_app

from ..support import shared  # noqa: TID252 - the same work
from ..support.campaigns import _quick_disk, clock, templates  # noqa: F401, TID252 - fixtures
from ..support.fakes import Clock, random_image  # noqa: TID252 - the same time and images

# `make test-oldest` does without schemathesis, which needs newer packages.
collect_ignore = [] if find_spec("schemathesis") else ["test_fuzz.py"]

HOME = "http://localhost:8765"


@pytest.fixture(scope="session")
def eight_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eight") / "images"
    folder.mkdir()
    for number in range(8):
        random_image(number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def images(tmp_path, eight_images):
    """Eight small images that a test may change."""
    return shutil.copytree(eight_images, tmp_path / "images")


@pytest.fixture
def make_campaign(request, tmp_path, images, clock, templates):  # noqa: F811 - fixtures
    """Makes campaigns that are closed when the test ends."""
    made = []
    templates = None if shared.is_patched(request.function) else templates

    def make(classes=("cat", "dog"), **settings):
        settings = {"recipe": "scratch", **settings}
        folder = tmp_path / f"campaign {len(made)}"
        campaign = shared.create_campaign(folder, images, list(classes), clock=clock, templates=templates, **settings)
        made.append(campaign)
        return campaign

    yield make
    for campaign in made:
        campaign.close()


@pytest.fixture(scope="session")
def open_round(tmp_path_factory, eight_images):
    """A campaign of eight images, all in an open round: to copy, as that is faster than to make one."""
    folder = tmp_path_factory.mktemp("template") / "campaign"
    with Campaign.create(folder, eight_images, ["cat", "dog"], clock=Clock(), recipe="scratch") as campaign:
        campaign.query(8)
    return folder


@pytest.fixture
def campaign(tmp_path, open_round, clock):  # noqa: F811 - a fixture
    """A campaign of eight images that no test may change, all in an open round."""
    with Campaign.open(shutil.copytree(open_round, tmp_path / "herons"), clock=clock) as campaign:
        yield campaign


@pytest.fixture
def make_client():
    """Makes clients of an application over a campaign."""
    made = []

    def make(campaign, headers=None, **options):
        client = TestClient(create_app(campaign, **options), base_url=HOME, headers=headers)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(campaign, make_client):
    return make_client(campaign)


@pytest.fixture(scope="session")
def onlooker(tmp_path_factory, open_round):
    """A client for requests that change nothing: one for all tests."""
    folder = shutil.copytree(open_round, tmp_path_factory.mktemp("onlooker") / "herons")
    with Campaign.open(folder) as campaign, TestClient(create_app(campaign), base_url=HOME) as client:
        yield client


@pytest.fixture(scope="session")
def onlooker_of_masks(tmp_path_factory, eight_images):
    """Return a read-only client of a segmentation campaign."""
    folder = tmp_path_factory.mktemp("masks") / "herons"
    with (
        Campaign.create(folder, eight_images, ["cat", "dog"], "segmentation") as campaign,
        TestClient(create_app(campaign), base_url=HOME) as client,
    ):
        yield client
