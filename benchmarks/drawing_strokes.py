"""Ways of strokes: over superpixels, along an outline, and with a brush to and fro inside of a region."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects
from skimage.graph import MCP

Points = list[tuple[float, float]]
Region = NDArray[np.bool_]
REPRESS = 13.0  # tunnel widths for whose time the pointer is rather lifted and pressed again


class Stroke(NamedTuple):
    """Way of the pointer with the button down.

    Attributes:
        points: Points of the way, in pixels of the image.
        steering: Integral of ds / W(s) along it.
        width: Width of the tunnel at its start.
    """

    points: Points
    steering: float
    width: float


def sweep(regions: NDArray[np.uint16], chosen: set[int]) -> Iterator[Stroke]:
    """Yield drags that pass through all chosen superpixels and no others.

    Each drag goes to the nearest superpixel that is left, inside of the chosen ones; where that takes longer than a new
    press, it ends.

    Args:
        regions: Superpixel of each pixel.
        chosen: Superpixels to pass.
    """
    allowed = np.isin(regions, list(chosen))
    room = distance_transform_edt(np.pad(allowed, 1))[1:-1, 1:-1]
    cost = np.where(allowed, 1 / np.maximum(1.0, 2 * room), -1)  # the steering law's integrand; -1 is a wall
    boxes = find_objects(regions.astype(np.int32) + 1)
    left = {one: middle(regions, boxes[one], one)[0] for one in chosen}
    while left:
        first = min(left, key=lambda one: left[one])
        way = [left.pop(first)]
        while left:
            search = MCP(cost, fully_connected=True)
            ends = list(left.values())
            costs, _ = search.find_costs([way[-1]], ends, find_all_ends=False)
            reached = min(left, key=lambda one: costs[left[one]])
            if costs[left[reached]] > REPRESS:
                break
            step = search.traceback(left[reached])
            way += step[1:]
            passed = {int(regions[place]) for place in step}
            for one in passed & set(left):
                del left[one]
        yield _stroke(way, cost)


def middle(regions: NDArray[np.uint16], box: tuple[slice, slice], number: int) -> tuple[tuple[int, int], float]:
    """Return row and column of the pixel of a superpixel with the most room, and its distance to the border.

    Args:
        regions: Superpixel of each pixel.
        box: Rows and columns of the superpixel.
        number: Number of the superpixel.
    """
    room = distance_transform_edt(np.pad(regions[box] == number, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(room.argmax()), room.shape)
    return (box[0].start + int(row), box[1].start + int(column)), float(room.max())


def _stroke(way: list[tuple[int, int]], cost: NDArray[np.float64]) -> Stroke:
    """Return a way of neighbouring pixels as a stroke whose straight parts have two points."""
    steering = sum(math.dist(one, other) * float(cost[one] + cost[other]) / 2 for one, other in pairwise(way))
    kept = [
        place
        for index, place in enumerate(way)
        if index in (0, len(way) - 1) or _turn(way[index - 1], place) != _turn(place, way[index + 1])
    ]
    return Stroke([(x + 0.5, y + 0.5) for y, x in kept], steering, float(1 / cost[way[0]]))


def _turn(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return other[0] - one[0], other[1] - one[1]


def to_and_fro(region: Region, size: int, slack: float) -> list[Stroke]:
    """Return the strokes of a brush that paint a region without leaving it, as far as the brush fits.

    Args:
        region: Pixels to paint.
        size: Diameter of the brush, in pixels of the image.
        slack: Pixels that the edge of the brush may leave the region.
    """
    room = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    inside = room >= size / 2
    rows = [row for row in range(inside.shape[0]) if inside[row].any()]
    if not rows:
        return []
    lines = [run for row in _spaced(rows, max(1, int(0.8 * size))) for run in _runs(inside[row], row)]
    strokes = []
    while lines:
        row, start, end = lines.pop(0)
        way = [(row, start), (row, end)]
        while (following := _next_line(lines, way[-1], inside, size)) is not None:
            lines.remove(following)
            row, start, end = following
            near, far = sorted((start, end), key=lambda column: abs(column - way[-1][1]))
            way += [(row, near), (row, far)]
        widths = [2 * (float(room[place]) - size / 2 + slack) for place in way]
        steering = sum(
            math.dist(one, other) / max(1.0, (first + second) / 2)
            for one, other, first, second in zip(way, way[1:], widths, widths[1:], strict=False)
        )
        points = [(x + 0.5, y + 0.5) for y, x in way]
        strokes.append(Stroke(points if len(points) > 1 else points * 2, steering, max(1.0, widths[0])))
    return strokes


def _spaced(rows: list[int], step: int) -> list[int]:
    """Return every `step`-th row and the last one."""
    return sorted({*range(rows[0], rows[-1] + 1, step), rows[-1]})


def _runs(line: Region, row: int) -> list[tuple[int, int, int]]:
    """Return row, first and last column of every run of a line."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
    return [(row, int(start), int(end) - 1) for start, end in edges.reshape(-1, 2)]


def _next_line(
    lines: list[tuple[int, int, int]], at: tuple[int, int], inside: Region, size: int
) -> tuple[int, int, int] | None:
    """Return the nearest line that the brush reaches in a straight way inside of the region."""
    near = [line for line in lines if 0 < line[0] - at[0] <= size + 1]
    for line in sorted(near, key=lambda one: (one[0], min(abs(one[1] - at[1]), abs(one[2] - at[1])))):
        column = min(line[1:], key=lambda one: abs(one - at[1]))
        steps = max(abs(line[0] - at[0]), abs(column - at[1])) + 1
        ys = np.linspace(at[0], line[0], steps).round().astype(int)
        xs = np.linspace(at[1], column, steps).round().astype(int)
        if inside[ys, xs].all():
            return line
    return None
