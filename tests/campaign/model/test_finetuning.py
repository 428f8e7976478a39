"""Fine-tuning starts from the head on frozen features, and keeps the statistics of the pretraining."""

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F

from minimax_al.campaign.model.finetuning import SETTINGS, FineTuning, whole_model
from minimax_al.networks import Adapter, TaskModel, module_encoder
from minimax_al.training import Runtime, RuntimeSettings


def encoder():
    """Encoder whose statistics are far from those of a small batch."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network[1].running_mean.uniform_(-1, 1)
    network[1].running_var.uniform_(0.5, 4)
    return module_encoder("small", network)


def test_the_first_loss_is_that_of_the_head_on_frozen_features():
    frozen = encoder().eval()
    head = TaskModel(Adapter(6), 4, head=nn.Linear(6, 4))
    model = whole_model(deepcopy(frozen), 4, head)
    training = FineTuning(model, SETTINGS, Runtime(RuntimeSettings(device="cpu", precision="fp32", threads=1)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, targets = torch.randn(5, 3, 8, 8), torch.tensor([0, 1, 2, 3, 1])
    model.train()  # as the loop of epochs does
    with torch.no_grad():
        expected = F.cross_entropy(head.head(frozen(images)), targets)
    losses = [float(training.step(images, targets)["classification"]) for _ in range(3)]
    torch.testing.assert_close(losses[0], float(expected))
    assert losses[2] < losses[0]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not {name for name in changed if "running" in name or "num_batches" in name}
    assert {name.partition(".")[0] for name in changed} == {"encoder", "head"}
