"""Drawing of a mask by a script that knows the truth, with each of the page's tools."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from drawing_strokes import Stroke, middle, sweep, to_and_fro
from drawing_time import Gesture, Point, seconds
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, distance_transform_edt, find_objects, label
from skimage.measure import approximate_polygon, find_contours

from minimax_al.vocabulary import IGNORED

AGREEMENT = 0.95
TOOLS = ("polygons", "outlines", "superpixels, clicked", "superpixels, dragged", "brush", "outline, fill")
CLOSE = 9  # pixels of the screen around the first corner in which a click closes a polygon
LASSO = 3  # pixels of the screen between the corners of an outline that is drawn without lifting the pointer
TOLERANCE = 1.0  # pixels that a corner-cutting polygon may leave its region
SIZES = [1]
while SIZES[-1] < 600:
    SIZES.append(max(SIZES[-1] + 1, int(SIZES[-1] * 1.25 + 0.5)))  # those of the page's slider
THIN = 2  # size of the brush that draws an outline

Mask = NDArray[np.uint8]


@dataclass
class Drawing:
    """A mask on its way to the truth.

    Attributes:
        truth: True class numbers, shape (H, W), 255 = void.
        snap: Function that moves a point to where the pointer can be: whole pixels of the screen.
        scale: Pixels of the screen per pixel of the image.
        rasters: Module with the reference of each tool's pixels.
        mask: Class numbers that are drawn.
        gestures: Gestures so far.
    """

    truth: Mask
    snap: Callable[[Point], Point]
    scale: float
    rasters: Any
    mask: Mask = field(init=False)
    gestures: list[Gesture] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mask = np.full_like(self.truth, IGNORED)

    @property
    def agreement(self) -> float:
        """Share of the pixels with a class that have it."""
        counted = self.truth != IGNORED
        return float((self.mask[counted] == self.truth[counted]).mean())

    def fill(self) -> None:
        """Fill the empty mask with the most frequent class."""
        value = int(np.bincount(self.truth[self.truth != IGNORED]).argmax())
        self.mask[:] = value
        self.gestures.append(Gesture("fill", value, (self.snap((self.mask.shape[1] / 2, self.mask.shape[0] / 2)),)))

    def accept(self, prediction: Mask) -> None:
        """Take the model's prediction."""
        self.mask = np.where(prediction == IGNORED, self.mask, prediction).astype(np.uint8)
        self.gestures.append(Gesture("accept", IGNORED))

    def correct(self, tool: str, regions: NDArray[np.uint16]) -> None:
        """Bring the mask to the agreement with a tool, and with polygons where the tool does not get further."""
        if tool.startswith("superpixels"):
            self._paint_superpixels(regions, drags=tool.endswith("dragged"))
        by_region = {"outlines": self._outline, "brush": self._brush, "outline, fill": self._outline_and_fill}
        if tool in by_region:
            self._correct_regions(by_region[tool])
        self._correct_regions(self._polygon)

    def _correct_regions(self, draw: Callable[[NDArray[np.bool_], int], tuple[Mask, list[Gesture]]]) -> None:
        """Draw the largest wrong region, again and again, until the agreement is reached or nothing gains."""
        hopeless: set[tuple[int, int]] = set()
        while self.agreement < AGREEMENT:
            found = self._largest_error(hopeless)
            if found is None:
                return
            region, value = found
            after, gestures = draw(region, value)
            if (after == self.truth).sum() <= (self.mask == self.truth).sum():
                hopeless.add(first_pixel(region))  # thinner than a pixel of the screen, or than the tool
                continue
            self.mask = after
            self.gestures += gestures

    def _polygon(self, region: NDArray[np.bool_], value: int) -> tuple[Mask, list[Gesture]]:
        points = self._clickable(corners(region, TOLERANCE))
        if len(points) < 3:
            return self.mask, []
        after = self.rasters.filled_polygon(self.mask.copy(), points, value)
        return after, [Gesture("polygon", value, tuple(points), width=2 * TOLERANCE, closes=True)]

    def _outline(self, region: NDArray[np.bool_], value: int) -> tuple[Mask, list[Gesture]]:
        way = self._snapped(corners(region, 0.5))
        kept = way[:1]
        for point in way[1:]:
            if np.hypot(point[0] - kept[-1][0], point[1] - kept[-1][1]) * self.scale > LASSO:
                kept.append(point)
        if len(kept) < 8:  # the page takes so few corners for clicks
            return self._polygon(region, value)
        steering = around(way) / (2 * TOLERANCE)
        after = self.rasters.filled_polygon(self.mask.copy(), kept, value)
        return after, [Gesture("polygon", value, tuple(way), 2 * TOLERANCE, is_drag=True, steering=steering)]

    def _brush(self, region: NDArray[np.bool_], value: int) -> tuple[Mask, list[Gesture]]:
        """Take the size that paints most pixels per second."""
        best: tuple[float, Mask, list[Gesture]] = (0.0, self.mask, [])
        widest = 2 * float(distance_transform_edt(np.pad(region, 1)).max())
        for size in [size for size in SIZES if size <= widest][-9:]:
            strokes = to_and_fro(region, size, TOLERANCE)
            after = self.mask.copy()
            gestures = []
            for stroke in strokes:
                points = self._snapped(stroke.points)
                after = self.rasters.stroked(after, points, size, value)
                gestures.append(drag("brush", value, stroke, points, size))
            gain = int((after == self.truth).sum() - (self.mask == self.truth).sum())
            rate = gain / seconds(gestures, self.scale, "FITTS")
            if rate > best[0]:
                best = rate, after, gestures
        return best[1:]

    def _outline_and_fill(self, region: NDArray[np.bool_], value: int) -> tuple[Mask, list[Gesture]]:
        room = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        core = largest_part(room > THIN / 2)
        if core.sum() < 30:
            return self._polygon(region, value)
        way = self._snapped([*(points := corners(core, 0.5)), points[0]])
        after = self.rasters.stroked(self.mask.copy(), way, THIN, value)
        stroke = Stroke(way, around(way) / (2 * TOLERANCE), 2 * TOLERANCE)
        gestures = [drag("brush", value, stroke, way, THIN)]
        inside = core & (after != value)
        if inside.any():
            point = self.snap(centre(largest_part(inside)))
            after = self.rasters.filled_region(after, point, value)
            gestures.append(Gesture("fill", value, (point,), width=2 * float(room.max())))
        return after, gestures

    def _paint_superpixels(self, regions: NDArray[np.uint16], *, drags: bool) -> None:
        """Paint the superpixels that gain most, class by class, until the agreement is reached or none gains."""
        counted = self.truth != IGNORED
        classes = int(self.truth[counted].max()) + 1
        codes = regions[counted].astype(np.int64) * classes + self.truth[counted]
        of_class = np.bincount(codes, minlength=(int(regions.max()) + 1) * classes).reshape(-1, classes)
        right = np.bincount(regions[counted], self.mask[counted] == self.truth[counted], len(of_class))
        values, after = of_class.argmax(axis=1), of_class.max(axis=1)
        gains = [
            (int(after[region] - right[region]), region, int(values[region]))
            for region in np.flatnonzero(after > right).tolist()
        ]
        correct, enough = right.sum(), AGREEMENT * counted.sum()
        chosen: dict[int, set[int]] = {}
        for gain, region, value in sorted(gains, reverse=True):
            if correct >= enough:
                break
            correct += gain
            self.mask[regions == region] = value
            chosen.setdefault(value, set()).add(region)
        boxes = find_objects(regions.astype(np.int32) + 1)
        for value, those in sorted(chosen.items()):
            if drags:
                for stroke in sweep(regions, those):
                    points = self._snapped(stroke.points)
                    self.gestures.append(drag("superpixel", value, stroke, points if len(points) > 1 else points * 2))
                continue
            for region in sorted(those):
                (row, column), room = middle(regions, boxes[region], region)
                self.gestures.append(
                    Gesture("superpixel", value, (self.snap((column + 0.5, row + 0.5)),), width=2 * room)
                )

    def _snapped(self, points: list[Point]) -> list[Point]:
        return [self.snap(point) for point in points]

    def _clickable(self, points: list[Point]) -> list[Point]:
        """Leave out corners so near to the first one that a click on them would close the polygon."""
        first, *others = [self.snap(point) for point in points]
        near = [np.hypot(x - first[0], y - first[1]) * self.scale <= CLOSE for x, y in others]
        return [first, *(point for point, is_near in zip(others, near, strict=True) if not is_near)]

    def _largest_error(self, hopeless: set[tuple[int, int]]) -> tuple[NDArray[np.bool_], int] | None:
        wrong = (self.mask != self.truth) & (self.truth != IGNORED)
        best: tuple[int, NDArray[np.bool_], int] | None = None
        for value in np.unique(self.truth[wrong]):
            parts, _ = label(wrong & (self.truth == value))
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            for part in np.argsort(-sizes)[:4]:
                region = parts == part
                if sizes[part] > (best[0] if best else 2) and first_pixel(region) not in hopeless:
                    best = int(sizes[part]), region, int(value)
                    break
        return None if best is None else best[1:]


