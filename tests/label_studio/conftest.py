import pytest

from minimax_al.label_studio import LabelStudio

from ..support.campaigns import (  # noqa: F401, TID252 - fixtures
    _quick_disk,
    campaign,
    clock,
    make_campaign,
    save_images,
    storage,
    templates,
)
from .fake import LEGACY_KEY, URL, FakeLabelStudio


@pytest.fixture
def studio():
    return FakeLabelStudio()


@pytest.fixture
def client(studio):
    with LabelStudio(URL, LEGACY_KEY, transport=studio.transport) as client:
        yield client
