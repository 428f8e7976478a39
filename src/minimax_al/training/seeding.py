"""Randomness by name: every draw of a run is a pure function of the run's seed and of its purpose.

No generator's state is ever carried from one step of a run to the next, so a resumed run equals an
uninterrupted one, and two strategies with one seed see the same draws wherever they do the same thing.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2⁶³) for one purpose of a run.

    Example:
        >>> derive_seed(0, "task", 3) == derive_seed(0, "task", 3)
        True
        >>> derive_seed(0, "task", 3) == derive_seed(0, "task", 4)
        False
    """
    words = "\x1f".join(repr(word) for word in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little") >> 1


def generator_for(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator seeded by `derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


@contextmanager
def seeded_globally(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators inside the block and give the caller's states back afterwards.

    For draws that cannot take a generator: dropout, and the reparametrisation on an accelerator.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Seeding all generators would leave an accelerator's seeded where only the CPU's is given back.
        (torch.default_generator if device.type == "cpu" else torch).manual_seed(seed)
        yield
