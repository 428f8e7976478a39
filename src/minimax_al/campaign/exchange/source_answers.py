"""Labels of a source as answers: one or more per image, of which the latest counts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from minimax_al.campaign.classes.name_rules import class_twin, why_not_a_class
from minimax_al.campaign.exchange.lookup import StoredImage
from minimax_al.campaign.exchange.problems import Problems
from minimax_al.campaign.store.history import Kind
from minimax_al.errors import DataError, nearest
from minimax_al.label_formats import Given


class SourceAnswer(NamedTuple):
    """Label of one image, as a source gives it.

    Attributes:
        class_name: Class in classification.
        mask: Name of the mask's file in segmentation.
        author: Author of the label.
        at: Time of the label; None where the source has none.
        where: File and line, for messages.
    """

    class_name: str | None
    mask: str | None
    author: str
    at: datetime | None
    where: str

    def agrees(self, other: "SourceAnswer") -> bool:
        """Return whether both have the same class or mask."""
        return (self.class_name, self.mask) == (other.class_name, other.mask)

    def against(self, other: "SourceAnswer") -> str:
        """Return what differs from another answer, as a part of a sentence."""
        if self.mask is not None:
            return "has another mask"
        here, there = ("unsure" if one.class_name is None else repr(one.class_name) for one in (self, other))
        return f"is {here} here but {there}"

    @property
    def kind(self) -> Kind:
        """Kind of the event."""
        return "unsure" if self.class_name is None and self.mask is None else "label"


@dataclass
class SourceAnswers:
    """Answers of a source by image.

    Attributes:
        of: Answers of each image, by item id, the one that counts last.
        several: Number of images about which annotators of one task disagree.
        ground_truth: Number of images whose ground-truth annotation decided.
        unusable: Number of images whose file is missing or set aside.
    """

    of: dict[int, list[SourceAnswer]] = field(default_factory=dict)
    several: int = 0
    ground_truth: int = 0
    unusable: int = 0
    _paths: dict[int, str] = field(default_factory=dict)

    def add(self, known: StoredImage, given: Given, mask: str | None, author: str) -> None:
        """Add a label of an image."""
        answer = SourceAnswer(given.class_name, mask, given.author or author, given.at, given.where)
        if known.id not in self.of:
            self.unusable += known.status in ("missing", "set-aside")
            self._paths[known.id] = known.path
        self.of.setdefault(known.id, []).append(answer)
        self.several += given.disagrees
        self.ground_truth += given.is_ground_truth

    def settle(self, problems: Problems) -> int:
        """Order the answers of each image by time; return how many images have answers that disagree.

        Several rows of one image may disagree only if each has its time: the latest counts.
        """
        overruled = 0
        for item, answers in self.of.items():
            if len(answers) == 1:
                continue
            # Answers without times keep the order of the source.
            if all(answer.at is not None for answer in answers):
                answers.sort(key=lambda answer: answer.at.timestamp() if answer.at else 0.0)
            last = answers[-1]
            other = next((one for one in answers if not one.agrees(last)), None)
            if other is None:
                continue
            overruled += 1
            rivals = [one for one in answers if not one.agrees(last) and (one.at is None or one.at == last.at)]
            if last.at is None or rivals:
                other = rivals[0] if rivals else other
                # Only classes may be in a table, which has times.
                times = (
                    ", or give each its time (in a table, a column labelled_at), of which the latest counts"
                    if last.mask is None
                    else ""
                )
                problems.add(
                    DataError(
                        f"{last.where}: {self._paths[item]!r} {last.against(other)} in {other.where}: keep one{times}"
                    )
                )
        return overruled


class SourceClasses(NamedTuple):
    """Classes that a source names.

    Attributes:
        stored: The campaign's name of each class, by its name in the source.
        new: Classes that the campaign does not have, in the order of their appearance.
    """

    stored: Mapping[str, str]
    new: tuple[str, ...]


def find_classes(
    answers: Iterable[Sequence[SourceAnswer]], known: Sequence[str], problems: Problems, *, create: bool
) -> SourceClasses:
    """Return the campaign's classes that answers mean; unknown ones are new or a problem.

    Two Unicode forms of one name are one class. Names that differ from a known class, or from one another, in case or
    spaces are a problem, since one of them is a slip.

    Args:
        answers: Answers of each image.
        known: Classes of the campaign.
        problems: Collector of the errors.
        create: Whether unknown classes are new ones.
    """
    stored: dict[str, str] = {}
    new: list[str] = []
    for name, (where, count) in _appearances(answers).items():
        twin = None if name in known else class_twin(name, [*known, *new])
        if name in known:
            stored[name] = name
        elif twin is not None and twin.looks_the_same:
            stored[name] = twin.name
        elif twin is not None:
            problems.add(DataError(f"{where}{_times(count)}: {twin.why(name)}: write {twin.name!r}"), count)
        elif not create:
            remedy = "mend it, or import with --create-classes to add it"
            problems.add(
                DataError(f"{where}{_times(count)}: unknown class {name!r}{nearest(name, known)}; {remedy}"), count
            )
        elif (reason := why_not_a_class(name)) is not None:
            problems.add(DataError(f"{where}{_times(count)}: {reason}"), count)
        else:
            new.append(name)
            stored[name] = name
    return SourceClasses(stored, tuple(new))


def _appearances(answers: Iterable[Sequence[SourceAnswer]]) -> dict[str, tuple[str, int]]:
    """Return where each class appears first, and how often it appears."""
    found: dict[str, tuple[str, int]] = {}
    for name, where in _named(answers):
        first, count = found.get(name, (where, 0))
        found[name] = first, count + 1
    return found


def _named(answers: Iterable[Sequence[SourceAnswer]]) -> Iterator[tuple[str, str]]:
    for of_image in answers:
        for answer in of_image:
            if answer.class_name is not None:
                yield answer.class_name, answer.where


def _times(count: int) -> str:
    return f" (and {count - 1:,} more)" if count > 1 else ""
