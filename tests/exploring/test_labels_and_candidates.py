"""All labels by today's model's opinion, and the images that it takes for a class."""

import numpy as np
import pytest

from minimax_al.campaign.answers.leases import Holder
from minimax_al.errors import CampaignError, DataError
from minimax_al.exploring.bulk import count_candidates, find_candidates
from minimax_al.exploring.explorer import Explorer
from minimax_al.exploring.label_list import LabelFilter, count_labels, find_labels

from ..support.feature_campaigns import CLASSES, class_of  # noqa: TID252 - shared fixtures


def listed(view, order="suspicion", **conditions):
    return view.describe(find_labels(view, LabelFilter(**conditions), order))


def test_wrong_labels_come_first_and_are_suspected(clusters):
    picks = clusters.picks()
    wrong = [pick for pick in picks if class_of(pick.path) == "red"][:1]
    for pick in wrong:
        clusters.label(pick.item, "blue", "bob", origin="page")
    explorer = Explorer(clusters.context)
    assert {image.contradiction for image in listed(explorer.view())} == {None}  # no model yet
    clusters.train()
    view = explorer.view()
    first = listed(view)[:1]
    assert {image.path for image in first} == {pick.path for pick in wrong}
    assert all(image.suspected and image.suggestion == "red" and image.author == "bob" for image in first)
    suspected = {one.item for one in clusters.review().suspicions}
    assert {image.item for image in listed(view, opinion="suspected")} == suspected
    counts = count_labels(view)
    assert (counts.suspected, counts.judged, counts.kinds) == (
        len(suspected),
        27,
        {"label": 27, "unsure": 0, "skip": 0},
    )
    assert counts.differing == len(listed(view, opinion="differs"))
    assert counts.differing + len(listed(view, opinion="agrees")) == 27
    clusters.label(wrong[0].item, "red", "ann", origin="page")  # corrected: no longer suspected, without a training
    assert wrong[0].item not in {image.item for image in listed(explorer.view(), opinion="suspected")}


def test_a_label_since_the_training_is_compared_with_the_prediction_of_the_pool(clusters):
    clusters.train()
    explorer = Explorer(clusters.context)
    open_items = [image for image in explorer.view().describe(np.arange(45)) if image.answer == "none"]
    sure = max(open_items, key=lambda image: image.confidence)
    other = next(name for name in CLASSES if name != sure.suggestion)
    clusters.label(sure.item, other, "ann", origin="page")
    (found,) = (image for image in listed(explorer.view()) if image.item == sure.item)
    assert found.suggestion == sure.suggestion
    assert 0 < found.contradiction <= found.confidence
    clusters.label(sure.item, sure.suggestion, "ann", origin="page")
    (found,) = (image for image in listed(explorer.view()) if image.item == sure.item)
    assert found.contradiction < 0


def test_filters_against_a_plain_loop(clusters, tmp_path):
    clusters.train()
    names = sorted(path.name for path in clusters.images.iterdir())
    (tmp_path / "more.csv").write_text(
        "path,label,author\n"
        + "".join(
            f"{name},{class_of(name)},{author}\n" for name, author in zip(names[:10], ["ann", "Zoë"] * 5, strict=True)
        )
    )
    clusters.import_labels(tmp_path / "more.csv")
    clusters.unsure(names[44], "ann")
    view = Explorer(clusters.context).view()
    everything = listed(view)
    assert len(everything) == len(clusters.labels())
    for conditions, test in (
        ({"author": "Zoë"}, lambda image: image.author == "Zoë"),
        ({"author": "nobody"}, lambda image: False),
        ({"class_name": "green"}, lambda image: image.class_name == "green"),
        ({"origin": "import"}, lambda image: image.origin == "import"),
        ({"search": "BLUE 00"}, lambda image: "blue" in image.path and "00" in image.path),
        ({"search": "zoë"}, lambda image: image.author == "Zoë"),
        ({"round": 1}, lambda image: image.round == 1),
        ({"low": 0.6, "high": 0.9}, lambda image: image.confidence is not None and 0.6 <= image.confidence <= 0.9),
        (
            {"author": "ann", "origin": "page", "class_name": "red"},
            lambda image: (image.author, image.origin, image.class_name) == ("ann", "page", "red"),
        ),
    ):
        expected = [image.item for image in everything if test(image)]
        assert [image.item for image in listed(view, **conditions)] == expected, conditions
    assert [image.answer for image in listed(view, kind="unsure")] == ["unsure"]
    by_path = [image.path for image in listed(view, order="path")]
    assert by_path == sorted(by_path)
    newest, oldest = listed(view, order="newest"), listed(view, order="oldest")
    assert [image.item for image in newest] == [image.item for image in reversed(oldest)]
    assert newest[0].origin == "import"
    counts = count_labels(view)
    assert counts.classes == {name: sum(image.class_name == name for image in everything) for name in CLASSES}
    assert sum(counts.authors.values()) == len(everything) + 1
    assert counts.origins["import"] == sum(image.origin == "import" for image in everything)


