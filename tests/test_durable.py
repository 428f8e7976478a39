import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minimax_al.durable import check_file_to_write, new_folder, write_durably
from minimax_al.errors import CampaignError

needs_unix = pytest.mark.skipif(os.name != "posix", reason="needs a Unix file system")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    write_durably(path, b"old")
    with pytest.raises(TypeError, match="bytes-like"):
        write_durably(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@needs_unix
@pytest.mark.parametrize("target_exists", [True, False])
def test_a_link_stays_and_its_file_is_replaced(tmp_path, target_exists):
    target, link = tmp_path / "elsewhere" / "target", tmp_path / "link"
    target.parent.mkdir()
    if target_exists:
        target.write_bytes(b"old")
    (tmp_path / "second").symlink_to(target)
    link.symlink_to("second")
    write_durably(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [file.name for file in target.parent.iterdir()] == ["target"]


@needs_unix
def test_a_pipe_receives_the_content_and_stays(tmp_path):
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_durably(pipe, b"labels")
    reader.join()
    assert received == [b"labels"]
    assert pipe.is_fifo()


WRITE = """
import pathlib, sys
from minimax_al.durable import write_durably
write_durably(pathlib.Path("/dev/stdout"), b"labels")
"""


@needs_unix
def test_standard_output_receives_the_content_and_stays(tmp_path):
    done = subprocess.run([sys.executable, "-c", WRITE], capture_output=True, check=True)
    assert done.stdout == b"labels"
    with (tmp_path / "file").open("wb") as file:
        subprocess.run([sys.executable, "-c", WRITE], stdout=file, check=True)
        assert os.fstat(file.fileno()).st_nlink == 1
    assert (tmp_path / "file").read_bytes() == b"labels"
    assert os.path.lexists("/dev/stdout")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_names_the_file():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'") as caught:
        write_durably(Path("/dev/full"), b"content")
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_is_full_at_the_end_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    write_durably(path, b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*labels\.csv'"):
        write_durably(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["labels.csv"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "folder" / "x"):
        (tmp_path / "folder" / "x").mkdir(exist_ok=True)
        with pytest.raises(OSError, match=f"'{path}'"):
            write_durably(path, b"content")


KILLED = """
import os, pathlib, signal, sys
from minimax_al.durable import new_folder
with new_folder(pathlib.Path(sys.argv[1])) as part:
    (part / "file").write_text("half")
    print(part.name, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


@needs_unix
def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    out = tmp_path / "package"
    (tmp_path / ".package.of-mine").mkdir()
    (tmp_path / ".packages.x.part").mkdir()
    words = [sys.executable, "-c", KILLED, str(out)]
    killed = subprocess.run([*words, "die"], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    assert (tmp_path / killed / "file").exists()
    with subprocess.Popen([*words, "live"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living:
        other = living.stdout.readline().strip()
        with new_folder(out) as part:
            (part / "file").write_text("whole")
        names = {file.name for file in tmp_path.iterdir()}
        living.kill()
    assert names == {"package", other, ".package.of-mine", ".packages.x.part"}
    assert (out / "file").read_text() == "whole"
    assert out.stat().st_mode & 0o777 == 0o755


@needs_unix
def test_a_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    with new_folder(tmp_path / "link") as part:
        (part / "file").write_text("whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target" / "file").read_text() == "whole"
    with (
        pytest.raises(CampaignError, match=r"link' already exists and is not an empty folder"),
        new_folder(tmp_path / "link"),
    ):
        pass


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError, match="division"), new_folder(tmp_path / "out"):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


@needs_unix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o002, 0o775)])
def test_the_umask_decides_who_may_read_and_write(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_durably(tmp_path / "new", b"new")
        with new_folder(tmp_path / "out"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == mode & 0o666
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode


@needs_unix
def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "private").touch(mode=0o600)
    write_durably(tmp_path / "private", b"labels")
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_names_that_the_encoding_of_files_lacks_are_written(tmp_path):
    """An ASCII locale without UTF-8 mode: names come from the command line as escaped bytes."""
    program = "import sys, pathlib; from minimax_al.durable import write_durably; "
    program += "write_durably(pathlib.Path(sys.argv[1]), b'labels')"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "\u732b.csv")], check=True, env={**os.environ, **locale}
    )
    assert [file.name for file in tmp_path.iterdir()] == ["\u732b.csv"]


@pytest.mark.parametrize("name", ["n" * 251 + ".csv", "\u72ac" * 83 + ".csv"])
def test_the_longest_names_are_written(tmp_path, name):
    write_durably(tmp_path / name, b"labels")
    with new_folder(tmp_path / name.upper().replace("CSV", "d")):
        pass
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, name.upper().replace("CSV", "d")])


def test_a_file_that_cannot_be_written_is_known_beforehand(tmp_path):
    (tmp_path / "file").touch()
    for path, error in ((tmp_path, IsADirectoryError), (tmp_path / "file/x/y.csv", NotADirectoryError)):
        with pytest.raises(error, match=str(path)):
            check_file_to_write(path)
        with pytest.raises(OSError, match=str(path)):
            write_durably(path, b"labels")
    for path in (tmp_path / "file", tmp_path / "new", tmp_path / "a/b/c", Path("new.csv"), Path(os.devnull)):
        check_file_to_write(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
