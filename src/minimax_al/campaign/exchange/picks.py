"""The images of a round outside of the campaign: as a table with reasons, or as copies in a folder."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from minimax_al.campaign.rounds.rounds import Pick
from minimax_al.data.locations.location import Location, copy_image, relative_name
from minimax_al.durable import new_folder, write_durably
from minimax_al.errors import CampaignError

TABLE = "picks.csv"
"""Name of the table in the folder of the copies."""

_COLUMNS = ("path", "label", "rank", "answer", "reason", "suggestion", "confidence", "at_random")


class ExportedPicks(NamedTuple):
    """Outcome of an export of a round.

    Attributes:
        written: Number of images in the table, or of copies in the folder.
        missing: Paths of images whose file is gone; the table has them.
    """

    written: int
    missing: tuple[str, ...]


def export_picks(picks: Sequence[Pick], images: Location, out: Path) -> ExportedPicks:
    """Write the images of a round as a CSV file, or as a folder of copies with that file in it.

    Args:
        picks: Images of the round, by rank.
        images: Location of the campaign's images.
        out: CSV file, by its ending `.csv`, or a new folder, in which every copy has the image's relative path.

    Raises:
        CampaignError: The folder exists and is not empty, or the round has no images.
    """
    if not picks:
        raise CampaignError("the campaign has no round to list: run 'mal query' first")
    if out.suffix.lower() == ".csv":
        write_durably(out, _table(picks))
        return ExportedPicks(len(picks), ())
    missing = []
    with new_folder(out) as part:
        for pick in picks:
            copy = part / relative_name(pick.path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                copy_image(images / pick.path, copy)
            except FileNotFoundError:
                missing.append(pick.path)
        write_durably(part / TABLE, _table(picks))
    return ExportedPicks(len(picks) - len(missing), tuple(missing))


def _table(picks: Sequence[Pick]) -> bytes:
    scores = sorted({name for pick in picks for name in pick.scores})
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*_COLUMNS, *scores])
    rows.writerows([*_cells(pick), *(pick.scores.get(name, "") for name in scores)] for pick in picks)
    return text.getvalue().encode()


def _cells(pick: Pick) -> tuple[object, ...]:
    confidence = "" if pick.confidence is None else f"{pick.confidence:.4f}"
    known = pick.path, pick.class_name or "", pick.rank, pick.answer, pick.reason
    return (*known, pick.suggestion or "", confidence, "yes" if pick.at_random else "no")
