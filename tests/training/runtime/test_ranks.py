"""Two ranks do what one does: the same weights up to rounding, the same scores, the same picks."""

import importlib.util
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from minimax_al.data import Augmentation, augment, part_of
from minimax_al.errors import ConfigurationError, ShapeError
from minimax_al.networks import build_encoder
from minimax_al.training import Runtime, RuntimeSettings
from minimax_al.training.runtime import batch_norm
from minimax_al.training.runtime.batch_norm import normalise_over_ranks
from minimax_al.training.runtime.ranks import ALONE, Ranks
from minimax_al.training.runtime.slurm import check_srun, name_tasks_per_node

WORKER = Path(__file__).with_name("ranks_worker.py")
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of a single rank and of each of two ranks: {(world, rank): results}."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks = subprocess.Popen(
        [sys.executable, WORKER, "2", folder], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        with torch.random.fork_rng(devices=[]):
            alone = work_alone(folder / "alone")
        _, errors = ranks.communicate(timeout=TIMEOUT_SECONDS)
        assert ranks.returncode == 0, errors
    finally:
        with suppress(ProcessLookupError):  # the usual case: all ranks have ended
            os.killpg(ranks.pid, signal.SIGKILL)
        ranks.communicate()
    return {(1, 0): alone, **{(2, rank): torch.load(folder / f"found-{rank}.pt") for rank in range(2)}}


