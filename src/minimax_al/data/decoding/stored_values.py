"""Values of image files that are data, such as masks: as the file stores them, not stretched to 8 bits."""

import numpy as np
from PIL import Image

_STEPS = {"L;2": 85, "L;4": 17}
"""Distance of two grey levels of 2 and 4 bits after Pillow has stretched them to 8 bits, by raw mode."""


def load_stored(image: Image.Image) -> Image.Image:
    """Decode an opened image, and return it with the values of its file.

    Pillow stretches grey levels of 2 or 4 bits (PNG, TIFF), and of any largest value (PGM), to 0..255: label 1 of a
    PNG mask of 4 bits becomes 17, which may be the number of another class.

    Args:
        image: Opened image whose pixels are not decoded yet.
    """
    stretch = _stretch(image)
    image.load()
    if stretch == 1.0:
        return image
    if image.mode == "L":
        return image.point([round(level / stretch) for level in range(256)])
    return Image.fromarray(np.rint(np.asarray(image) / stretch).astype(np.int32))


def _stretch(image: Image.Image) -> float:
    """Return the factor by which decoding multiplies the values of a grey image."""
    tiles = getattr(image, "tile", None)  # decoding removes it
    if not tiles or image.mode not in {"L", "I"}:
        return 1.0
    args = tiles[0].args
    first, *rest = args if isinstance(args, tuple) else (args,)
    if tiles[0].codec_name in {"ppm", "ppm_plain"}:
        return float((255 if image.mode == "L" else 65535) / rest[-1])
    return float(_STEPS.get(first, 1))
