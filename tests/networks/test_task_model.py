"""The task model, and dropout that stays on when all else evaluates."""

import pytest
import torch
from torch import nn

from minimax_al.errors import ConfigurationError
from minimax_al.networks import PixelTaskModel, TaskModel, build_encoder, enable_mc_dropout


def images(size=8):
    return torch.randn(6, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_logits_are_the_heads_on_the_encoders_features():
    model = TaskModel(build_encoder("conv4", width=8), 5).eval()
    features = model.encoder(images())
    expected = features @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(images()), expected)
    torch.testing.assert_close(model.classify(features), expected)


def test_mc_dropout_varies_the_logits_and_leaves_batch_norm_alone():
    model = TaskModel(build_encoder("conv4", width=8), 5, dropout=0.5)
    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    enable_mc_dropout(model)
    torch.manual_seed(0)
    first, second = model(images()), model(images())
    assert not torch.equal(first, second)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name])
    training = {type(layer) for layer in model.modules() if layer.training}
    assert training == {nn.Dropout}
    model.eval()
    assert torch.equal(model(images()), model(images()))


def test_mc_dropout_of_one_image_does_not_depend_on_its_batch():
    model = TaskModel(build_encoder("conv4", width=8), 5, dropout=0.5)
    enable_mc_dropout(model)
    features = model.encoder(images())
    torch.testing.assert_close(features[:1], model.encoder(images()[:1]))


@pytest.mark.parametrize(("dropout", "samples"), [(0.5, 4000)])
def test_dropout_keeps_the_mean(dropout, samples):
    model = TaskModel(build_encoder("conv4", width=8), 3, dropout=dropout).double()
    features = torch.ones(1, 32, dtype=torch.float64)
    model.eval()
    expected = model.classify(features)
    enable_mc_dropout(model)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = model.classify(features.expand(samples, 32))
    standard_error = drawn.std(dim=0) / samples**0.5
    assert ((drawn.mean(dim=0) - expected[0]).abs() < 5 * standard_error).all()


def test_mc_dropout_without_dropout_is_refused():
    model = TaskModel(build_encoder("conv4", width=8), 5)
    with pytest.raises(ConfigurationError, match=r"TaskModel has no dropout layer.*dropout=0.5"):
        enable_mc_dropout(model)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_impossible_dropout_is_refused(dropout):
    with pytest.raises(ConfigurationError, match="it must be at least 0 and less than 1"):
        TaskModel(build_encoder("conv4", width=8), 5, dropout=dropout)


def test_each_kind_of_encoder_has_its_task_model():
    spatial = build_encoder("dconv4", task="segmentation", width=8)
    with pytest.raises(ConfigurationError, match="'dconv4' returns one feature vector per location"):
        TaskModel(spatial, 5)
    with pytest.raises(ConfigurationError, match="'conv4' returns one feature vector per image: use TaskModel"):
        PixelTaskModel(build_encoder("conv4", width=8), 5)


def test_logits_stay_in_float32_under_autocast():
    model = TaskModel(build_encoder("conv4", width=8), 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(images()).dtype == torch.float32
