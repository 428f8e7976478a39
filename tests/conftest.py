"""For all tests: one thread, so that numbers do not depend on the cores and workers leave each other alone.

The collected tests and all modules are a million objects that stay: the garbage collector does not visit them again.
"""

import gc

import torch

torch.set_num_threads(1)
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