def work_alone(folder):
    specification = importlib.util.spec_from_file_location("ranks_worker", WORKER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.Work(0, 1, folder).everything()


@pytest.fixture(params=[0, 1], ids=["rank 0", "rank 1"])
def pair(found, request):
    """What one rank alone found, and what one of the two did."""
    return found[1, 0], found[2, request.param]


def assert_close(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("training", ["alternating", "joint", "supervised", "segmentation"])
def test_training(pair, training):
    alone, here = (results[training] for results in pair)
    assert_close(here["state"], alone["state"])
    assert here["metrics"] == pytest.approx(alone["metrics"], abs=1e-9)
    for name, epochs in alone["history"].items():
        for losses, expected in zip(here["history"][name], epochs, strict=True):
            assert losses == pytest.approx(expected, rel=1e-9)


def test_ranks_hold_the_same_bits(found):
    for name, value in found[2, 0]["alternating"]["state"].items():
        assert torch.equal(value, found[2, 1]["alternating"]["state"][name]), name


def test_batch_norm_is_torchs_on_the_whole_batch(pair):
    alone, here = (results["batch norm"] for results in pair)
    assert (alone["converted"], here["converted"]) == (False, True)
    for name in ("gradients", "state"):
        assert_close(here[name], alone[name])
    torch.testing.assert_close(here["loss"], alone["loss"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(here["evaluated"], alone["evaluated"], rtol=1e-9, atol=1e-9)


def test_streamed_scores(found):
    alone, *here = found[1, 0]["stream"], found[2, 0]["stream"], found[2, 1]["stream"]
    assert [results["seen"] for results in (alone, *here)] == [[4] * 6, [4] * 3, [4] * 3]
    for results in here:
        assert torch.equal(results["mean"], alone["mean"])
        assert torch.equal(results["few"], alone["few"])
    # What stays is not gathered; a rank that saw no image has no row.
    assert torch.equal(torch.cat([results["own"] for results in here]), alone["own"])
    assert [results["none"].shape for results in here] == [(2, 768), (0, 768)]


def test_an_error_of_one_rank_is_raised_by_all(pair):
    alone, here = (results["one fails"] for results in pair)
    assert "a score of 'squares/23' is NaN or infinite" in alone
    assert here == alone


@pytest.mark.parametrize("strategy", ["mal", "entropy", "coreset", "random"])
def test_picks(pair, strategy):
    alone, here = (results[strategy] for results in pair)
    assert here["picked"].tolist() == alone["picked"].tolist()
    # From the checkpoints that rank 0 wrote.
    assert here["again"].tolist() == alone["picked"][0].tolist()


def test_only_rank_0_reports_progress(found):
    assert found[2, 0]["mal"]["told"] == found[1, 0]["mal"]["told"] != []
    assert found[2, 1]["mal"]["told"] == []


def test_extraction_by_two_ranks_writes_the_bytes_of_one(pair, found):
    alone, here = (results["extraction"] for results in pair)
    assert here["files"] == alone["files"]
    assert len(alone["files"]) == 3 * 3 + 3  # shards, description, list of images, lock
    assert (here["computed"], here["set aside"]) == (alone["computed"], alone["set aside"])
    assert alone["computed"] == (23, 0)
    assert [result["extraction"]["told"] for result in found.values()].count([("features", 24, 24, "images")]) == 2


@pytest.mark.parametrize("pool", ["random", "clustered", "ties", "twins", "far away", "half", "small"])
def test_k_center_over_shards(pair, pool):
    alone, here = (results["k-center"][pool] for results in pair)
    assert here.tolist() == alone.tolist()


def test_k_center_refuses_on_all_ranks(pair):
    found = pair[1]["k-center"]
    assert "features are NaN or infinite for 3 of 3 images" in found["non-finite"]
    assert found["budget"] == "a budget of 100 is outside 1 … 6, the size of the pool"
    assert "ranks must agree in width, dtype and centers" in found["widths"]


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_parts_cover_everything_once(ranks):
    for length in range(9):
        parts = [part_of(length, rank, ranks) for rank in range(ranks)]
        assert torch.cat([part.of(torch.arange(length)) for part in parts]).tolist() == list(range(length))
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_augmentation_draws_for_the_whole_batch():
    pixels = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    settings = Augmentation(pad_crop=2)
    generators = [torch.Generator().manual_seed(1) for _ in range(3)]
    whole = augment(pixels, settings, generators[2])
    parts = [part_of(7, rank, 2) for rank in range(2)]
    pieces = [augment(part.of(pixels), settings, generators[rank], part=part) for rank, part in enumerate(parts)]
    assert torch.equal(torch.cat(pieces), whole)
    assert all(torch.equal(generator.get_state(), generators[2].get_state()) for generator in generators)
    with pytest.raises(ShapeError, match="7 images cannot be Part"):
        augment(pixels, settings, generators[0], part=parts[0])


def test_a_single_rank_runs_no_collective():
    values = torch.tensor([1.0, 0.0, 5.0])
    assert float(ALONE.mean(values)) == 2
    assert float(ALONE.mean(values, torch.tensor([True, False, True]))) == 3
    assert ALONE.sum(values) is values
    assert (ALONE.group, ALONE.share("here"), Ranks().part(5)) == (None, ["here"], (0, 5, 5))


def test_as_many_processes_as_devices(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="needs 4 processes: start them with 'torchrun --nnodes 2"):
        Runtime(RuntimeSettings(device="cpu", devices=2, nodes=2))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigurationError, match="torchrun started 2 processes, but devices=1 × nodes=1 is 1"):
        Runtime(RuntimeSettings(device="cpu"))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_batch_norm_refuses_one_value_per_channel_as_torchs_does(monkeypatch, shape):
    monkeypatch.setattr(batch_norm, "sum_over_ranks", lambda values: values)
    with pytest.raises(ValueError, match="needs two values per channel to train, and got 1"):
        batch_norm.RankBatchNorm(3)(torch.zeros(shape))
    assert batch_norm.RankBatchNorm(3).eval()(torch.zeros(shape)).shape == shape


STEP = {"STEP_ID": 0, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "NTASKS": 4, "NNODES": 2, "NTASKS_PER_NODE": 2}


def in_slurm(monkeypatch, variables):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    for name, value in ({"JOB_ID": 4711, "JOB_NAME": "mal", "NODELIST": "node[07-08]"} | variables).items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


@pytest.mark.parametrize(
    ("step", "devices", "nodes", "sentence"),
    [
        (STEP | {"NTASKS": 2}, 2, 2, "srun started 2 processes on 2 machines, but devices=2 × nodes=2 is 4 on 2"),
        (STEP | {"NNODES": 1}, 2, 2, "srun started 4 processes on 1 machines, but devices=2 × nodes=2 is 4 on 2"),
        (STEP, 4, 1, "srun started 4 processes on 2 machines, but devices=4 × nodes=1 is 4 on 1"),
        (STEP | {"LOCALID": 2}, 2, 2, "use 'srun --nodes 2 --ntasks-per-node 2', or set devices and nodes"),
        ({"PROCID": 0, "NTASKS": 4}, 2, 2, "needs 4 processes: start them with .* or srun"),  # a batch script, no step
    ],
    ids=["tasks", "machines", "machines for devices", "uneven", "no srun"],
)
def test_a_step_of_slurm_has_one_process_per_device(monkeypatch, step, devices, nodes, sentence):
    in_slurm(monkeypatch, step)
    with pytest.raises(ConfigurationError, match=sentence):
        Runtime(RuntimeSettings(device="cpu", devices=devices, nodes=nodes))


@pytest.mark.parametrize(
    "tasks", [{"NTASKS": 8}, STEP, STEP | {"JOB_NAME": "interactive"}], ids=["batch", "step", "own"]
)
def test_a_process_that_works_alone_ignores_the_allocation(monkeypatch, tasks):
    in_slurm(monkeypatch, tasks)
    runtime = Runtime(RuntimeSettings(device="cpu", precision="fp32"))
    assert (runtime.fabric.world_size, runtime.fabric.global_rank) == (1, 0)
    assert runtime.ranks == ALONE


def test_a_batch_norm_that_is_not_torchs_own():
    class OwnNorm(torch.nn.BatchNorm2d):
        pass

    with pytest.raises(ConfigurationError, match="Sequential holds a OwnNorm, which cannot be normalised over several"):
        normalise_over_ranks(torch.nn.Sequential(OwnNorm(3)), torch.device("cpu"))


def test_converting_keeps_parameters_and_names():
    encoder = build_encoder("resnet18")
    before = encoder.state_dict(keep_vars=True)
    for _ in range(2):
        normalise_over_ranks(encoder, torch.device("cpu"))
    after = encoder.state_dict(keep_vars=True)
    assert before.keys() == after.keys()
    assert all(after[name] is value for name, value in before.items())


def test_the_check_of_a_step_changes_no_environment(monkeypatch):
    step = {f"SLURM_{name}": str(value) for name, value in STEP.items() if name != "NTASKS_PER_NODE"}
    environment = dict(step)
    monkeypatch.setattr(os, "environ", environment)
    check_srun(2, 2)
    assert environment == step
    name_tasks_per_node(2)
    assert environment == step | {"SLURM_NTASKS_PER_NODE": "2"}
