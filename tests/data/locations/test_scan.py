import os
import subprocess
import sys

import pytest

from minimax_al.data import SetAside, scan_folder
from minimax_al.errors import DataError


def test_every_file_is_a_image_or_set_aside_with_a_reason(save_image, tmp_path):
    good = [save_image(name).relative_to(tmp_path).as_posix() for name in ("b.PNG", "a/deep/x.jpg", "a/猫.webp")]
    truncated = save_image("a/cut.png", size=(64, 64))
    truncated.write_bytes(truncated.read_bytes()[:3000])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "phone.HEIC").write_bytes(b"\0" * 50)
    (tmp_path / "README").write_text("no ending")
    scan = scan_folder(tmp_path)
    assert sorted(scan.images) == sorted(good)
    assert [path.is_file() for path in scan.paths] == [True] * 3
    reasons = {entry.path: entry.reason for entry in scan.set_aside}
    assert reasons.keys() == {"a/cut.png", "empty.jpg", "text.jpg", "notes.txt", "phone.HEIC", "README"}
    assert reasons["a/cut.png"].startswith("it is damaged: ")
    assert reasons["empty.jpg"] == "it is empty (0 bytes)"
    assert reasons["text.jpg"] == "it is not an image in a known format"
    assert (
        reasons["phone.HEIC"]
        == "its ending '.HEIC' is not that of an image format that is read: convert it to JPEG or PNG"
    )
    assert reasons["README"] == "it has no ending"


def test_the_order_is_fixed(save_image, tmp_path):
    for name in ("b/2.png", "b/10.png", "a/1.png", "0.png"):
        save_image(name)
    assert scan_folder(tmp_path).images == ("0.png", "a/1.png", "b/10.png", "b/2.png")


def test_hidden_files_are_skipped(save_image, tmp_path):
    save_image("a.png")
    save_image(".thumbnails/a.png")
    save_image("__MACOSX/a.png")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    scan = scan_folder(tmp_path)
    assert scan.images == ("a.png",)
    assert scan.set_aside == ()


def test_links_are_followed_once(save_image, tmp_path):
    save_image("elsewhere/a.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "gone.png").symlink_to(tmp_path / "nothing.png")
    scan = scan_folder(root)
    assert scan.images == ("link/a.png",)
    broken = f"it is a link to {str(tmp_path / 'nothing.png')!r}, which does not exist"
    assert scan.set_aside == (SetAside("gone.png", broken),)


def test_a_folder_that_cannot_be_listed_is_refused_and_not_left_out(save_image, tmp_path, monkeypatch):
    save_image("a.png")
    save_image("closed/b.png")
    save_image("gone/c.png")
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "gone":  # noqa: PTH119 - os.walk's own strings
            raise FileNotFoundError(2, "No such file or directory", path)
        if os.path.basename(path) == "closed":  # noqa: PTH119
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"closed' cannot be read \(Permission denied\): allow reading it, or move it"):
        scan_folder(tmp_path)
    (tmp_path / "closed").rename(tmp_path.parent / "elsewhere")
    assert scan_folder(tmp_path).images == ("a.png",)  # a folder that vanished meanwhile has no images


def test_a_name_that_is_no_text_is_set_aside(save_image, tmp_path):
    source = save_image("a.png")
    try:
        source.rename(tmp_path / os.fsdecode(b"b\xff.png"))
    except OSError:
        pytest.skip("this file system takes only valid UTF-8")
    assert scan_folder(tmp_path).set_aside == (SetAside("b\\xff.png", "its name is not valid UTF-8: rename it"),)


def test_the_depth_of_checks_is_a_choice(save_image, tmp_path):
    cut = save_image("cut.png", size=(64, 64))
    cut.write_bytes(cut.read_bytes()[:3000])
    (tmp_path / "text.jpg").write_text("no image")
    assert scan_folder(tmp_path, "decode").images == ()
    assert scan_folder(tmp_path, "header").images == ("cut.png",)
    assert scan_folder(tmp_path, "none").images == ("cut.png", "text.jpg")


def test_oversized_images_are_set_aside(save_image, tmp_path):
    save_image("large.png", size=(50, 50))
    save_image("small.png", size=(5, 5))
    scan = scan_folder(tmp_path, max_pixels=100)
    assert scan.images == ("small.png",)
    assert "50 x 50 pixels, more than the limit of 100" in scan.set_aside[0].reason


def test_progress_counts_to_the_end(save_image, tmp_path):
    for i in range(70):
        save_image(f"{i}.png", size=(2, 2))
    seen = []
    scan_folder(tmp_path, progress=lambda _, done, total, unit: seen.append((done, total)))
    done = [files for files, _ in seen]
    assert done == sorted(set(done))
    assert len(done) > 1
    assert seen[-1] == (70, 70)
    assert {total for _, total in seen} == {70}


def test_no_folder(save_image, tmp_path):
    with pytest.raises(DataError, match=r"nowhere' does not exist: give a folder of images"):
        scan_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"a\.png' is a file: give a folder of images"):
        scan_folder(save_image("a.png"))
    (tmp_path / "sub").mkdir()
    assert scan_folder(tmp_path / "sub").images == ()


def test_scanning_does_not_load_torch():
    program = (
        "import sys; import minimax_al.data; from minimax_al.data.locations import scan, manifest_table;"
        "from minimax_al.data.decoding import decode;"
        "from minimax_al.data import scan_folder, read_manifest; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
