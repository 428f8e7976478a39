import shutil
from collections import Counter

import pytest

from minimax_al.campaign.answers.validation import is_held_out
from minimax_al.campaign.features.training_data import read_training_data
from minimax_al.errors import DataError


def training_data(campaign):
    with campaign.store.reading() as connection:
        return read_training_data(connection)


def paths(known):
    return {one.path for one in known}


@pytest.mark.parametrize(("share", "block"), [(0.5, 2), (0.2, 5), (0.1, 10)])
def test_each_block_of_labels_holds_out_one_but_not_its_first(share, block):
    for seed in range(5):
        held_out = [is_held_out(position, 7, share, seed) for position in range(40 * block)]
        assert all(sum(held_out[start : start + block]) == 1 for start in range(0, 40 * block, block))
        assert not any(held_out[::block])
    places = Counter(position % block for position in range(400 * block) if is_held_out(position, 7, share, seed=0))
    assert set(places) == set(range(1, block))  # all places but the first are drawn


@pytest.mark.parametrize("share", [0.01, 0.07, 0.123, 0.15, 0.3, 1 / 3, 0.35, 0.4, 0.45, 0.5])
def test_any_share_is_held_out_evenly(share):
    for seed in range(3):
        held_out = [is_held_out(position, 7, share, seed) for position in range(3000)]
        assert not held_out[0]
        for labels in (100, 1000, 3000):
            assert abs(sum(held_out[:labels]) - share * labels) <= 1


def test_each_class_in_proportion_and_apart_from_training(make_campaign, storage):
    campaign = make_campaign(count=40, storage=storage)
    everything = [item + 1 for item in range(40)]
    campaign.label(everything[:20], "cat", author="ann")
    campaign.label(everything[20:30], "dog", author="ann")
    found = training_data(campaign)
    assert Counter(one.target for one in found.held_out) == {0: 4, 1: 2}
    assert Counter(one.target for one in found.labelled) == {0: 16, 1: 8}
    assert not paths(found.held_out) & (paths(found.labelled) | paths(found.unlabelled))
    assert len(found.unlabelled) == 10


def test_held_out_images_stay_held_out_through_relabel_and_undo(make_campaign):
    campaign = make_campaign(count=20)
    campaign.label(list(range(1, 11)), "cat", author="ann")
    before = paths(training_data(campaign).held_out)
    assert len(before) == 2
    campaign.label(sorted(before), "dog", author="bob")
    assert paths(training_data(campaign).held_out) == before
    campaign.undo("bob", min(before))
    campaign.undo("ann", max(before))
    assert paths(training_data(campaign).held_out) == before
    for number in range(11, 21):
        campaign.label(number, "cat", author="ann")
    assert before < paths(training_data(campaign).held_out)


def test_no_copy_of_a_held_out_image_is_trained_on(make_campaign, save_images):
    images = save_images(10)
    for file in sorted(images.rglob("*.png")):
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
    campaign = make_campaign(images=images)
    campaign.label(list(range(1, 21)), "cat", author="ann")
    found = training_data(campaign)
    assert len(found.held_out) == 2
    held_out, trained = ({one.content_hash for one in part} for part in (found.held_out, found.labelled))
    assert not held_out & trained
    assert len(trained) == 8


def test_a_share_of_zero_holds_nothing_out(make_campaign):
    campaign = make_campaign(validation_share=0)
    campaign.label(list(range(1, 13)), "cat", author="ann")
    assert training_data(campaign).held_out == ()


def test_training_without_labels_is_refused(campaign):
    with pytest.raises(DataError, match="nothing is labelled yet: label the first round"):
        training_data(campaign)
    campaign.unsure(1, author="ann")
    with pytest.raises(DataError, match="nothing is labelled yet"):
        training_data(campaign)


def test_equal_labels_equal_fingerprints(make_campaign):
    campaign = make_campaign()
    campaign.label([1, 2, 3], "cat", author="ann")
    settings = campaign.settings
    before = training_data(campaign).fingerprint(settings, {"name": "mal"}, {})
    assert training_data(campaign).fingerprint(settings, {"name": "mal"}, {}) == before
    assert training_data(campaign).fingerprint(settings, {"name": "entropy"}, {}) != before
    assert training_data(campaign).fingerprint(settings, {"name": "mal"}, {"encoder": "conv4"}) != before
    campaign.label(1, "dog", author="ann")
    assert training_data(campaign).fingerprint(settings, {"name": "mal"}, {}) != before
