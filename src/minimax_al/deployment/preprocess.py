"""Input of model.onnx from an image file, and a mask from its output. Needs Pillow and NumPy alone."""

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_NAME = "preprocessing.json"
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras store in 16-bit files
_FAINT = 224  # lightest grey that shows over white: lighter ink is shown over black
_NOTHING = 255  # value of a mask's pixels that the model does not see


def read_input(image: Path | str | BinaryIO, description: Path | str | None = None) -> NDArray[np.uint8]:
    """Return an image file as the model's input, shape (1, 3, S, S), 8-bit RGB.

    Args:
        image: Image file, or an open binary file.
        description: File preprocessing.json; by default the one in the folder of this file.
    """
    return apply_steps(image, _steps(description))


def to_mask(
    probabilities: NDArray[np.float32], image: Path | str, description: Path | str | None = None
) -> NDArray[np.uint8]:
    """Return a mask in the image's own size: the number of the likeliest class, 255 where the model sees nothing.

    Args:
        probabilities: Output of model.onnx for one image, shape (K, S, S).
        image: Image file.
        description: File preprocessing.json; by default the one in the folder of this file.
    """
    with Image.open(image) as opened:
        width, height = ImageOps.exif_transpose(opened).size
    steps = {step["step"]: step for step in reversed(_steps(description))}  # the first resize, where there are two
    share = steps["centre crop"]["to"] / steps["resize"]["to"] if "centre crop" in steps else 1.0
    square = probabilities.argmax(axis=0).astype(np.uint8)
    sides = (min(width, height),) * 2 if "centre square" in steps else (height, width)
    rows, columns = (
        _places(length, share * side, len(square)) for length, side in zip((height, width), sides, strict=True)
    )
    mask = np.full((height, width), _NOTHING, dtype=np.uint8)
    mask[np.ix_(rows >= 0, columns >= 0)] = square[np.ix_(rows[rows >= 0], columns[columns >= 0])]
    return mask


def _steps(description: Path | str | None) -> list[dict[str, Any]]:
    file = Path(description) if description else Path(__file__).parent / _NAME
    steps: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["steps"]
    return steps


def _places(length: int, seen: float, side: int) -> NDArray[np.int64]:
    """Return the position in the square of each pixel along a side of the image, -1 outside of the square."""
    positions = np.floor((np.arange(length) + 0.5 - (length - seen) / 2) * side / seen).astype(np.int64)
    return np.where((positions >= 0) & (positions < side), positions, -1)


def apply_steps(image: Path | str | BinaryIO, steps: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """Return an image file after the steps that come before normalisation, shape (1, 3, S, S), 8-bit RGB.

    Args:
        image: Image file.
        steps: Steps of preprocessing.json; model.onnx does the last one, `normalise`, itself.
    """
    with Image.open(image) as opened:
        pixels = ImageOps.exif_transpose(opened)
    box = None  # the part of the image that the next resize reads; cutting and resizing are one step
    for step in steps:
        if step["step"] == "mode":
            pixels = _to_rgb(pixels)
        elif step["step"] == "centre square":
            side = min(pixels.size)
            left, top = (pixels.width - side) / 2, (pixels.height - side) / 2
            box = (left, top, left + side, top + side)
        elif step["step"] == "resize short side":
            pixels = pixels.resize(_scaled_size(pixels.size, step["to"]), _filter(step))
        elif step["step"] == "resize" and step.get("precision") == "float32":
            pixels = _resized_float(pixels, step["to"])
        elif step["step"] == "resize":
            pixels = pixels.resize((step["to"], step["to"]), _filter(step), box=box)
            box = None
        elif step["step"] == "centre crop":
            left, top = (_half(side - step["to"], step.get("corner")) for side in pixels.size)
            pixels = pixels.crop((left, top, left + step["to"], top + step["to"]))
    return np.asarray(pixels, dtype=np.uint8).transpose(2, 0, 1)[None]


def _filter(step: dict[str, Any]) -> Image.Resampling:
    """Return the filter of a step, such as "bilinear, antialiased"; Pillow's filters are antialiased."""
    return Image.Resampling[step["filter"].split(",")[0].upper()]


def _scaled_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Return width and height for a given short side; the long side is rounded down."""
    width, height = size
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def _half(margin: int, corner: str | None) -> int:
    return round(margin / 2) if corner == "rounded" else margin // 2


def _resized_float(image: Image.Image, size: int) -> Image.Image:
    """Return an image whose channels were resized as 32-bit floats and then rounded."""
    channels = [
        np.asarray(channel.convert("F").resize((size, size), Image.Resampling.BILINEAR)) for channel in image.split()
    ]
    return Image.fromarray(np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(np.asarray(image, dtype=np.float64), floating=image.mode == "F").convert("RGB")
    if image.has_transparency_data:
        ink = image.convert("RGBA")
        white = Image.alpha_composite(Image.new("RGBA", ink.size, "white"), ink).convert("RGB")
        invisible = np.asarray(white).min() >= _FAINT and np.asarray(ink)[..., 3].any()
        return Image.alpha_composite(Image.new("RGBA", ink.size, "black"), ink).convert("RGB") if invisible else white
    return image.convert("RGB")


def _scaled(values: NDArray[np.float64], *, floating: bool) -> Image.Image:
    """Return values of more than 8 bits, scaled by the smallest usual bit depth that holds them; floats by 1."""
    top = (
        1.0 if floating else next(2.0**bits - 1 for bits in _DEPTHS if values.max() < 2.0**bits or bits == _DEPTHS[-1])
    )
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))
