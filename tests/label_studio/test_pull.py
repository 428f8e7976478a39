"""Pulling: every version of every annotation comes into the history once, and the latest one holds."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import count

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from sqlalchemy import select

from minimax_al.campaign.store.schema import labels
from minimax_al.errors import CampaignError, DataError, UnknownNameError
from minimax_al.label_formats.polygons import fill_polygon
from minimax_al.label_formats.run_length import decode_label_studio, encode_label_studio
from minimax_al.label_studio import Pull, pull, push
from minimax_al.label_studio.projects import get_task, list_users
from minimax_al.label_studio.pulling import take_tasks

from ..support.fakes import random_image  # noqa: TID252 - the same images
from .fake import payload

BOB = {"first_name": "Bob", "last_name": "Lee"}


@pytest.fixture
def pushed(make_campaign, studio, client):
    """A campaign whose first round, five of its images, is in the project `herons`."""

    def make(**options):
        campaign = make_campaign(**options)
        campaign.query(5)
        push(campaign, client, "herons")
        return campaign, [pick.path for pick in campaign.picks()]

    return make


def history(campaign):
    """(item, kind, author, class id or mask), oldest first."""
    with campaign.store.reading() as connection:
        rows = connection.execute(select(labels).order_by(labels.c.id)).all()
    return [(row.item_id, row.kind, row.author, row.class_id or row.mask) for row in rows]


def brush(mask, name, **more):
    height, width = mask.shape
    value = {"format": "rle", "rle": encode_label_studio(mask), "brushlabels": [name]}
    return {"type": "brushlabels", "original_width": width, "original_height": height, "value": value, **more}


def polygon(points, name, size=(20, 16)):
    value = {"points": points, "polygonlabels": [name], "closed": True}
    return {"type": "polygonlabels", "original_width": size[0], "original_height": size[1], "value": value}


def test_pulled_labels_and_skips_have_author_and_time(pushed, studio, client):
    campaign, (first, second, third, *_) = pushed()
    bob = studio.add_user("bob@example.org")
    carol = studio.add_user("", first_name="Carol", last_name="Doe")
    chosen = studio.choose(studio.task_of(first), "cat")
    studio.choose(studio.task_of(second), "n/a", user=bob)
    studio.annotate(studio.task_of(third), [], user=carol, cancelled=True)
    assert pull(campaign, client, "herons") == Pull(added=2, skipped=1)
    assert campaign.labels() == {first: "cat", second: "n/a"}
    assert {(kind, author) for _, kind, author, _ in history(campaign)} == {
        ("label", "ann@example.org"),
        ("label", "bob@example.org"),
        ("skip", "Carol Doe"),
    }
    with campaign.store.reading() as connection:
        times = connection.execute(select(labels.c.at, labels.c.round_id).order_by(labels.c.id)).all()
    assert times[0].at == datetime.fromisoformat(chosen["updated_at"])
    assert {row.round_id for row in times} == {1}
    assert campaign.round().waiting == 2


def test_a_time_without_a_zone_is_in_utc(pushed, studio, client):
    campaign, (path, *_) = pushed()
    annotation = studio.choose(studio.task_of(path), "cat")
    annotation |= {"created_at": "2026-01-02T05:00:00", "updated_at": "2026-01-02T05:00:01.25"}
    assert pull(campaign, client, "herons") == Pull(added=1)
    with campaign.store.reading() as connection:
        (at,) = connection.scalars(select(labels.c.at))
    assert at == datetime(2026, 1, 2, 5, 0, 1, 250_000, tzinfo=UTC)


def test_pulling_again_adds_nothing(pushed, studio, client):
    campaign, paths = pushed()
    for path, name in zip(paths, ["cat", "dog", "cat"], strict=False):
        studio.choose(studio.task_of(path), name)
    studio.annotate(studio.task_of(paths[3]), [], cancelled=True)
    pull(campaign, client, "herons")
    before = history(campaign)
    assert pull(campaign, client, "herons") == Pull(unchanged=4)
    campaign.undo("ann@example.org", paths[0])  # what was taken back here stays so
    assert pull(campaign, client, "herons") == Pull(unchanged=4)
    assert history(campaign)[: len(before)] == before
    assert paths[0] not in campaign.labels()


def test_a_changed_annotation_is_a_relabel_and_an_untouched_one_is_not(pushed, studio, client):
    campaign, (path, *_) = pushed()
    annotation = studio.choose(studio.task_of(path), "cat")
    pull(campaign, client, "herons")
    studio.change(annotation, ground_truth=True)
    assert pull(campaign, client, "herons") == Pull(unchanged=1)
    studio.change(annotation, result=[{"type": "choices", "value": {"choices": ["dog"]}}])
    assert pull(campaign, client, "herons") == Pull(changed=1)
    assert campaign.labels() == {path: "dog"}
    assert [row[1:] for row in history(campaign)] == [
        ("label", "ann@example.org", 1),
        ("label", "ann@example.org", 2),
    ]


def test_all_annotations_are_stored_and_the_latest_is_current(pushed, studio, client):
    campaign, (path, *_) = pushed()
    bob = studio.add_user("bob@example.org", **BOB)
    first = studio.choose(studio.task_of(path), "cat")
    studio.choose(studio.task_of(path), "dog", user=bob)
    assert pull(campaign, client, "herons") == Pull(added=1, changed=1)
    assert campaign.labels() == {path: "dog"}
    studio.change(first, result=[{"type": "choices", "value": {"choices": ["n/a"]}}])
    assert pull(campaign, client, "herons") == Pull(changed=1, unchanged=1)
    assert campaign.labels() == {path: "n/a"}
    assert [row[2] for row in history(campaign)] == ["ann@example.org", "bob@example.org", "ann@example.org"]


def test_a_pull_does_not_replace_a_newer_label(pushed, studio, client, clock):
    campaign, (path, *_) = pushed()
    studio.choose(studio.task_of(path), "cat")
    clock.advance(7200)
    campaign.label(path, "dog", author="carol")
    assert pull(campaign, client, "herons") == Pull(overtaken=1)
    assert campaign.labels() == {path: "dog"}
    assert [row[1:3] for row in history(campaign)] == [
        ("label", "carol"),
        ("label", "ann@example.org"),
        ("undo", "ann@example.org"),
    ]
    assert pull(campaign, client, "herons") == Pull(unchanged=1)
    studio.now = campaign.now()
    studio.choose(studio.task_of(path), "n/a")
    assert pull(campaign, client, "herons") == Pull(changed=1, unchanged=1)
    assert campaign.labels() == {path: "n/a"}


def test_a_label_whose_annotation_is_cancelled_later_is_taken_back(pushed, studio, client):
    campaign, (path, other, *_) = pushed()
    annotation = studio.choose(studio.task_of(path), "cat")
    pull(campaign, client, "herons")
    studio.change(annotation, was_cancelled=True)
    campaign.label(other, "dog", author="ann@example.org")
    studio.annotate(studio.task_of(other), [], cancelled=True)  # a skip of its own takes nothing back
    assert pull(campaign, client, "herons") == Pull(skipped=2)
    assert campaign.labels() == {other: "dog"}


def test_two_pulls_at_the_same_time_add_nothing_twice(pushed, studio, client):
    campaign, (first, second, *_) = pushed()
    studio.choose(studio.task_of(first), "cat")
    studio.annotate(studio.task_of(second), [], cancelled=True)
    users = list_users(client)

    def tasks():
        yield from (get_task(client, studio.task_of(path)) for path in (first, second))
        # The other one is faster.
        assert pull(campaign, client, "herons") == Pull(added=1, skipped=1)

    assert take_tasks(campaign, tasks(), users) == Pull(unchanged=2)
    assert len(history(campaign)) == 2


def test_images_that_moved_are_found_by_their_content(pushed, studio, client):
    campaign, (path, *_) = pushed()
    studio.choose(studio.task_of(path), "cat")
    (campaign.images / path).rename(campaign.images / "elsewhere.png")
    campaign.refresh()
    pull(campaign, client, "herons")
    assert campaign.labels() == {"elsewhere.png": "cat"}


def test_an_annotation_of_a_image_that_changed_is_refused(pushed, studio, client):
    campaign, (path, *_) = pushed()
    task = studio.task_of(path)
    studio.choose(task, "cat")
    random_image(99).save(campaign.images / path)
    campaign.refresh()
    with pytest.raises(
        DataError, match=rf"task {task} of Label Studio shows '{path}' as it was before its file changed"
    ):
        pull(campaign, client, "herons")


def test_a_task_created_in_label_studio_is_matched_by_path(pushed, studio, client):
    campaign, paths = pushed()
    fresh = next(path for path in ("a/000.png", "b/001.png", *campaign_paths(campaign)) if path not in paths)
    task = studio.tasks[studio.task_of(paths[0])]
    task["data"] = {"image": f"/data/local-files/?d={fresh}"}
    studio.choose(task["id"], "dog")
    pull(campaign, client, "herons")
    assert campaign.labels() == {fresh: "dog"}


def campaign_paths(campaign):
    return [file.relative_to(campaign.images).as_posix() for file in sorted(campaign.images.rglob("*.png"))]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"text": "?"}, "does not name its image"),
        ({"path": "gone.png"}, ".*'gone.png' is not an image of this campaign"),
        ({"path": "gone.png", "content_hash": "ab"}, ".*'gone.png' is not an image of this campaign"),
    ],
)
def test_a_task_without_a_known_image_is_named(pushed, studio, client, data, match):
    campaign, (path, *_) = pushed()
    number = studio.task_of(path)
    studio.tasks[number]["data"] = data
    studio.choose(number, "cat")
    with pytest.raises(DataError, match=f"task {number} of Label Studio:? ?{match}"):
        pull(campaign, client, "herons")


@pytest.mark.parametrize(
    ("result", "match"),
    [
        ([{"type": "choices", "value": {"choices": ["cat", "dog"]}}], r"has 2 choices \(cat, dog\)"),
        ([{"type": "textarea", "value": {"text": ["cat"]}}], "has no choice, but textarea: classes come from choices"),
        ([{"type": "choices", "value": {"choices": ["cta"]}}], "unknown class 'cta'; did you mean 'cat'"),
        ([{"type": "choices"}], "is not in Label Studio's form: 'value' is missing"),
    ],
)
def test_an_invalid_annotation_names_its_task_and_changes_nothing(pushed, studio, client, result, match):
    campaign, (first, second, *_) = pushed()
    studio.choose(studio.task_of(first), "cat")
    studio.annotate(studio.task_of(second), result)
    with pytest.raises(DataError, match=rf"task {studio.task_of(second)} of Label Studio.*{match}"):
        pull(campaign, client, "herons")
    assert campaign.labels() == {}


def test_an_interrupted_pull_changes_nothing(pushed, studio, client, monkeypatch):
    monkeypatch.setattr("minimax_al.label_studio.projects._PAGE", 1)
    campaign, paths = pushed()
    for path in paths:
        studio.choose(studio.task_of(path), "cat")
    for allowed in count():
        studio.requests.clear()
        studio.fail_at = (allowed, httpx.ReadError("gone"))
        try:
            pull(campaign, client, "herons")
        except CampaignError:
            assert campaign.labels() == {}
        else:
            break
    assert campaign.labels() == dict.fromkeys(paths, "cat")
    assert allowed > len(paths)


def test_empty_annotations_are_counted_and_skipped(pushed, studio, client):
    campaign, (path, *_) = pushed()
    studio.annotate(studio.task_of(path), [])
    assert pull(campaign, client, "herons") == Pull(empty=1)


def test_brushes_and_polygons_become_one_mask_and_the_later_one_counts(pushed, studio, client):
    campaign, (path, *_) = pushed(task="segmentation")
    expected = np.full((16, 20), 255, dtype=np.uint8)
    blob = np.zeros((16, 20), dtype=bool)
    blob[2:9, 3:11] = True
    expected[blob] = 0
    expected[4:8, 5:15] = 2  # the rectangle from 25 % to 75 % of the width, and from 25 % to 50 % of the height
    task = studio.task_of(path)
    square = [[25, 25], [75, 25], [75, 50], [25, 50]]
    annotation = studio.annotate(task, [brush(blob, "cat"), polygon(square, "n/a")])
    assert pull(campaign, client, "herons") == Pull(added=1)
    (name,) = campaign.labels().values()
    np.testing.assert_array_equal(campaign.masks.load(name), expected)
    assert pull(campaign, client, "herons") == Pull(unchanged=1)
    studio.change(annotation, result=[brush(blob, "dog")])
    assert pull(campaign, client, "herons") == Pull(changed=1)


@pytest.mark.parametrize(
    ("region", "match"),
    [
        (brush(np.ones((4, 4), bool), "cat"), r"the mask has 4 x 4 pixels and its image 20 x 16"),
        (brush(np.ones((16, 20), bool), "zebra"), "unknown class 'zebra'; known: cat, dog, n/a"),
        (brush(np.ones((16, 20), bool), "cat", image_rotation=90), "drawn on an image that was turned"),
        ({"type": "rectanglelabels", "value": {}}, "has a region of rectanglelabels"),
        ({"type": "relation"}, "has neither brush nor polygon"),
        ({**brush(np.ones((16, 19), bool), "cat"), "original_width": 20}, "the code is of 304 pixels"),
    ],
)
def test_invalid_regions_name_the_task(pushed, studio, client, region, match):
    campaign, (path, *_) = pushed(task="segmentation")
    studio.annotate(studio.task_of(path), [region])
    with pytest.raises(DataError, match=rf"task {studio.task_of(path)} of Label Studio.*{match}"):
        pull(campaign, client, "herons")


def test_masks_that_label_studios_own_converter_wrote_are_read():
    for recorded in payload("brush_masks"):
        mask = decode_label_studio(recorded["rle"], recorded["size"])
        assert np.flatnonzero(mask.ravel()).tolist() == recorded["pixels"]
        np.testing.assert_array_equal(decode_by_the_bit(encode_label_studio(mask), mask.shape), mask)


def test_codes_of_longer_words_are_refused():
    code = encode_label_studio(np.ones((2, 2), bool))
    code[4] = (16 - 1) << 3 | code[4] & 7  # the five bits behind the length
    with pytest.raises(ValueError, match="words of 16 bits"):
        decode_label_studio(code, (2, 2))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_encoded_masks_are_read_by_another_decoder(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    np.testing.assert_array_equal(decode_by_the_bit(encode_label_studio(mask), (height, width)), mask)


def decode_by_the_bit(code, size):
    """The format as Label Studio describes it, from one long string of bits."""
    bits = "".join(f"{byte:08b}" for byte in code)
    take = iter(bits).__next__

    def number(length):
        return int("".join(take() for _ in range(length)), 2)

    total, word_size = number(32), number(5) + 1
    sizes = [number(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        is_run = number(1)
        length = 1 + number(sizes[number(2)])
        values += [number(word_size)] * length if is_run else [number(word_size) for _ in range(length)]
    return np.array(values).reshape(*size, 4)[..., 3] > 0


@settings(deadline=None, max_examples=60)
@example([(0, 0), (-40, 158), (114, 144)], 15, 11)  # the last centre is on an edge
@given(
    st.lists(st.tuples(st.integers(-40, 240), st.integers(-40, 240)), min_size=3, max_size=7, unique=True),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_polygons_have_the_pixels_whose_centres_they_contain(corners, height, width):
    """Against matplotlib, which asks of each centre on its own; centres on an outline belong to either side."""
    points = [(x / 10 + 0.013, y / 10 + 0.017) for x, y in corners]
    ys, xs = np.mgrid[:height, :width] + 0.5
    centres = np.stack([xs.ravel(), ys.ravel()], axis=1)
    turns = sum(even_odd_crossings(points, centres)) % 2 == 1
    clear = ~on_an_outline(points, centres)
    np.testing.assert_array_equal(fill_polygon(points, height, width).ravel()[clear], turns[clear])


def on_an_outline(points, centres):
    """Which centres are within rounding of an edge's line, and so may be of either side."""
    near = np.zeros(len(centres), dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True):
        x, y = centres.T
        near |= np.abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) < 1e-9
    return near


