import pytest

from ...support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252


@pytest.fixture
def clusters(make_campaign, tmp_path):
    """A campaign of 45 images on given features, with 27 labels; some images of two classes look alike."""
    images, table = write_clusters(tmp_path / "pool", noise=0.12)
    campaign = make_campaign(classes=CLASSES, images=images, recipe=None, features=str(table), near_duplicates="off")
    campaign.query(27)
    for pick in campaign.picks():
        campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
    return campaign
