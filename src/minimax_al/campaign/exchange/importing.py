"""Import of labels from a file or folder: all of them, or none and an error that lists what is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from minimax_al.campaign.exchange.answers import Answer, Answers, find_classes
from minimax_al.campaign.exchange.formats import Context, Given, check_source, detect_format, get_format
from minimax_al.campaign.exchange.lookup import Known, Lookup
from minimax_al.campaign.exchange.problems import Problems
from minimax_al.campaign.images.mask_files import Mask, MaskFiles, check_mask
from minimax_al.campaign.rounds.answers import take, take_overtaken
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.classes import add_classes, class_ids
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import Event, current_labels
from minimax_al.errors import DataError
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
        unsure: Images that nobody could tell, where that is new.
        is_check: Whether nothing was written.
        notes: Sentences about what was noticed.
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
    answers: Answers = field(default_factory=Answers)
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
        self.values.update(set(mask.ravel()[:: max(1, mask.size // 4096)].tolist()) or ())
        if len(self.values) <= 2:  # rare values matter only as long as few are known
            self.values.update(map(int, set(mask.ravel().tolist())))
        return self.room.save(mask)


def import_labels(
    store: Store,
    settings: CampaignSettings,
    masks: MaskFiles,
    source: Path,
    *,
    format: str | None = None,  # noqa: A002 - the word that everybody uses
    author: str = "import",
    create_classes: bool = False,
    check: bool = False,
    strip_prefix: str = "",
    now: datetime,
) -> Import:
    """Read labels, check every one, and add them in one transaction.

    Args:
        store: Database of the campaign.
        settings: Settings of the campaign.
        masks: Masks of the campaign.
        source: File or folder of the labels.
        format: Format of the source; by default recognised by its ending or content.
        author: Author of labels for which the source names none.
        create_classes: Whether unknown classes are added.
        check: Whether to read and check alone, without any change.
        strip_prefix: Start of the names in the source that the campaign's paths do not have.
        now: Current time.

    Raises:
        DataError: A label cannot be imported; the first 20 are listed, and none is imported.
        ManifestError: A table cannot be read; the sentence names the line.
    """
    name = format or detect_format(source, settings.task)
    entry = get_format(name, settings.task)
    check_source(source, name)
    images, problems = Path(settings.images), Problems(source)
    with masks.waiting_room() as room:
        with store.reading() as connection:
            class_names = list(class_ids(connection))
            lookup = Lookup(connection, images, strip_prefix)
            reading = _Reading(lookup, room, problems)
            given = entry.read(source, Context(settings.task, class_names, images, masks, lookup.size_of))
            reading.read(given, len(class_names), author)
            overruled = reading.answers.settle(problems)
            answers = reading.answers.of
            find_classes(answers.values(), class_names, problems, create=create_classes)
            problems.check()
            if not answers:
                raise DataError(f"{str(source)!r} has no labels: nothing was imported")
            notes = tuple(_notes(reading, overruled, class_names))
            if check:
                return _import(connection, answers, settings, now, Import(str(source), name, 0, 0, 0, ()), notes, None)
        for answer in _each(answers):
            if answer.mask is not None:
                masks.admit(answer.mask, room)
    with store.writing() as connection:
        ...
