"""Appendix B to the last parameter."""

import pytest
import torch
from torch import nn

from minimax_al.networks import count_parameters, describe


def test_resnet18_as_the_paper_prints_it():
    assert describe("resnet18", 100) == {
        "encoder": 11_176_512,
        "classifier": 156_928,
        "discriminator": 525_825,
        "task_model": 11_227_812,
        "out_features": 512,
        "bottleneck": 256,
    }


def test_vgg16_as_the_paper_prints_it():
    assert describe("vgg16_bn", 100) == {
        "encoder": 14_723_136,
        "classifier": 12_896_768,
        "discriminator": 13_108_737,
        "task_model": 17_232_036,
        "out_features": 25_088,
        "bottleneck": 512,
    }


def test_equation_1_to_the_letter_has_prototypes_alone():
    described = describe("resnet18", 100, bottleneck=None)
    assert described["classifier"] == 512 * 100
    assert described["bottleneck"] is None


@pytest.mark.parametrize(
    ("name", "trunk"), [("drn_d_22", 15_880_752), ("drn_d_38", 25_988_912), ("drn_c_26", 20_613_584)]
)
def test_segmentation(name, trunk):
    described = describe(name, 19, task="segmentation")
    assert described["encoder"] == trunk
    assert described["classifier"] == 512 * 19
    assert described["task_model"] == trunk + 512 * 19 + 19
    assert described["out_features"] == 512
    assert described["bottleneck"] is None


def test_settings_reach_the_encoder():
    assert describe("conv4", 10, width=32)["out_features"] == 128
    assert describe("resnet18", 10, stem="cifar")["encoder"] == 11_176_512 - 3 * 64 * 40


def test_running_statistics_do_not_count():
    assert count_parameters(nn.BatchNorm2d(7)) == 14


def test_describing_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    describe("conv4", 10)
    assert torch.equal(torch.get_rng_state(), before)