def even_odd_crossings(points, centres):
    """For each edge, which centres have it on their right: the triangle with a far point, by cross products."""
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True):
        x, y = centres.T
        spans = (y0 > y) != (y1 > y)
        side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        yield spans & ((side > 0) == (y1 > y0))


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 9), st.integers(0, 2**32 - 1))
def test_convex_polygons_are_as_matplotlib_has_them(corners, seed):
    angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, corners))
    points = np.stack([9.03 + 7 * np.cos(angles), 8.07 + 6 * np.sin(angles)], axis=1)
    ys, xs = np.mgrid[:16, :20] + 0.5
    inside = Outline(points).contains_points(np.stack([xs.ravel(), ys.ravel()], axis=1)).reshape(16, 20)
    np.testing.assert_array_equal(fill_polygon([tuple(point) for point in points], 16, 20), inside)


def test_a_polygon_with_its_point_on_a_pixels_edge_has_no_pixel_more():
    assert fill_polygon([(0, 0), (3, 0), (3, 2), (0, 2)], 4, 5).sum() == 6
    assert fill_polygon([(1, 1), (2, 2)], 4, 5).sum() == 0


def test_a_pull_needs_the_project(make_campaign, client):
    with pytest.raises(UnknownNameError, match="unknown project of Label Studio"):
        pull(make_campaign(), client, "herons")


def test_times_with_another_zone_are_the_same_moment(pushed, studio, client):
    campaign, (path, *_) = pushed()
    annotation = studio.choose(studio.task_of(path), "cat")
    pull(campaign, client, "herons")
    moment = datetime.fromisoformat(annotation["updated_at"])
    annotation["updated_at"] = moment.astimezone(timezone(timedelta(hours=-5))).isoformat()
    assert pull(campaign, client, "herons") == Pull(unchanged=1)
