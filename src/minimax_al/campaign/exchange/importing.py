"""Import of labels from a file or folder as one transaction; an error lists every invalid label."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from minimax_al.campaign.answers.answers import record_answers, record_superseded
from minimax_al.campaign.classes.classes import add_classes, class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.exchange.lookup import Lookup
from minimax_al.campaign.exchange.problems import Problems
from minimax_al.campaign.exchange.source_answers import SourceAnswer, SourceAnswers, SourceClasses, find_classes
from minimax_al.campaign.store.history import Event, current_labels
from minimax_al.data.masks.mask_store import Mask, MaskFiles, check_mask
from minimax_al.errors import DataError
from minimax_al.label_formats import Context, Given, check_source, detect_format, get_format
from minimax_al.vocabulary import IGNORED


@dataclass(frozen=True)
class Import:
    """Outcome of an import, counted in images.

    Attributes:
        source: File or folder of the labels.
        format: Format by which it was read.
        added: Images that have their first label now.
        changed: Images with another label than before; the old one stays in the history.
        unchanged: Images that had this label already.
        new_classes: Classes that were added.
        unsure: New answers "unsure".
        is_check: Whether nothing was written.
        notes: Remarks for the user, one sentence each.
    """

    source: str
    format: str
    added: int
    changed: int
    unchanged: int
    new_classes: tuple[str, ...]
    unsure: int = 0
    is_check: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class _Reading:
    """Labels of a source while they are read.

    Attributes:
        lookup: Search for the campaign's images.
        room: Waiting room of the masks.
        problems: Collector of the errors.
        answers: Answers so far.
        values: Class numbers, and 255, that occur in any mask.
    """

    lookup: Lookup
    room: MaskFiles
    problems: Problems
    answers: SourceAnswers = field(default_factory=SourceAnswers)
    values: set[int] = field(default_factory=set)

    def read(self, given: Iterable[Given | DataError], class_count: int, author: str) -> None:
        """Find the image of each label and store the masks one by one, not all in memory."""
        for one in self.problems.without(given):
            try:
                self.lookup.guesses = self.problems.are_listed_all
                known = self.lookup.find(one)
                mask = None if one.mask is None else self._save(one, one.mask, class_count)
            except DataError as error:
                self.problems.add(error)
            else:
                self.answers.add(known, one, mask, author)

    def _save(self, one: Given, mask: Mask, class_count: int) -> str:
        check_mask(mask, self.lookup.size_of(one), class_count, one.where)
        self.values.update(np.flatnonzero(np.bincount(mask.ravel(), minlength=IGNORED + 1)).tolist())
        return self.room.save(mask)


def import_labels(
    context: CampaignContext,
    source: Path,
    *,
    format: str | None = None,  # noqa: A002 - the word that everybody uses
    author: str = "import",
    create_classes: bool = False,
    check: bool = False,
    strip_prefix: str = "",
    shown: Path | None = None,
) -> Import:
    """Read labels, check every one, and add them in one transaction.

    Args:
        context: Campaign.
        source: File or folder of the labels.
        format: Format of the source; by default recognised by its ending or content.
        author: Author of labels for which the source names none.
        create_classes: Whether unknown classes are added.
        check: Whether to read and check alone, without any change.
        strip_prefix: Start of the names in the source that the campaign's paths do not have.
        shown: File that messages and the outcome name; by default `source`.

    Raises:
        DataError: A label cannot be imported; the first 20 are listed, and none is imported.
        ManifestError: A table cannot be read; the sentence names the line.
    """
    task, now = context.settings.task, context.now()
    shown = shown or source
    name = format or detect_format(source, task, shown)
    entry = get_format(name, task)
    check_source(source, name)
    problems = Problems(shown)
    with context.masks.waiting_room() as room:
        with context.store.reading() as connection:
            class_names = list(class_ids(connection))
            lookup = Lookup(connection, context.images, strip_prefix)
            reading = _Reading(lookup, room, problems)
            given = entry.read(
                source, Context(task, class_names, context.images, context.masks, lookup.size_of, shown=shown)
            )
            reading.read(given, len(class_names), author)
            outcome = _outcome(reading, shown, name, class_names)
            answers = reading.answers.of
            classes = _checked_classes(answers, class_names, problems, create=create_classes)
            if check:
                plan = _plan(connection, answers, classes, now)
                return replace(plan.counted(outcome), new_classes=classes.new, is_check=True)
        for mask in {answer.mask for of_image in answers.values() for answer in of_image if answer.mask is not None}:
            context.masks.admit(mask, room)
    with context.store.writing() as connection:
        # Classes may have changed meanwhile.
        classes = _checked_classes(answers, list(class_ids(connection)), problems, create=create_classes)
        add_classes(connection, classes.new)
        plan = _plan(connection, answers, classes, now)
        record_superseded(connection, plan.earlier, now)
        record_answers(connection, plan.events, context.settings)
    return replace(plan.counted(outcome), new_classes=classes.new)


def _outcome(reading: _Reading, shown: Path, format_name: str, class_names: Sequence[str]) -> Import:
    """Settle several labels of one image, and return the outcome without its counts."""
    overruled = reading.answers.settle(reading.problems)
    notes = tuple(_notes(reading, overruled, class_names if format_name == "masks" else ()))
    return Import(str(shown), format_name, added=0, changed=0, unchanged=0, new_classes=(), notes=notes)


def _checked_classes(
    answers: Mapping[int, Sequence[SourceAnswer]], class_names: Sequence[str], problems: Problems, *, create: bool
) -> SourceClasses:
    """Return the classes of answers, by item id.

    Raises:
        DataError: A label is wrong, or the source has none.
    """
    classes = find_classes(answers.values(), class_names, problems, create=create)
    problems.check()
    if not answers:
        raise DataError(f"{str(problems.source)!r} has no labels: nothing was imported")
    return classes


class _Plan(NamedTuple):
    """Changes of the history.

    Attributes:
        earlier: Events that a later label of the same source supersedes.
        events: Events that will hold.
        counts: Counts of `Import`.
    """

    earlier: list[Event]
    events: list[Event]
    counts: Counter[str]

    def counted(self, outcome: Import) -> Import:
        """Return an outcome with the counts of this plan."""
        added, changed, unchanged, unsure = (self.counts[name] for name in ("added", "changed", "unchanged", "unsure"))
        return replace(outcome, added=added, changed=changed, unchanged=unchanged, unsure=unsure)


def _plan(
    connection: Connection, answers: Mapping[int, Sequence[SourceAnswer]], classes: SourceClasses, now: datetime
) -> _Plan:
    ids = class_ids(connection)
    held = {row.item_id: (row.class_name, row.mask) for row in connection.execute(current_labels(unsure=True))}
    plan = _Plan([], [], Counter())
    for item, (*earlier, answer) in answers.items():
        name = None if answer.class_name is None else classes.stored[answer.class_name]
        before = held.get(item)
        if before == (name, answer.mask):
            plan.counts["unchanged"] += 1
            continue
        is_labelled = before is not None and before != (None, None)
        plan.counts["unsure" if answer.kind == "unsure" else "changed" if is_labelled else "added"] += 1
        events = [_event(item, one, classes, ids, now) for one in (*earlier, answer)]
        plan.earlier.extend(events[:-1])
        plan.events.append(events[-1])
    return plan


def _event(item: int, answer: SourceAnswer, classes: SourceClasses, ids: Mapping[str, int], now: datetime) -> Event:
    # A class that is still to be added has no id: that is so in a check alone.
    number = None if answer.class_name is None else ids.get(classes.stored[answer.class_name])
    return Event(item, answer.kind, answer.author, answer.at or now, number, answer.mask, origin="import")


def _notes(reading: _Reading, overruled: int, class_names: Sequence[str]) -> Iterator[str]:
    """Yield sentences about what should be known of an import."""
    answers = reading.answers
    if reading.lookup.has_stripped:
        yield (
            f"The names begin with {reading.lookup.prefix!r}, which the campaign's paths do not have: it was left out."
        )
    if overruled:
        yield f"{overruled:,} images have several labels that disagree in the source: the latest of each counts."
    if answers.several:
        decided = f", and of {answers.ground_truth:,} tasks the ground truth" if answers.ground_truth else ""
        yield f"{answers.several:,} tasks have annotations that disagree: the latest of each counts{decided}."
    if answers.unusable:
        yield (
            f"{answers.unusable:,} labels are of images whose file is missing or set aside: they count once the file "
            "can be read."
        )
    if reading.values == {0, IGNORED} and len(class_names) > 1:
        yield (
            f"The masks hold the values 0 and {IGNORED} only. {IGNORED} is void, so every labelled pixel is "
            f"{class_names[0]!r}. If {IGNORED} means {class_names[1]!r}, replace it by 1 and import again."
        )
