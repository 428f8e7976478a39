"""Folders of images whose names tell nothing, and the classes that they show."""

import colorsys
import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw


def draw_images(folder: Path, each: int) -> dict[str, str]:
    """Draws squares, discs and triangles under names that tell nothing; returns the class of each file."""
    folder.mkdir(parents=True)
    dice = random.Random(0)
    kinds = [kind for kind in ("disc", "square", "triangle") for _ in range(each)]
    dice.shuffle(kinds)
    for number, kind in enumerate(kinds):
        colour, ground = (tuple(int(255 * c) for c in colorsys.hsv_to_rgb(dice.random(), 0.6, v)) for v in (0.9, 0.3))
        image = Image.new("RGB", (96, 72), ground)
        x, y, r = dice.randint(24, 70), dice.randint(24, 48), dice.randint(12, 22)
        box = (x - r, y - r, x + r, y + r)
        draw = ImageDraw.Draw(image)
        if kind == "disc":
            draw.ellipse(box, fill=colour)
        elif kind == "square":
            draw.rectangle(box, fill=colour)
        else:
            draw.polygon([(x - r, y + r), (x + r, y + r), (x, y - r)], fill=colour)
        image.save(folder / f"{number:04d}.png")
    return {f"{number:04d}.png": kind for number, kind in enumerate(kinds)}


def copy_flat(source: Path, folder: Path, classes: int, each: int) -> dict[str, str]:
    """Copies images of the largest classes under names that tell nothing; returns the class of each file."""
    folder.mkdir(parents=True)
    places = {place: sorted(place.iterdir())[:each] for place in sorted(source.iterdir()) if place.is_dir()}
    largest = sorted(places, key=lambda place: -len(places[place]))[:classes]
    files = [file for place in largest for file in places[place]]
    dice = random.Random(0)
    dice.shuffle(files)
    truth = {f"{number:05d}{file.suffix}": file.parent.name for number, file in enumerate(files)}
    for name, file in zip(truth, files, strict=True):
        shutil.copy(file, folder / name)
    return truth


_CUT_OFF = """(text) => {
  document.body.getBoundingClientRect(); // the panel begins to slide away where the page has become narrow
  for (const moving of document.getAnimations()) moving.finish();
  const said = document.getElementById("said");
  const before = said.textContent;
  said.textContent = text;
  const box = said.getBoundingClientRect();
  const wrong = [];
  if (said.scrollWidth > said.clientWidth) wrong.push("cut off at the side");
  if (said.scrollHeight > said.clientHeight) wrong.push("cut off below");
  const isInside = box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
  if (box.width < 100 || !isInside) wrong.push("off the screen");
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  if (!said.contains(document.elementFromPoint(x, y))) wrong.push("covered");
  for (const other of document.querySelectorAll("#stage, #answers button")) {
    const { left, right, top, bottom } = other.getBoundingClientRect();
    const clear = right <= box.left + 1 || left >= box.right - 1 || bottom <= box.top + 1 || top >= box.bottom - 1;
    if (left < right && !other.closest("[hidden]") && !clear) wrong.push(`over ${other.id || other.textContent}`);
  }
  said.textContent = before;
  return wrong;
}"""
LONG = (
    "Not saved: 'a supervisor with a long name' has answered 'survey 2024/north shore/heron_000123_left.jpg' at 14:05 "
    "UTC, after you opened it: nothing was saved. Open “1 refused” to send it again or to discard it."
)


def cut_off_messages(page) -> list[str]:
    """Return what hides parts of a short, a long and an unbroken message in the footer, or is hidden by them."""
    return [wrong for text in ("saved", LONG, "x" * 160) for wrong in page.evaluate(_CUT_OFF, text)]
