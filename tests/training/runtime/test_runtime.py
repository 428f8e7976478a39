import importlib
import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from minimax_al.data import ResidentImages
from minimax_al.errors import ConfigurationError
from minimax_al.loop import ActiveLearner
from minimax_al.training import Runtime, RuntimeSettings, fit_minimax
from minimax_al.training.runtime import runtime
from minimax_al.training.runtime.runtime import can_compile, resolve_device, resolve_precision

CPU = torch.device("cpu")


def present(monkeypatch, *, cuda=False, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_auto_takes_the_accelerator(monkeypatch, cuda, mps, device):
    present(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == torch.device(device)
    assert resolve_device("cpu") == CPU


def test_a_device_that_is_not_there(monkeypatch):
    present(monkeypatch)
    with pytest.raises(ConfigurationError, match="device 'cuda' is not on this machine; present: cpu"):
        Runtime(RuntimeSettings(device="cuda"))


@pytest.mark.parametrize(("has_units", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_where_the_hardware_has_it(monkeypatch, has_units, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_units)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_units)
    assert resolve_precision("auto", CPU) == precision
    assert resolve_precision("auto", torch.device("cuda")) == precision
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
    assert resolve_precision("fp64", CPU) == "fp64"


def test_a_cpu_whose_bf16_units_torch_cannot_use_counts_as_without(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert resolve_precision("auto", CPU) == "fp32"


def test_threads_are_left_alone_unless_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    Runtime(RuntimeSettings(device="cpu"))
    Runtime(RuntimeSettings(device="cpu", threads=3))
    assert asked == [3]


def test_networks_and_images_lie_channels_last_in_the_runtimes_dtype(runtime64):
    network = runtime64.place(nn.Conv2d(3, 4, 3))
    assert network.weight.dtype == torch.float64
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    images = runtime64.place_images(torch.zeros(2, 3, 4, 4))
    assert images.dtype == torch.float64
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_step_moves_the_named_networks_and_forgets_all_gradients(runtime64):
    networks = {name: runtime64.place(nn.Linear(2, 1, bias=False)) for name in ("first", "second")}
    optimizers = {name: torch.optim.SGD(network.parameters(), lr=0.5) for name, network in networks.items()}
    x, before = torch.tensor([[3.0, 4.0]], dtype=torch.float64), networks["first"].weight.detach().clone()
    unmoved = networks["second"].weight.detach().clone()
    loss = sum(network(x).sum() for network in networks.values())
    runtime64.descend(loss, networks, optimizers, ["first"])
    torch.testing.assert_close(networks["first"].weight, before - 0.5 * x, rtol=0, atol=0)
    assert torch.equal(networks["second"].weight, unmoved)
    assert [network.weight.grad for network in networks.values()] == [None, None]


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.float32), ("fp64", torch.float64)])
def test_scores_are_computed_in_full_precision(round_, with_recipe, precision, dtype):
    settings = RuntimeSettings(device="cpu", precision=precision)
    round_ = with_recipe(round_, runtime=settings)
    models = fit_minimax(round_)
    inside = []
    handle = models.encoder.block1[0].register_forward_hook(lambda module, inputs, output: inside.append(output.dtype))

    def forward(x):
        outputs, task = models.outputs(x), models.task_outputs(x)
        return {
            "features": outputs.features,
            "logits": outputs.logits,
            "task": task.logits,
            "labelledness": models.discriminator(outputs.features),
        }

    streamed = round_.stream(forward, round_.unlabelled)
    handle.remove()
    assert {name: values.dtype for name, values in streamed.items()} == dict.fromkeys(streamed, dtype)
    assert set(inside) == {dtype}  # picks must not depend on the precision of training
    assert all(parameter.dtype == dtype for parameter in models.encoder.parameters())
    losses = [value for epochs in models.history.values() for epoch in epochs for value in epoch.values()]
    assert all(torch.tensor(losses).isfinite())


@pytest.mark.parametrize(
    ("compile_", "helps", "expected"), [("auto", True, ["encoder"]), ("auto", False, []), ("off", True, [])]
)
def test_encoders_are_compiled_where_that_helps(monkeypatch, compile_, helps, expected):
    compiled = []

    def compile_in_place(module):
        compiled.append(module)

    monkeypatch.setattr(nn.Module, "compile", compile_in_place)
    monkeypatch.setattr(runtime, "can_compile", lambda device: helps)
    here = Runtime(RuntimeSettings(device="cpu", compile=compile_))
    encoder = here.place_encoder(nn.Linear(2, 2))
    here.place(nn.Linear(2, 2))
    assert compiled == [encoder] * len(expected)


def test_scoring_uses_the_compiled_encoder(round_, with_recipe, monkeypatch):
    """M's encoder, not M: scoring calls it without the head."""
    compiled = []

    def compile_in_place(module):
        compiled.append(module)

    monkeypatch.setattr(nn.Module, "compile", compile_in_place)
    monkeypatch.setattr(runtime, "can_compile", lambda device: True)
    models = fit_minimax(with_recipe(round_, runtime=round_.recipe.runtime))
    assert compiled == [models.encoder, models.task_model.encoder]


def test_what_compiling_needs(monkeypatch):
    assert not can_compile(CPU)
    cuda = torch.device("cuda")
    monkeypatch.setattr(runtime, "find_spec", lambda name: name == "triton")
    monkeypatch.setattr(runtime.shutil, "which", lambda name: name == "clang" or None)
    assert can_compile(cuda)
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    assert not can_compile(cuda)


def test_images_are_resident_on_the_learners_device(round_, monkeypatch):
    places = []
    monkeypatch.setattr(ResidentImages, "to", lambda images, device: places.append(device) or images)
    learner = ActiveLearner(round_.dataset, "mal", round_.recipe)
    assert places == [CPU, CPU]
    assert learner.dataset.train is round_.dataset.train


def test_torchmetrics_is_hidden_from_the_importing_thread_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with ThreadPoolExecutor(1) as other, runtime._without_torchmetrics():
        with pytest.raises(ImportError, match="torchmetrics is not needed here"):
            importlib.import_module("torchmetrics")
        assert importlib.util.find_spec("json") is not None
        assert other.submit(importlib.util.find_spec, "torchmetrics").result() is not None
    assert importlib.util.find_spec("torchmetrics") is not None
