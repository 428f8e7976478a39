"""Routes of the pool's maps: their state, their computation in a process of its own, their points."""

from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response

from minimax_al.exploring.pool_view import PoolView
from minimax_al.exploring.projection import METHODS, MapMethod, PoolMap, has_tsne
from minimax_al.web.models import Job, MapOrder
from minimax_al.web.pool_models import Maps, MapState
from minimax_al.web.refusals import as_conflict, declared, not_found
from minimax_al.web.roles import ManagerOnly, TheRole
from minimax_al.web.state import TheExplorer, TheMapJobs

router = APIRouter(prefix="/api", tags=["maps"])
managers = APIRouter(prefix="/api", tags=["maps"], dependencies=[ManagerOnly])

_BINARY: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "Columns of little-endian numbers, one after the other",
    }
}


@router.get("/maps")
def maps(explorer: TheExplorer, jobs: TheMapJobs) -> Maps:
    """Return which maps are computed, and the computation that runs."""
    has_features = explorer.has_features()
    states = []
    for method in METHODS:
        version, shown = explorer.map_version(method), explorer.count_mapped(method)
        known = version is not None and shown is not None
        states.append(MapState(method=method, version=version if known else None, images=shown or 0 if known else 0))
    images = explorer.count_mappable() if has_features else 0
    return Maps(features=has_features, tsne=has_tsne(), images=images, maps=states, job=jobs.current)


@managers.post("/maps", status_code=202, responses=declared(400, 408, 409, 413, 422))
def start_map(order: MapOrder, explorer: TheExplorer, jobs: TheMapJobs) -> Job:
    """Start the computation of a map; `GET /api/maps` returns its progress."""
    with as_conflict():
        explorer.check_features()
        return jobs.start(order)


@router.get("/maps/{method}/points", response_class=Response, responses={**_BINARY, **declared(404, 422)})
def points(method: MapMethod, explorer: TheExplorer) -> Response:
    """Return the images of a map: N int32 ids, then N pairs of float32 coordinates in [-1, 1]."""
    found = _map(explorer, method)
    content = found.items.astype("<i4").tobytes() + found.points.astype("<f4").tobytes()
    return Response(content, media_type="application/octet-stream")


@router.get("/maps/{method}/colours", response_class=Response, responses={**_BINARY, **declared(404, 422)})
def colours(method: MapMethod, explorer: TheExplorer, role: TheRole) -> Response:
    """Return the values that colour a map's points: four columns of N int16 numbers.

    They are the index of the label's class, the index of the class that today's model predicts, its uncertainty in
    thousandths, and the last round that picked the image; -1 where the value is missing. A label without a class,
    such as a mask, has -2; for the annotator's link all labels have.
    """
    found = _map(explorer, method)
    columns = colour_columns(explorer.view(), found)
    if role != "manager":
        columns[0] = np.where(columns[0] >= 0, -2, columns[0])
    return Response(columns.astype("<i2").tobytes(), media_type="application/octet-stream")


def colour_columns(view: PoolView, found: PoolMap) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return label, prediction, uncertainty and round of each point of a map, shape (4, N), see `colours`."""
    table, opinions = view.table, view.opinions
    index_of = np.full(max(view.class_ids.values(), default=0) + 1, -1, dtype=np.int64)
    for index, number in enumerate(view.class_ids.values()):
        index_of[number] = index

    def class_index(ids: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        known = (ids > 0) & (ids < len(index_of))
        return np.where(known, index_of[np.where(known, ids, 0)], -1)

    label = np.where(table.mask, -2, class_index(table.class_id))
    predicted = np.where(opinions.covered, class_index(opinions.predicted), -1)
    uncertainty = np.where(np.isnan(opinions.entropy), -1, np.round(1000 * np.nan_to_num(opinions.entropy)))
    picked = np.where(table.round > 0, np.minimum(table.round, 32_000), -1)
    rows = table.find(found.items)
    columns = np.stack([label, predicted, uncertainty, picked]).astype(np.int64)
    return np.where(rows >= 0, columns[:, np.maximum(rows, 0)], -1)


def _map(explorer: TheExplorer, method: MapMethod) -> PoolMap:
    found = explorer.map(method)
    if found is None:
        raise not_found(f"the map {method!r} is not computed yet")
    return found
