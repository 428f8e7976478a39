"""Export of the current labels to files that other programs and `importing` can read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import items
from minimax_al.durable import new_folder
from minimax_al.label_formats import Context, Format, Labelled, get_format
from minimax_al.label_formats.spreadsheets import is_formula


@dataclass(frozen=True)
class Export:
    """Outcome of an export.

    Attributes:
        written: Number of labels that were written.
        left_out: A sentence for each label that was left out.
        notes: Remarks for the user, one sentence each.
    """

    written: int
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def export_labels(
    context: CampaignContext,
    format: str,  # noqa: A002 - the word that everybody uses
    out: Path,
    *,
    escape_formulas: bool = False,
) -> Export:
    """Write every current label, and every "unsure" if the format can hold them.

    Args:
        context: Campaign.
        format: Name of the format.
        out: File, which is replaced, or folder, which must be new or empty.
        escape_formulas: Whether cells of a CSV file that Excel would run as formulas begin with an apostrophe.

    Raises:
        UnknownNameError: The format does not exist.
        ConfigurationError: It cannot hold this task's labels.
        CampaignError: The folder is not empty.
    """
    task = context.settings.task
    entry = get_format(format, task)
    with context.store.reading() as connection:
        labelled = labels_to_write(connection, unsure=entry.keeps_unsure)
        class_names = list(class_ids(connection))
    labels = Context(task, class_names, context.images, context.masks, escape_formulas=escape_formulas)
    left_out = (_write_folder if entry.is_folder else _write_file)(entry, out, labelled, labels)
    count = sum(row.class_name is not None or row.mask is not None for row in labelled) - len(left_out)
    return Export(count, tuple(left_out), tuple(_notes(format, labelled, escape_formulas)))


def _notes(format: str, labelled: Sequence[Labelled], escape_formulas: bool) -> Iterator[str]:  # noqa: A002, FBT001
    if format != "csv" or escape_formulas:
        return
    cells = [cell for row in labelled for cell in (row.path, row.class_name or "", row.author) if is_formula(cell)]
    if cells:
        yield (
            f"{len(cells):,} cells, such as {cells[0]!r}, would be run as formulas by Excel and other spreadsheet "
            "programs: before the file is opened in one, export it with --escape-formulas."
        )


def labels_to_write(connection: Connection, *, unsure: bool = False) -> list[Labelled]:
    """Return every current label, in the order of labelling; with `unsure` also the images answered "unsure"."""
    return [
        Labelled(
            row.path,
            row.class_name,
            row.mask,
            row.width,
            row.height,
            row.author,
            row.at,
            row.origin,
            row.attributes,
        )
        for row in connection.execute(current_labels(unsure=unsure).add_columns(items.c.attributes))
    ]


def _write_file(entry: Format, out: Path, labelled: Sequence[Labelled], context: Context) -> list[str]:
    return entry.write(out, labelled, context) or []


def _write_folder(entry: Format, out: Path, labelled: Sequence[Labelled], context: Context) -> list[str]:
    with new_folder(out) as part:
        return entry.write(part, labelled, context) or []
