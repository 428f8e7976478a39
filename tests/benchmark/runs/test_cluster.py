"""Jobs for SLURM, submitted to a stand-in for `sbatch` that records its arguments and input."""

import pytest

from minimax_al.benchmark.folders.facts import read_facts
from minimax_al.benchmark.options import parse_run
from minimax_al.benchmark.runs.cluster import run_job, submit
from minimax_al.benchmark.runs.grid import unfinished
from minimax_al.cli import main
from minimax_al.errors import ConfigurationError

SBATCH = """#!/bin/sh
cp "$1" "{folder}/submitted.sh"
echo "Submitted batch job 4711"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A machine with SLURM's commands; returns where the submitted script will be."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for command, text in {"sbatch": SBATCH.format(folder=folder), "srun": "#!/bin/sh\n"}.items():
        (folder / command).write_text(text)
        (folder / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder / "submitted.sh"


def test_jobs_are_submitted_with_what_the_flags_say(slurm, tiny, tmp_path):
    flags = {"": 3, "-partition": "gpu", "-account": "vision", "-gpus": 2, "-hours": 1.5}
    options = parse_run(["digits", *(word for key, value in flags.items() for word in (f"--slurm{key}", str(value)))])
    sentence = submit(tiny, tmp_path / "out", options.slurm, parameters=options.slurm_parameters)
    assert sentence.startswith("Submitted 3 jobs (4711_0, 4711_1, 4711_2)")
    assert read_facts(tmp_path / "out").train == 1297  # for a report elsewhere
    script = slurm.read_text()
    for line in ("--partition=gpu", "--account=vision", "--gpus-per-node=2", "--time=90", "--array=0-2"):
        assert f"#SBATCH {line}" in script


def test_a_job_runs_the_cells_that_are_left(tiny, tmp_path):
    from minimax_al.benchmark.folders.folder import prepare_folder

    prepare_folder(tiny, tmp_path, tiny.load())
    run_job(tiny, tmp_path)
    assert unfinished(tiny, tmp_path) == []


def test_no_jobs_are_no_submission(tiny, tmp_path):
    with pytest.raises(ConfigurationError, match="slurm is 0; it is the number of jobs"):
        submit(tiny, tmp_path, 0)


def test_no_jobs_are_refused_on_the_command_line_too(tmp_path, capsys):
    assert main(["bench", "run", "digits", "--slurm", "0", "--out", str(tmp_path / "out")]) == 2
    assert "slurm is 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_too_many_validation_images_are_refused_before_anything_is_written(tmp_path, capsys):
    assert main(["bench", "run", "digits", "--validation", "5000", "--out", str(tmp_path / "out")]) == 2
    assert "validation=5000 images cannot be kept of 1297" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
