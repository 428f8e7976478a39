"""A scripted annotator who draws masks, and the pixels that must result: by NumPy, SciPy and scikit-image."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from people import PATIENCE, Person
from scipy.ndimage import label
from skimage.draw import polygon

VOID = 255
READY = "#stage.ready .image.loaded"
BOX = "() => { const { left, top, width, height } = document.getElementById('stage').getBoundingClientRect(); return [left, top, width, height]; }"  # noqa: E501
SIZE = """wanted => {
  document.querySelector('[data-tool=brush]').click();
  const size = document.getElementById('draw-size');
  for (let place = 0; place <= Number(size.max); place += 1) {
    size.value = place;
    size.dispatchEvent(new Event('input'));
    if (document.getElementById('draw-size-value').textContent === `${wanted} px`) return true;
  }
  return false;
}"""
LARGEST = 48
WHEEL = 400


@dataclass
class View:
    """Where the image is on the screen, computed from the stage's size and the wheel's turns alone."""

    left: float
    top: float
    scale: float

    def to_image(self, point):
        return (point[0] - self.left) / self.scale, (point[1] - self.top) / self.scale

    def to_screen(self, point):
        """The whole CSS pixel nearest to a point of the image."""
        return round(self.left + point[0] * self.scale), round(self.top + point[1] * self.scale)


@dataclass
class Artist:
    """Draws on the image that the page shows.

    Attributes:
        person: Annotator at the page.
        size: (width, height) of the images.
    """

    person: Person
    size: tuple[int, int]
    view: View = field(default_factory=lambda: View(0, 0, 1))

    @property
    def page(self):
        return self.person.page

    def ready(self):
        """Waits until the image can be drawn on; returns its path."""
        self.page.wait_for_selector(READY, timeout=PATIENCE)
        left, top, width, height = self.page.evaluate(BOX)
        scale = min(LARGEST, width / self.size[0], height / self.size[1])
        self.view = View(left + (width - scale * self.size[0]) / 2, top + (height - scale * self.size[1]) / 2, scale)
        return self.page.get_attribute("#file", "title")

    def zoom(self, point, turn):
        """Turns the wheel over a point of the image."""
        x, y = self.view.to_screen(point)
        self.page.mouse.move(x, y)
        self.page.mouse.wheel(0, turn * self.page.evaluate("devicePixelRatio"))  # Chromium divides by it
        factor = math.exp(-turn / WHEEL)
        self.view = View(x - factor * (x - self.view.left), y - factor * (y - self.view.top), self.view.scale * factor)
        wanted = f"{round(100 * self.view.scale * self.page.evaluate('devicePixelRatio'))} %"
        self.page.wait_for_function("words => document.getElementById('zoom').textContent === words", arg=wanted)

    def choose(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def brush_size(self, size):
        """Chooses the brush, and sets its size to one of the sizes that the slider has."""
        assert self.page.evaluate(SIZE, size), f"the slider has no size {size}"

    def drag(self, points):
        """Moves the pointer along points of the image with the button down; returns the points that it was at."""
        screen = [self.view.to_screen(point) for point in points]
        self.page.mouse.move(*screen[0])
        self.page.mouse.down()
        for x, y in screen[1:]:
            self.page.mouse.move(x, y)
        self.page.mouse.up()
        return [self.view.to_image(point) for point in screen]

    def click(self, *points):
        screen = [self.view.to_screen(point) for point in points]
        for x, y in screen:
            self.page.mouse.click(x, y)
        return [self.view.to_image(point) for point in screen]

    def save(self):
        """Saves the mask, and waits until the server has it."""
        path = self.page.get_attribute("#file", "title")
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(
            "path => document.querySelector('[data-phase=single]').hidden || document.getElementById('file').title !== path",  # noqa: E501
            arg=path,
            timeout=3 * PATIENCE,
        )
        self.page.wait_for_selector("#save-state[data-stage=saved]", timeout=3 * PATIENCE)
        return path


def blank(size):
    return np.full(size[::-1], VOID, np.uint8)


def stroked(mask, points, size, value):
    """Paints every pixel whose centre is within size/2 of the way, whose points are snapped; exact, pixel by pixel.

    Only the box around each piece is looked at, and Python's integers have no rounding.
    """
    snapped = [
        (2 * math.floor(x) + 1, 2 * math.floor(y) + 1)
        if size % 2
        else (2 * math.floor(x + 0.5), 2 * math.floor(y + 0.5))
        for x, y in points
    ]
    for (ax, ay), (bx, by) in pairwise([snapped[0], *snapped]):
        left, right = max(0, (min(ax, bx) - size) // 2 - 1), min(mask.shape[1], (max(ax, bx) + size) // 2 + 2)
        top, bottom = max(0, (min(ay, by) - size) // 2 - 1), min(mask.shape[0], (max(ay, by) + size) // 2 + 2)
        if left >= right or top >= bottom:
            continue
        y, x = np.mgrid[top:bottom, left:right] * 2 + 1
        dx, dy = bx - ax, by - ay
        along = (x - ax) * dx + (y - ay) * dy
        length2 = dx * dx + dy * dy
        nearest = np.where(along <= 0, (x - ax) ** 2 + (y - ay) ** 2, (x - bx) ** 2 + (y - by) ** 2) <= size * size
        cross = np.abs((x - ax) * dy - (y - ay) * dx)
        beside = cross <= math.isqrt(size * size * length2)  # both sides are whole numbers
        inside = np.where((along > 0) & (along < length2), beside, nearest)
        mask[top:bottom, left:right][inside] = value
    return mask


def filled_polygon(mask, points, value):
    """Paints every pixel whose centre is inside; scikit-image counts from the centre of the first pixel."""
    rows, columns = polygon([y - 0.5 for _, y in points], [x - 0.5 for x, _ in points], mask.shape)
    mask[rows, columns] = value
    return mask


def filled_region(mask, point, value):
    """Paints the 4-connected region of one class around a point."""
    row, column = int(point[1]), int(point[0])
    regions, _ = label(mask == mask[row, column])
    mask[regions == regions[row, column]] = value
    return mask
