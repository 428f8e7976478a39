import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from minimax_al.errors import CheckpointError
from minimax_al.training.checkpoint import read_checkpoint, save_checkpoint


def trained(seed=0, width=3):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=0.01)
    network(torch.randn(4, 2)).square().sum().backward()
    optimizer.step()
    return network, optimizer


def test_networks_optimizers_and_state_come_back(tmp_path):
    network, optimizer = trained()
    path = tmp_path / "new" / "folder" / "x.safetensors"
    save_checkpoint(path, {"net": network}, {"net": optimizer}, {"epoch": 3, "loss": 0.1 + 0.2})
    other, other_optimizer = trained(seed=1)
    checkpoint = read_checkpoint(path)
    checkpoint.restore({"net": other}, {"net": other_optimizer})
    assert checkpoint.state == {"epoch": 3, "loss": 0.1 + 0.2}
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    expected, found = optimizer.state_dict(), other_optimizer.state_dict()
    assert found["param_groups"][0]["weight_decay"] == 0.01
    for index, moments in expected["state"].items():
        assert all(torch.equal(value, found["state"][index][key]) for key, value in moments.items())
    assert [file.name for file in path.parent.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("damage", ["empty", "truncated", "garbage", "header"])
def test_a_damaged_file(tmp_path, damage):
    network, optimizer = trained()
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {"net": network}, {"net": optimizer})
    whole = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "truncated": whole[:-7], "garbage": b"no checkpoint at all", "header": whole[:40]}[damage]
    )
    with pytest.raises(CheckpointError, match=r"cannot be read .*; remove it to start afresh"):
        read_checkpoint(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "none")


def test_a_file_of_another_program(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_other_networks(tmp_path):
    network, optimizer = trained()
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {"net": network}, {"net": optimizer})
    wider, wider_optimizer = trained(width=5)
    with pytest.raises(CheckpointError, match=r"belongs to other networks: .*size mismatch") as caught:
        read_checkpoint(path).restore({"net": wider}, {"net": wider_optimizer})
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="belongs to other networks"):
        read_checkpoint(path).restore({"net": network}, {"another": optimizer})
