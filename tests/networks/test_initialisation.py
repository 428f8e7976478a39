"""Xavier initialisation: reproducible, and of the right spread."""

import math

import torch
from torch import nn

from minimax_al.networks import TaskModel, build_encoder, initialise_xavier


def test_one_seed_gives_one_network_whatever_the_global_state():
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        model = TaskModel(build_encoder("conv4", width=8), 5)
        initialise_xavier(model, torch.Generator().manual_seed(7))
        states.append(model.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_global_generator_is_left_alone():
    model = build_encoder("conv4", width=8)
    before = torch.get_rng_state()
    initialise_xavier(model, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_uniform_within_glorots_bound():
    layers = {nn.Conv2d(20, 30, 3): 9 * (20 + 30), nn.Linear(200, 100): 300}
    for layer, fans in layers.items():
        initialise_xavier(layer, torch.Generator().manual_seed(0))
        bound = math.sqrt(6 / fans)
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.99 * bound
        assert math.isclose(layer.weight.std().item(), bound / math.sqrt(3), rel_tol=0.03)
        assert not layer.bias.any()


def test_batch_norm_starts_anew():
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(4, 3, 2, 2) + 5)
    with torch.no_grad():
        norm.weight.fill_(3)
        norm.bias.fill_(2)
    initialise_xavier(norm)
    assert torch.equal(norm.weight, torch.ones(3))
    assert torch.equal(norm.bias, torch.zeros(3))
    assert torch.equal(norm.running_mean, torch.zeros(3))
    assert norm.num_batches_tracked == 0
