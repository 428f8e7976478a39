"""The pretended accelerator catches planted mistakes, and lets pass what CUDA lets pass."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from .pretended_device import ACCELERATOR, pretended_device

SAME = "Expected all tensors to be on the same device"
FIRST = torch.tensor([0])


@pytest.mark.parametrize(
    ("mistake", "error", "match"),
    [
        (lambda x, c: x + c, RuntimeError, SAME),
        (lambda x, c: c + x, RuntimeError, SAME),
        (lambda x, c: c.add_(x.sum()), RuntimeError, SAME),
        (lambda x, c: torch.cat([x, c]), RuntimeError, SAME),
        (lambda x, c: torch.stack([x.sum(), c.sum()]), RuntimeError, SAME),
        (lambda x, c: x @ c.T, RuntimeError, SAME),
        (lambda x, c: torch.mm(x, x.T, out=torch.empty(3, 3)), RuntimeError, SAME),
        (lambda x, c: torch.where(c > 0, x, 0.0), RuntimeError, SAME),
        (lambda x, c: torch.searchsorted(x[0], c[0]), RuntimeError, SAME),
        (lambda x, c: x.index_select(0, FIRST), RuntimeError, SAME),
        (lambda x, c: x.gather(0, FIRST[None]), RuntimeError, SAME),
        (lambda x, c: F.cross_entropy(x, torch.tensor([0, 1, 2])), RuntimeError, SAME),
        (lambda x, c: nn.Linear(4, 2)(x), RuntimeError, SAME),
        (lambda x, c: c[FIRST.to(x.device)], RuntimeError, "indices should be either on cpu or on the same device"),
        (lambda x, c: x.__setitem__(FIRST, c[:1]), RuntimeError, SAME),
        (lambda x, c: x.numpy(), TypeError, "can't convert cuda:0 device type tensor to numpy"),
        (lambda x, c: np.asarray(x), TypeError, "can't convert cuda:0 device type tensor to numpy"),
        (lambda x, c: x.pin_memory(), RuntimeError, "only dense CPU tensors can be pinned"),
        (lambda x, c: torch.rand(2, generator=torch.Generator(), device=x.device), RuntimeError, "for generator"),
        (lambda x, c: x.normal_(generator=torch.Generator()), RuntimeError, "for generator"),
    ],
)
def test_planted_mistakes_are_caught(mistake, error, match):
    with pretended_device():
        x, c = torch.ones(3, 4, device="cuda"), torch.ones(3, 4)
        with pytest.raises(error, match=match):
            mistake(x, c)


@pytest.mark.parametrize(
    "sound",
    [
        lambda x, c: x + 1,
        lambda x, c: x * torch.tensor(2.0),
        lambda x, c: torch.where(x > 0, x, torch.tensor(0.0)),
        lambda x, c: x[FIRST],
        lambda x, c: x[[0, 2], 1:],
        lambda x, c: x.copy_(c),
        lambda x, c: c.to(x),
        lambda x, c: c.to(x.device, torch.float64),
        lambda x, c: c.pin_memory().to(x.device, non_blocking=True),
        lambda x, c: x.new_tensor([1.0]),
        lambda x, c: torch.tensor(x.tolist(), device=x.device),
        lambda x, c: torch.zeros_like(c, device="cuda:0"),
        lambda x, c: torch.as_tensor(c, device="cuda"),
        lambda x, c: x.new_zeros(2).view(torch.uint8),
        lambda x, c: deepcopy(x),
        lambda x, c: nn.Linear(4, 2).to("cuda")(x),
        lambda x, c: torch.arange(3, device=x.device)[:, None] + x,
    ],
)
def test_operations_stay_on_the_device(sound):
    with pretended_device():
        x, c = torch.ones(3, 4, device="cuda"), torch.ones(3, 4)
        result = sound(x, c)
        assert result.device == ACCELERATOR
        assert result.is_cuda
        assert x.is_cuda
        assert not c.is_cuda


def test_transfers_to_the_cpu_are_copies():
    with pretended_device():
        x, c = torch.ones(3, 4, device="cuda"), torch.zeros(3, 4)
        c[1:2] = x[:1]
        back = x.cpu()
        back += 1
        assert not any(values.is_cuda for values in (back, c, torch.tensor(x.tolist())))
        assert back.numpy().tolist() == np.full((3, 4), 2).tolist()
        assert x.sum().item() == 12
        assert c.sum().item() == 4


def test_gradients_and_moments_lie_with_their_parameters():
    with pretended_device():
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).to("cuda")
        net = net.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(net.parameters(), fused=True)
        x = torch.ones(2, 3, 4, 4).to("cuda", memory_format=torch.channels_last)
        for _ in range(2):
            F.cross_entropy(net(x), torch.tensor([1, 0], device="cuda")).backward()
            optimizer.step()
        assert all(p.is_cuda and p.grad.is_cuda for p in net.parameters())
        assert all(v.is_cuda for moments in optimizer.state.values() for v in moments.values())
        weight = net[0].weight
        optimizer.state[weight]["exp_avg"] = optimizer.state[weight]["exp_avg"].contiguous()
        with pytest.raises(RuntimeError, match="must have same dtype, device, and layout"):
            optimizer.step()


@pytest.mark.parametrize(
    ("work", "waits"),
    [
        (lambda x, c: c.to(x.device), ["to cuda"]),
        (lambda x, c: c.to(x.device, non_blocking=True), []),
        (lambda x, c: torch.ones(100_000).to(x.device, non_blocking=True), ["to cuda"]),
        (lambda x, c: torch.ones(100_000).pin_memory().to(x.device, non_blocking=True), []),
        (lambda x, c: torch.tensor([1.0], device=x.device), ["tensor"]),
        (lambda x, c: x.cpu(), ["to cpu"]),
        (lambda x, c: float(x.sum()), ["_local_scalar_dense"]),
        (lambda x, c: x.nonzero(), ["nonzero"]),
        (lambda x, c: x[x > 0], ["index"]),
        (lambda x, c: x[FIRST], ["index from cpu"]),
        (lambda x, c: x + 1, []),
    ],
)
def test_waits_are_noted(work, waits):
    with pretended_device() as places:
        x, c = torch.ones(3, 4, device="cuda"), torch.ones(3, 4)
        places.waits.clear()
        work(x, c)
        assert places.waits == waits
