"""Campaigns for the commands' tests."""

from ..support.campaigns import _quick_disk, clock, make_campaign, save_images, templates  # noqa: F401, TID252 - fixtures
