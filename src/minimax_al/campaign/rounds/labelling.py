"""What people do in a campaign: take images from the open round, say what they show, take it back."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.views import ViewKind, image_file
from minimax_al.campaign.rounds.answers import Undone, answer, check_mask_of, find_items, undo
from minimax_al.campaign.rounds.arguments import as_items
from minimax_al.campaign.rounds.leases import Holder, Lease, UptimeClock, lend, recall, release, take_lease
from minimax_al.campaign.rounds.rounds import Pick, RoundState, close, find_pick, list_picks, round_state
from minimax_al.campaign.store.classes import class_id, class_ids
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import Kind, Said, current_labels, what_is_seen
from minimax_al.campaign.store.idempotency import once
from minimax_al.campaign.store.stored_settings import read_settings
from minimax_al.errors import CampaignError, UnknownNameError

Item = int | str
"""An image: its id, or its path below the images' folder."""


class Labelling:
    """The half of a campaign that people work with; `Campaign` adds the rest.

    What people say may carry a `request`: a word of the caller's own, new for everything that is said. Where no answer
    came, the same may be said again under the same word: within 30 days it is done once, whatever crashed meanwhile.
    Something else under the same word is refused (`CampaignError`).

    Args:
        folder: of the campaign.
        store: its database.
        clock: gives the time, with a time zone.

    Attributes:
        folder: of the campaign.
        store: its database.
        settings: as they were read.
        masks: the masks of a segmentation campaign.
        views: what models have said of its images' pixels.
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
        """Lets go of the database; a campaign is a context manager, too."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def context(self) -> CampaignContext:
        """Folder, database, settings and clock, for the functions of other rooms."""
        return CampaignContext(self.folder, self.store, self.settings, self.now)

    @property
    def images(self) -> Path:
        """The folder of images."""
        return Path(self.settings.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in order."""
        with self.store.reading() as connection:
            return tuple(class_ids(connection))

    def round(self, number: int | None = None) -> RoundState:
        """How far a round is, by default the latest.

        Raises:
            CampaignError: there is none.
        """
        with self.store.reading() as connection:
            state = round_state(connection, number)
        if state is None:
            raise CampaignError(
                "no round was opened yet: query first" if number is None else f"there is no round {number}"
            )
        return state

    def picks(self, number: int | None = None) -> list[Pick]:
        """The images of a round (by default the latest) in order, with reasons, suggestions, leases and answers."""
        with self.store.reading() as connection:
            return list_picks(connection, number)

    def pick(self, item: Item, number: int | None = None) -> Pick:
        """An image as a round asks about it, by default the latest round that does.

        Raises:
            DataError: there is no such image, or no such round has asked about it.
        """
        with self.store.reading() as connection:
            return find_pick(connection, find_items(connection, [item])[0], number)

    def image(self, item: Item) -> Path:
        """The file of an image, all links followed; it lies below the images' folder.

        Raises:
            DataError: there is no such image, its file is gone, or a link leads out of the folder.
        """
        return image_file(self.images, self._find(item).path)

    def view(self, item: Item, kind: ViewKind) -> Path | None:
        """A grey PNG file in an image's proportions; None where there is none, as in classification.

        Args:
            item: the image.
            kind: "label", the mask that holds; "prediction", the class numbers that the model said when it chose
                the image, 255 where it does not look; or "entropy", how unsure it was, from 0 to 255.

        Raises:
            ConfigurationError: there is no such kind.
            DataError: there is no such image.
        """
        if kind not in get_args(ViewKind):
            raise UnknownNameError("view", kind, get_args(ViewKind))
        found = self._find(item)
        if kind == "label":
            path = None if found.mask is None else self.masks.path(found.mask)
        else:
            path = None if found.content_hash is None else self.views.path(found.content_hash, kind)
        return path if path is not None and path.is_file() else None

    def close_round(self, number: int | None = None) -> None:
        """Closes the open round; its unanswered images may be picked again.

        Args:
            number: of the round that is meant; None for whichever is open. One that is closed already stays so.

        Raises:
            CampaignError: another round is open.
        """
        with self.store.writing() as connection:
            _check_open(connection, number, "closed")
            close(connection, self.now())

    def lease(self, author: str, count: int = 1, *, session: str | None = None, seconds: float | None = None) -> Lease:
        """Keep up to `count` waiting images of the open round for one person.

        Args:
            author: Name of the person.
            count: Largest number of images.
            session: Identifier of the person's browser: two browsers under one name get different images.
            seconds: Duration in seconds, at most the setting `lease_seconds`, which is the default. A page that renews
                its leases asks for a short one.
        """
        longest = self.settings.lease_seconds
        duration = longest if seconds is None else min(seconds, longest)
        with self.store.writing() as connection:
            return take_lease(connection, Holder(author, session), count, self.lease_clock(), duration)

    def release(self, author: str, *, session: str | None = None) -> int:
        """Return a person's leased images to the queue, by default of all their browsers.

        Returns:
            The number of images.
        """
        with self.store.writing() as connection:
            return release(connection, Holder(author, session))

    def lend(self, items: Item | Sequence[Item], tool: str) -> int:
        """Keep waiting images of the open round for another tool, such as a project of Label Studio.

        They are leased to nobody until they are answered, recalled, or picked by another round.

        Args:
            items: Images, by id or path.
            tool: Name of the tool.

        Returns:
            The number of images kept: those that wait in the open round and that no person holds.
        """
        with self.store.writing() as connection:
            return lend(connection, find_items(connection, as_items(items)), tool, self.lease_clock())

    def recall(self, number: int | None = None) -> int:
        """Takes back all images of the open round that were lent, to lease them here again; returns how many.

        Args:
            number: of the round that is meant; None for whichever is open.

        Raises:
            CampaignError: another round is open.
        """
        with self.store.writing() as connection:
            _check_open(connection, number, "recalled")
            return recall(connection)

    def label(
        self,
        items: Item | Sequence[Item],
        class_name: str,
        author: str,
        *,
        request: str | None = None,
        if_waiting: bool = False,
    ) -> list[int]:
        """Labels one or more images with a class, leased or not; an earlier label stays in the history.

        On return the disk has it.

        Args:
            items: the images.
            class_name: what they show.
            author: who says it.
            request: a word for this request, see the class.
            if_waiting: leave alone what somebody has answered already; the history has this label as taken back.

        Returns:
            Ids of the images that were left alone.

        Raises:
            UnknownNameError: there is no such class.
            DataError: there is no such image.
            CampaignError: the author is blank, or the campaign is of masks.
        """
        if self.settings.task != "classification":
            raise CampaignError("this campaign is of masks: use label_mask, or import them")
        return self._answer(items, "label", author, class_name=class_name, request=request, if_waiting=if_waiting)

    def label_mask(
        self,
        item: Item,
        mask: NDArray[np.uint8],
        author: str,
        *,
        request: str | None = None,
        if_waiting: bool = False,
    ) -> list[int]:
        """Labels an image with a mask: (H, W) uint8 class numbers in the image's size, 255 where ignored.

        `request`, `if_waiting` and what is returned are as in `label`.

        Raises:
            DataError: the mask does not fit the image or the classes, or there is no such image.
            CampaignError: the author is blank, or the campaign is of classes.
        """
        if self.settings.task != "segmentation":
            raise CampaignError("this campaign is of classes, not of masks: use label")
        with self.store.reading() as connection:
            check_mask_of(connection, item, mask)
        return self._answer(item, "label", author, mask=self.masks.save(mask), request=request, if_waiting=if_waiting)

    def skip(self, items: Item | Sequence[Item], author: str, *, request: str | None = None) -> None:
        """Leaves images out of this round; a later one may ask again."""
        self._answer(items, "skip", author, request=request)

    def unsure(
        self, items: Item | Sequence[Item], author: str, *, request: str | None = None, if_waiting: bool = False
    ) -> list[int]:
        """Says that nobody can tell: not trained on, not asked again; a label may still follow.

        `request`, `if_waiting` and what is returned are as in `label`.
        """
        return self._answer(items, "unsure", author, request=request, if_waiting=if_waiting)

    def undo(
        self,
        author: str,
        item: Item | None = None,
        *,
        request: str | None = None,
        kind: Kind | None = None,
        class_name: str | None = None,
    ) -> Undone:
        """Takes back what the author said last (of one image); it waits again if its round is open.

        Args:
            author: whose answer.
            item: the image; None for whichever the last answer is about.
            request: a word for this request, see the class.
            kind: "label", "unsure" or "skip", where only such an answer is to be taken back.
            class_name: of such a label.

        Raises:
            CampaignError: there is nothing to take back, or the last answer is another.
        """
        with self.store.writing() as connection:
            now = self.now()

            def take_back() -> list[Any]:
                found = None if item is None else find_items(connection, [item])[0]
                number = None if class_name is None else class_id(connection, class_name)
                return list(undo(connection, author, now, found, None if kind is None else Said(kind, number)))

            body = ("undo", item, kind, class_name)
            return Undone(*once(connection, author, request, take_back, now=now, body=body))

    def labels(self) -> dict[str, str | None]:
        """The label that holds, by path; for masks the name of the mask."""
        with self.store.reading() as connection:
            return {row.path: row.class_name or row.mask for row in connection.execute(current_labels())}

    def _find(self, item: Item) -> Row[Any]:
        """path, content_hash, and the name of the mask that holds."""
        with self.store.reading() as connection:
            (found,) = find_items(connection, [item])
            return connection.execute(what_is_seen(found)).one()

    def _answer(
        self,
        given: Item | Sequence[Item],
        kind: Kind,
        author: str,
        *,
        class_name: str | None = None,
        mask: str | None = None,
        request: str | None = None,
        if_waiting: bool = False,
    ) -> list[int]:
        with self.store.writing() as connection:
            now = self.now()

            def say() -> list[int]:
                return answer(
                    connection,
                    find_items(connection, as_items(given)),
                    kind,
                    author,
                    settings=self.settings,
                    now=now,
                    class_id=None if class_name is None else class_id(connection, str(class_name)),
                    mask=mask,
                    if_waiting=if_waiting,
                )

            body = (kind, as_items(given), class_name, mask)
            left: list[int] = once(connection, author, request, say, now=now, body=body)
            return left


def _check_open(connection: Connection, number: int | None, done: str) -> None:
    """Refuses where another round than the one that is meant is open."""
    state = round_state(connection)
    if number is not None and state is not None and state.closed_at is None and state.number != number:
        raise CampaignError(f"round {number} is not the open one, which is round {state.number}: nothing was {done}")


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
