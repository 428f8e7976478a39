"""Gestures on the drawing surface, and the time that models of human movement give them.

Keys, presses and decisions take the times of the Keystroke-Level Model (Card, Moran and Newell 1980): 0.28 s for a key,
0.1 s to press or to release a button, 1.35 s for a decision. Pointing is modelled in two ways:

* `KLM`: 1.1 s, whatever the distance, as in the same paper.
* `FITTS`: log2(D / W + 1) / 4.5 seconds for a target of width W at distance D (MacKenzie 1992). Soukoreff and MacKenzie
  (2004) report 3.7 to 4.9 bit/s for mice in tests by ISO 9241-9.

A drag takes 0.1 s times the integral of ds / W(s) along its path, where W is the width of the tunnel in which the
pointer must stay (the steering law of Accot and Zhai 1997), and at least its length at 1,000 pixels of the screen per
second. The constant 0.1 s is an assumption: it depends on device and task. The report gives the results for half of it
and for twice of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from minimax_al.vocabulary import IGNORED

KEY, POINT, BUTTON, DECIDE = 0.28, 1.1, 0.1, 1.35
BITS_PER_SECOND = 4.5
STEER = 0.1
FASTEST = 1000.0  # pixels of the screen per second

Point = tuple[float, float]
Pointing = Literal["KLM", "FITTS"]


@dataclass(frozen=True)
class Gesture:
    """One gesture with a tool.

    Attributes:
        tool: Tool.
        value: Class that it paints, 255 = void or none.
        points: Points that are clicked, or the way of a drag, in pixels of the image.
        width: Width of the targets, or of the first one of a drag, in pixels of the image.
        is_drag: Whether the button stays down between the points.
        steering: Integral of ds / W(s) along the way of a drag.
        size: Size of the brush; 0 for other tools.
        closes: Whether Enter ends the gesture.
    """

    tool: str
    value: int
    points: tuple[Point, ...] = ()
    width: float = 1.0
    is_drag: bool = False
    steering: float = 0.0
    size: int = 0
    closes: bool = False


def seconds(gestures: Sequence[Gesture], scale: float, pointing: Pointing = "KLM", steer: float = STEER) -> float:
    """Return the modelled time of gestures.

    Args:
        gestures: Gestures in their order.
        scale: Pixels of the screen per pixel of the image.
        pointing: Model of pointing.
        steer: Constant of the steering law, in seconds.
    """
    total, at = 0.0, (0.0, 0.0)
    tool, value, size = "", IGNORED, 0
    for gesture in gestures:
        goes_on = (gesture.tool, gesture.value, gesture.size) == (tool, value, size) and gesture.tool == "superpixel"
        total += 0 if goes_on else DECIDE
        total += KEY * ((gesture.tool != tool) + (gesture.value not in (value, IGNORED)) + gesture.closes)
        total += KEY * (gesture.size not in (0, size)) * 3  # some steps of the size; the key repeats
        clicks = gesture.points[:1] if gesture.is_drag else gesture.points
        for point in clicks:
            total += _pointing(at, point, gesture.width, scale, pointing) + 2 * BUTTON
            at = point
        if gesture.is_drag:
            total += max(steer * gesture.steering, length(gesture.points) * scale / FASTEST)
            at = gesture.points[-1]
        tool, value, size = gesture.tool, gesture.value, gesture.size or size
    return total + DECIDE + KEY  # Enter saves


def length(points: Sequence[Point]) -> float:
    """Return the length of a way, in pixels of the image."""
    return sum(math.dist(one, other) for one, other in pairwise(points))


def _pointing(start: Point, end: Point, width: float, scale: float, model: Pointing) -> float:
    if model == "KLM":
        return POINT
    wide = max(1.0, width * scale)
    return math.log2(math.dist(start, end) * scale / wide + 1) / BITS_PER_SECOND
