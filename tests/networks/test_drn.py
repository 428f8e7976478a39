"""Dilated residual networks: the known counts, and the shape and dilation of every level."""

import pytest
import torch
from torch import nn

from minimax_al.networks import build_encoder, count_parameters

TRUNKS = {"drn_d_22": 15_880_752, "drn_d_38": 25_988_912, "drn_c_26": 20_613_584}


def on_meta(name):
    with torch.device("meta"):
        return build_encoder(name, task="segmentation")


@pytest.mark.parametrize(("name", "expected"), TRUNKS.items())
def test_counts_are_the_papers(name, expected):
    assert count_parameters(on_meta(name)) == expected


@pytest.mark.parametrize("name", TRUNKS)
def test_shape_of_every_level_at_224(name):
    x = torch.zeros(2, 3, 224, 224, device="meta")
    shapes = []
    for layer in on_meta(name).children():
        x = layer(x)
        shapes.append((x.shape[1], x.shape[2], x.shape[3]))
    channels = (16, 16, 32, 64, 128, 256, 512, 512, 512)
    sizes = (224, 224, 112, 56, 28, 28, 28, 28, 28)
    assert shapes == [(c, s, s) for c, s in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize("name", TRUNKS)
def test_dilations_replace_strides_and_nothing_is_pooled(name):
    encoder = on_meta(name)
    dilations = [
        {layer.dilation[0] for layer in level.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)}
        for level in encoder.children()
    ]
    assert dilations == [{1}, {1}, {1}, {1}, {1}, {2}, {4}, {2}, {1}]
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in encoder.modules())


@pytest.mark.parametrize("name", [*TRUNKS, "dconv4"])
@pytest.mark.parametrize("size", [(64, 64), (65, 50), (97, 8), (1, 1)])
def test_the_map_is_an_eighth_of_the_image_rounded_up(name, size):
    encoder = on_meta(name)
    expected = (2, encoder.out_features, -(-size[0] // 8), -(-size[1] // 8))
    assert encoder(torch.zeros(2, 3, *size, device="meta")).shape == expected
    assert encoder.output_stride == 8


def test_blocks_without_shortcut_are_the_last_two_levels_of_variant_c():
    def shortcuts(level):
        return [block.shortcut is not None for block in level]

    encoder = on_meta("drn_c_26")
    assert all(all(shortcuts(getattr(encoder, f"level{level}"))) for level in range(1, 7))
    assert shortcuts(encoder.level7) == shortcuts(encoder.level8) == [False]


def test_a_residual_block_adds_its_input_before_the_last_relu():
    block = build_encoder("drn_d_22", task="segmentation").level3[1].eval()
    x = torch.randn(1, 64, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(x), (block.second(block.first(x)) + x).relu())


def test_one_forward_and_backward_pass_is_finite():
    encoder = build_encoder("drn_c_26", task="segmentation")
    encoder(torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))).square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
