"""Colours of classes are told apart; views lie side by side."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageCms

from minimax_al.errors import ShapeError
from minimax_al.report.class_colours import class_colours
from minimax_al.report.strips import GAP, segmentation_strip


def lab(colours):
    """L*, a* and b* by another program: Little CMS, which Pillow brings; its bytes are L* * 2.55, and a* and b*."""
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    places = np.asarray(ImageCms.applyTransform(Image.fromarray(colours[None]), to_lab))[0].astype(np.int16)
    places[:, 1:] = np.where(places[:, 1:] > 127, places[:, 1:] - 256, places[:, 1:])
    return places * [100 / 255, 1, 1]


@pytest.mark.parametrize(("classes", "apart"), [(2, 90), (11, 40), (20, 33), (40, 22)])
def test_any_two_classes_and_void_are_told_apart(classes, apart):
    """Side by side, two colours differ to the eye from a distance of about 2; laid over an image, of about 20."""
    places = lab(np.vstack([class_colours(classes)[:classes], class_colours(classes)[255:]]))
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > apart


# Vienot, Brettel and Mollon 1999: other authors and other matrices than those by which the colours were chosen.
LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
DICHROMATS = {
    "protanopia": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deuteranopia": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
}


def as_seen_with(blindness, colours):
    linear = (colours / 255) ** 2.2
    seen = linear @ (np.linalg.inv(LMS) @ DICHROMATS[blindness] @ LMS).T
    return (255 * seen.clip(0, 1) ** (1 / 2.2)).round().astype(np.uint8)


@pytest.mark.parametrize("blindness", list(DICHROMATS))
@pytest.mark.parametrize(("classes", "apart"), [(8, 22), (12, 20)])
def test_colour_blind_annotators_tell_the_first_classes_apart(blindness, classes, apart):
    places = lab(as_seen_with(blindness, np.vstack([class_colours(classes)[:classes], class_colours(classes)[255:]])))
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > apart


def test_a_class_keeps_its_colour_when_others_join():
    many = class_colours(255)
    for classes in (1, 7, 30):
        few = class_colours(classes)
        np.testing.assert_array_equal(few[:classes], many[:classes])
        assert (few[classes:] == 128).all()
    assert len({tuple(colour) for colour in many[:255].tolist()}) == 255


def test_views_lie_side_by_side():
    image, mask = np.full((4, 5, 3), 9, np.uint8), np.zeros((4, 5), np.uint8)
    strip = segmentation_strip(image, mask, mask + 1, mask + 200, 2)
    assert strip.shape == (4, 4 * 5 + 3 * GAP, 3)
    width = 5 + GAP
    for place, colour in enumerate([(9, 9, 9), class_colours(2)[0], class_colours(2)[1], (200, 200, 200)]):
        assert (strip[:, place * width : place * width + 5] == colour).all()
    with pytest.raises(ShapeError, match=r"truth has shape \(4, 4\)"):
        segmentation_strip(image, mask[:, :4], mask, mask, 2)
