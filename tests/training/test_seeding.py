import torch

from minimax_al.training.seeding import derive_seed, generator_for, seeded_globally


def test_seeds_differ_by_every_word():
    words = [(0,), (1,), (0, "a"), (0, "a", "b"), (0, "ab"), (0, "a", 1), (0, "a", "1"), (0, 1, "a"), (1, 0, "a")]
    seeds = {derive_seed(*purpose) for purpose in words}
    assert len(seeds) == len(words)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_in_every_process():
    # Python's own hash() of text changes from one process to the next.
    assert (
        derive_seed(0, "task", 3)
        == int.from_bytes(__import__("hashlib").blake2b(b"0\x1f'task'\x1f3", digest_size=8).digest(), "little") >> 1
    )


def test_a_generator_starts_anew_each_time():
    assert torch.equal(torch.rand(3, generator=generator_for(0, "x")), torch.rand(3, generator=generator_for(0, "x")))


def test_global_draws_follow_the_seed_and_are_given_back():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded_globally(7, torch.device("cpu")):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded_globally(7, torch.device("cpu")):
        assert torch.equal(torch.rand(2), inside)


def test_seeding_the_cpu_leaves_accelerators_alone(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    with seeded_globally(7, torch.device("cpu")):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2, generator=torch.Generator().manual_seed(7)), inside)
    assert seeded == []
