"""Two annotators draw the same image: agreement, conflicts, a lead's decision, corrections without a lost update."""

import numpy as np
import pytest
from PIL import Image

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.history import answer_of
from minimax_al.data.masks.mask_store import MaskFiles
from minimax_al.errors import AnsweredMeanwhileError, CampaignError, DataError
from minimax_al.report.mask_agreement import PixelTable

CLASSES = ["ground", "bird", "sky"]
VOID = 255


def mask_of(*columns):
    """A mask of 20 x 16 pixels: each value on an equal share of the columns."""
    return np.repeat(np.array(columns, np.uint8), 20 // len(columns))[None].repeat(16, axis=0)


GROUND, HALF = mask_of(0, 0, 0, 0), mask_of(0, 0, 1, 1)
NEARLY = np.array(GROUND)
NEARLY[0, :10] = 1


@pytest.fixture
def shared(make_campaign):
    """A campaign of masks whose images all go to two annotators; ann has drawn ground alone on the two of the round."""
    campaign = make_campaign(task="segmentation", classes=CLASSES, count=2, overlap=1.0)
    campaign.query(2)
    items = [pick.item for pick in campaign.lease("ann", 4).picks]
    for item in items:
        campaign.label_mask(item, GROUND, "ann", if_waiting=True)
    return campaign, items


def current(campaign, item):
    with campaign.store.reading() as connection:
        return answer_of(connection, item)


def test_another_annotator_draws_the_same_image_blind(shared):
    campaign, items = shared
    assert campaign.lease("ann", 4).picks == ()
    blind = campaign.lease("bob", 4).picks
    assert [(pick.item, pick.answer, pick.second_opinion) for pick in blind] == [
        (item, "waiting", True) for item in items
    ]


def test_masks_agree_from_the_share_of_the_setting_on(shared):
    campaign, (one, two) = shared
    assert campaign.label_mask(one, NEARLY, "bob", if_waiting=True) == []
    assert campaign.label_mask(two, HALF, "bob", if_waiting=True) == []
    found = {pair.item: (pair.state, pair.agreement) for pair in campaign.two_opinions()}
    assert found == {one: ("agreed", 1 - 10 / 320), two: ("conflict", 0.5)}
    assert campaign.count_conflicts() == 1
    for least, conflicts in ((0.98, 2), (0.9, 1), (0.4, 0), (0.5, 0), (0.51, 1)):
        campaign.configure(mask_agreement=least)  # pairs of before are judged again
        assert campaign.count_conflicts() == conflicts


@pytest.mark.parametrize(("which", "expected"), [("first", GROUND), ("second", HALF)])
def test_a_lead_takes_one_of_the_masks(shared, which, expected):
    campaign, (one, _) = shared
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    campaign.decide_mask(one, which, "meg", request="key")
    campaign.decide_mask(one, which, "meg", request="key")
    with pytest.raises(
        AnsweredMeanwhileError, match=r"^'meg' has decided '.*' with a mask at \d\d:\d\d UTC: nothing was"
    ):
        campaign.decide_mask(one, "first", "lea")
    with pytest.raises(AnsweredMeanwhileError, match="'meg' has decided"):
        campaign.label_mask(one, NEARLY, "lea", decides=True)
    answer = current(campaign, one)
    assert answer.author == "meg"
    assert (campaign.masks.load(answer.mask) == expected).all()
    campaign.decide_mask(one, "first", "lea", replace=True)
    campaign.label_mask(one, NEARLY, "eve", decides=True, replaces=current(campaign, one).id)  # eve has seen lea's
    campaign.undo("eve")
    campaign.undo("lea")
    assert [pair.state for pair in campaign.two_opinions()] == ["decided"]
    campaign.undo("meg")
    assert [pair.state for pair in campaign.two_opinions()] == ["conflict"]


def test_a_lead_corrects_one_and_saves(shared):
    campaign, (one, _) = shared
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    seen = current(campaign, one).id
    campaign.label_mask(one, NEARLY, "meg", replaces=seen, decides=True)
    (decided,) = campaign.two_opinions()
    assert (decided.state, decided.decision.author) == ("decided", "meg")
    assert (campaign.opinion_mask(one, "second") == HALF).all()


def test_an_image_whose_content_changes_begins_anew(shared, tmp_path):
    campaign, (one, _) = shared
    path = campaign.images / campaign.pick(one).path
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(path)
    assert len(campaign.refresh().changed) == 1
    larger = np.zeros((24, 30), np.uint8)
    assert campaign.label_mask(one, larger, "bob", if_waiting=True) == []
    assert campaign.label_mask(one, larger, "meg", if_waiting=True) == []
    assert [(pair.item, pair.state) for pair in campaign.two_opinions() if pair.item == one] == [(one, "agreed")]


def test_a_correction_by_an_annotator_who_sees_own_answers_alone_is_superseded(make_campaign):
    campaign = make_campaign(task="segmentation", classes=CLASSES, count=2)
    campaign.query(1)
    (one,) = (pick.item for pick in campaign.lease("ann", 1).picks)
    campaign.label_mask(one, GROUND, "ann")
    seen = current(campaign, one).id
    campaign.label_mask(one, HALF, "bob")
    # The sentence of a refusal would name bob, whose answers ann does not see.
    assert campaign.label_mask(one, NEARLY, "ann", own_only=True, replaces=seen) == [one]
    assert current(campaign, one).author == "bob"
    with pytest.raises(AnsweredMeanwhileError, match="'bob' has answered"):
        campaign.label_mask(one, NEARLY, "ann", replaces=seen)


def test_masks_of_opinions_follow_a_change_of_the_classes(shared):
    campaign, (one, two) = shared
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    campaign.label_mask(two, HALF, "bob", if_waiting=True)
    campaign.reorder_classes(["bird", "sky", "ground"])
    assert (campaign.opinion_mask(one, "first") == mask_of(2, 2, 2, 2)).all()
    assert (campaign.opinion_mask(one, "second") == mask_of(2, 2, 0, 0)).all()
    campaign.decide_mask(one, "second", "meg")
    assert (campaign.masks.load(current(campaign, one).mask) == mask_of(2, 2, 0, 0)).all()
    campaign.merge_classes(["bird"], "ground")
    assert {pair.item: pair.agreement for pair in campaign.two_opinions()} == {one: 1, two: 1}
    stored = campaign.two_opinions()[1].pixels
    expected = PixelTable.of(campaign.opinion_mask(two, "first"), campaign.opinion_mask(two, "second"))
    assert stored.counts.sum() == expected.counts.sum()
    assert set(stored.first.tolist()) == set(expected.first.tolist()) == {campaign.classes.index("ground")}


def test_an_annotator_goes_on_with_masks_that_a_change_of_classes_rewrote(shared):
    campaign, (one, two) = shared
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    campaign.decide_mask(one, "first", "meg")
    campaign.reorder_classes(["bird", "sky", "ground"])
    seen = current(campaign, two)
    assert (seen.author, seen.rewrites is not None) == ("ann", True)
    assert campaign.label_mask(two, HALF, "ann", own_only=True, replaces=seen.id) == []
    assert current(campaign, one).author == "meg"
    campaign.undo("meg")
    assert [pair.state for pair in campaign.two_opinions()] == ["conflict"]
    assert (campaign.masks.load(current(campaign, one).mask) == mask_of(2, 2, 0, 0)).all()
    campaign.merge_classes(["bird"], "ground")
    assert [pair.state for pair in campaign.two_opinions()] == ["agreed"]
    with pytest.raises(AnsweredMeanwhileError, match=r"the classes were changed at \d\d:\d\d UTC, after you opened"):
        campaign.label_mask(one, GROUND, "ann", replaces=1)


@pytest.fixture
def reading(shared, monkeypatch):
    """Let `meanwhile(other)` run whenever a mask is decoded, with the campaign opened by another process."""
    campaign, _ = shared
    load, busy = MaskFiles.load, []
    with Campaign.open(campaign.folder, wait_seconds=0.1) as other:

        def on_load(meanwhile):
            def loaded(masks, name):
                if not busy:
                    busy.append(name)
                    meanwhile(other)
                    busy.clear()
                return load(masks, name)

            monkeypatch.setattr(MaskFiles, "load", loaded)

        yield on_load


def test_others_write_while_masks_are_decoded(shared, reading):
    campaign, (one, two) = shared
    campaign.label_mask(two, HALF, "bob", if_waiting=True)
    decoded = []

    def meanwhile(other):
        with other.store.writing():  # refused after 0.1 seconds if the answer held the lock
            decoded.append(True)

    reading(meanwhile)
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    campaign.decide_mask(one, "first", "meg")
    decoded.clear()
    campaign.undo("meg", one)  # both masks are compared again
    assert decoded
    decoded.clear()
    campaign.reorder_classes(["bird", "sky", "ground"])
    assert decoded
    assert campaign.count_conflicts() == 2


def test_a_comparison_is_of_the_masks_that_are_stored_with_it(shared, reading):
    campaign, (one, _) = shared
    corrected = []

    def meanwhile(other):
        if not corrected:
            corrected.append(other.label_mask(one, HALF, "ann"))

    reading(meanwhile)
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    assert corrected == [[]]
    assert [(pair.state, pair.agreement) for pair in campaign.two_opinions()] == [("agreed", 1.0)]


def test_a_decision_is_of_todays_numbers_whenever_the_classes_change(shared, reading):
    campaign, (one, _) = shared
    campaign.label_mask(one, HALF, "bob", if_waiting=True)
    campaign.reorder_classes(["bird", "sky", "ground"])  # their opinions keep the pixels as they were drawn
    changed = []

    def meanwhile(other):
        if not changed:
            changed.append(other.reorder_classes(["sky", "ground", "bird"]))

    reading(meanwhile)
    campaign.decide_mask(one, "first", "meg", request="key")
    campaign.decide_mask(one, "first", "meg", request="key")
    assert changed == [None]
    assert (campaign.masks.load(current(campaign, one).mask) == 1).all()


def test_a_class_change_rewrites_masks_that_came_while_others_were_decoded(shared, reading):
    campaign, (one, two) = shared
    came = []

    def meanwhile(other):
        if not came:
            came.append(other.label_mask(two, HALF, "bob"))

    reading(meanwhile)
    campaign.reorder_classes(["bird", "sky", "ground"])
    assert came == [[]]
    found = [campaign.masks.load(current(campaign, item).mask)[0, ::5].tolist() for item in (one, two)]
    assert found == [[2, 2, 2, 2], [2, 2, 0, 0]]


def test_the_team_has_the_agreement_of_its_pixels(make_campaign):
    campaign = make_campaign(task="segmentation", classes=CLASSES, count=12, overlap=1.0)
    campaign.query(12)
    for number, pick in enumerate(campaign.picks()):
        campaign.label_mask(pick.item, HALF, "ann", if_waiting=True, origin="page")
        campaign.label_mask(pick.item, GROUND if number < 3 else HALF, "bob", if_waiting=True, origin="page")
    team = campaign.team()
    assert (team.agreement.images, team.waiting) == (12, 3)
    assert team.agreement.same == pytest.approx(1 - 3 * 0.5 / 12)
    assert team.agreement.kappas["ann", "bob"].low < team.agreement.kappas["ann", "bob"].value < 1
    assert {one.name: one.iou for one in team.agreement.classes} == pytest.approx({"ground": 6 / 7.5, "bird": 4.5 / 6})
    assert [(one.name, one.shared, one.agreed) for one in team.annotators] == [("ann", 12, 9), ("bob", 12, 9)]
    alpha = team.agreement.alpha
    first, second = campaign.agreement_sentences()
    assert first == (
        "Two annotators labelled 12 images independently: 87.5 % of the pixels have the same class, "
        f"Krippendorff's alpha is {alpha.value:.2f} (95 % interval {alpha.low:.2f} to {alpha.high:.2f})."
    )
    assert second == "3 conflicts wait for a decision in the view Conflicts of the labelling page."


def test_a_correction_does_not_replace_an_answer_that_nobody_saw(shared):
    campaign, (one, _) = shared
    seen = current(campaign, one).id
    assert campaign.label_mask(one, HALF, "meg", replaces=seen, request="one") == []
    with pytest.raises(AnsweredMeanwhileError, match=r"'meg' has answered '.*' at \d\d:\d\d UTC, after you opened it"):
        campaign.label_mask(one, NEARLY, "eve", replaces=seen)
    assert (campaign.masks.load(current(campaign, one).mask) == HALF).all()
    assert campaign.label_mask(one, HALF, "meg", replaces=seen, request="one") == []  # the same request again
    campaign.withdraw_labels([one], "ann")
    with pytest.raises(AnsweredMeanwhileError, match="was withdrawn after you opened it"):
        campaign.label_mask(one, NEARLY, "eve", replaces=seen)
    assert campaign.label_mask(one, NEARLY, "eve", replaces=0) == []
    with campaign.store.reading() as connection:
        authors = [row.author for row in connection.exec_driver_sql("SELECT author FROM labels WHERE kind = 'label'")]
    assert {"ann", "meg", "eve"} == set(authors)


def test_a_correction_of_a_seen_mask_is_no_second_opinion(shared):
    campaign, (one, _) = shared
    assert one in [pick.item for pick in campaign.lease("bob", 4).picks]
    campaign.label_mask(one, HALF, "bob", replaces=current(campaign, one).id)
    assert campaign.two_opinions() == []


def test_what_cannot_be_decided_is_refused(shared):
    masks, (one, _) = shared
    with pytest.raises(CampaignError, match="use decide_mask"):
        masks.decide(one, "bird", "meg")
    with pytest.raises(DataError, match="has no mask of a second annotator"):
        masks.decide_mask(one, "second", "meg")
