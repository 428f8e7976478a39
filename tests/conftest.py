"""For all tests and their processes: one thread, so that numbers do not depend on the cores, and workers share them.

The collected tests and all modules are a million objects that stay: the garbage collector does not visit them again.
"""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
USUAL = gc.get_threshold()
gc.set_threshold(100_000, 50, 50)


def pytest_collection_finish():
    gc.freeze()
    gc.set_threshold(*USUAL)
