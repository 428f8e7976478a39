import pytest

from minimax_al.benchmark import load_protocol
from minimax_al.benchmark.results.paper import differences_to_paper, paper_claims, paper_points


def test_table_2_resnet18():
    mal, vaal = paper_points("cifar100", "resnet18")
    assert mal.strategy == "mal"
    assert mal.labels == (1000, 2000, 3000, 4000, 5000)
    assert mal.values == pytest.approx((0.2614, 0.3542, 0.3956, 0.4244, 0.4481))
    assert mal.errors == pytest.approx((0.0058, 0.0032, 0.0023, 0.0063, 0.0040))
    assert vaal.values == pytest.approx((0.2418, 0.3244, 0.3847, 0.4089, 0.4164))


def test_table_2_vgg16():
    mal, vaal = paper_points("cifar100", "vgg16_bn")
    assert (mal.values[-1], vaal.values[-1]) == pytest.approx((0.5102, 0.4923))


def test_both_readings_of_the_cifar100_protocol_carry_a_caveat():
    printed, read = paper_points("cifar100")[0], paper_points("cifar100-5000")[0]
    assert read.labels == (5000, 7500, 10000, 12500, 15000)
    assert read.values == printed.values
    assert "compare with care" in printed.caveat
    assert "compare with care" in read.caveat


def test_points_without_a_spread_have_none():
    spreads = {points.strategy: points.errors for points in paper_points("bdd100k", "drn_d_22")}
    assert spreads["random"] is None
    assert spreads["mal"] == pytest.approx((0.0029, 0.0041))


@pytest.mark.parametrize(
    ("dataset", "encoder"), [("digits", "resnet18"), ("cifar100", "conv4"), ("inaturalist2018", "resnet18")]
)
def test_what_the_paper_does_not_state_has_no_points(dataset, encoder):
    assert paper_points(dataset, encoder) == ()


def test_claims_name_their_place():
    assert any("43,000" in claim and "section 4.1" in claim for claim in paper_claims("inaturalist2018"))
    assert paper_claims("digits") == ()


@pytest.mark.parametrize("dataset", ["cifar100", "cifar100-5000", "cifar100-imbalanced", "imagenet", "bdd100k"])
def test_every_point_is_a_fraction_at_ascending_labels(dataset):
    for points in paper_points(dataset):
        assert len(points.labels) == len(points.values) == len(points.errors or points.values)
        assert list(points.labels) == sorted(set(points.labels))
        assert all(0 < value < 1 for value in points.values)
        assert points.source


@pytest.mark.parametrize("name", ["cifar100", "cifar100-5000", "cifar100-imbalanced", "imagenet"])
def test_the_papers_points_belong_to_its_own_recipe(name):
    assert differences_to_paper(load_protocol(name, "paper")) == []
    here = differences_to_paper(load_protocol(name))
    assert any("schedule ('constant' there, 'cosine' now)" in difference for difference in here)


def test_another_encoder_of_the_paper_is_the_papers_recipe():
    protocol = load_protocol("cifar100", "paper")
    vgg = protocol.model_copy(update={"recipe": protocol.recipe.model_copy(update={"encoder": "vgg16_bn"})})
    assert differences_to_paper(vgg) == []
    fast = vgg.recipe.model_copy(update={"runtime": vgg.recipe.runtime.model_copy(update={"threads": 3})})
    assert differences_to_paper(vgg.model_copy(update={"recipe": fast})) == []


@pytest.mark.parametrize("changes", [{"start": 20}, {"validation": 50}, {"name": "mine"}])
def test_other_data_or_labels_have_no_numbers_in_the_paper(changes):
    assert differences_to_paper(load_protocol("cifar100", "paper").model_copy(update=changes)) is None


def test_presets_without_numbers_have_no_differences():
    for name in ("digits", "shapes", "inaturalist2018"):
        assert differences_to_paper(load_protocol(name, "paper")) is None
    features = load_protocol("caltech101-features")  # a preset without a recipe of the paper
    assert features.is_preset
    assert differences_to_paper(features) is None
