"""Files of maps: the number of points is read from the head alone, and damaged files count as missing."""

import numpy as np

from minimax_al.exploring.projection import PoolMap, count_points, map_file, read_map, write_map


def test_count_is_that_of_the_map(tmp_path):
    assert count_points(tmp_path, "pca") is None
    for count in (4, 1_000):
        points = np.random.default_rng(0).uniform(-1, 1, (count, 2)).astype(np.float32)
        write_map(tmp_path, "pca", PoolMap(np.arange(count), points, "a store"))
        assert count_points(tmp_path, "pca") == len(read_map(tmp_path, "pca").items) == count
    assert count_points(tmp_path, "tsne") is None
    for damaged in (b"", b"not a map", map_file(tmp_path, "pca").read_bytes()[:300]):
        map_file(tmp_path, "pca").write_bytes(damaged)
        assert count_points(tmp_path, "pca") is read_map(tmp_path, "pca") is None
