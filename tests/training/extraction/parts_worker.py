"""Four ranks that extract features together, as `srun --ntasks 4` in an interactive allocation would start them.

`python parts_worker.py IMAGES OUT`: each rank is a fork of this process.
"""

import os
import socket
import sys
from pathlib import Path

import torch

from minimax_al.training import Runtime, RuntimeSettings
from minimax_al.training.extraction.extraction import embed_folder

sys.path.insert(0, str(Path(__file__).parent))
from extraction_worker import SETTINGS, made_encoder

RANKS = 4


def extract(rank, port, images, out):
    step = {"JOB_ID": 4711, "STEP_ID": 0, "NTASKS": RANKS, "NNODES": 1, "NODELIST": "127.0.0.1", "NODEID": 0}
    step |= {"JOB_NAME": "interactive", "PROCID": rank, "LOCALID": rank}
    os.environ.update({f"SLURM_{name}": str(value) for name, value in step.items()} | {"MASTER_PORT": str(port)})
    runtime = Runtime(RuntimeSettings(device="cpu", precision="fp32", devices=RANKS))
    embed_folder(images, out, made_encoder(), SETTINGS, runtime=runtime)


def main():
    torch.set_num_threads(1)
    assert Runtime(RuntimeSettings(device="cpu", precision="fp32")).fabric  # its packages are imported once
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                extract(rank, port, Path(sys.argv[1]), Path(sys.argv[2]))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)


if __name__ == "__main__":
    main()
