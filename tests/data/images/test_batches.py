import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.data import epoch_batches
from minimax_al.errors import ConfigurationError, DataError, ShapeError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 20), st.integers(2, 25), st.integers(1, 12))
def test_each_pass_is_a_permutation(count, batch_size, steps):
    indices = torch.arange(100, 100 + count)
    batches = epoch_batches(indices, batch_size, steps, seeded())
    assert [len(batch) for batch in batches] == [min(batch_size, count)] * steps
    drawn = torch.cat(batches).tolist()
    for start in range(0, len(drawn), count):
        one_pass = drawn[start : start + count]
        assert len(set(one_pass)) == len(one_pass)
        assert set(one_pass) <= set(indices.tolist())


def test_the_generator_decides():
    first, same, other = (epoch_batches(torch.arange(50), 10, 5, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(torch.stack(first), torch.stack(same))
    assert not torch.equal(torch.stack(first), torch.stack(other))


@pytest.mark.parametrize(
    ("count", "batch_size", "steps", "error", "sentence"),
    [
        (0, 4, 1, DataError, "batches need at least one image"),
        (1, 4, 1, DataError, r"a batch of one image cannot train batch norm \(there is only one image\)"),
        (9, 1, 1, DataError, r"a batch of one image cannot train batch norm \(batch_size=1\)"),
        (9, 0, 1, ConfigurationError, "batch_size=0 and steps=1 must both be at least 1"),
        (9, 4, 0, ConfigurationError, "batch_size=4 and steps=0 must both be at least 1"),
    ],
)
def test_invalid_batch_settings_are_refused(count, batch_size, steps, error, sentence):
    with pytest.raises(error, match=sentence):
        epoch_batches(torch.arange(count), batch_size, steps, seeded())


def test_indices_of_the_wrong_kind():
    with pytest.raises(ShapeError, match=r"indices must be \(N,\) int64, not \(4,\) torch.float32"):
        epoch_batches(torch.zeros(4), 2, 1, seeded())
