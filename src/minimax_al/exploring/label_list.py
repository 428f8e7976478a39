"""All labels of a campaign: filtered, ordered, counted; imported ones too."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from minimax_al.exploring.pool_table import KINDS, LABEL, NO_ANSWER, ORIGINS, SKIP, UNSURE
from minimax_al.exploring.pool_view import PoolView

LabelOrder = Literal["suspicion", "newest", "oldest", "path"]
ModelOpinion = Literal["any", "suspected", "differs", "agrees"]
LabelKind = Literal["label", "unsure", "skip"]

_KIND_NUMBERS: dict[str, int] = {"label": LABEL, "unsure": UNSURE, "skip": SKIP}


@dataclass(frozen=True)
class LabelFilter:
    """Conditions on labels; an image is listed if it satisfies all of them.

    Attributes:
        kind: Kind of the answer.
        search: Words that path, class or author contain, without regard to case; empty for any.
        author: Author of the answer.
        class_name: Class of the label, or a class that the mask shows.
        origin: How the answer came.
        round: Last round that picked the image.
        opinion: Opinion of today's model: "suspected" by confident learning, "differs" or "agrees".
        low: Least probability of the likeliest class, in [0, 1].
        high: Largest probability of the likeliest class, in [0, 1].
    """

    kind: LabelKind = "label"
    search: str = ""
    author: str | None = None
    class_name: str | None = None
    origin: str | None = None
    round: int | None = None
    opinion: ModelOpinion = "any"
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class LabelCounts:
    """Numbers of answers, over all images.

    Attributes:
        kinds: Number of answers of each kind.
        authors: Number of current answers of each author.
        origins: Number of current answers of each origin.
        classes: Number of labels of each class, or of masks that show it.
        suspected: Number of labels that are suspected errors.
        differing: Number of labels that today's model contradicts.
        judged: Number of labels that today's model predicts.
    """

    kinds: Mapping[str, int]
    authors: Mapping[str, int]
    origins: Mapping[str, int]
    classes: Mapping[str, int]
    suspected: int
    differing: int
    judged: int


def find_labels(view: PoolView, conditions: LabelFilter, order: LabelOrder = "suspicion") -> NDArray[np.int64]:
    """Return the rows of the answers that satisfy a filter, in order.

    Args:
        view: View of the pool.
        conditions: Conditions.
        order: "suspicion" lists suspected errors first, then what today's model contradicts most; labels that it does
            not predict come last.
    """
    table, opinions = view.table, view.opinions
    chosen = table.kind == _KIND_NUMBERS[conditions.kind]
    chosen &= _of_author(view, conditions.author)
    if conditions.class_name is not None:
        chosen &= view.shows(conditions.class_name)
    if conditions.origin is not None:
        chosen &= table.origin == (ORIGINS.index(conditions.origin) if conditions.origin in ORIGINS else -1)
    if conditions.round is not None:
        chosen &= table.round == conditions.round
    chosen &= _with_opinion(view, conditions.opinion)
    if conditions.low > 0 or conditions.high < 1:
        chosen &= opinions.covered & (opinions.confidence >= conditions.low) & (opinions.confidence <= conditions.high)
    rows = np.flatnonzero(chosen)
    if conditions.search.strip():
        rows = rows[_contains(view, rows, conditions.search)]
    return _ordered(view, rows, order)


def count_labels(view: PoolView, author: str | None = None) -> LabelCounts:
    """Return the numbers of answers by kind, author, origin, class and opinion.

    Args:
        view: View of the pool.
        author: Author of the answers to count; None for all.
    """
    table, opinions = view.table, view.opinions
    answered = (table.kind != NO_ANSWER) & _of_author(view, author)
    labelled = answered & (table.kind == LABEL)
    authors = np.bincount(table.author[answered], minlength=len(table.authors))
    origins = np.bincount(table.origin[answered], minlength=len(ORIGINS))
    kinds = np.bincount(table.kind[answered], minlength=len(KINDS))
    largest = max(view.class_ids.values(), default=0)
    classes = np.bincount(table.class_id[labelled], minlength=largest + 1)
    contradiction = opinions.contradiction[labelled]
    return LabelCounts(
        kinds={name: int(kinds[number]) for name, number in _KIND_NUMBERS.items()},
        authors={name: int(n) for name, n in zip(table.authors, authors, strict=True) if n},
        origins={name: int(n) for name, n in zip(ORIGINS, origins, strict=True) if n},
        classes=_masks_of_classes(view, labelled)
        if view.mask_numbers
        else {name: int(classes[number]) for name, number in view.class_ids.items()},
        suspected=int((opinions.suspected & labelled).sum()),
        differing=int((contradiction > 0).sum()),
        judged=int((~np.isnan(contradiction)).sum()),
    )


def _masks_of_classes(view: PoolView, labelled: NDArray[np.bool_]) -> dict[str, int]:
    """Return the number of masks that show each class."""
    counts = dict.fromkeys(view.class_ids, 0)
    for row in np.flatnonzero(labelled).tolist():
        for name in view.classes_of(row):
            counts[name] += 1
    return counts


def _of_author(view: PoolView, author: str | None) -> NDArray[np.bool_]:
    table = view.table
    if author is None:
        return np.ones(len(table), np.bool_)
    number = table.authors.index(author) if author in table.authors else -1
    found: NDArray[np.bool_] = table.author == number
    return found


def _with_opinion(view: PoolView, opinion: ModelOpinion) -> NDArray[np.bool_]:
    opinions = view.opinions
    if opinion == "suspected":
        return opinions.suspected
    if opinion == "differs":
        found: NDArray[np.bool_] = opinions.contradiction > 0
        return found
    if opinion == "agrees":
        agreeing: NDArray[np.bool_] = opinions.contradiction <= 0
        return agreeing
    return np.ones(len(view.table), np.bool_)


def _shown(view: PoolView, row: int) -> str:
    return "\n".join(view.classes_of(row)).casefold() if view.mask_numbers else ""


def _contains(view: PoolView, rows: NDArray[np.int64], search: str) -> NDArray[np.bool_]:
    """Return whether each row's path, class or author contains all words of a search."""
    table = view.table
    words = search.casefold().split()
    names = defaultdict(str, {number: name.casefold() for name, number in view.class_ids.items()})
    authors = [name.casefold() for name in table.authors] or [""]
    texts = (
        f"{table.folded[row]}\n{names[class_id] if class_id else _shown(view, row)}\n{authors[author]}"
        for row, class_id, author in zip(
            rows.tolist(), table.class_id[rows].tolist(), table.author[rows].tolist(), strict=True
        )
    )
    return np.fromiter((all(word in text for word in words) for text in texts), np.bool_, len(rows))


def _ordered(view: PoolView, rows: NDArray[np.int64], order: LabelOrder) -> NDArray[np.int64]:
    table, opinions = view.table, view.opinions
    if order == "path":
        paths = table.paths
        return np.array(sorted(rows.tolist(), key=lambda row: paths[row]), dtype=np.int64)
    newest = np.argsort(-table.label_id[rows], kind="stable")
    if order != "suspicion":
        return rows[newest if order == "newest" else newest[::-1]]
    contradiction = np.nan_to_num(opinions.contradiction[rows], nan=-2.0)  # not predicted: after all others
    return rows[np.lexsort((-table.label_id[rows], -contradiction, ~opinions.suspected[rows]))]
