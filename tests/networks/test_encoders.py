"""Encoders by name: counts and weights as torchvision has them, shapes at odd sizes, refusals with their reason."""

import pytest
import torch
from torch import nn
from torchvision import models

from minimax_al.data import Augmentation, prepare
from minimax_al.errors import ConfigurationError, ShapeError, UnknownNameError
from minimax_al.networks import build_encoder, count_parameters, default_bottleneck, list_encoders


def on_meta(name, **settings):
    """An encoder without memory behind it: shapes only, at no cost."""
    with torch.device("meta"):
        return build_encoder(name, **settings)


def shape_of(encoder, *size):
    return tuple(encoder(torch.zeros(2, 3, *size, device="meta")).shape)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "vgg16_bn"])
def test_counts_are_torchvisions_without_the_classifier(name):
    with torch.device("meta"):
        theirs = getattr(models, name)()
    classifier = theirs.classifier if name == "vgg16_bn" else theirs.fc
    assert count_parameters(on_meta(name)) == count_parameters(theirs) - count_parameters(classifier)


def test_torchvisions_weights_load_by_name_and_give_torchvisions_features():
    theirs = models.resnet18().eval()
    ours = build_encoder("resnet18").eval()
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing
    assert unexpected == ["fc.weight", "fc.bias"]
    theirs.fc = nn.Identity()
    images = torch.randn(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (33, 47), (224, 224)])
@pytest.mark.parametrize(("name", "stem"), [("resnet18", "imagenet"), ("resnet18", "cifar"), ("conv4", "imagenet")])
def test_one_vector_a_image_of_any_size(name, stem, size):
    encoder = on_meta(name, stem=stem)
    assert shape_of(encoder, *size) == (2, encoder.out_features)


@pytest.mark.parametrize("size", [(32, 32), (37, 50), (224, 224)])
def test_vgg_gives_25088_features(size):
    encoder = on_meta("vgg16_bn")
    assert encoder.out_features == 25_088
    assert shape_of(encoder, *size) == (2, 25_088)


def test_the_cifar_stem_keeps_more_locations():
    def locations(stem):
        encoder = on_meta("resnet18", stem=stem)
        x = torch.zeros(2, 3, 32, 32, device="meta")
        for name, layer in encoder.named_children():
            if name == "avgpool":
                return tuple(x.shape[2:])
            x = layer(x)
        return None

    assert locations("imagenet") == (1, 1)
    assert locations("cifar") == (4, 4)
    assert count_parameters(on_meta("resnet18", stem="cifar")) == 11_176_512 - 3 * 64 * (49 - 9)


@pytest.mark.parametrize(
    ("size", "expected"), [(32, [16, 8, 4, 2]), (8, [4, 2, 2, 2]), (7, [4, 2, 2, 2]), (1, [1] * 4)]
)
def test_conv4_pools_down_to_two_pixels_and_no_further(size, expected):
    x = torch.zeros(2, 3, size, size, device="meta")
    sizes = []
    for layer in list(on_meta("conv4").children())[:4]:
        x = layer(x)
        sizes.append(x.shape[2])
    assert sizes == expected


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 5), (8, 8), (9, 31)])
def test_conv4_takes_the_smallest_images(size):
    encoder = build_encoder("conv4", width=8)
    features = encoder(torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(0)))
    assert features.shape == (4, 32)
    assert torch.isfinite(features).all()


def test_channels_last_gives_the_same_features():
    encoder = build_encoder("conv4", width=4).eval()
    images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = encoder(images)
    encoder.to(memory_format=torch.channels_last)
    torch.testing.assert_close(encoder(images.to(memory_format=torch.channels_last)), expected)


def test_a_image_too_small_for_vgg_is_refused_with_the_size_it_needs():
    refusal = r"8×8 pixels are too small for encoder 'vgg16_bn'.*32×32: set augmentation\.input_size=32 or more"
    with pytest.raises(ShapeError, match=refusal):
        on_meta("vgg16_bn")(torch.zeros(1, 3, 8, 8, device="meta"))
    mended = prepare(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Augmentation(input_size=32))
    assert on_meta("vgg16_bn")(mended.float().to("meta")).shape == (2, 25_088)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 8, 8), r"shape \(3, 8, 8\): encoders accept \(B, 3, height, width\)"),
        (torch.zeros(2, 1, 8, 8), r"shape \(2, 1, 8, 8\)"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "images are torch.uint8"),
        (torch.zeros(2, 3, 0, 8), "0×8 pixels are too small"),
    ],
)
def test_images_of_another_form_are_refused(images, message):
    with pytest.raises(ShapeError, match=message):
        build_encoder("conv4", width=4)(images)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("vgg16_bn", {"stem": "cifar"}, "stem='cifar' cannot be set for encoder 'vgg16_bn': only ResNets"),
        ("conv4", {"stem": "cifar"}, "stem='cifar' cannot be set for encoder 'conv4': only ResNets"),
        ("resnet18", {"width": 32}, "width=32 cannot be set for encoder 'resnet18': its widths are fixed"),
        ("conv4", {"width": 0}, "width is 0: it must be a positive"),
        (
            "conv4",
            {"pretrained": True},
            "pretrained=True cannot be set for encoder 'conv4': it has no published weights",
        ),
        ("resnet18", {"pretrained": True, "stem": "cifar"}, "pretrained weights of 'resnet18' are for stem='imagenet'"),
        ("dconv4", {}, "'dconv4' is for segmentation, not for classification: use one of conv4"),
        ("resnet18", {"task": "segmentation"}, "'resnet18' is for classification, not for segmentation.*drn_d_22"),
    ],
)
def test_settings_without_meaning_are_refused_with_the_reason(name, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        build_encoder(name, **settings)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown encoder 'resnet81'; did you mean 'resnet18'"):
        build_encoder("resnet81")
    with pytest.raises(UnknownNameError, match="unknown stem 'cifer'; did you mean 'cifar'"):
        build_encoder("resnet18", stem="cifer")
    with pytest.raises(UnknownNameError, match=r"unknown task 'segment'.*segmentation"):
        build_encoder("resnet18", task="segment")
    with pytest.raises(UnknownNameError, match="unknown task 'detection'"):
        list_encoders("detection")
    with pytest.raises(UnknownNameError, match="unknown encoder 'vgg16'; did you mean 'vgg16_bn'"):
        default_bottleneck("vgg16")


def test_every_listed_encoder_builds_for_its_task():
    for task in ("classification", "segmentation"):
        for name in list_encoders(task):
            assert (on_meta(name, task=task).output_stride is None) == (task == "classification")
    assert list_encoders() == sorted(list_encoders("classification") + list_encoders("segmentation"))


def test_bottlenecks_are_the_papers():
    assert default_bottleneck("resnet18") == 256
    assert default_bottleneck("vgg16_bn") == 512
    assert default_bottleneck("drn_d_22", "segmentation") is None
