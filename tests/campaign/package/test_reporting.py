"""The report is written for annotators: the campaign's name, mistakes first, reasons in words."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign.package.held_out import read_held_out
from minimax_al.campaign.package.reporting import groups_of_rounds, summary_sentences
from minimax_al.campaign.store.schema import classes

from ...support.campaigns import TINY_RECIPE  # noqa: TID252 - shared fixtures

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


@pytest.fixture
def trained(tmp_path, make_campaign):
    """A campaign whose every fifth label is wrong: some held-out images cannot be right."""
    noise = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(40):
        pixels = np.array(list(COLOURS.values())[number % 2]) + noise.integers(-40, 40, (16, 16, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "images" / f"{number:02d}.png")
    campaign = make_campaign(
        images=tmp_path / "images",
        folder="waders of 2026",
        classes=[*COLOURS, "blue"],
        stored_size=16,
        recipe=TINY_RECIPE,
        near_duplicates="off",
        validation_share=0.5,
    )
    campaign.query(36)
    for pick in campaign.picks():
        number = int(pick.path[:2])
        campaign.label(pick.item, list(COLOURS)[(number + (number % 5 == 0)) % 2], author="ann")
    campaign.train("entropy")
    return campaign


def test_held_out_images_are_those_of_predict_wrong_ones_first(trained):
    images = read_held_out(trained.context, 1)
    model, labels = trained.model(), trained.labels()
    predicted = {one.path: one for one in trained.predict(trained.images).images}
    assert len(images) == model.held_out
    for image in images:
        assert image.class_name == labels[image.path]
        assert image.predicted == predicted[image.path].class_name
        assert image.confidence == pytest.approx(predicted[image.path].confidence, abs=1e-5)
    right = [image.class_name == image.predicted for image in images]
    assert right == sorted(right)
    assert sum(right) / len(right) == pytest.approx(model.score)
    wrong = [image.confidence for image in images if image.class_name != image.predicted]
    assert len(wrong) > 1
    assert wrong == sorted(wrong, reverse=True)


def test_a_renamed_class_is_shown_under_its_name_of_now(trained):
    with trained.store.writing() as connection:
        connection.execute(classes.update().where(classes.c.name == "red").values(name="crimson"))
    names = {name for image in read_held_out(trained.context, 1) for name in (image.class_name, image.predicted)}
    assert "crimson" in names
    assert "red" not in names


@pytest.mark.parametrize("damage", [b"", b"PK"])
def test_a_damaged_file_leaves_the_rest_of_the_report(trained, damage):
    (trained.folder / "models/run-0001/predictions.npz").write_bytes(damage)
    assert read_held_out(trained.context, 1) == []
    assert "Learning curve" in trained.report().read_text()


def test_the_page_is_for_its_reader(trained):
    trained.query(4, "random")
    page = trained.report().read_text(encoding="utf-8")
    text = re.sub(
        r"<style.*?</style>|<svg.*?</svg>|<script.*?</script>|data:[^\"]+|<[^>]+>", " ", page, flags=re.DOTALL
    )
    assert "waders of 2026" in re.search(r"<title>(.*?)</title>", page)[1]
    assert not re.search(r"\bseed|\bpaper\b|LaTeX", text)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    wanted = [
        "Learning curve",
        "Figures",
        "Held-out images",
        "Per class",
        "Confusions",
        "Class balance",
        "Picked images",
    ]
    assert [title for title in titles if title in wanted] == wanted
    assert text.index("Wrong predictions") < text.index("Correct predictions")
    assert "random sample" in text
    assert "Band: 95% interval" in text
    model = trained.model()
    assert f"{100 * model.score:.1f}" in text


def test_a_test_set_has_its_section(trained, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\nimages/00.png,red\nimages/01.png,green\nimages/02.png,green\n")
    result = trained.evaluate(tmp_path / "labels.csv")
    page = trained.report().read_text(encoding="utf-8")
    assert "Test set" in page
    assert f"accuracy {100 * result.score:.1f} %" in page


@pytest.mark.parametrize(
    ("budgets", "groups"),
    [
        ([100, 100, 50], [1, 1, 1]),
        ([10] * 20, [1] * 20),
        ([102] + [10] * 30, [1] + [2] * 15),
        ([1] * 400, [20] * 20),
    ],
)
def test_many_small_rounds_share_galleries(budgets, groups):
    opened = [SimpleNamespace(number=number, budget=budget) for number, budget in enumerate(budgets, start=1)]
    found = groups_of_rounds(opened)
    assert [len(part) for part in found] == groups
    assert [row for part in found for row in part] == opened
    assert len(found) <= 21


def test_numbers_of_the_confusion_matrix_link_to_their_images(trained):
    page = trained.report().read_text(encoding="utf-8")
    links = set(re.findall(r'href="#(confused-\d+-\d+)"', page))
    assert links
    for link in links:
        found = re.search(rf'<figure id="{link}".*?</figure>', page, re.DOTALL)
        assert found is not None
        k, j = map(int, link.split("-")[1:])
        names = [*COLOURS, "blue"]
        assert f"{names[k]}, predicted {names[j]}" in found[0]
        assert "<img" in found[0]


def test_no_percentage_is_reported_of_fewer_than_ten_images(trained):
    assert "% (95 % interval" in trained.report().read_text(encoding="utf-8")
    few = replace(trained.status().model, measured_on=9, held_out=9)
    sentences = summary_sentences(replace(trained.status(), model=few))
    assert any("was measured on 9 images only; a figure needs 10" in sentence for sentence in sentences)
    assert not any("%" in sentence for sentence in sentences if "model of run" in sentence)
