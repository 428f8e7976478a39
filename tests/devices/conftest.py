import pytest
import torch

from minimax_al.training import Runtime

from .pretended_device import ACCELERATOR, pretended_device


@pytest.fixture
def device(monkeypatch):
    """Context of a pretended accelerator, with the other functions of CUDA that the code calls."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    return pretended_device


@pytest.fixture
def runtime_there():
    """A runtime on the accelerator, made from one on the CPU."""

    def make(settings):
        runtime = Runtime(settings.model_copy(update={"compile": "off"}))
        assert runtime.fabric  # as long as it believes itself on the CPU
        runtime.device = ACCELERATOR
        return runtime

    return make
