import pytest
from sqlalchemy.exc import DBAPIError

from minimax_al.campaign import Campaign
from minimax_al.campaign.store.schema import labels
from minimax_al.errors import CampaignError, DataError, UnknownNameError


def history(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(labels.select().order_by(labels.c.id)).all()


def test_the_latest_label_holds_and_the_earlier_one_stays_in_the_history(campaign, clock):
    campaign.label("a/000.png", "cat", author="ann")
    clock.advance(60)
    campaign.label("a/000.png", "dog", author="bob")
    assert campaign.labels() == {"a/000.png": "dog"}
    first, second = history(campaign)
    assert (first.author, second.author) == ("ann", "bob")
    assert (second.at - first.at).total_seconds() == 60
    assert second.at == clock()


@pytest.mark.parametrize("statement", [labels.update().values(author="x"), labels.delete()])
def test_the_database_itself_refuses_to_change_history(campaign, statement):
    campaign.label("a/000.png", "cat", author="ann")
    with pytest.raises(DBAPIError, match="labels are history"), campaign.store.writing() as connection:
        connection.execute(statement)
    assert campaign.labels() == {"a/000.png": "cat"}


def test_undo_restores_the_previous_answer_repeatedly(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    campaign.label("a/000.png", "dog", author="ann")
    undone = campaign.undo("ann")
    assert (undone.path, undone.kind, undone.class_name) == ("a/000.png", "label", "dog")
    assert campaign.labels() == {"a/000.png": "cat"}
    campaign.undo("ann")
    assert campaign.labels() == {}
    with pytest.raises(CampaignError, match="'ann' has no answer that could be undone"):
        campaign.undo("ann")
    assert len(history(campaign)) == 4


def test_undo_revokes_only_the_authors_own_answers(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    campaign.label("b/001.png", "dog", author="bob")
    campaign.label("a/002.png", "dog", author="ann")
    assert campaign.undo("bob").path == "b/001.png"
    assert campaign.undo("ann", "a/000.png").path == "a/000.png"
    assert campaign.labels() == {"a/002.png": "dog"}
    with pytest.raises(CampaignError, match="'ann' has no answer about this image"):
        campaign.undo("ann", "b/001.png")


def test_many_images_can_be_labelled_in_one_call(campaign):
    campaign.label(["a/000.png", "b/001.png", "a/002.png"], "n/a", author="ann")
    assert set(campaign.labels().values()) == {"n/a"}
    assert len(campaign.labels()) == 3


def test_one_unknown_image_of_many_leaves_all_unlabelled(campaign):
    with pytest.raises(DataError, match=r"'nowhere\.png' is not an image of this campaign"):
        campaign.label(["a/000.png", "nowhere.png"], "cat", author="ann")
    assert campaign.labels() == {}


def test_a_skip_never_hides_a_label(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    campaign.skip("a/000.png", author="bob")
    assert campaign.labels() == {"a/000.png": "cat"}


def test_unsure_replaces_a_label_and_a_label_replaces_unsure(campaign):
    campaign.label("a/000.png", "cat", author="ann")
    campaign.unsure("a/000.png", author="bob")
    assert campaign.labels() == {}
    assert campaign.status().unsure == 1
    campaign.label("a/000.png", "dog", author="ann")
    assert campaign.labels() == {"a/000.png": "dog"}
    assert campaign.status().unsure == 0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda c: c.label("a/000.png", "cta", "ann"), UnknownNameError, "unknown class 'cta'; did you mean 'cat'"),
        (lambda c: c.label(99, "cat", "ann"), DataError, "99 is not an image"),
        (lambda c: c.label("a/000.png", "cat", "  "), CampaignError, "author '  ' is blank"),
        (lambda c: c.undo(""), CampaignError, "author '' is blank"),
        (lambda c: c.label_mask("a/000.png", None, "ann"), CampaignError, "of classes, not of masks"),
    ],
)
def test_bad_answers_are_refused_in_a_sentence(campaign, call, error, match):
    with pytest.raises(error, match=match):
        call(campaign)
    assert history(campaign) == []


def test_answers_survive_reopening(campaign, make_campaign, storage):
    campaign.label("a/000.png", "cat", author="ann")
    campaign.close()
    again = make_campaign.track(Campaign.open(campaign.folder))
    assert again.labels() == {"a/000.png": "cat"}
    assert again.settings == campaign.settings
    assert again.classes == ("cat", "dog", "n/a")
