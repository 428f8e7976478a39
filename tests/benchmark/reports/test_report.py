import json
import re

import numpy as np
import pytest
import torch

from minimax_al.benchmark import run_grid, write_report
from minimax_al.benchmark.folders.facts import read_facts
from minimax_al.benchmark.results.results import read_results
from minimax_al.benchmark.runs.grid import Cell
from minimax_al.errors import DataError, ResultsError
from minimax_al.report import read_records


def headings(page):
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page)


@pytest.fixture
def results(tiny, tmp_path, finished):
    protocol = tiny.model_copy(update={"strategies": ("random", "random+mal", "mal"), "points": 2})
    return protocol, finished(protocol, tmp_path)


def test_records_are_what_the_rounds_say(results):
    protocol, out = results
    write_report(out)
    records = read_records(out / "curves.csv")
    assert {(record.strategy, record.seed, record.labels) for record in records} == {
        (strategy, seed, labels) for strategy in protocol.strategies for seed in (0, 1) for labels in (20, 40)
    }
    said = json.loads((Cell("mal", 1).folder(out) / "round-1.json").read_text())["metrics"]
    found = {r.metric: r.value for r in records if (r.strategy, r.seed, r.round) == ("mal", 1, 1)}
    assert said.items() <= found.items()


def test_the_page_holds_every_part(results):
    _, out = results
    page = write_report(out).read_text()
    assert headings(page) == [
        "Learning curves",
        "Figures",
        "Area under the curve",
        "Paired comparison",
        "Labels saved against random",
        "Labels saved against random+mal",
        "Parts of the gain",
        "The classifier C∘F",
        "Balanced accuracy",
        "Calibration error",
        "Class balance",
        "Picked images",
        "Time and work",
        "Provenance",
    ]
    assert "http://" not in re.sub(r"http://www\.w3\.org/[^\"' ]*|http://purl\.org/[^\"' ]*", "", page)
    assert page.count('<img src="data:image/png') == 3 * 2 * 20
    assert "labelledness rank" in page
    assert 'class="win' not in page  # two seeds
    assert "cannot separate strategies from chance" in page
    summary = re.findall(r'<p class="summary">(.*?)</p>', page)
    assert summary[0].startswith("Highest mean accuracy over the learning curve: ")
    assert {"curve.svg", "curve.pdf", "curve.png", "table.tex", "table.md"} <= {path.name for path in out.iterdir()}
    tables = {path.name for path in (out / "tables").iterdir()}
    assert {"figures.csv", "figures.tex", "labels-saved-against-random.csv", "time-and-work.csv"} <= tables


def test_an_unfinished_grid_is_reported_as_such(results):
    _, out = results
    (Cell("mal", 1).folder(out) / "round-1.json").unlink()
    page = write_report(out).read_text()
    assert "Not finished: 1 rounds are left to run." in page
    assert "Paired comparison" in headings(page)
    (Cell("random", 0).folder(out) / "round-1.json").unlink()
    assert "Paired comparison" not in headings(write_report(out).read_text())


def test_uneven_pools_are_shown_by_head_middle_and_tail(tiny, tmp_path):
    protocol = tiny.model_copy(
        update={
            "imbalanced": True,
            "initial": "random",
            "points": 2,
            "recipe": tiny.recipe.model_copy(update={"missing_classes": "warn"}),
        }
    )
    run_grid(protocol, tmp_path)
    counts = {sum(rounds[-1].class_counts) for rounds in read_results(tmp_path).rounds.values()}
    assert counts == {40}
    assert any("tail" in heading.lower() for heading in headings(write_report(tmp_path).read_text()))


def test_a_folder_without_results(tiny, tmp_path):
    with pytest.raises(ResultsError, match=r"is not a results folder of a benchmark"):
        write_report(tmp_path)
    run_grid(tiny.model_copy(update={"seeds": 1, "points": 1, "strategies": ("random",)}), tmp_path)
    (Cell("random", 0).folder(tmp_path) / "round-0.json").unlink()
    with pytest.raises(ResultsError, match=r"has no finished round"):
        write_report(tmp_path)


@pytest.fixture
def on_disk(tiny, tmp_path):
    """A protocol whose data lie in a file."""
    digits = tiny.load()
    images = {
        part: next(iter(source.stream([torch.arange(60)]))).permute(0, 2, 3, 1).numpy()
        for part, source in (("train", digits.train), ("test", digits.test))
    }
    path = tmp_path / "images.npz"
    np.savez(
        path,
        X_train=images["train"],
        y_train=digits.train_targets[:60],
        X_test=images["test"],
        y_test=digits.test_targets[:60],
        class_names=digits.class_names,
    )
    changes = {"dataset": "arrays", "data": path, "start": 20, "step": 10, "points": 2, "strategies": ("random",)}
    recipe = tiny.recipe.model_copy(update={"missing_classes": "warn"})
    return tiny.model_copy(update={**changes, "initial": "random", "recipe": recipe})


def test_a_report_is_made_where_the_data_are_not(on_disk, tmp_path):
    out = tmp_path / "results"
    run_grid(on_disk, out)
    whole = write_report(out).read_text()
    moved = on_disk.data.rename(tmp_path / "elsewhere.npz")
    page = write_report(out).read_text()
    assert headings(page) == headings(whole)
    assert "60 training and 60 test images" in page
    assert "Not shown: " in page
    assert str(on_disk.data) in page
    assert "<img" in whole
    assert "<img" not in page
    assert write_report(out, moved).read_text().count("<img") == whole.count("<img")
    with pytest.raises(DataError, match=r"nowhere\.npz"):
        write_report(out, tmp_path / "nowhere.npz")


def test_the_facts_kept_cover_all_seeds_of_the_folder(on_disk, tmp_path):
    out = tmp_path / "results"
    run_grid(on_disk, out)
    run_grid(on_disk.model_copy(update={"seeds": 1}), out)
    assert sorted(read_facts(out).totals) == [0, 1]


def test_damaged_facts_and_older_folders(on_disk, tmp_path):
    out = tmp_path / "results"
    run_grid(on_disk.model_copy(update={"seeds": 1}), out)
    (out / "dataset.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"dataset\.json' cannot be read .* remove it, and run the benchmark"):
        write_report(out)
    (out / "dataset.json").unlink()
    assert "60 training" in write_report(out).read_text()
    on_disk.data.unlink()
    with pytest.raises(DataError, match=r"images\.npz"):
        write_report(out)
