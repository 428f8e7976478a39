"""A cell that fails is recorded with its reason; wrong picks are an error; answers are out of reach."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from minimax_al.benchmark import run_grid, write_report
from minimax_al.benchmark.folders.failures import read_failure
from minimax_al.benchmark.folders.round_files import read_rounds
from minimax_al.benchmark.oracle import Oracle, check_picks
from minimax_al.benchmark.runs import cell
from minimax_al.benchmark.runs.grid import Cell, unfinished
from minimax_al.cli import main
from minimax_al.data import UNKNOWN, load_dataset
from minimax_al.errors import MinimaxALError, ResultsError
from minimax_al.strategies import Query, get_strategy, strategy_names
from minimax_al.strategies.random import Random
from minimax_al.vocabulary import IGNORED


@pytest.fixture
def small(tiny):
    return tiny.model_copy(update={"points": 2, "seeds": 1, "strategies": ("entropy", "random")})


@pytest.fixture
def misbehave(monkeypatch):
    """Replace the strategy "entropy" in cells by one whose query does something else."""

    def install(query):
        class Misbehaving(Random):
            pass

        Misbehaving.query = query
        real = strategy_names.build_strategy
        monkeypatch.setattr(cell, "build_strategy", lambda name: Misbehaving() if name == "entropy" else real(name))

    return install


def picks_of(change):
    def query(self, round_, models, budget):
        good = get_strategy("random").query(round_, models, budget)
        return replace(good, indices=change(good.indices, round_))

    return query


def fail(error):
    def query(self, round_, models, budget):
        raise error

    return query


WRONG = {
    "too few": (lambda picks, _: picks[:-1], "returned 19 images, but the budget is 20"),
    "too many": (lambda picks, round_: round_.unlabelled[:21], "returned 21 images, but the budget is 20"),
    "none": (lambda picks, _: picks[:0], "returned 0 images, but the budget is 20"),
    "twice": (lambda picks, _: torch.cat([picks[:1], picks[:-1]]), "returned image .* twice"),
    "labelled": (lambda picks, round_: torch.cat([round_.labelled[:1], picks[1:]]), "not an unlabelled image"),
    "outside": (lambda picks, _: torch.cat([torch.tensor([10**6]), picks[1:]]), "image 1000000, which is not"),
    "negative": (lambda picks, _: torch.cat([torch.tensor([-1]), picks[1:]]), "image -1, which is not"),
    "floats": (lambda picks, _: picks.double(), r"shape \(20,\) and torch.float64"),
    "a column": (lambda picks, _: picks[:, None], r"shape \(20, 1\)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_picks_are_refused(wrong):
    change, reason = WRONG[wrong]
    unlabelled, picked = torch.arange(20, 100), torch.arange(40, 60)
    round_ = SimpleNamespace(labelled=torch.arange(20), unlabelled=unlabelled)
    with pytest.raises(MinimaxALError, match=reason):
        check_picks(Query(change(picked, round_), unlabelled, {}), unlabelled, 20)
    check_picks(Query(picked, unlabelled, {}), unlabelled, 20)


def test_wrong_picks_fail_the_cell_and_not_the_grid(small, tmp_path, misbehave):
    misbehave(picks_of(WRONG["too few"][0]))
    with pytest.raises(ResultsError, match="one run failed: strategy 'entropy', seed 0: the query returned 19 images"):
        run_grid(small, tmp_path)
    assert unfinished(small, tmp_path) == [Cell("entropy", 0)]
    assert read_rounds(Cell("entropy", 0).folder(tmp_path), small) == []
    assert len(read_rounds(Cell("random", 0).folder(tmp_path), small)) == 2


FAULTS = [ValueError("not today"), ZeroDivisionError()]


@pytest.mark.parametrize("error", FAULTS)
def test_a_plain_exception_is_recorded_with_its_traceback(small, tmp_path, misbehave, error):
    misbehave(fail(error))
    with pytest.raises(ResultsError, match=type(error).__name__):
        run_grid(small, tmp_path)
    failure = read_failure(Cell("entropy", 0).folder(tmp_path))
    assert failure.reason == f"{type(error).__name__}: {error}"
    assert "in query" in failure.traceback
    page = write_report(tmp_path).read_text()
    assert "entropy, seed 0" in page
    assert type(error).__name__ in page


def test_an_interruption_ends_the_grid(small, tmp_path, misbehave):
    misbehave(fail(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run_grid(small, tmp_path)
    assert read_failure(Cell("entropy", 0).folder(tmp_path)) is None


def test_the_next_call_tries_a_failed_cell_again_and_forgets_the_failure(small, tmp_path, misbehave, monkeypatch):
    misbehave(fail(ValueError("not today")))
    with pytest.raises(ResultsError, match="not today"):
        run_grid(small, tmp_path)
    monkeypatch.undo()
    run_grid(small, tmp_path)
    assert unfinished(small, tmp_path) == []
    assert read_failure(Cell("entropy", 0).folder(tmp_path)) is None
    assert "failed" not in write_report(tmp_path).read_text()


def test_a_grid_in_which_all_failed_says_why(small, tmp_path, misbehave):
    misbehave(fail(ValueError("not today")))
    alone = small.model_copy(update={"strategies": ("entropy",)})
    with pytest.raises(ResultsError, match="not today"):
        run_grid(alone, tmp_path)
    folder = Cell("entropy", 0).folder(tmp_path)
    (folder / "round-0.json").unlink(missing_ok=True)
    with pytest.raises(ResultsError, match=r"no finished round \('entropy', seed 0, failed: ValueError: not today\)"):
        write_report(tmp_path)


def test_the_command_line_exits_with_2_and_the_grid_goes_on(tmp_path, misbehave, capsys):
    misbehave(fail(ValueError("not today")))
    words = ["bench", "run", "digits", "--strategies", "entropy,random", "--seeds", "1", "--points", "2"]
    words += ["--recipe.task.epochs", "1", "--recipe.task.steps-per-epoch", "1", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "one run failed: strategy 'entropy', seed 0: ValueError: not today" in capsys.readouterr().err
    assert (Cell("random", 0).folder(tmp_path) / "round-1.json").exists()


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_the_query_hides_the_targets(name):
    dataset = load_dataset(name)
    question = Oracle(dataset).question
    nothing = IGNORED if name == "shapes" else UNKNOWN
    assert bool((question.train_targets == nothing).all())
    assert len(question.test) == len(question.test_targets) == 0
    some = torch.tensor([3, 1])
    assert Oracle(dataset).answer(some).equal(dataset.train_targets[some])


@pytest.mark.parametrize("preset", ["digits", "shapes"])
def test_a_strategy_cannot_read_answers_or_test_images(tiny, tmp_path, misbehave, preset):
    seen = []

    def query(self, round_, models, budget):
        labels = round_.targets[round_.unlabelled]
        seen.append(
            (round_.dataset.train_targets.unique().tolist(), labels.unique().tolist(), len(round_.dataset.test))
        )
        return get_strategy("random").query(round_, models, budget)

    misbehave(query)
    protocol = tiny.model_copy(update={"strategies": ("entropy",), "points": 2, "seeds": 1})
    if preset == "shapes":
        recipe = tiny.recipe.model_copy(update={"encoder": "dconv4", "width": 8})
        changes = {"dataset": "shapes", "start": 4, "step": 2, "initial": "random", "recipe": recipe}
        protocol = protocol.model_copy(update=changes)
    run_grid(protocol, tmp_path)
    nothing = IGNORED if preset == "shapes" else UNKNOWN
    assert seen == [([nothing], [nothing], 0)]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"encoder": "resnet81"}, "unknown encoder 'resnet81'"),
        ({"encoder": "resnet18", "width": None, "pretrained": "nowhere.safetensors"}, "nowhere"),
        ({"encoder": "vgg16_bn", "width": None}, "8×8 pixels are too small for encoder 'vgg16_bn'"),
    ],
)
def test_networks_that_cannot_be_built_leave_no_folder(small, tmp_path, changes, match):
    out = tmp_path / "out"
    recipe = small.recipe.model_copy(update=changes)
    with pytest.raises(MinimaxALError, match=match):
        run_grid(small.model_copy(update={"recipe": recipe}), out)
    assert not out.exists()
    run_grid(small, out)


def test_a_failure_file_that_is_damaged_is_no_failure(tmp_path):
    (tmp_path / "failure.json").write_text(json.dumps({"reason": "x"}))
    assert read_failure(tmp_path) is None


def test_work_is_counted_per_round(tiny, tmp_path):
    names = ("random", "random+mal", "vaal", "ensemble")
    protocol = tiny.model_copy(update={"points": 2, "seeds": 1, "strategies": names})
    run_grid(protocol, tmp_path)
    found = {name: read_rounds(Cell(name, 0).folder(tmp_path), protocol)[0] for name in names}
    # 2 epochs of 2 steps: M on batches of 20 labelled images; F, C and D on 16 labelled and 16 unlabelled ones.
    assert (found["random"].steps, found["random+mal"].steps) == (4, 8)
    assert found["vaal"].steps == 4 + 2
    assert found["random+mal"].images_seen == found["random"].images_seen + 4 * 32
    assert found["ensemble"].steps % 4 == 0
    assert found["ensemble"].images_seen == found["random"].images_seen * found["ensemble"].steps // 4


def test_equal_work_takes_the_steps_of_mals_training_without_its_game(tiny, tmp_path):
    names = ("random+mal", "random-equal-work")
    protocol = tiny.model_copy(update={"points": 1, "seeds": 1, "strategies": names})
    run_grid(protocol, tmp_path)
    game, control = (read_rounds(Cell(name, 0).folder(tmp_path), protocol)[0] for name in names)
    assert (game.steps, game.images_seen) == (control.steps, control.images_seen)
    assert game.metrics != control.metrics
