"""Campaigns for this room's tests."""

from ..support.campaigns import (  # noqa: F401, TID252 - fixtures
    _quick_disk,
    campaign,
    clock,
    make_campaign,
    save_images,
    storage,
    templates,
)