class TestCandidates:
    def test_they_are_the_unlabelled_images_of_a_class_by_confidence(self, clusters):
        clusters.train()
        view = Explorer(clusters.context).view()
        answered = {pick.item for pick in clusters.picks()}
        found = []
        for counted in count_candidates(view):
            name = counted.name
            images = view.describe(find_candidates(view, name, "sure"))
            assert len(images) == counted.images
            assert {image.suggestion for image in images} <= {name}
            confidences = [image.confidence for image in images]
            assert confidences == sorted(confidences, reverse=True)
            unsure = view.describe(find_candidates(view, name, "unsure"))
            assert [image.confidence for image in unsure] == confidences[::-1]
            found += [image.item for image in images]
        assert sorted(found) == sorted(set(range(1, 46)) - answered)

    def test_the_random_sample_and_other_screens_are_left_out(self, clusters):
        clusters.train()
        clusters.query(10, random_share=0.5)
        explorer = Explorer(clusters.context)
        lease = clusters.lease("bob", 3, session="b")
        held = {pick.item for pick in lease.picks}
        drawn = {pick.item for pick in clusters.picks() if pick.at_random}
        assert len(drawn) == 5

        def offered(holder=None, later=0):
            clusters.now.advance(later)
            view = explorer.view(clusters.lease_clock(), holder)
            return {int(view.table.items[row]) for name in CLASSES for row in find_candidates(view, name, "sure")}

        every = set(range(1, 46)) - {pick.item for pick in clusters.picks(1)}
        assert offered() == every - drawn - held
        assert offered(Holder("bob", "b")) == every - drawn
        assert offered(Holder("bob", "other")) == every - drawn - held
        assert offered(later=clusters.settings.lease_seconds + 1) == every - drawn

    def test_confirmed_suggestions_never_count_as_a_random_sample(self, clusters):
        clusters.train()
        clusters.query(10, random_share=0.5)
        drawn = [pick for pick in clusters.picks() if pick.at_random]
        clusters.label([pick.item for pick in drawn[:3]], "red", "ann", origin="bulk")
        clusters.label([pick.item for pick in drawn[3:]], "red", "ann", origin="page")
        model = clusters.train()
        assert model.metrics["random_count"] == 2
        assert model.metrics["cross_validated"] == 29
        assert clusters.status().confirmed == 3


class TestSearch:
    def test_words_are_found_in_paths_and_labels(self, clusters):
        explorer = Explorer(clusters.context)
        view = explorer.view()
        paths = [image.path for image in view.describe(explorer.search(view, "GREEN 001"))]
        assert paths == sorted(
            path.name for path in clusters.images.iterdir() if "green" in path.name and "001" in path.name
        )
        clusters.label(paths[0], "blue", "ann")
        view = explorer.view()
        assert paths[0] in {image.path for image in view.describe(explorer.search(view, "blue", "labelled"))}
        assert paths[0] not in {image.path for image in view.describe(explorer.search(view, "", "unlabelled"))}
        assert len(explorer.search(view, "")) == 45

    def test_neighbours_are_of_the_same_cluster(self, clusters):
        explorer = Explorer(clusters.context)
        view = explorer.view()
        example = next(image for image in view.describe(np.arange(45)) if "blue" in image.path)
        rows, similarities = explorer.neighbours(view, [example.item], "all", 44)
        assert len(rows) == 44
        assert example.item not in view.table.items[rows]
        assert (np.diff(similarities) <= 0).all()
        assert sum("blue" in view.table.paths[row] for row in rows[:8]) >= 6
        unlabelled, _ = explorer.neighbours(view, [example.item], "unlabelled", 100)
        assert {int(view.table.kind[row]) for row in unlabelled} == {0}

    def test_what_has_no_features_is_refused_in_one_sentence(self, clusters, make_campaign):
        explorer = Explorer(clusters.context)
        with pytest.raises(DataError, match="999 is not an image of this campaign"):
            explorer.neighbours(explorer.view(), [999], "all", 5)
        other = make_campaign(folder="other")
        explorer = Explorer(other.context)
        with pytest.raises(CampaignError, match="trains networks on its images: it has no features"):
            explorer.order_by_likeness(explorer.view(), [1, 2])
