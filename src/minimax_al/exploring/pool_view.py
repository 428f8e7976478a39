"""View of the pool at one moment: images, answers, and the opinions of today's model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from minimax_al.exploring.model_opinions import ModelOpinions
from minimax_al.exploring.pool_table import LABEL, NO_ANSWER, ORIGINS, UNSURE, PoolTable

Answer = Literal["none", "waiting", "label", "unsure", "skip"]
"""Answer to an image: "waiting" in an open round, "none" outside of one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FoundImage:
    """Image of the pool, with its answer and the opinion of today's model.

    Attributes:
        item: Id of the image.
        path: Path relative to the folder of images.
        answer: Current answer; "waiting" if it waits in an open round, "none" outside of one.
        class_name: Class of the current label.
        author: Author of the current answer.
        at: Time of the current answer.
        origin: How the current answer came: "page", "bulk", "import", "label-studio", "program" or "unknown".
        round: Last round that picked the image; None if none did.
        at_random: Whether it waits as a part of the random sample: a suggestion must not be confirmed in bulk then.
        suggestion: Class that today's model predicts; for a suspected label, the class that it should rather have.
        confidence: Probability of the likeliest class, in [0, 1].
        contradiction: Probability of the likeliest other class less that of the label's class, in [-1, 1].
        suspected: Whether the label is a suspected error.
        similarity: Cosine similarity to the examples of a search.
    """

    item: int
    path: str
    answer: Answer
    class_name: str | None
    author: str | None
    at: datetime | None
    origin: str | None
    round: int | None
    at_random: bool
    suggestion: str | None
    confidence: float | None
    contradiction: float | None
    suspected: bool
    similarity: float | None = None


def _without_answer(image: FoundImage) -> FoundImage:
    """Return an image whose answer is hidden, and the model's prediction with it."""
    return replace(image, class_name=None, author=None, contradiction=None, suspected=False)


@dataclass(frozen=True)
class PoolView:
    """View of the pool at one moment.

    Attributes:
        table: Images and their current answers.
        opinions: Opinions of today's model.
        class_ids: Id of each class, by name, in the order of the classes.
        waiting: Whether the image waits in an open round, shape (N,).
        drawn: Whether it waits as a part of the random sample, shape (N,).
        reserved: Whether an image must not be offered in bulk: it waits as a part of the random sample, or is on
            somebody's screen; shape (N,).
        mask_numbers: Class numbers of each current mask, by the id of its row of the label history.
    """

    table: PoolTable
    opinions: ModelOpinions
    class_ids: Mapping[str, int]
    waiting: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    reserved: NDArray[np.bool_]
    mask_numbers: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def shows(self, class_name: str) -> NDArray[np.bool_]:
        """Return whether the label of each image is a class, or a mask that shows it, shape (N,)."""
        table = self.table
        found: NDArray[np.bool_] = table.class_id == self.class_ids.get(class_name, -1)
        if self.mask_numbers and class_name in self.class_ids:
            number = self._names.index(class_name)
            for row in np.flatnonzero(table.mask).tolist():
                found[row] = number in self.mask_numbers.get(int(table.label_id[row]), ())
        return found

    def classes_of(self, row: int) -> list[str]:
        """Return the class of a row's label, or the classes that its mask shows."""
        if self.table.mask[row]:
            shown = self.mask_numbers.get(int(self.table.label_id[row]), ())
            return [self._names[number] for number in shown if number < len(self._names)]
        name = self._name_of.get(int(self.table.class_id[row]))
        return [] if name is None else [name]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(self.class_ids)

    @cached_property
    def _name_of(self) -> dict[int, str]:
        """Name of each class, by its id."""
        return {number: name for name, number in self.class_ids.items()}

    @property
    def unanswered(self) -> NDArray[np.bool_]:
        """Whether the image may be labelled and has neither a label nor the answer "unsure", shape (N,)."""
        found: NDArray[np.bool_] = self.table.active & (self.table.kind != LABEL) & (self.table.kind != UNSURE)
        return found

    def describe(
        self,
        rows: NDArray[np.int64],
        similarities: NDArray[np.float32] | None = None,
        *,
        only_of: str | None = None,
    ) -> list[FoundImage]:
        """Return the images of some rows.

        Args:
            rows: Rows of the table.
            similarities: Similarity of each to the examples of a search.
            only_of: Annotator that must not see the answers of others: their class and author are left out. None
                shows all answers.
        """
        found = [
            self._image(row, self._name_of, None if similarities is None else float(similarities[position]))
            for position, row in enumerate(rows.tolist())
        ]
        if only_of is None:
            return found
        return [image if image.author in (None, only_of) else _without_answer(image) for image in found]

    def _image(self, row: int, names: Mapping[int, str], similarity: float | None) -> FoundImage:
        table, opinions = self.table, self.opinions
        kind, covered = int(table.kind[row]), bool(opinions.covered[row])
        answered = kind != NO_ANSWER
        contradiction = float(opinions.contradiction[row])
        return FoundImage(
            item=int(table.items[row]),
            path=table.paths[row],
            answer=self._answer(row, kind),
            class_name=names.get(int(table.class_id[row])),
            author=table.authors[table.author[row]] if answered else None,
            at=_EPOCH + timedelta(microseconds=int(table.at[row])) if answered else None,
            origin=ORIGINS[table.origin[row]] if answered else None,
            round=int(table.round[row]) or None,
            at_random=bool(self.drawn[row]),
            suggestion=names.get(int(opinions.alternative[row])) if covered else None,
            confidence=float(opinions.confidence[row]) if covered else None,
            contradiction=None if np.isnan(contradiction) else contradiction,
            suspected=bool(opinions.suspected[row]),
            similarity=similarity,
        )

    def _answer(self, row: int, kind: int) -> Answer:
        if kind in (LABEL, UNSURE):
            return "label" if kind == LABEL else "unsure"
        if self.waiting[row]:
            return "waiting"
        return "none" if kind == NO_ANSWER else "skip"
