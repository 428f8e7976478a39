"""Annotators' half of a campaign: lease images of the open round, answer, undo."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from minimax_al.campaign.answers.answers import AnswerOptions, Undone, answer, undo
from minimax_al.campaign.answers.leases import Holder, Lease, release, take_lease
from minimax_al.campaign.classes.classes import chosen_class, class_ids
from minimax_al.campaign.masks.precomputed import retried
from minimax_al.campaign.masks.renumbering import numbers_of_drawn, renumbered_mask, rewriting
from minimax_al.campaign.methods.arguments import Item, as_items, check_mask_of, find_items
from minimax_al.campaign.methods.reading import Reading
from minimax_al.campaign.opinions.mask_opinions import MaskJudge
from minimax_al.campaign.rounds.rounds import check_open, close
from minimax_al.campaign.store.history import (
    BULK,
    ExpectedAnswer,
    Kind,
    Origin,
)
from minimax_al.campaign.store.idempotency import once
from minimax_al.errors import CampaignError


class Labelling(Reading):
    """Half of a campaign that annotators use; `Campaign` adds the rest.

    Every answer accepts an idempotency key, `request`: a retry with the same key within 30 days runs once, whatever
    crashed meanwhile. The same key with another answer is refused (`CampaignError`).

    Arguments and attributes are those of `Reading`.
    """

    def close_round(self, number: int | None = None) -> None:
        """Close the open round; its unanswered images may be picked again.

        Args:
            number: Number of the round; None for the open one. A closed round stays closed.

        Raises:
            CampaignError: Another round is open.
        """
        with self.store.writing() as connection:
            check_open(connection, number, "closed")
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

    def label(
        self,
        items: Item | Sequence[Item],
        class_name: str,
        author: str,
        *,
        request: str | None = None,
        if_waiting: bool = False,
        own_only: bool = False,
        origin: Origin = "program",
        class_id: int | None = None,
    ) -> list[int]:
        """Label one or more images with a class, leased or not; an earlier label stays in the history.

        The label is on the disk when the call returns.

        Args:
            items: Images, by id or path.
            class_name: Name of the class.
            author: Name of the annotator.
            request: Idempotency key, see the class.
            if_waiting: Whether an image that has an answer keeps it; the history then has this label as revoked.
            own_only: Whether an image that another author has answered keeps that answer, in the same way.
            origin: How the label came. Labels of origin "bulk" are trained on, but never measure a model.
            class_id: Id of the class when it was chosen: a class that was renamed meanwhile is found by it.

        Returns:
            Ids of the images that keep an earlier answer.

        Raises:
            UnknownNameError: The class does not exist.
            ClassesChangedError: The class of that id has left the campaign.
            DataError: An image does not exist.
            CampaignError: The author is blank, or the campaign is of masks.
        """
        if self.settings.task != "classification":
            raise CampaignError("this campaign is of masks: use label_mask, or import them")
        return self._answer(
            items,
            "label",
            author,
            class_name=class_name,
            chosen_id=class_id,
            request=request,
            if_waiting=if_waiting,
            own_only=own_only,
            origin=origin,
        )

    def label_mask(
        self,
        item: Item,
        mask: NDArray[np.uint8],
        author: str,
        *,
        request: str | None = None,
        if_waiting: bool = False,
        own_only: bool = False,
        replaces: int | None = None,
        decides: bool = False,
        origin: Origin = "program",
        drawn_with: Sequence[int] | None = None,
    ) -> list[int]:
        """Label an image with a mask.

        Args:
            item: Image, by id or path.
            mask: Class numbers in the image's size, shape (H, W), dtype uint8; 255 = ignore.
            author: Name of the annotator.
            request: Idempotency key, see the class.
            if_waiting: As in `label`.
            own_only: As in `label`.
            replaces: Id in the label history of the answer that the author has seen and corrects, 0 for none; None if
                the author has not looked.
            decides: Whether the mask decides a conflict between two annotators; with `replaces`, the decision of
                another lead, too.
            origin: How the label came.
            drawn_with: Ids of the classes with which the mask was drawn, in the order of their numbers: the mask is
                stored with the numbers of the transaction. By default the classes at the time of the call.

        Returns:
            Ids of the images that keep an earlier answer.

        Raises:
            DataError: The mask does not fit the image or the classes, or the image does not exist.
            ClassesChangedError: The mask has a class that has left the campaign.
            AnsweredMeanwhileError: The image has another answer than `replaces`; without `replaces`, the mask decides
                an image that is not a conflict or that another lead has decided.
            CampaignError: The author is blank, or the campaign is of classes.
        """
        if self.settings.task != "segmentation":
            raise CampaignError("this campaign is of classes, not of masks: use label")
        with self.store.reading() as connection:
            drawn = tuple(class_ids(connection).values()) if drawn_with is None else tuple(drawn_with)
            path = check_mask_of(connection, item, mask, len(drawn))
        name = self.masks.save(mask)
        used, rewritten = self.masks.numbers(name), rewriting(self.masks)

        def name_today(connection: Connection) -> str:
            """Return the name of the mask with the class numbers of this transaction."""
            return renumbered_mask(rewritten, name, used, numbers_of_drawn(connection, drawn, used, path))

        return self._answer(
            item,
            "label",
            author,
            mask=name_today,
            body=(name,),
            request=request,
            if_waiting=if_waiting,
            own_only=own_only,
            replaces=replaces,
            decides=decides,
            replace_decision=replaces is not None,
            origin=origin,
        )

    def skip(
        self,
        items: Item | Sequence[Item],
        author: str,
        *,
        request: str | None = None,
        origin: Origin = "program",
    ) -> None:
        """Skip images in this round; a later round may pick them again."""
        self._answer(items, "skip", author, request=request, origin=origin)

    def unsure(
        self,
        items: Item | Sequence[Item],
        author: str,
        *,
        request: str | None = None,
        if_waiting: bool = False,
        own_only: bool = False,
        origin: Origin = "program",
    ) -> list[int]:
        """Record the answer "unsure": no training uses the images, and no round picks them again.

        A label may still follow. Arguments and return value are those of `label`.
        """
        return self._answer(
            items,
            "unsure",
            author,
            request=request,
            if_waiting=if_waiting,
            own_only=own_only,
            origin=origin,
        )

    def undo(
        self,
        author: str,
        item: Item | None = None,
        *,
        request: str | None = None,
        kind: Kind | None = None,
        class_name: str | None = None,
        class_id: int | None = None,
    ) -> Undone:
        """Revoke the author's last answer (about one image); the image waits again if its round is open.

        Args:
            author: Name of the annotator.
            item: Image, by id or path; None for the image of the last answer.
            request: Idempotency key, see the class.
            kind: Expected kind of the answer, "label", "unsure" or "skip"; None for any.
            class_name: Expected class of the label; None for any.
            class_id: Id of that class when it was chosen, as in `label`.

        Raises:
            CampaignError: The author has no answer to revoke, or the last one is another than expected.
        """
        judge = MaskJudge.of(self.context)

        def undo_once() -> Undone:
            with self.store.writing() as connection:
                now = self.now()

                def revoke() -> list[Any]:
                    found = None if item is None else find_items(connection, [item])[0]
                    number = None if class_name is None else chosen_class(connection, class_name, class_id)
                    expected = None if kind is None else ExpectedAnswer(kind, number)
                    return list(undo(connection, author, now, found, expected, judge=judge))

                body = ("undo", item, kind, class_name)
                return Undone(*once(connection, author, request, revoke, now=now, body=body))

        return retried(undo_once)

    def _answer(
        self,
        given: Item | Sequence[Item],
        kind: Kind,
        author: str,
        *,
        class_name: str | None = None,
        chosen_id: int | None = None,
        mask: str | Callable[[Connection], str] | None = None,
        body: tuple[object, ...] | None = None,
        request: str | None = None,
        **options: Unpack[AnswerOptions],
    ) -> list[int]:
        """Record an answer; if `mask` is a function of the transaction, `body` identifies the request."""
        judge, images = MaskJudge.of(self.context), as_items(given)
        body = (kind, images, class_name, *((mask,) if body is None else body))
        if options.get("origin") == BULK:  # other origins leave the digest of older versions
            body = (*body, BULK)

        def answer_once() -> list[int]:
            with self.store.writing() as connection:
                now = self.now()

                def change() -> list[int]:
                    return answer(
                        connection,
                        find_items(connection, images),
                        kind,
                        author,
                        settings=self.settings,
                        now=now,
                        class_id=None if class_name is None else chosen_class(connection, str(class_name), chosen_id),
                        mask=mask(connection) if callable(mask) else mask,
                        judge=judge,
                        **options,
                    )

                left: list[int] = once(connection, author, request, change, now=now, body=body)
                return left

        return retried(answer_once)
