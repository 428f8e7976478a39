"""Part of a campaign that reads: its classes, images, rounds, picks and current labels."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Self, get_args

from sqlalchemy import Row

from minimax_al.campaign.answers.leases import UptimeClock
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext, utc_now
from minimax_al.campaign.images.views import ViewKind, image_file
from minimax_al.campaign.methods.arguments import Item, find_items
from minimax_al.campaign.rounds.rounds import Pick, RoundState, find_pick, list_picks, round_state
from minimax_al.campaign.settings.settings import read_settings
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import current_labels, image_and_mask
from minimax_al.data.locations.location import Location, known_location
from minimax_al.errors import CampaignError, UnknownNameError


class Reading:
    """Part of a campaign that changes nothing; `Labelling` and `Campaign` add the rest.

    Args:
        folder: Campaign folder.
        store: Database of the campaign.
        clock: Function that returns the current time, with a time zone.

    Attributes:
        folder: Campaign folder.
        store: Database of the campaign.
        settings: Settings as they were read.
        masks: Masks of a segmentation campaign.
        views: Predictions and entropies of its images' pixels.
        now: Function that returns the current time, with a time zone.
        lease_clock: Function that returns the time by which leases end; it does not jump when the clock is set.
    """

    def __init__(self, folder: Path, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self.folder = folder
        self.store = store
        with store.reading() as connection:
            self.settings = read_settings(connection)
        self.now = clock or utc_now
        self.lease_clock = clock or UptimeClock(utc_now)
        self.masks, self.views = self.context.masks, self.context.views

    def close(self) -> None:
        """Close the database; a campaign is also a context manager."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def context(self) -> CampaignContext:
        """Folder, database, settings and clock, for the functions of other rooms."""
        return CampaignContext(self.folder, self.store, self.settings, self.now)

    @property
    def images(self) -> Location:
        """Location of the images: a folder (`Path`), a manifest, or a URL of object storage."""
        return known_location(self.settings.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        with self.store.reading() as connection:
            return tuple(class_ids(connection))

    @property
    def class_ids(self) -> dict[str, int]:
        """Id of each class by name, in order; a renamed class keeps its id."""
        with self.store.reading() as connection:
            return class_ids(connection)

    def round(self, number: int | None = None) -> RoundState:
        """Return the progress of a round, by default of the latest.

        Raises:
            CampaignError: The round does not exist.
        """
        with self.store.reading() as connection:
            state = round_state(connection, number)
        if state is None:
            raise CampaignError(
                "no round was opened yet: query first" if number is None else f"round {number} does not exist"
            )
        return state

    def picks(self, number: int | None = None) -> list[Pick]:
        """Return the picks of a round by rank, by default of the latest."""
        with self.store.reading() as connection:
            return list_picks(connection, number)

    def pick(self, item: Item, number: int | None = None) -> Pick:
        """Return the pick of an image, by default in the latest round that picked it.

        Raises:
            DataError: The image does not exist, or the round did not pick it.
        """
        with self.store.reading() as connection:
            return find_pick(connection, find_items(connection, [item])[0], number)

    def image(self, item: Item) -> Path | str:
        """Return the file of an image, all links followed and below the images' folder; its URL in object storage.

        Raises:
            DataError: The image does not exist, its file is gone, or a link leads out of the folder.
        """
        return image_file(self.images, self._find(item).path)

    def view(self, item: Item, kind: ViewKind) -> Path | None:
        """Return a grey PNG file in an image's proportions; None if it does not exist, as in classification.

        Args:
            item: Image, by id or path.
            kind: "label", the current mask; "prediction", the class numbers that the model predicted when it chose the
                image, 255 = ignore; or "entropy", scaled to 0 to 255.

        Raises:
            ConfigurationError: The kind is unknown.
            DataError: The image does not exist.
        """
        if kind not in get_args(ViewKind):
            raise UnknownNameError("view", kind, get_args(ViewKind))
        found = self._find(item)
        if kind == "label":
            path = None if found.mask is None else self.masks.path(found.mask)
        else:
            path = None if found.content_hash is None else self.views.path(found.content_hash, kind)
        return path if path is not None and path.is_file() else None

    def labels(self) -> dict[str, str | None]:
        """Return the current label of each image by path; for masks the name of the mask."""
        with self.store.reading() as connection:
            return {row.path: row.class_name or row.mask for row in connection.execute(current_labels())}

    def _find(self, item: Item) -> Row[Any]:
        """Return path, content_hash, and the name of the current mask."""
        with self.store.reading() as connection:
            (found,) = find_items(connection, [item])
            return connection.execute(image_and_mask(found)).one()
