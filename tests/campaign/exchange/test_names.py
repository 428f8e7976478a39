"""Names of images as other tools, systems and people write them: the label goes to that image or is refused."""

import base64
import json
import unicodedata
from urllib.parse import quote

import pytest

from minimax_al.errors import DataError
from minimax_al.label_formats.links import readings

from ...support.fakes import random_image  # noqa: TID252 - the same images

ODD = [
    *("a+b.png", "a&b.png", "a#b.png", "100%.png", "a?b.png", "a=b.png", "c d.png", "sub+dir/x y&z.png", "ü/猫.png"),
    *("it's.png", "x%2By.png", "d?d=1.png", "a;b,c.png"),
]


@pytest.fixture
def with_names(make_campaign, tmp_path):
    def make(*names, folder="images"):
        for seed, name in enumerate(names):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            random_image(seed).save(path)
        return make_campaign(images=tmp_path / folder, folder=f"campaign of {folder}")

    return make


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="labels.json"):
        path = tmp_path / "elsewhere" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write_file


def task(link, **more):
    annotation = {"result": [{"type": "choices", "value": {"choices": ["cat"]}}], "created_at": "2026-01-01T00:00:00Z"}
    return {"data": {"image": link, **more}, "annotations": [annotation]}


LINKS = {
    "local files": lambda name: f"/data/local-files/?d={name}",
    "local files, quoted": lambda name: f"/data/local-files/?d={quote(name)}",
    "local files, all quoted": lambda name: f"http://localhost:8080/data/local-files/?d={quote(name, safe='')}",
    "address": lambda name: f"https://images.example/{name}",
    "address, quoted": lambda name: f"https://images.example/{quote(name)}",
    "signed": lambda name: f"https://b.s3.amazonaws.com/{quote(name)}?X-Amz-Signature=ff%2F",
    "bucket": lambda name: f"s3://bucket/{name}",
    "resolved": lambda name: "/tasks/1/resolve/?fileuri=" + base64.b64encode(f"s3://bucket/{name}".encode()).decode(),
    "plain": lambda name: name,
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_label_of_a_link_goes_to_its_image(with_names, write, kind):
    campaign = with_names(*ODD)
    campaign.import_labels(write([task(LINKS[kind](name)) for name in ODD]), format="label-studio")
    assert set(campaign.labels()) == set(ODD)


@pytest.mark.parametrize("name", ODD)
def test_a_label_of_one_link_goes_to_no_other_image(with_names, write, name):
    campaign = with_names(name, "b.png", "a.png")
    for kind, link in LINKS.items():
        campaign.import_labels(write([task(link(name))]), format="label-studio")
        assert set(campaign.labels()) == {name}, kind


@pytest.mark.parametrize(
    ("pair", "link"),
    [
        (("a b.png", "a%20b.png"), "/data/local-files/?d=a%20b.png"),
        (("a+b.png", "a b.png"), "/data/local-files/?d=a+b.png"),
        (("a.png", "a.png?x=1.png"), "https://images.example/a.png?x=1.png"),
        (("a.png", "a.png&b.png"), "/data/local-files/?d=a.png&b.png"),
    ],
)
def test_an_ambiguous_link_is_refused(with_names, write, pair, link):
    campaign = with_names(*pair)
    with pytest.raises(DataError, match=r"task 1: .* may be .* or .*: write the one that is meant"):
        campaign.import_labels(write([task(link)]))
    assert campaign.labels() == {}
    for number, name in enumerate(pair, start=1):  # a path besides the link decides
        assert campaign.import_labels(write([task(link, path=name)])).added == 1
        assert len(campaign.labels()) == number


def test_a_path_and_a_link_of_two_images_are_refused(with_names, write):
    campaign = with_names("a.png", "b.png")
    with pytest.raises(DataError, match=r"task 1: it names 'a\.png', but its link shows 'b\.png'"):
        campaign.import_labels(write([task("/data/local-files/?d=b.png", path="a.png")]))


def test_a_path_column_of_the_users_own_does_no_harm(with_names, write):
    campaign = with_names("a.png", "b.png")
    campaign.import_labels(write([task("/data/local-files/?d=b.png", path="/nas/some/where")]))
    assert set(campaign.labels()) == {"b.png"}


def test_two_images_of_a_task_are_refused(with_names, write):
    campaign = with_names("a.png", "b.png")
    content = task("?")
    content["data"] = {"left": "/data/local-files/?d=a.png", "right": "/data/local-files/?d=b.png"}
    with pytest.raises(DataError, match="task 1: the task shows 2 images"):
        campaign.import_labels(write([content]))


@pytest.mark.parametrize(
    "name",
    ["images/{}", "pool/{}", "/home/ann/pool/{}", "C:\\Users\\ann\\pool\\{}", "data\\images\\{}", "set/images/{}"],
)
def test_a_common_prefix_of_all_names_is_removed_and_reported(with_names, write, name):
    campaign = with_names("sub/x.png", "y.png", folder="pool")
    rows = "".join(f"{name.format(one)},cat\n" for one in ("y.png", "sub/x.png"))
    done = campaign.import_labels(write(f"path,label\n{rows}", "labels.csv"))
    assert set(campaign.labels()) == {"sub/x.png", "y.png"}
    prefix = name.format("").replace("\\", "/")
    assert done.notes == (f"The names begin with {prefix!r}, which the campaign's paths do not have: it was left out.",)


def test_names_of_another_folder_match_no_image(with_names, write):
    campaign = with_names("1.png", "2.png", folder="train")
    mixed = write("path,label\ntrain/1.png,cat\nval/1.png,dog\n", "labels.csv")
    with pytest.raises(DataError, match=r"line 3: 'val/1\.png' is not an image of this campaign"):
        campaign.import_labels(mixed)
    other = write("path,label\nval/1.png,dog\n", "labels.csv")
    with pytest.raises(
        DataError, match=r"but '1\.png' is: if all names begin with 'val/', import with --strip-prefix 'val/'"
    ):
        campaign.import_labels(other)
    assert campaign.import_labels(other, strip_prefix="val/").added == 1
    assert campaign.labels() == {"1.png": "dog"}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_are_found_in_either_form(with_names, write, forms):
    there, given = (unicodedata.normalize(form, "é/café.png") for form in forms)
    campaign = with_names(there, "other.png")
    campaign.import_labels(write(f"path,label\n{given},cat\n", "labels.csv"))
    campaign.import_labels(write([task(LINKS["local files, quoted"](given))]))
    assert set(campaign.labels()) == {there}


def test_a_text_that_is_not_a_link_has_no_readings():
    assert readings("a/b c.png") == readings("C:\\x.png") == readings("/home/ann/x.png") == ()
