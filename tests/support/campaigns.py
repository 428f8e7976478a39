import json
import os

import pytest
from sqlalchemy import create_engine, text

from . import shared
from .fakes import Clock

POSTGRESQL = os.environ.get("MINIMAX_AL_TEST_POSTGRESQL")
TINY_RECIPE = {
    "encoder": "conv4",
    "width": 4,
    "augmentation": {"flip": True},
    "missing_classes": "warn",
    "task": {"epochs": 2, "batch_size": 8, "checkpoint_every": 1},
    "minimax": {"epochs": 2, "batch_size": 8, "checkpoint_every": 1},
    "runtime": {"device": "cpu", "precision": "fp32"},
}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    """Most tests are not about power cuts, and need not wait for the disk; compiled SQL is for all campaigns."""
    monkeypatch.setattr("minimax_al.campaign.store.database.SYNCHRONOUS", "OFF")
    monkeypatch.setattr("minimax_al.campaign.store.database.create_engine", shared.create_engine)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def save_images(tmp_path):
    """Writes images and returns their folder."""

    def save(count=12, folder="images", size=(20, 16), first=0):
        root = tmp_path / folder
        for number in range(first, first + count):
            path = root / "ab"[number % 2] / f"{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shared.write_image(path, number, size)
        return root

    return save


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgresql",
            marks=pytest.mark.skipif(
                POSTGRESQL is None, reason="MINIMAX_AL_TEST_POSTGRESQL names no PostgreSQL server"
            ),
        ),
    ]
)
def storage(request, tmp_path):
    """Storage of the campaigns: both databases have to pass the same tests."""
    if request.param == "sqlite":
        yield None
        return
    yield POSTGRESQL
    engine = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for file in tmp_path.rglob("storage.json"):  # this test's own: others may run at the same time
            schema = json.loads(file.read_text())["schema"]
            connection.execute(text(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'))
    engine.dispose()


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    """Folder of databases to copy."""
    return tmp_path_factory.mktemp("templates")


@pytest.fixture
def make_campaign(request, tmp_path, save_images, clock, templates):
    """Makes campaigns that are closed when the test ends."""
    made = []
    templates = None if shared.is_patched(request.function) else templates

    def make(count=12, classes=("cat", "dog", "n/a"), folder="campaign", images=None, **options):
        root = save_images(count) if images is None else images
        options.setdefault("recipe", "scratch")  # the default would load a pretrained encoder
        options = {name: value for name, value in options.items() if (name, value) != ("recipe", None)}
        names = None if classes is None else list(classes)
        campaign = shared.create_campaign(tmp_path / folder, root, names, clock=clock, templates=templates, **options)
        made.append(campaign)
        return campaign

    def track(campaign):
        made.append(campaign)
        return campaign

    make.track = track
    yield make
    for campaign in made:
        campaign.close()


@pytest.fixture
def campaign(make_campaign, storage):
    """A campaign of 12 images without labels, on each database."""
    return make_campaign(storage=storage)
