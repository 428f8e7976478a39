"""Explorer of a campaign's pool: one view of all images for the tools that look at many at once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from minimax_al.campaign.answers.leases import Holder
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.context import CampaignContext
from minimax_al.campaign.images.known_features import CURRENT, FEATURES, known_store
from minimax_al.campaign.progress.label_errors import OutOfFoldLabels, read_out_of_fold
from minimax_al.campaign.progress.pool_predictions import PoolPredictions, latest_pool_predictions
from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import labels, picks, rounds, runs
from minimax_al.errors import CampaignError, DataError
from minimax_al.exploring.likeness import order_by_likeness
from minimax_al.exploring.model_opinions import ModelOpinions, form_opinions
from minimax_al.exploring.neighbours import NeighbourIndex
from minimax_al.exploring.pool_table import LABEL, UNSURE, PoolReader, PoolTable
from minimax_al.exploring.pool_view import FoundImage, PoolView
from minimax_al.exploring.projection import MapMethod, PoolMap, compute_map, count_points, map_file, read_map
from minimax_al.vocabulary import Progress

_LOG = logging.getLogger(__name__)

NEIGHBOURS = "neighbours"
"""Folder of a campaign's codes for searches by likeness."""

Subset = Literal["all", "unlabelled", "labelled"]
"""Images of the pool to search: all, those without an answer, or those with one."""

Integers = NDArray[np.int64]


class Found(NamedTuple):
    """Page of a result.

    Attributes:
        images: Images of the page.
        total: Number of images of the whole result.
    """

    images: list[FoundImage]
    total: int


@dataclass(frozen=True)
class _Located:
    """Features of the pool: an index, and the row of each image of a table in it, -1 without features."""

    index: NeighbourIndex
    rows: Integers


