"""Encoders of timm: widths equal those of the outputs, and refusals are one sentence."""

import sys

import pytest
import torch

from minimax_al.errors import ConfigurationError, MissingDependencyError, ShapeError
from minimax_al.networks import build_encoder, default_bottleneck

pytest.importorskip("timm")


def on_meta(name, **settings):
    with torch.device("meta"):
        return build_encoder(name, **settings)


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "repvgg_a0", "convnext_atto"])
def test_width_is_that_of_what_comes_out(name):
    encoder = on_meta(f"timm:{name}")
    assert encoder(torch.zeros(2, 3, 64, 48, device="meta")).shape == (2, encoder.out_features)
    assert encoder.output_stride is None


def test_a_tag_of_weights_is_part_of_the_name():
    assert on_meta("timm:resnet10t.c3_in1k").out_features == 512


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto"])
def test_for_segmentation_the_map_keeps_an_eighth_of_the_image(name):
    encoder = on_meta(f"timm:{name}", task="segmentation")
    assert encoder.output_stride == 8
    assert encoder(torch.zeros(2, 3, 64, 48, device="meta")).shape == (2, encoder.out_features, 8, 6)


def test_a_transformer_refuses_other_sizes():
    images = torch.zeros(1, 3, 32, 32, device="meta")
    with pytest.raises(ShapeError, match=r"cannot read images of 32×32 pixels.*set augmentation\.input_size"):
        on_meta("timm:vit_tiny_patch16_224")(images)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("timm:resnet2", {}, "has no model 'resnet2'; did you mean 'resnet26'"),
        ("timm:%%%%", {}, r"has no model '%%%%'\. timm.list_models"),
        ("timm:resnet18.nobody_in1k", {}, "cannot build model 'resnet18.nobody_in1k'.*nobody_in1k"),
        ("timm:vit_tiny_patch16_224", {"task": "segmentation"}, "'vit_tiny_patch16_224' output stride 8"),
        ("timm:resnet18", {"stem": "cifar"}, "stem='cifar' cannot be set for encoder 'timm:resnet18'"),
    ],
)
def test_unsupported_timm_options_are_refused(name, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        build_encoder(name, **settings)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"'timm:resnet18' needs the package 'timm'.*minimax-al\[timm\]"):
        build_encoder("timm:resnet18")


def test_the_bottleneck_is_the_resnets():
    assert default_bottleneck("timm:resnet18") == 256
