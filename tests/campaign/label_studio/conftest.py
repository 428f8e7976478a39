import pytest

from minimax_al.campaign.label_studio import LabelStudio

from .fake import LEGACY_KEY, URL, FakeLabelStudio


@pytest.fixture
def studio():
    return FakeLabelStudio()


@pytest.fixture
def client(studio):
    with LabelStudio(URL, LEGACY_KEY, transport=studio.transport) as client:
        yield client
