"""For all tests: one thread, so that numbers do not depend on the cores and workers leave each other alone."""

import torch

torch.set_num_threads(1)
