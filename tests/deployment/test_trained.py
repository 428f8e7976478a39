"""File format of a trained model: a saved model can be loaded, and damage is detected."""

import json

import pytest
import torch

from minimax_al.deployment.model_file import DESCRIPTION, WEIGHTS, load_trained, save_trained
from minimax_al.deployment.trained import Trained
from minimax_al.errors import CheckpointError
from minimax_al.networks import TaskModel, build_encoder
from minimax_al.training import Recipe


@pytest.fixture
def trained():
    recipe = Recipe(encoder="conv4", width=4)
    model = TaskModel(build_encoder("conv4", recipe.stem, task="classification", width=4), 3).eval()
    return Trained(model, recipe, "classification", ("a", "b", "c"), 32, "centre", (0.5,) * 3, (0.2,) * 3, {"run": 1})


def test_a_model_is_loaded_as_it_was_saved(tmp_path, trained):
    save_trained(tmp_path, trained)
    loaded = load_trained(tmp_path)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value)
    assert loaded.class_names == trained.class_names


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_one_flipped_bit_is_noticed(tmp_path, trained, place):
    save_trained(tmp_path, trained)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[int(place * len(content))] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors' is damaged|cannot be read"):
        load_trained(tmp_path)


def test_weights_of_another_model_are_noticed(tmp_path, trained):
    save_trained(tmp_path, trained)
    other = {name: value + 1 for name, value in trained.model.state_dict().items()}
    trained.model.load_state_dict(other)
    save_trained(tmp_path / "other", trained)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match=r"is damaged: its sha256 is \w{12}…, and model\.json has \w{12}…"):
        load_trained(tmp_path)


def test_a_model_of_an_older_version_has_no_digest_and_loads(tmp_path, trained):
    save_trained(tmp_path, trained)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    del description["sha256"]
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    assert load_trained(tmp_path).facts == {"run": 1}
