from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minimax_al.data.near_duplicates.candidates import NearDuplicateSearch, close_hashes
from minimax_al.data.near_duplicates.perceptual_hash import perceptual_hash

from ...support.fakes import random_image  # noqa: TID252 - the same images


@st.composite
def clustered_hashes(draw):
    """Hashes of which many are close: a few centres with a few bits turned."""
    centres = draw(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=4))
    hashes = []
    for _ in range(draw(st.integers(0, 25))):
        if draw(st.integers(0, 9)) == 0:
            hashes.append(None)
            continue
        value = draw(st.sampled_from(centres))
        for bit in draw(st.lists(st.integers(0, 127), max_size=6)):
            value ^= 1 << bit
        hashes.append(f"{value:032x}")
    return hashes


def bits(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


@settings(deadline=None, max_examples=60)
@given(clustered_hashes(), st.integers(0, 8), st.data())
def test_bands_find_the_pairs_of_an_exhaustive_comparison(hashes, distance, data):
    is_new = np.array(data.draw(st.lists(st.booleans(), min_size=len(hashes), max_size=len(hashes))), dtype=bool)
    found = close_hashes(hashes, is_new, distance)
    number = dict(zip(found.positions.tolist(), found.hash_of.tolist(), strict=True))
    usable = [position for position, text in enumerate(hashes) if text is not None]
    close = [
        (i, j)
        for i, j in combinations(usable, 2)
        if bits(hashes[i], hashes[j]) <= distance and (is_new[i] or is_new[j])
    ]
    assert {position for pair in close for position in pair} <= set(number)
    for i, j in close:
        assert number[i] == number[j] or number[j] in found.close_to[number[i]]
    for one, others in found.close_to.items():
        i, *_ = (position for position in number if number[position] == one)
        away = [bits(hashes[i], hashes[next(j for j in number if number[j] == other)]) for other in others]
        assert away == sorted(away)
        assert all(differing <= distance for differing in away)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12), st.data())
def test_an_image_joins_a_representative_that_shows_the_same(images, data):
    """All hashes are close; a hidden number stands in for the content of an image."""
    is_new, shown = (list(column) for column in zip(*images, strict=True))
    hashes = [data.draw(st.sampled_from(["00" * 16, "00" * 15 + "01", "00" * 15 + "03"])) for _ in images]
    close = close_hashes(hashes, np.array(is_new), distance=2)
    looks = Counter()

    def agree(place, other):
        looks[place] += 1
        return shown[close.positions[place]] == shown[close.positions[other]]

    names = [f"{data.draw(st.sampled_from('abc'))}/{position}.jpg" for position in close.positions]
    chosen = np.array(is_new)[close.positions]
    found = dict(NearDuplicateSearch(close, chosen, names, agree).run())
    followers = {place for place, lead in found.items() if place != lead}
    for place, lead in found.items():
        assert shown[close.positions[place]] == shown[close.positions[lead]]
        assert lead not in followers
        earlier = [p for p in range(len(names)) if (not chosen[p] or p < place) and p not in followers and p != place]
        if place == lead and len(earlier) <= 6:  # as many as are looked at
            assert not any(shown[close.positions[place]] == shown[close.positions[p]] for p in earlier)
    assert max(looks.values(), default=0) <= 6


def test_copies_of_one_name_are_found_among_many_images_of_a_fixed_camera():
    """An image has few looks among hundreds of close hashes: the file of the same name comes first."""
    names = [f"day/{number:04d}.jpg" for number in range(300)] + ["small/0007.png", "small/0211.png"]
    close = close_hashes(["00" * 16] * len(names), np.ones(len(names), dtype=bool), distance=4)
    looks = []

    def agree(place, other):
        looks.append(place)
        return {names[place], names[other]} in ({"day/0007.jpg", "small/0007.png"}, {"day/0211.jpg", "small/0211.png"})

    found = dict(NearDuplicateSearch(close, np.ones(len(names), dtype=bool), names, agree).run())
    assert {names[place]: names[lead] for place, lead in found.items() if place != lead} == {
        "small/0007.png": "day/0007.jpg",
        "small/0211.png": "day/0211.jpg",
    }
    assert len(looks) < 800  # of 45,000 pairs


@pytest.mark.parametrize("seed", range(5))
def test_the_hash_survives_resizing_and_lossy_saving(tmp_path, seed):
    image = random_image(seed, size=(160, 120))
    image.resize((90, 70), Image.Resampling.LANCZOS).save(tmp_path / "small.jpg", quality=60)
    (other,) = (Image.open(tmp_path / "small.jpg"),)
    assert (int(perceptual_hash(image), 16) ^ int(perceptual_hash(other), 16)).bit_count() <= 6
    other.close()


def test_other_images_have_other_hashes():
    hashes = [int(perceptual_hash(random_image(seed)), 16) for seed in range(40)]
    closest = min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i])
    assert closest > 20


def test_a_flat_image_resembles_nothing():
    assert perceptual_hash(Image.new("RGB", (50, 50), "grey")) is None
    assert close_hashes([None, None], np.ones(2, dtype=bool), 6).positions.tolist() == []
