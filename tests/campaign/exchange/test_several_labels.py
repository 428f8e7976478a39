"""Several labels of one image, times of labels, and wrong labels of a source: none is dropped or chosen in silence."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from minimax_al.campaign.store.schema import labels
from minimax_al.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="labels.csv"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


def history(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(labels.select().order_by(labels.c.id)).all()


def annotation(choice, time=None, **more):
    result = [{"type": "choices", "value": {"choices": [choice]}, "id": choice}]
    return {"result": result, **({} if time is None else {"updated_at": time}), **more}


def tasks(*annotations):
    return [{"id": 5, "data": {"image": "a/000.png"}, "annotations": list(annotations)}]


def test_rows_of_several_authors_are_all_kept_and_the_latest_counts(campaign, write):
    source = write(
        "path,label,author,labelled_at\n"
        "a/000.png,cat,ann,2020-01-02T03:04:05+00:00\n"
        "a/000.png,dog,bob,2020-01-01 03:04:05\n"
        "b/001.png,dog,ann,\n"
        "b/001.png,dog,bob,\n"
    )
    done = campaign.import_labels(source)
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog"}
    assert (done.added, done.notes) == (
        2,
        ("1 images have several labels that disagree in the source: the latest of each counts.",),
    )
    said = [(row.author, row.at) for row in history(campaign) if row.kind == "label" and row.item_id == 1]
    assert said == [
        ("bob", datetime(2020, 1, 1, 3, 4, 5, tzinfo=UTC)),
        ("ann", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ]
    assert campaign.import_labels(source).unchanged == 2
    assert len(history(campaign)) == 6  # two that are superseded and their revocations, two that hold


@pytest.mark.parametrize("times", [("", ""), ("2020-01-01", ""), ("2020-01-01", "2020-01-01T00:00:00Z")])
def test_rows_that_disagree_without_different_times_are_refused(campaign, write, times):
    rows = "".join(f"a/000.png,{name},{time}\n" for name, time in zip(("cat", "dog"), times, strict=True))
    with pytest.raises(DataError, match=r"'a/000\.png' is '\w+' here but '\w+' in .*: keep one, or give each its time"):
        campaign.import_labels(write(f"path,label,labelled_at\n{rows}"))
    assert campaign.labels() == {}


def test_the_time_of_a_label_survives_a_round_trip(campaign, make_campaign, write, tmp_path, clock):
    campaign.label("a/000.png", "cat", author="ann")
    clock.advance(86_400)
    campaign.export("csv", tmp_path / "out.csv")
    other = make_campaign(folder="other", images=campaign.images)
    other.import_labels(tmp_path / "out.csv")
    assert [(row.author, row.at) for row in history(other)] == [(row.author, row.at) for row in history(campaign)]


def test_an_invalid_time_is_refused(campaign, write):
    with pytest.raises(DataError, match=r"line 2: 'yesterday' is not a time: write it as 2026-"):
        campaign.import_labels(write("path,label,labelled_at\na/000.png,cat,yesterday\n"))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-01-01T18:00:00+09:00", "2024-01-01T10:00:00Z"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00.500000Z"),
        ("2024-01-01T09:59:59.999999", "2024-01-01T10:00:00+00:00"),
        ("2024-01-01T23:00:00-01:00", "2024-01-02T00:00:00.1Z"),
    ],
)
def test_the_latest_annotation_is_found_by_its_time(campaign, write, earlier, later):
    for found in (
        (annotation("cat", earlier), annotation("dog", later)),
        (annotation("dog", later), annotation("cat", earlier)),
    ):
        done = campaign.import_labels(write(tasks(*found), "x.json"))
        assert campaign.labels() == {"a/000.png": "dog"}
        assert done.notes == ("1 tasks have annotations that disagree: the latest of each counts.",)


def test_the_ground_truth_decides(campaign, write):
    truth = annotation("cat", "2024-01-01T00:00:00Z", ground_truth=True)
    done = campaign.import_labels(write(tasks(truth, annotation("dog", "2024-01-02T00:00:00Z")), "x.json"))
    assert campaign.labels() == {"a/000.png": "cat"}
    assert done.notes == (
        "1 tasks have annotations that disagree: the latest of each counts, and of 1 tasks the ground truth.",
    )


def test_agreeing_annotators_are_not_reported(campaign, write):
    found = annotation("cat", "2024-01-01T00:00:00Z"), annotation("cat", "2024-01-02T00:00:00Z", completed_by=2)
    assert campaign.import_labels(write(tasks(*found), "x.json")).notes == ()


@pytest.mark.parametrize("time", [None, "2024-01-01T00:00:00Z"])
def test_annotations_of_one_time_that_disagree_are_refused(campaign, write, time):
    with pytest.raises(DataError, match="task 5 has annotations of the same time that disagree: keep one"):
        campaign.import_labels(write(tasks(annotation("cat", time), annotation("dog", time)), "x.json"))


def test_all_wrong_lines_are_counted_and_the_first_twenty_listed(campaign, write):
    rows = "".join(f"x/{number}.png,cat\n" for number in range(30)) + "a/000.png,bird\nb/001.png,bird\nb/003.png,cat\n"
    with pytest.raises(
        DataError, match=r"^32 labels of .*labels\.csv' are wrong, and nothing was imported:"
    ) as refused:
        campaign.import_labels(write("path,label\n" + rows))
    lines = str(refused.value).splitlines()
    assert len(lines) == 22
    assert "line 2: 'x/0.png' is not an image" in lines[1]
    assert lines[-1] == "- and 12 more"
    assert campaign.labels() == {}


def test_lines_of_one_unknown_class_are_one_problem(campaign, write):
    rows = "a/000.png,bird\nb/001.png,bird\na/002.png,cta\n"
    with pytest.raises(
        DataError, match=r"(?s)^3 labels .*line 2 \(and 1 more\): unknown class 'bird'.*line 4: .*'cta'"
    ):
        campaign.import_labels(write("path,label\n" + rows))


@pytest.mark.parametrize("form", ["csv", "label-studio", "coco"])
def test_every_format_lists_all_that_is_wrong(campaign, write, form):
    names = ["x/1.png", "a/000.png", "x/2.png"]
    if form == "csv":
        source = write("path,label\n" + "".join(f"{name},cat\n" for name in names))
    elif form == "label-studio":
        source = write([{"data": {"path": name}, "annotations": [annotation("cat")]} for name in names], "x.json")
    else:
        content = {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [{"id": number, "image_id": number, "category_id": 1} for number in range(3)],
            "categories": [{"id": 1, "name": "cat"}],
        }
        source = write(content, "x.json")
    with pytest.raises(DataError, match=r"(?s)^2 labels of .*x/1\.png.*x/2\.png"):
        campaign.import_labels(source)


def test_a_check_changes_nothing(campaign, write):
    campaign.label("a/000.png", "dog", author="ann")
    before = history(campaign)
    done = campaign.import_labels(
        write("path,label\na/000.png,cat\nb/001.png,heron\na/002.png,n/a\n"), check=True, create_classes=True
    )
    assert (done.added, done.changed, done.unchanged, done.new_classes, done.is_check) == (2, 1, 0, ("heron",), True)
    assert history(campaign) == before
    assert campaign.classes == ("cat", "dog", "n/a")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("Cat", "the class 'Cat' differs from 'cat' in case, spaces or invisible characters alone: write 'cat'"),
        ("c\u200bat", r"the class 'c\\u200bat' differs from 'cat'"),
        ("N/A", "the class 'N/A' differs from 'n/a'"),
    ],
)
def test_class_names_that_look_alike_are_refused(campaign, write, name, match):
    for create in (False, True):
        with pytest.raises(DataError, match=match):
            campaign.import_labels(write(f"path,label\na/000.png,{name}\n"), create_classes=create)


def test_new_class_names_that_look_alike_are_refused(campaign, write):
    with pytest.raises(DataError, match="the class 'juice' differs from 'Juice'"):
        campaign.import_labels(write("path,label\na/000.png,Juice\nb/001.png,juice\n"), create_classes=True)


def test_unicode_forms_of_a_class_are_one_class(make_campaign, write):
    campaign = make_campaign(classes=["caf\u00e9", "bar"])
    campaign.import_labels(write("path,label\na/000.png,cafe\u0301\n"))
    assert campaign.labels() == {"a/000.png": "caf\u00e9"}
    with pytest.raises(DataError, match=r"'cafe\\u0301' and 'caf\\xe9' are two Unicode forms"):
        campaign.add_classes(["cafe\u0301"])


def test_labels_of_files_that_cannot_be_used_are_pointed_out(campaign, write):
    (campaign.images / "a/000.png").unlink()
    campaign.refresh()
    done = campaign.import_labels(write("path,label\na/000.png,cat\nb/001.png,cat\n"))
    assert done.notes == (
        "1 labels are of images whose file is missing or set aside: they count once the file can be read.",
    )


def test_times_of_all_zones_are_one_moment(campaign, write):
    zone = timezone(timedelta(hours=9))
    moment = datetime(2024, 1, 1, 18, tzinfo=zone)
    campaign.import_labels(write(f"path,label,labelled_at\na/000.png,cat,{moment.isoformat()}\n"))
    assert history(campaign)[0].at == moment


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "1700000000", "31.12.2023"])
def test_times_that_no_clock_shows_in_utc_are_refused(campaign, write, time):
    with pytest.raises(DataError, match=f"line 2: '{re.escape(time)}' is not a time: write it as 2026"):
        campaign.import_labels(write(f"path,label,labelled_at\na/000.png,cat,{time}\n"))
    assert campaign.labels() == {}


def test_the_earliest_and_latest_times_are_kept(campaign, write):
    times = ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"]
    rows = "".join(f"a/000.png,{name},{time}\n" for name, time in zip(("cat", "dog"), times, strict=True))
    campaign.import_labels(write(f"path,label,labelled_at\n{rows}"))
    assert campaign.labels() == {"a/000.png": "dog"}
    assert [row.at.isoformat() for row in history(campaign) if row.kind == "label"] == times
