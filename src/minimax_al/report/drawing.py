"""Settings and output of matplotlib: SVG for pages, and SVG, PDF and PNG files."""

import contextlib
import hashlib
import html
import io
import re
import threading
import warnings
from collections.abc import Iterator

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

TEXT, FAINT = "#010203", "#040506"
"""Placeholder colours. `to_svg` replaces both by the colour of the surrounding text; files print them as black."""

PNG_DPI = 200
FORMATS = ("svg", "pdf", "png")
"""File formats of a saved figure."""

_ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib's global settings for one drawing at a time, and restore them."""
    with _ONE_AT_A_TIME, mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # the user's own style must not change the bytes
        mpl.rcParams["svg.hashsalt"] = "minimax-al"
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["pdf.fonttype"] = 42  # TrueType: publishers refuse Type 3 fonts
        mpl.rcParams["font.sans-serif"] = ["DejaVu Sans"]
        mpl.rcParams["text.parse_math"] = False  # a dollar sign in a name is a dollar sign
        # The reader's fonts draw the text of an SVG; matplotlib's font only measures it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from ")
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support \w+ natively")
        yield


def dress(axes: Axes) -> None:
    """Apply the project's plain style to axes."""
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=FAINT, linewidth=0.8, alpha=0.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.6, alpha=0.18)
    axes.tick_params(colors=TEXT, length=0, labelsize=9)


def to_svg(canvas: Canvas, title: str) -> str:
    """Return a figure as one SVG element that follows the colour of the surrounding text.

    Args:
        canvas: Figure, drawn inside `drawing()`.
        title: Text alternative.

    Returns:
        The element; equal figures give equal bytes.
    """
    canvas.patch.set_alpha(0)
    file = io.StringIO()
    canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _stand_alone(file.getvalue(), title)


def to_files(canvas: Canvas, title: str) -> dict[str, bytes]:
    """Return a figure as the content of one file per format of `FORMATS`.

    Args:
        canvas: Figure, drawn inside `drawing()`.
        title: Text alternative of the SVG.

    Returns:
        File contents by format; equal figures give equal bytes.
    """
    contents = {"svg": to_svg(canvas, title).encode()}
    for name, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        file = io.BytesIO()
        canvas.savefig(file, format=name, metadata=metadata, facecolor="white", dpi=PNG_DPI)
        contents[name] = file.getvalue()
    return contents


def _stand_alone(svg: str, title: str) -> str:
    """Return the bare element: colours follow the text around it, identifiers are unique within a page."""
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'\s*<defs>\s*<style type="text/css">.*?</style>\s*</defs>', "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    digest = hashlib.sha256(element.encode()).hexdigest()[:8]
    element = re.sub(r'(\bid="|#)([mp][0-9a-f]{10})\b', rf"\g<1>{digest}-\g<2>", element)
    element = re.sub(r"#010203|#040506", "currentColor", element)
    element = element.replace("'DejaVu Sans', sans-serif", "system-ui, sans-serif")
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', element)
    assert size is not None, "matplotlib writes a viewBox"
    width, height = size.groups()
    style = (
        "<style>.learning-curves{color:#222}.learning-curves *{stroke-linejoin:round;stroke-linecap:butt}"
        "@media (prefers-color-scheme:dark){.learning-curves{color:#ddd}}</style>"
    )
    opening = (
        f'<svg class="learning-curves" role="img" xmlns="http://www.w3.org/2000/svg"'
        f' xmlns:xlink="http://www.w3.org/1999/xlink" width="{float(width):g}pt" height="{float(height):g}pt"'
        f' viewBox="0 0 {width} {height}"><title>{html.escape(title)}</title>{style}'
    )
    return opening + element[element.index(">") + 1 :] + "\n"
