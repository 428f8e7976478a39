"""Provenance names the package's own source, and no other project's."""

import shutil
import subprocess

import pytest

from minimax_al.benchmark.folders.provenance import source_state

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_the_commit_is_that_of_a_repository_which_tracks_the_file(tmp_path):
    def git(*words):
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    own, installed = tmp_path / "own.py", tmp_path / ".venv" / "installed.py"
    installed.parent.mkdir()
    for file in (own, installed):
        file.write_text("")
    assert source_state(own) == ""  # no repository
    git("init", "--quiet")
    git("add", "own.py")
    git("commit", "--quiet", "--message", "first")
    commit = git("rev-parse", "--short=12", "HEAD").strip()
    assert (source_state(own), source_state(installed)) == (commit, "")
    own.write_text("changed")
    assert source_state(own) == f"{commit} with local changes"
