import pytest

from minimax_al.benchmark.paper import paper_claims, paper_points


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
