import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from minimax_al.errors import ConfigurationError
from minimax_al.networks import TaskModel, build_encoder

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def library():
    torch.manual_seed(7)
    return models.resnet18().eval()


def features(network):
    with torch.inference_mode():
        return network.eval()(IMAGES)


@pytest.fixture
def expected(library):
    head, library.fc = library.fc, torch.nn.Identity()
    found = features(library)
    library.fc = head
    return found


def test_a_file_of_the_library_gives_its_features(library, expected, tmp_path):
    torch.save(library.state_dict(), tmp_path / "weights.pth")
    save_file(library.state_dict(), tmp_path / "weights.safetensors")
    for name in ("weights.pth", "weights.safetensors"):
        found = features(build_encoder("resnet18", pretrained=tmp_path / name))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert not torch.equal(features(build_encoder("resnet18")), expected)


@pytest.mark.parametrize("wrapping", ["state_dict", "model", None])
def test_prefixes_and_wrappings_of_trainers_are_passed_over(library, expected, tmp_path, wrapping):
    state = {f"module.backbone.{name}": value for name, value in library.state_dict().items()}
    state |= {"module.projection.conv1.weight.not": torch.zeros(3), "queue": torch.zeros(2)}
    torch.save({wrapping: state, "epoch": 3} if wrapping else state, tmp_path / "weights.pth")
    assert torch.equal(features(build_encoder("resnet18", pretrained=str(tmp_path / "weights.pth"))), expected)


def test_weights_that_we_have_trained_serve_too(tmp_path):
    torch.manual_seed(3)
    model = TaskModel(build_encoder("conv4", width=8), 5)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    found = build_encoder("conv4", width=8, pretrained=tmp_path / "model.safetensors")
    assert torch.equal(features(found), features(model.encoder))


def test_counts_of_batches_may_be_missing(library, expected, tmp_path):
    state = {name: value for name, value in library.state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "old.pth")
    assert torch.equal(features(build_encoder("resnet18", pretrained=tmp_path / "old.pth")), expected)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_timms_layout_for_timms_models(tmp_path, task):
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    network = timm.create_model("resnet18").eval()
    save_file(network.state_dict(), tmp_path / "timm.safetensors")
    encoder = build_encoder("timm:resnet18", task=task, pretrained=tmp_path / "timm.safetensors")
    with torch.inference_mode():
        expected = network.forward_features(IMAGES) if task == "segmentation" else network.forward(IMAGES)
    if task == "classification":
        network.reset_classifier(0)
        expected = features(network)
    else:
        dilated = timm.create_model("resnet18", features_only=True, out_indices=(-1,), output_stride=8)
        dilated.load_state_dict(network.state_dict(), strict=False)
        expected = features(dilated)[0]
    assert torch.equal(features(encoder), expected)


def test_other_weights_are_refused_and_change_nothing(library, tmp_path):
    torch.save(library.state_dict(), tmp_path / "weights.pth")
    where = r"weights in '.*weights.pth' are not for encoder '{}': {}"
    with pytest.raises(ConfigurationError, match=where.format("resnet34", r"they lack 'layer1.2.conv1.weight' and")):
        build_encoder("resnet34", pretrained=tmp_path / "weights.pth")
    shapes = r"'conv1.weight' has the shape \(64, 3, 7, 7\), where the encoder has \(64, 3, 3, 3\)"
    with pytest.raises(ConfigurationError, match=where.format("resnet18", shapes)):
        build_encoder("resnet18", stem="cifar", pretrained=tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read from '.*': No such file"),
        (b"no weights", "cannot be read from '.*':"),
        (b"", "cannot be read from '.*':"),
        ({"epoch": 3}, "does not hold weights"),
        (torch.zeros(3), "does not hold weights"),
        (torch.nn.Identity(), "cannot be read from '.*': give a safetensors file"),
    ],
)
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_what_holds_no_weights_is_refused(tmp_path, content, match, ending):
    path = tmp_path / f"weights.{ending}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
        match = match if ending == "pth" else "cannot be read from"  # it is no safetensors file
    with pytest.raises(ConfigurationError, match=match):
        build_encoder("resnet18", pretrained=path)


def test_unavailable_published_weights_are_one_sentence(monkeypatch):
    def fetch(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", fetch)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: ["an address"])
    with pytest.raises(
        ConfigurationError, match=r"published weights of encoder 'resnet18' are not available \(Name or"
    ):
        build_encoder("resnet18", pretrained=True)