class Explorer:
    """Reader of a campaign's pool for the tools that look at many images; safe to share between threads.

    Args:
        context: Campaign.
    """

    def __init__(self, context: CampaignContext) -> None:
        self.context = context
        self._reader = PoolReader(context.store)
        self._lock = Lock()  # of the model's opinions
        self._features_lock = Lock()  # held for seconds while the first search writes its codes
        self._run_key: tuple[object, ...] | None = None
        self._predictions: PoolPredictions | None = None
        self._out_of_fold: OutOfFoldLabels | None = None
        self._opinions: tuple[object, ModelOpinions] | None = None
        self._masks_lock = Lock()  # held while files are read; suggestions do not wait for it
        self._mask_numbers: dict[int, tuple[int, ...]] = {}
        self._store_key: object = None
        self._located: _Located | None = None

    def view(self, now: datetime | None = None, holder: Holder | None = None) -> PoolView:
        """Return the view of the pool as of now.

        Args:
            now: Time by the campaign's lease clock; None treats every lease as running.
            holder: Annotator whose own images are not reserved.
        """
        table = self._reader.read()
        with self.context.store.reading() as connection:
            ids = class_ids(connection)
            with self._lock:
                opinions = self._opinions_on(connection, table, ids)
            waiting, drawn, reserved = _waiting(connection, table, now, holder)
            with self._masks_lock:
                numbers = self._numbers_of_masks(connection, table)
        return PoolView(table, opinions, ids, waiting, drawn, reserved, numbers)

    def _numbers_of_masks(self, connection: Connection, table: PoolTable) -> Mapping[int, tuple[int, ...]]:
        """Return the class numbers of the current masks, read once per mask; call it with the masks' lock held."""
        current = set(table.label_id[table.mask].tolist())
        found = {one: numbers for one, numbers in self._mask_numbers.items() if one in current}
        for portion in portions(sorted(current - found.keys())):
            rows = connection.execute(select(labels.c.id, labels.c.mask).where(labels.c.id.in_(portion)))
            found |= {row.id: self._numbers_of_mask(row.mask) for row in rows}
        self._mask_numbers = found
        return found

    def _numbers_of_mask(self, name: str) -> tuple[int, ...]:
        try:
            return self.context.masks.numbers(name)
        except CampaignError as error:  # one damaged file must not end every view
            _LOG.warning("%s", error)
            return ()

    def search(self, view: PoolView, text: str, subset: Subset = "all", *, in_labels: bool = True) -> Integers:
        """Return the rows of the images whose path or label contains all words, by path.

        Args:
            view: View of the pool.
            text: Words, without regard to case; empty for all images.
            subset: Images to search.
            in_labels: Whether to search labels too, or paths alone.
        """
        table = view.table
        words = text.casefold().split()
        names = {number: name.casefold() for name, number in view.class_ids.items()} if in_labels else {}
        labels = table.class_id.tolist()
        rows = np.flatnonzero(_members(view, subset))
        if words:
            folded = table.folded
            rows = np.array(
                [
                    row
                    for row in rows.tolist()
                    if all(word in folded[row] or word in names.get(labels[row], "") for word in words)
                ],
                dtype=np.int64,
            )
        paths = table.paths
        return np.array(sorted(rows.tolist(), key=lambda row: paths[row]), dtype=np.int64)

    def neighbours(
        self, view: PoolView, examples: Sequence[int], subset: Subset, count: int
    ) -> tuple[Integers, NDArray[np.float32]]:
        """Return the rows of the images that are most similar to examples, and their similarities.

        Args:
            view: View of the pool.
            examples: Ids of the examples.
            subset: Images to search.
            count: Largest number of images.

        Raises:
            CampaignError: The campaign has no features yet.
            DataError: An example does not exist or has no features.
        """
        located = self._features(view.table)
        places = view.table.find(examples)
        for example, place in zip(examples, places.tolist(), strict=True):
            if place < 0:
                raise DataError(f"{example!r} is not an image of this campaign")
            if located.rows[place] < 0:
                raise DataError(f"{view.table.paths[place]!r} has no features: no likeness is known")
        chosen = _members(view, subset) & (located.rows >= 0)
        chosen[places] = False
        rows_of_table = np.flatnonzero(chosen)
        order = np.argsort(located.rows[rows_of_table], kind="stable")
        rows_of_table = rows_of_table[order]
        among, first = np.unique(located.rows[rows_of_table], return_index=True)  # copies share a row
        # A row that several images share counts once per image: ask for some more, and cut afterwards.
        found = located.index.nearest(located.rows[places], among, count)
        ends = np.append(first[1:], len(rows_of_table))
        place_in = np.searchsorted(among, found.rows)
        images = [rows_of_table[first[p] : ends[p]] for p in place_in.tolist()]
        rows = np.concatenate([np.empty(0, np.int64), *images])[:count]
        repeats = [len(part) for part in images]
        return rows, np.repeat(found.similarities, repeats)[:count]

    def order_by_likeness(self, view: PoolView, ids: Sequence[int]) -> list[int]:
        """Return ids of images in an order in which similar ones follow one another; unknown ids are left out.

        Raises:
            CampaignError: The campaign has no features yet.
        """
        located = self._features(view.table)
        places = view.table.find(ids)
        places = places[places >= 0]
        rows = located.rows[places]
        units = np.zeros((len(places), located.index.store.shape[1]), np.float32)
        units[rows >= 0] = located.index.unit_vectors(rows[rows >= 0])
        found: list[int] = view.table.items[places[order_by_likeness(units)]].tolist()
        return found

    def map(self, method: MapMethod) -> PoolMap | None:
        """Return a computed map; None if it was not computed yet."""
        return read_map(self.context.folder, method)

    def count_mapped(self, method: MapMethod) -> int | None:
        """Return the number of images on a map; None if it was not computed yet."""
        return count_points(self.context.folder, method)

    def map_version(self, method: MapMethod) -> str | None:
        """Return a text that changes with the map; None if it was not computed yet."""
        try:
            found = map_file(self.context.folder, method).stat()
        except OSError:
            return None
        return f"{found.st_mtime_ns:x}-{found.st_size:x}"

    def compute_map(self, method: MapMethod, progress: Progress | None = None) -> PoolMap:
        """Compute a map of all images with features.

        Raises:
            CampaignError: The campaign has no features yet.
            DataError: Too few images have features.
        """
        table = self._reader.read()
        located = self._features(table)
        chosen = _mappable(table, located)
        return compute_map(
            located.index,
            table.items[chosen],
            located.rows[chosen],
            method,
            seed=self.context.settings.seed,
            progress=progress,
        )

    def has_features(self) -> bool:
        """Return whether features of the pool are there."""
        try:
            self.check_features()
        except CampaignError:
            return False
        return True

    def check_features(self) -> None:
        """Raise an error if the pool has no features.

        Raises:
            CampaignError: The campaign has no features yet.
        """
        self._features(self._reader.read())

    def count_mappable(self) -> int:
        """Return the number of images that a map would show now."""
        table = self._reader.read()
        return len(_mappable(table, self._features(table)))

    def predictions(self) -> PoolPredictions | None:
        """Return the last model's predictions of the pool, read once per model; None without one."""
        with self.context.store.reading() as connection, self._lock:
            self._read_model(connection, class_ids(connection))
            return self._predictions

    def _read_model(self, connection: Connection, classes: Mapping[str, int]) -> None:
        """Read the predictions of the last model, unless they are in memory; call it with the lock held."""
        done = runs.c.state == "done"
        latest = connection.execute(select(func.count(), func.max(runs.c.finished_at)).where(done)).one()
        run_key = (*latest, *classes.items())
        if run_key == self._run_key:
            return
        self._predictions = latest_pool_predictions(connection, self.context.folder)
        try:
            self._out_of_fold = read_out_of_fold(connection, self.context.folder)
        except CampaignError:  # the classes have changed since: nothing is known of the labels until a training
            self._out_of_fold = None
        self._run_key = run_key

    def _opinions_on(self, connection: Connection, table: PoolTable, classes: Mapping[str, int]) -> ModelOpinions:
        self._read_model(connection, classes)
        key = (self._run_key, table.version)
        if self._opinions is None or self._opinions[0] != key:
            self._opinions = key, form_opinions(table, self._predictions, self._out_of_fold)
        return self._opinions[1]

    def _features(self, table: PoolTable) -> _Located:
        """Return the features of a table's images.

        Raises:
            CampaignError: The campaign has no features yet.
        """
        source, folder = self.context.settings.features, self.context.folder
        if source is None:
            raise CampaignError("this campaign trains networks on its images: it has no features to compare them by")
        with self._features_lock:
            try:
                key = (table.images, source, (folder / FEATURES / CURRENT).stat().st_mtime_ns)
            except OSError:
                raise CampaignError("the images' features are not computed yet: choose the first round") from None
            if self._located is None or key != self._store_key:
                store = known_store(folder, source)
                if store is None or len(store) == 0:
                    raise CampaignError("the images' features are not computed yet: choose the first round")
                index = NeighbourIndex(store, folder / NEIGHBOURS)
                rows = store.rows(table.hashes)
                self._located, self._store_key = _Located(index, rows), key
            return self._located


