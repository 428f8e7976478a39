"""Ranks as threads that meet at a barrier: the picks of several are those of one, ties included."""

import threading
from fractions import Fraction

import pytest
import torch

from minimax_al.acquisition import k_center_greedy, sharded
from minimax_al.errors import MinimaxALError

TIMEOUT_SECONDS = 60


class Meeting(sharded._Collectives):
    """What `torch.distributed` would gather, through a list that all threads see."""

    def __init__(self, rank, table, barrier):
        self.rank, self.ranks = rank, len(table)
        self.table, self.barrier = table, barrier

    def gather(self, own):
        self.table[self.rank] = own
        self.barrier.wait(TIMEOUT_SECONDS)
        found = list(self.table)
        self.barrier.wait(TIMEOUT_SECONDS)
        return found

    def rows(self, own, counts):
        found = self.gather(own)
        assert [len(rows) for rows in found] == list(counts)
        return torch.cat(found)

    def agree(self, shape):
        found = self.gather(shape)
        assert not any(isinstance(one, MinimaxALError) for one in found)
        return found


def picks_of_ranks(parts, budget, centers=None):
    table, barrier = [None] * len(parts), threading.Barrier(len(parts))
    picks = [None] * len(parts)

    def work(rank):
        try:
            picks[rank] = (
                sharded._ShardedGreedy(parts[rank], centers, budget, Meeting(rank, table, barrier)).run().tolist()
            )
        finally:
            if picks[rank] is None:
                barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert all(found == picks[0] for found in picks)
    return picks[0]


def nearest_to_mean(pool):
    """The lowest index among the exactly nearest, in fractions."""
    rows = [[Fraction(value) for value in row] for row in pool.tolist()]
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    distances = [sum((a - b) ** 2 for a, b in zip(row, mean, strict=True)) for row in rows]
    return distances.index(min(distances))


def mirrored(n, d, generator):
    """Every sample has its mirror image about a mean that is not a binary fraction."""
    half = torch.randint(-3, 4, (n // 2, d), generator=generator).float()
    pool = torch.cat([half, 1 - half])
    return pool[torch.randperm(len(pool), generator=generator)] / 3


def on_a_grid(n, d, generator):
    return torch.randint(-1, 2, (n, d), generator=generator).float() * 0.1


def on_a_far_grid(n, d, generator):
    return 1000 + on_a_grid(n, d, generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [mirrored, on_a_grid, on_a_far_grid])
@pytest.mark.parametrize("seed", range(4))
def test_equally_near_to_the_mean_goes_to_the_lower_index(kind, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    pool = kind(30, 2 + seed, generator).to(dtype)
    first = nearest_to_mean(pool)
    assert k_center_greedy(pool, 1).tolist() == [first]
    for sizes in ([30], [7, 23], [1, 0, 29], [10, 10, 10]):
        assert picks_of_ranks(pool.split(sizes), 1) == [first]


@pytest.mark.parametrize("labelled", [0, 5])
@pytest.mark.parametrize("kind", [mirrored, on_a_grid])
def test_ranks_pick_what_one_picks(kind, labelled):
    pool = kind(60, 3, torch.Generator().manual_seed(labelled))
    centers, pool = pool[:labelled], pool[labelled:]
    given = centers if labelled else None
    alone = k_center_greedy(pool, 40, given).tolist()
    for parts in (pool.split([20, len(pool) - 20]), pool.split([0, 5, len(pool) - 5])):
        assert picks_of_ranks(parts, 40, given) == alone
