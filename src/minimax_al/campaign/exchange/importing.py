"""Labels from a file or a folder into the history: all of them, or none and a sentence that says which is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from minimax_al.campaign.exchange.formats import Context, Given, check_source, detect_format, get_format
from minimax_al.campaign.exchange.lookup import Lookup
from minimax_al.campaign.images.mask_files import MaskFiles, check_mask
from minimax_al.campaign.rounds.answers import take
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.classes import add_classes, class_ids
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import Event, Kind, current_labels
from minimax_al.errors import DataError, nearest


@dataclass(frozen=True)
class Import:
    """What an import did.

    Attributes:
        source: the file or folder.
        format: how it was read.
        added: images that have their first label now.
        changed: images whose label is another now; the old one stays in the history.
        unchanged: images that had this answer already.
        new_classes: classes that joined.
        unsure: images that nobody could tell, and of which that is news.
    """

    source: str
    format: str
    added: int
    changed: int
    unchanged: int
    new_classes: tuple[str, ...]
    unsure: int = 0


class _Answer(NamedTuple):
    class_name: str | None
    mask: str | None
    author: str
    where: str

    def agrees(self, other: "_Answer") -> bool:
        return (self.class_name, self.mask) == (other.class_name, other.mask)

    def against(self, other: "_Answer") -> str:
        """What is said of an image that has this answer here and another elsewhere."""
        if self.mask is not None:
            return "has another mask"
        here, there = ("unsure" if one.class_name is None else repr(one.class_name) for one in (self, other))
        return f"is {here} here but {there}"

    @property
    def kind(self) -> Kind:
        return "unsure" if self.class_name is None and self.mask is None else "label"


def import_labels(
    store: Store,
    settings: CampaignSettings,
    masks: MaskFiles,
    source: Path,
    *,
    format: str | None = None,  # noqa: A002 - the word that everybody uses
    author: str = "import",
    create_classes: bool = False,
    now: datetime,
) -> Import:
    """Reads labels, checks every one, and adds them in one transaction.

    Args:
        store: the campaign's database.
        settings: of the campaign.
        masks: the campaign's masks.
        source: the file or folder.
        format: its format; by default told from its ending or content.
        author: who said the labels, where the file does not say.
        create_classes: take unknown classes as new ones.
        now: the time.

    Raises:
        DataError: a label cannot be taken; says which and why, and none is taken.
        ManifestError: a table is not as it should be; says the line.
    """
    name = format or detect_format(source, settings.task)
    entry = get_format(name, settings.task)
    check_source(source, name)
    images = Path(settings.images)
    with masks.waiting_room() as room:
        with store.reading() as connection:
            class_names = list(class_ids(connection))
            lookup = Lookup(connection, images)
            given = entry.read(source, Context(settings.task, class_names, images, masks, lookup.size_of))
            checked = _checked(given, lookup, room, len(class_names))
            answers = _one_per_image(checked, lookup, author)
        if not answers:
            raise DataError(f"{str(source)!r} has no labels: nothing was imported")
        for answer in answers.values():
            if answer.mask is not None:
                masks.admit(answer.mask, room)
    with store.writing() as connection:
        new = _check_classes(connection, answers.values(), create=create_classes)
        counts = _take(connection, answers, settings, now)
    return Import(str(source), name, new_classes=new, **counts)


def _checked(
    given: Iterable[Given], lookup: Lookup, room: MaskFiles, classes: int
) -> Iterator[tuple[Given, str | None]]:
    """Each label, and the name of its mask: masks go to the disk one by one, not all into memory."""
    for one in given:
        if one.mask is None:
            yield one, None
            continue
        check_mask(one.mask, lookup.size_of(one), classes, one.where)
        yield one, room.save(one.mask)


def _one_per_image(given: Iterable[tuple[Given, str | None]], lookup: Lookup, author: str) -> dict[int, _Answer]:
    """The answer of every image, by id.

    Raises:
        DataError: two rows about one image disagree.
    """
    answers: dict[int, _Answer] = {}
    for one, mask in given:
        known = lookup.find(one)
        answer = _Answer(one.class_name, mask, one.author or author, one.where)
        before = answers.setdefault(known.id, answer)
        if not before.agrees(answer):
            raise DataError(f"{answer.where}: {known.path!r} {answer.against(before)} in {before.where}: keep one")
    return answers


def _check_classes(connection: Connection, answers: Iterable[_Answer], *, create: bool) -> tuple[str, ...]:
    """Adds unknown classes, in the order of their appearance, or refuses them."""
    known = class_ids(connection)
    unknown: dict[str, str] = {}
    for answer in answers:
        if answer.class_name is not None and answer.class_name not in known:
            unknown.setdefault(answer.class_name, answer.where)
    if unknown and not create:
        name, where = next(iter(unknown.items()))
        raise DataError(
            f"{where}: unknown class {name!r}{nearest(name, known)}; mend it, or import with --create-classes to add it"
        )
    add_classes(connection, list(unknown))
    return tuple(unknown)


def _take(
    connection: Connection, answers: dict[int, _Answer], settings: CampaignSettings, now: datetime
) -> dict[str, int]:
    """Adds what is new; returns the counts of `Import`."""
    ids = class_ids(connection)
    held = {row.item_id: (row.class_name, row.mask) for row in connection.execute(current_labels(unsure=True))}
    events: list[Event] = []
    counts = {"added": 0, "changed": 0, "unchanged": 0, "unsure": 0}
    for item, answer in answers.items():
        before = held.get(item)
        if before == (answer.class_name, answer.mask):
            counts["unchanged"] += 1
            continue
        labelled = before is not None and before != (None, None)
        counts["unsure" if answer.kind == "unsure" else "changed" if labelled else "added"] += 1
        number = None if answer.class_name is None else ids[answer.class_name]
        events.append(Event(item, answer.kind, answer.author, now, number, answer.mask))
    take(connection, events, settings)
    return counts
