"""Part of a campaign for its lead: lend images to other tools, decide conflicts between annotators."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection

from minimax_al.campaign.answers.leases import lend, recall
from minimax_al.campaign.masks.renumbering import (
    Renumbering,
    numbers_since,
    read_renumberings,
    renumbered_mask,
    rewriting,
)
from minimax_al.campaign.methods.arguments import Item, find_items
from minimax_al.campaign.methods.labelling import Labelling
from minimax_al.campaign.opinions.mask_opinions import load_as_of_today
from minimax_al.campaign.opinions.second_opinions import Opinion, mask_of_opinion
from minimax_al.campaign.opinions.two_opinions import TwoOpinions, count_conflicts, list_two_opinions
from minimax_al.campaign.rounds.rounds import check_open
from minimax_al.campaign.store.history import Kind, answer_authors
from minimax_al.data.masks.mask_store import Mask
from minimax_al.errors import CampaignError, DataError


class Leading(Labelling):
    """Images lent to other tools, and conflicts between annotators; `Campaign` adds the rest."""

    def lend(self, items: Item | Sequence[Item], tool: str) -> int:
        """Keep waiting images of the open round for another tool, such as a project of Label Studio.

        They are not leased to annotators until they are answered, recalled, or picked by another round.

        Args:
            items: Images, by id or path.
            tool: Name of the tool.

        Returns:
            The number of images kept: those that wait in the open round and that no person holds.
        """
        with self.store.writing() as connection:
            return lend(connection, find_items(connection, items), tool, self.lease_clock())

    def recall(self, number: int | None = None) -> int:
        """Recall all lent images of the open round, to lease them here again; return their number.

        Args:
            number: Number of the round; None for the open one.

        Raises:
            CampaignError: Another round is open.
        """
        with self.store.writing() as connection:
            check_open(connection, number, "recalled")
            return recall(connection)

    def decide(
        self,
        items: Item | Sequence[Item],
        class_name: str | None,
        author: str,
        *,
        replace: bool = False,
        request: str | None = None,
        class_id: int | None = None,
    ) -> None:
        """Decide conflicts between two annotators, all of them or none.

        Args:
            items: Images, by id or path.
            class_name: Class of the images; None for "unsure".
            author: Name of the lead.
            replace: Whether decisions of other leads are replaced, and answers that are not a conflict any more.
            request: Idempotency key, see the class.
            class_id: Id of the class when it was chosen, as in `label`.

        Raises:
            UnknownNameError: The class does not exist.
            ClassesChangedError: The class of that id has left the campaign.
            DataError: An image does not exist.
            AnsweredMeanwhileError: Another lead has decided an image, or an image is not a conflict.
            CampaignError: The campaign is of masks, and a class is given.
        """
        if class_name is not None and self.settings.task != "classification":
            raise CampaignError("this campaign is of masks: use decide_mask, or label_mask with decides=True")
        kind: Kind = "unsure" if class_name is None else "label"
        self._answer(
            items,
            kind,
            author,
            class_name=class_name,
            chosen_id=class_id,
            request=request,
            decides=True,
            replace_decision=replace,
            origin="page",
        )

    def decide_mask(
        self, item: Item, which: Opinion, author: str, *, replace: bool = False, request: str | None = None
    ) -> None:
        """Decide a conflict between two annotators by taking the mask of one of them.

        Args:
            item: Image, by id or path.
            which: "first" or "second" annotator, as in `two_opinions`.
            author: Name of the lead.
            replace: Whether the decision of another lead is replaced, and answers that are not a conflict any more.
            request: Idempotency key, see the class.

        Raises:
            DataError: The image does not exist, or nobody has drawn this mask of it.
            AnsweredMeanwhileError: Another lead has decided the image, or it is not a conflict.
        """
        rewritten = rewriting(self.masks)

        def name_today(connection: Connection) -> str:
            """Return the name of the mask with the class numbers of this transaction."""
            changes, (label_id, name) = _find_opinion(connection, item, which)
            return renumbered_mask(rewritten, name, self.masks.numbers(name), numbers_since(changes, label_id))

        self._answer(
            item,
            "label",
            author,
            mask=name_today,
            body=(which,),
            request=request,
            decides=True,
            replace_decision=replace,
            origin="page",
        )

    def opinion_mask(self, item: Item, which: Opinion) -> Mask:
        """Return the mask of one of the two annotators of an image, with today's class numbers.

        Args:
            item: Image, by id or path.
            which: "first" or "second" annotator, as in `two_opinions`.

        Raises:
            DataError: The image does not exist, or nobody has drawn this mask of it.
        """
        with self.store.reading() as connection:
            changes, given = _find_opinion(connection, item, which)
        return load_as_of_today(self.masks, changes, *given)

    def opinion_version(self, item: Item, which: Opinion) -> str:
        """Return a text that changes with the mask of `opinion_mask`, without reading its file.

        Args:
            item: Image, by id or path.
            which: "first" or "second" annotator, as in `two_opinions`.

        Raises:
            DataError: The image does not exist, or nobody has drawn this mask of it.
        """
        with self.store.reading() as connection:
            changes, (label_id, name) = _find_opinion(connection, item, which)
        return f"{name}-{hashlib.sha256(numbers_since(changes, label_id).tobytes()).hexdigest()[:16]}"

    def two_opinions(self, state: str | None = None) -> list[TwoOpinions]:
        """Return the images that two annotators answered independently.

        Args:
            state: "agreed", "conflict" or "decided"; None for all.
        """
        with self.store.reading() as connection:
            return list_two_opinions(connection, state)

    def count_conflicts(self) -> int:
        """Return the number of images about which two annotators disagree."""
        with self.store.reading() as connection:
            return count_conflicts(connection)

    def authors(self, items: Sequence[Item]) -> dict[int, str]:
        """Return the author of the last answer of each image, by item id; images without an answer are left out.

        Args:
            items: Images, by id or path.
        """
        with self.store.reading() as connection:
            return answer_authors(connection, find_items(connection, items))


def _find_opinion(connection: Connection, item: Item, which: Opinion) -> tuple[list[Renumbering], tuple[int, str]]:
    """Return the changes of the class numbers, and id in the history and name of one annotator's mask.

    Raises:
        DataError: The image does not exist, or nobody has drawn this mask of it.
    """
    (found,) = find_items(connection, [item])
    given = mask_of_opinion(connection, found, which)
    if given is None:
        raise DataError(f"image {item!r} has no mask of a {which} annotator")
    return read_renumberings(connection), given