def _members(view: PoolView, subset: Subset) -> NDArray[np.bool_]:
    table = view.table
    if subset == "unlabelled":
        return view.unanswered
    if subset == "labelled":
        return np.isin(table.kind, (LABEL, UNSURE))
    shown: NDArray[np.bool_] = table.active | (table.kind == LABEL)
    return shown


def _mappable(table: PoolTable, located: _Located) -> Integers:
    return np.flatnonzero((located.rows >= 0) & np.logical_or(table.active, table.kind == LABEL))


def _waiting(
    connection: Connection, table: PoolTable, now: datetime | None, holder: Holder | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether each image waits, whether it was drawn at random, and whether it must not be offered in bulk."""
    columns = (picks.c.item_id, picks.c.at_random, picks.c.lease_holder, picks.c.lease_session, picks.c.lease_until)
    statement = select(*columns).join(rounds, rounds.c.id == picks.c.round_id)
    rows = connection.execute(statement.where(picks.c.waits, rounds.c.closed_at.is_(None))).all()
    waiting, drawn, reserved = (np.zeros(len(table), np.bool_) for _ in range(3))
    for row, place in zip(rows, table.find([row.item_id for row in rows]).tolist(), strict=True):
        if place < 0:
            continue
        waiting[place], drawn[place] = True, drawn[place] or row.at_random
        mine = holder is not None and (row.lease_holder, row.lease_session) == holder
        ended = now is not None and row.lease_until is not None and row.lease_until <= now
        reserved[place] |= row.at_random or (row.lease_holder is not None and not mine and not ended)
    return waiting, drawn, reserved
