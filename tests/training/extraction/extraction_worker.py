"""Extractions that are killed at random moments: `python extraction_worker.py IMAGES OUT KILLS SEED`.

Each attempt runs in a forked process that the kernel ends by a timer, without any clean-up. Writes the number of kills.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from minimax_al.networks import Preprocessing, PretrainedEncoder, build_encoder, fingerprint
from minimax_al.training.extraction.encoding import EncodingSettings
from minimax_al.training.extraction.extraction import embed_folder

SETTINGS = EncodingSettings(batch_size=4, workers=2, rows_per_shard=8)


def made_encoder(seed=0):
    """A small encoder whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_encoder("conv4", width=8).eval()
    preprocessing = Preprocessing(size=24, crop=0.8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    return PretrainedEncoder(network, preprocessing, "made", fingerprint(network))


def attempt(images, out, limit):
    """Run one extraction, ended after `limit` seconds; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        if limit is not None:
            signal.setitimer(signal.ITIMER_REAL, limit)
        embed_folder(images, out, made_encoder(), SETTINGS)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def main():
    images, out, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    draw = random.Random(seed)
    began = time.monotonic()
    assert attempt(images, out / "whole", None)
    duration = time.monotonic() - began
    done, number = 0, 0
    while done < kills:
        while not attempt(images, out / f"killed-{number}", draw.uniform(0.02, 0.7) * duration):
            done += 1
        number += 1
    sys.stdout.write(str(done))


if __name__ == "__main__":
    main()
