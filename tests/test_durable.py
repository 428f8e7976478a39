import pytest

from minimax_al.durable import write_durably


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x"
    write_durably(path, b"old")
    with pytest.raises(TypeError, match="bytes-like"):
        write_durably(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
