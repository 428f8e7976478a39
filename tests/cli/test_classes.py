"""Classes by command: labels go along, and what cannot be done changes nothing."""

import pytest

from minimax_al.campaign import Campaign
from minimax_al.cli import main


@pytest.fixture
def campaign(make_campaign):
    campaign = make_campaign(classes=["cat", "dog", "wolf"])
    for path, name in {"a/000.png": "cat", "b/001.png": "dog", "a/002.png": "wolf"}.items():
        campaign.label(path, name, author="ann")
    return campaign


def mal(capsys, campaign, *words):
    status = main(["classes", str(campaign.folder), *words])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_labels_follow_changes_of_classes(campaign, capsys):
    assert mal(capsys, campaign, "rename", "cat", "house cat")[0] == 0
    assert mal(capsys, campaign, "merge", "wolf", "dog")[1].startswith("wolf merged into dog: 1 labels changed.")
    assert mal(capsys, campaign, "add", "bird", "fox")[0] == 0
    assert mal(capsys, campaign, "reorder", "fox", "bird", "dog", "house cat")[0] == 0
    status, shown, _ = mal(capsys, campaign)
    assert status == 0
    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["fox", "0"],
        ["bird", "0"],
        ["dog", "2"],
        ["house", "cat", "1"],
    ]
    with Campaign.open(campaign.folder) as now:
        assert now.classes == ("fox", "bird", "dog", "house cat")
        assert now.labels() == {"a/000.png": "house cat", "b/001.png": "dog", "a/002.png": "dog"}


def test_a_class_with_labels_is_removed_with_a_flag_alone(campaign, capsys):
    status, _, err = mal(capsys, campaign, "remove", "wolf")
    assert status == 2
    assert "wolf" in err
    assert campaign.classes == ("cat", "dog", "wolf")
    assert mal(capsys, campaign, "remove", "wolf", "--withdraw-labels")[0] == 0
    assert campaign.classes == ("cat", "dog")
    assert campaign.labels() == {"a/000.png": "cat", "b/001.png": "dog"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rename", "cat"], "1 class name given: write mal classes CAMPAIGN rename OLD NEW"),
        (["rename", "cta", "bird"], "did you mean 'cat'"),
        (["merge", "cat"], "1 class name given: write mal classes CAMPAIGN merge CLASS ... INTO"),
        (["add"], "0 class names given"),
        (["reorder", "cat", "dog"], "wolf"),
    ],
)
def test_a_wrong_change_is_one_sentence(campaign, capsys, words, sentence):
    status, _, err = mal(capsys, campaign, *words)
    assert (status, err.count("\n")) == (2, 1)
    assert sentence in err
    assert campaign.classes == ("cat", "dog", "wolf")


def test_labels_are_withdrawn_by_path(campaign, capsys):
    assert main(["withdraw", str(campaign.folder), "a/000.png", "b/001.png"]) == 0
    assert campaign.labels() == {"a/002.png": "wolf"}
    assert main(["withdraw", str(campaign.folder), "no-such.png"]) == 2
    assert "'no-such.png'" in capsys.readouterr().err


def test_a_check_reports_and_changes_nothing(campaign, capsys, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na/004.png,cat\nb/005.png,dog\n")
    assert main(["import", str(campaign.folder), str(tmp_path / "labels.csv"), "--check"]) == 0
    shown = capsys.readouterr().out
    assert "2 labels added" in shown
    assert "nothing was changed" in shown
    assert len(campaign.labels()) == 3


def test_a_list_takes_no_class(campaign, capsys):
    status, _, error = mal(capsys, campaign, "list", "cat")
    assert (status, error) == (2, "mal: 1 class name given: write mal classes CAMPAIGN list\n")