def first_pixel(region: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first pixel of a region, which names it."""
    row, column = divmod(int(region.argmax()), region.shape[1])
    return row, column


def largest_part(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part of a region."""
    parts, count = label(region)
    if count == 0:
        return region
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    found: NDArray[np.bool_] = parts == sizes.argmax()
    return found


def drag(tool: str, value: int, stroke: Stroke, points: list[Point], size: int = 0) -> Gesture:
    """Return the gesture of a stroke."""
    return Gesture(tool, value, tuple(points), stroke.width, is_drag=True, steering=stroke.steering, size=size)


def around(points: list[Point]) -> float:
    """Return the length of a closed way, in pixels of the image."""
    return sum(float(np.hypot(x - a, y - b)) for (a, b), (x, y) in zip(points, [*points[1:], points[0]], strict=True))


def corners(region: NDArray[np.bool_], tolerance: float) -> list[Point]:
    """Return the corners of a polygon around a region, holes included, in pixels of the image."""
    outline = max(find_contours(np.pad(binary_fill_holes(region), 1).astype(float), 0.5), key=len)
    height, width = region.shape
    # A click on the very border of the image may miss the stage; a quarter of a pixel inside, no centre is lost.
    return [
        (float(np.clip(x - 0.5, 0.25, width - 0.25)), float(np.clip(y - 0.5, 0.25, height - 0.25)))
        for y, x in approximate_polygon(outline, tolerance)[:-1]
    ]


def centre(region: NDArray[np.bool_]) -> Point:
    """Return the centre of the pixel of a region that is nearest to its centroid."""
    places = np.argwhere(region)
    y, x = places[np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()]
    return x + 0.5, y + 0.5
