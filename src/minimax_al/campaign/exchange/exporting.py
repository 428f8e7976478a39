"""The labels that hold, written so that other programs and `importing` can read them."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from minimax_al.campaign.exchange.formats import Context, Format, Labelled, get_format
from minimax_al.campaign.images.mask_files import MaskFiles
from minimax_al.campaign.settings import CampaignSettings
from minimax_al.campaign.store.classes import class_ids
from minimax_al.campaign.store.database import Store
from minimax_al.campaign.store.history import current_labels
from minimax_al.durable import new_folder


def export_labels(store: Store, settings: CampaignSettings, masks: MaskFiles, format: str, out: Path) -> int:  # noqa: A002
    """Writes every label that holds; of images that nobody could tell, as much as the format has a place for.

    Args:
        store: the campaign's database.
        settings: of the campaign.
        masks: the campaign's masks.
        format: name of one of the formats.
        out: the file, which is replaced, or the folder, which must be new or empty.

    Returns:
        How many labels were written.

    Raises:
        UnknownNameError: there is no such format.
        ConfigurationError: it has no place for this task's labels.
        CampaignError: the folder is not empty, or an image that has to be copied is gone.
    """
    entry = get_format(format, settings.task)
    with store.reading() as connection:
        labelled = labels_to_write(connection, unsure=entry.keeps_unsure)
        context = Context(settings.task, list(class_ids(connection)), Path(settings.images), masks)
    if entry.is_folder:
        _write_folder(entry, out, labelled, context)
    else:
        entry.write(out, labelled, context)
    return sum(row.class_name is not None or row.mask is not None for row in labelled)


def labels_to_write(connection: Connection, *, unsure: bool = False) -> list[Labelled]:
    """Every label that holds, in the order of labelling; with `unsure` also what nobody could tell."""
    return [
        Labelled(row.path, row.class_name, row.mask, row.width, row.height, row.author, row.at)
        for row in connection.execute(current_labels(unsure=unsure))
    ]


def _write_folder(entry: Format, out: Path, labelled: Sequence[Labelled], context: Context) -> None:
    with new_folder(out) as part:
        entry.write(part, labelled, context)
