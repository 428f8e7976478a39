import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimax_al.errors import ResultsError
from minimax_al.report.curves import Record, learning_curve, learning_curves, metric_label, read_records, write_records

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)
HEADER = "dataset,strategy,seed,round,labels,metric,value\n"
RECORDS = st.builds(
    Record,
    dataset=NAMES,
    strategy=NAMES,
    seed=st.integers(0, 2**63 - 1),
    round=st.integers(0, 99),
    labels=st.integers(0, 10**7),
    metric=NAMES,
    value=st.floats(allow_nan=False),
)


def records_of(values: dict[int, dict[int, float]], strategy: str = "mal") -> list[Record]:
    """Records from {seed: {labels: accuracy}}."""
    return [
        Record("digits", strategy, seed, round_, labels, "accuracy", value)
        for seed, points in values.items()
        for round_, (labels, value) in enumerate(points.items())
    ]


@given(records=st.lists(RECORDS, max_size=8))
@settings(deadline=None, max_examples=25)
def test_records_survive_the_file_exactly(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "curves.csv"
    write_records(path, records)
    assert read_records(path) == sorted(records)


def test_the_file_does_not_depend_on_the_order_given(tmp_path):
    records = records_of({0: {20: 0.1, 40: 1 / 3}, 1: {20: 0.2, 40: 0.7}})
    write_records(tmp_path / "a.csv", records)
    write_records(tmp_path / "b.csv", reversed(records))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv").read_text().splitlines()[:2] == [
        "dataset,strategy,seed,round,labels,metric,value",
        "digits,mal,0,0,20,accuracy,0.1",
    ]


def test_values_that_are_not_finite_stay_what_they_are(tmp_path):
    write_records(tmp_path / "c.csv", [Record("d", "mal", 0, 0, 20, "accuracy", math.nan)])
    assert math.isnan(read_records(tmp_path / "c.csv")[0].value)


def test_numpy_numbers_are_written_as_plain_numbers(tmp_path):
    write_records(tmp_path / "c.csv", [Record("d", "mal", 0, 0, 20, "accuracy", np.float32(0.5))])
    assert read_records(tmp_path / "c.csv")[0].value == 0.5


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "curves.csv"
    write_records(path, records_of({0: {20: 0.1}}))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="could not convert"):
        write_records(path, [Record("d", "mal", 0, 0, 20, "accuracy", "much")])  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("dataset,strategy,seed,round,labels,metric\n", "has no column 'value'"),
        ("", "has no column 'dataset'"),
        (
            HEADER + "d,mal,0,0,20,accuracy,0.5\nd,mal,x,0,20,a,0.5\n",
            "line 3.*'x'",
        ),
        (HEADER + "d,mal,0,0\n", "line 2: not a record"),
        (b"dataset,\xff\n", "cannot read the records"),
    ],
)
def test_damaged_files_are_named_with_the_line(tmp_path, content, message):
    path = tmp_path / "curves.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ResultsError, match=message):
        read_records(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"cannot read the records in .*nowhere\.csv"):
        read_records(tmp_path / "nowhere.csv")


def test_mean_and_std_are_over_seeds():
    curve = learning_curve(records_of({3: {40: 0.5, 20: 0.1}, 1: {20: 0.3, 40: 0.8}}), "digits", "mal")
    assert curve.seeds == (1, 3)
    assert curve.labels.tolist() == [20, 40]
    assert curve.per_seed.tolist() == [[0.3, 0.8], [0.1, 0.5]]
    assert curve.std is not None
    for column, mean, std in zip(curve.per_seed.T, curve.mean, curve.std, strict=True):
        assert mean == pytest.approx(statistics.mean(column))
        assert std == pytest.approx(statistics.stdev(column))


def test_one_seed_has_no_spread():
    assert learning_curve(records_of({0: {20: 0.5}}), "digits", "mal").std is None


def test_seeds_are_aligned_on_common_labels_and_the_rest_is_said():
    curve = learning_curve(
        records_of({0: {20: 0.1, 40: 0.2, 60: 0.3}, 1: {20: 0.2, 60: 0.4, 80: 0.5}}), "digits", "mal"
    )
    assert curve.labels.tolist() == [20, 60]
    assert curve.left_out == (40, 80)


def test_several_curves_come_in_the_order_asked_for():
    records = records_of({0: {20: 0.1}}, "random") + records_of({0: {20: 0.2}}, "mal")
    assert [c.strategy for c in learning_curves(records, "digits")] == ["random", "mal"]
    assert [c.strategy for c in learning_curves(records, "digits", strategies=["mal"])] == ["mal"]
    assert learning_curves(records, "digits", "miou") == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (("digit", "mal", "accuracy"), "unknown data set 'digit'; did you mean 'digits'"),
        (("digits", "mall", "accuracy"), "unknown strategy 'mall'; did you mean 'mal'"),
        (("digits", "mal", "accurate"), "unknown metric 'accurate'; did you mean 'accuracy'"),
    ],
)
def test_unknown_names_suggest_the_nearest(name, message):
    with pytest.raises(ResultsError, match=message):
        learning_curve(records_of({0: {20: 0.5}}), *name)


def test_an_empty_list_of_records_is_refused():
    with pytest.raises(ResultsError, match="no records"):
        learning_curve([], "digits", "mal")


def test_seeds_without_a_common_point_are_an_error():
    with pytest.raises(ResultsError, match=r"under all of the seeds \[0, 1\]"):
        learning_curve(records_of({0: {20: 0.1}, 1: {40: 0.1}}), "digits", "mal")


def test_two_values_for_one_point_are_an_error():
    with pytest.raises(ResultsError, match=r"recorded as 0\.1 and as 0\.2"):
        learning_curve(records_of({0: {20: 0.1}}) + records_of({0: {20: 0.2}}), "digits", "mal")


@pytest.mark.parametrize(
    ("metric", "label"),
    [("miou", "mean IoU, %"), ("balanced_accuracy", "balanced accuracy, %"), ("train_seconds", "training, s")],
)
def test_labels_name_the_unit(metric, label):
    assert metric_label(metric) == label
