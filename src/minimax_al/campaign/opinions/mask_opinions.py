"""Comparison of the masks that two annotators drew of one image.

The pixels of both masks, counted by their two classes, are stored with the opinions: what follows from them (agreement,
IoU, kappa) never reads the masks again. Counts stay right after a change of the classes, see `renumbering`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection

from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.masks.precomputed import Precomputed
from minimax_al.campaign.masks.renumbering import Renumbering, numbers_since, read_renumberings
from minimax_al.campaign.store.history import last_event
from minimax_al.data.masks.mask_store import Mask, MaskFiles
from minimax_al.report.mask_agreement import PixelTable

_Version = tuple[str, bytes]
"""Name of a mask, and today's number of each of its numbers."""


class MaskJudge:
    """Judge of whether two masks of one image agree.

    Args:
        masks: Masks of the campaign.
        least: Share of the drawn pixels with the same class from which on two masks agree.
    """

    def __init__(self, masks: MaskFiles, least: float) -> None:
        self.least = least
        self._masks = masks
        self._tables = Precomputed(self._compare)

    @classmethod
    def of(cls, context: CampaignContext) -> Self | None:
        """Return the judge of a campaign; None if its labels are classes."""
        settings = context.settings
        return cls(context.masks, settings.mask_agreement) if settings.task == "segmentation" else None

    def compare(self, connection: Connection, first: tuple[int, str], second: tuple[int, str]) -> PixelTable:
        """Return the pixels of two masks by their classes, with today's class numbers.

        Args:
            connection: Connection.
            first: Id in the label history and name of the first mask.
            second: The same of the second mask.

        Raises:
            NotComputedError: They were not compared yet; see `retried`.
            CampaignError: A mask's file is gone or damaged.
        """
        changes = read_renumberings(connection)
        one, other = ((name, numbers_since(changes, label_id).tobytes()) for label_id, name in (first, second))
        (table,) = self._tables.of([(one, other)])
        return table

    def _compare(self, pair: tuple[_Version, _Version]) -> PixelTable:
        return PixelTable.of(*(np.frombuffer(numbers, np.uint8)[self._masks.load(name)] for name, numbers in pair))


def load_as_of_today(masks: MaskFiles, changes: Sequence[Renumbering], label_id: int, name: str) -> Mask:
    """Return a mask of the label history with today's class numbers, shape (H, W), uint8."""
    return numbers_since(changes, label_id)[masks.load(name)]


def as_stored(connection: Connection, table: PixelTable) -> dict[str, Any]:
    """Return a table as JSON, with the time from which on changes of the class numbers apply to it."""
    return {"last_label": last_event(connection), "cells": np.stack(table, axis=1).tolist()}


def from_stored(stored: Mapping[str, Any], changes: Sequence[Renumbering]) -> PixelTable:
    """Return a stored table with today's class numbers."""
    columns = np.array(stored["cells"], dtype=np.int64).reshape(-1, 3).T
    return PixelTable(*columns).renumbered(numbers_since(changes, stored["last_label"]))
