import numpy as np
import pytest

from minimax_al.benchmark import write_report
from minimax_al.benchmark.results import picks
from minimax_al.benchmark.results.picks import picked_rounds
from minimax_al.benchmark.results.results import read_results


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Write 32x32 images in colour."""
    generator = np.random.default_rng(0)
    base = generator.integers(0, 256, (3, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)
    targets = np.arange(120) % 3
    pixels = np.clip(base[targets] + generator.normal(0, 12, (120, 32, 32, 3)), 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, X_train=pixels, y_train=targets, X_test=pixels[:9], y_test=targets[:9], class_names=["a", "b", "c"])
    return path


@pytest.fixture
def photographs(tiny, images, finished, tmp_path):
    """A run on these images."""
    recipe = tiny.recipe.model_copy(update={"missing_classes": "warn"})
    changes = {"dataset": "arrays", "data": images, "start": 10, "step": 20, "points": 3, "initial": "random"}
    protocol = tiny.model_copy(update={**changes, "strategies": ("random", "entropy"), "recipe": recipe})
    return finished(protocol, tmp_path / "out")


def shown(out):
    results = read_results(out)
    return picked_rounds(results.dataset, results.protocol, results.out, results.rounds)


def test_pages_stay_within_their_bytes(photographs, monkeypatch):
    everything = shown(photographs)
    assert [len(picked.images) for picked in everything] == [20] * 8
    whole = sum(len(image.source) + picks._CAPTION_BYTES for picked in everything for image in picked.images)
    assert write_report(photographs).stat().st_size < 2_000_000
    monkeypatch.setattr(picks, "PAGE_BYTES", whole // 2)
    fewer = shown(photographs)
    counts = {len(picked.images) for picked in fewer}
    assert counts == {len(fewer[0].images)}
    assert 8 <= len(fewer[0].images) <= 11
    assert all(picked.omitted == 20 - len(picked.images) for picked in fewer)
    assert sum(len(image.source) for picked in fewer for image in picked.images) < whole // 2


def test_a_very_full_page_shows_the_first_seed(photographs, monkeypatch):
    monkeypatch.setattr(picks, "PAGE_BYTES", 8_000)
    assert {picked.seed for picked in shown(photographs)} == {0}
    assert {picked.strategy for picked in shown(photographs)} == {"random", "entropy"}
