"""Images that break while a model is trained: each is set aside, and the training starts again without it."""

import logging
import os
from collections.abc import Callable
from shlex import quote
from typing import TypeVar

from sqlalchemy import select, update

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.refresh import NEVER_MODIFIED, refresh_items
from minimax_al.campaign.store.schema import items
from minimax_al.campaign.store.waiting import update_waiting
from minimax_al.data.locations.location import Location, name_in
from minimax_al.errors import UnreadableImageError
from minimax_al.escaping import escape

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


def without_broken_images(context: CampaignContext, work: Callable[[], Result]) -> Result:
    """Return what `work` returns, after every image that it cannot read was set aside.

    Args:
        context: Campaign.
        work: Function that reads the campaign's usable images anew at each call.

    Raises:
        UnreadableImageError: A file that is not an image of the campaign cannot be read, such as a mask.
        DataError: The folder of images is gone.
    """
    while True:
        try:
            return work()
        except UnreadableImageError as error:
            _set_aside(context, error)


def _set_aside(context: CampaignContext, error: UnreadableImageError) -> None:
    path = _path_below(context.images, error)
    if path is None or not _forget_stat(context, path):
        raise error
    # The look sets broken files aside, marks missing ones, and finds whatever else has changed meanwhile.
    distance = context.settings.near_duplicate_distance
    refresh_items(context.store, context.images, distance, context.now())
    with context.store.writing() as connection:
        row = connection.execute(select(items.c.id, items.c.status).where(items.c.path == path)).one()
        if row.status not in {"set-aside", "missing"}:  # it reads well now, and a moment ago it did not
            values = {"status": "set-aside", "reason": error.reason, "modified_ns": NEVER_MODIFIED}
            connection.execute(update(items).where(items.c.id == row.id).values(**values))
            update_waiting(connection, [row.id])
    _log.warning(
        "image '%s' is left out: %s; mal status %s --files lists such files",
        *(escape(path), error.reason, quote(str(context.folder))),
    )


def _path_below(images: Location, error: UnreadableImageError) -> str | None:
    """Return the path of the image in the campaign; None if the file is elsewhere."""
    return None if error.path is None else name_in(images, os.fspath(error.path))


def _forget_stat(context: CampaignContext, path: str) -> bool:
    """Have an image examined again at the next look; return whether the campaign has it and uses it."""
    usable = items.c.status.in_(["active", "duplicate", "changed"])
    with context.store.writing() as connection:
        done = connection.execute(
            update(items).where(items.c.path == path, usable).values(modified_ns=NEVER_MODIFIED).returning(items.c.id)
        )
        return done.first() is not None
