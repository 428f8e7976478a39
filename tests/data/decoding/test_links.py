"""Pools of links and pointers, as data version control leaves them."""

import pytest

from minimax_al.data import load_dataset, scan_folder
from minimax_al.data.decoding.decode import why_unreadable


@pytest.mark.parametrize(
    "cache", ["hub/blobs/0a1b", ".dvc/cache/files/md5/0a/1b", ".git/annex/objects/Wx/SHA256E-s1.png"]
)
def test_a_pool_of_links_is_read(save_image, tmp_path, cache):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        stored = tmp_path / f"{cache}{name.replace('/', '-')}"  # its ending is the cache's own affair
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(save_image("source.png").read_bytes())
        link = tmp_path / "pool" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(stored)
    assert len(scan_folder(tmp_path / "pool").images) == 4
    assert load_dataset("folder", tmp_path / "pool", stored_size=8, test_size=2).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        ("../.git/annex/objects/Wx/2k/SHA256E-s1--a.jpg", ": run git annex get"),
        ("/data/.dvc/cache/files/md5/0a/1b", ": run dvc pull"),
        ("../../blobs/0a1b", ": download the data set again"),
        ("elsewhere.jpg", ""),
    ],
)
def test_a_broken_link_is_reported_with_its_target_and_the_remedy(tmp_path, target, remedy):
    (tmp_path / "a.jpg").symlink_to(target)
    reason = why_unreadable(tmp_path / "a.jpg")
    assert reason.startswith(f"it is a link to {target!r}, which does not exist{remedy}")
    assert ("run" in reason or "download" in reason) == bool(remedy)


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "run git lfs pull"),
        (b"/annex/objects/SHA256E-s12345--4d7a.jpg\n", "run git annex get"),
    ],
)
def test_a_pointer_is_not_called_a_damaged_image(tmp_path, content, remedy):
    (tmp_path / "a.jpg").write_bytes(content)
    for verify in ("header", "decode"):
        assert why_unreadable(tmp_path / "a.jpg", verify).endswith(f"not the image itself: {remedy}")
