"""Live learning: what it publishes after answers, and what the queue holds."""

import itertools
from collections import Counter

import pytest
from sqlalchemy import select, update

from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.rounds.live_state import LiveOptions, read_live_state
from minimax_al.campaign.store.schema import classes, picks, rounds
from minimax_al.deployment.model_file import load_trained
from minimax_al.errors import ConfigurationError
from minimax_al.live import learner as learner_module
from minimax_al.live.learner import LiveLearner

from ..support.feature_campaigns import CLASSES, class_of, write_clusters  # noqa: TID252 - shared fixtures

BATCH = 6


@pytest.fixture
def pool(tmp_path):
    return write_clusters(tmp_path / "pool", count=60)


@pytest.fixture
def campaign(make_campaign, pool):
    images, table = pool
    return make_campaign(
        classes=CLASSES, images=images, recipe="features", features=str(table), near_duplicates="off", lease_seconds=60
    )


@pytest.fixture
def make_learner(campaign):
    def make(batch=BATCH, random_share=0.0, *, measures=False):
        seconds = itertools.count()
        options = LiveOptions(batch, random_share)
        learner = LiveLearner(
            campaign.context, options, lease_clock=campaign.lease_clock, clock=lambda: float(next(seconds))
        )
        if not measures:  # most tests are about the queue
            learner._measure = lambda: False
        return learner

    return make


def settle(learner):
    """Let the learner work until nothing is left to do."""
    for _ in range(2000):
        if not learner.step() and not learner.step():
            return learner.state
    raise AssertionError("the learner never rests")


def answer(campaign, picked, author="ann"):
    for pick in picked:
        campaign.label(pick.item, class_of(pick.path), author)


def work(campaign, learner, count, author="ann", at_once=3):
    """Answer `count` images of the queue with the truth."""
    done = 0
    while done < count:
        lease = campaign.lease(author, min(at_once, count - done))
        answer(campaign, lease.picks, author)
        done += len(lease.picks)
        settle(learner)


def open_rows(campaign):
    joined = select(picks).join(rounds, rounds.c.id == picks.c.round_id).where(rounds.c.closed_at.is_(None))
    with campaign.store.reading() as connection:
        return connection.execute(joined).all()


def test_the_first_batch_covers_the_pool_and_is_a_round(campaign, make_learner):
    state = settle(make_learner())
    first = campaign.round()
    assert (first.number, first.strategy, first.picks, first.waiting) == (1, "centroids", BATCH, BATCH)
    assert {class_of(pick.path) for pick in campaign.picks()} == set(CLASSES)
    assert (state.strategy, state.labels, state.reason) == ("centroids", 0, None)


def test_the_first_batch_has_an_image_of_every_class(campaign, make_learner):
    settle(make_learner(batch=2))
    assert campaign.round().picks == len(CLASSES)


def test_later_batches_are_chosen_by_the_model_of_the_labels_so_far(campaign, make_learner):
    learner = make_learner()
    settle(learner)
    work(campaign, learner, 9)
    latest = max(row.number for row in all_rounds(campaign))
    state = campaign.round(latest)
    assert (state.strategy, state.picks) == ("uherding", BATCH)
    chosen_by = next(row for row in all_rounds(campaign) if row.number == latest).run_id
    assert chosen_by is not None
    assert all(pick.reason and "margin" in pick.scores for pick in campaign.picks(latest))


def all_rounds(campaign):
    with campaign.store.reading() as connection:
        return connection.execute(select(rounds).order_by(rounds.c.number)).all()


def test_all_waiting_images_have_the_suggestion_of_the_latest_model(campaign, make_learner):
    learner = make_learner()
    settle(learner)
    assert all(pick.suggestion is None for pick in campaign.picks())
    work(campaign, learner, 12)
    waiting = [row for row in open_rows(campaign) if row.waits]
    assert len(waiting) >= BATCH // 2
    with campaign.store.reading() as connection:
        names = dict(connection.execute(select(classes.c.id, classes.c.name)).all())
        state = read_live_state(connection)
    assert state.labels == 12
    # The clusters are far apart: twelve labels suffice to tell them.
    paths = {
        pick.item: pick.path for number in range(1, len(all_rounds(campaign)) + 1) for pick in campaign.picks(number)
    }
    assert [names[row.suggestion] for row in waiting] == [class_of(paths[row.item_id]) for row in waiting]
    assert all(0.33 < row.confidence <= 1 for row in waiting)


def test_suggestions_batch_and_state_appear_together_or_not_at_all(campaign, make_learner, monkeypatch):
    learner = make_learner()
    settle(learner)
    work(campaign, learner, 6)
    before = (open_rows(campaign), all_rounds(campaign), campaign.status().model)
    answer(campaign, campaign.lease("ann", 3).picks)
    held = open_rows(campaign)
    real = learner_module.write_live_state
    monkeypatch.setattr(learner_module, "write_live_state", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        settle(learner)
    assert open_rows(campaign) == held
    assert all_rounds(campaign) != before[1]  # the answers, and nothing else
    assert len(all_rounds(campaign)) == len(before[1])
    monkeypatch.setattr(learner_module, "write_live_state", real)
    assert settle(learner).labels == 9


def test_images_in_front_of_somebody_stay_and_no_image_is_in_two_open_rounds(campaign, make_learner, clock):
    learner = make_learner()
    settle(learner)
    held = [pick.item for pick in campaign.lease("bob", 2).picks]
    for turn in range(8):
        work(campaign, learner, 3, author=f"ann {turn % 2}")
        clock.advance(1)
        assert [pick.item for pick in campaign.lease("bob", 2).picks] == held
        assert max(Counter(row.item_id for row in open_rows(campaign)).values()) == 1


def test_every_image_is_labelled_once_and_the_learner_says_so(campaign, make_learner):
    learner = make_learner()
    settle(learner)
    authors = itertools.cycle(["ann", "bob", "cat"])
    while True:
        lease = campaign.lease(next(authors), 4)
        if not lease.picks:
            break
        answer(campaign, lease.picks)
        settle(learner)
    status = campaign.status()
    assert (status.labelled, status.unlabelled) == (60, 0)
    assert settle(learner).reason == "Every image has its answer."
    picked = Counter(pick.item for row in all_rounds(campaign) for pick in campaign.picks(row.number))
    assert set(picked.values()) == {1}
    answer_one = campaign.undo("ann")
    settle(learner)
    assert [pick.item for pick in campaign.lease("ann", 5).picks] == [answer_one.item]


def test_a_skipped_image_comes_back_when_no_other_is_left(campaign, make_learner):
    learner = make_learner(batch=20)
    settle(learner)
    skipped = campaign.lease("ann", 1).picks[0]
    campaign.skip(skipped.item, "ann")
    seen = []
    while campaign.status().labelled < 59 and skipped.item not in seen:
        lease = campaign.lease("ann", 5)
        seen += [pick.item for pick in lease.picks]
        answer(campaign, lease.picks)
        settle(learner)
    assert skipped.item in seen
    assert skipped.item not in seen[:50]


def test_an_undone_answer_of_a_finished_batch_waits_again(campaign, make_learner):
    learner = make_learner()
    settle(learner)
    work(campaign, learner, 15)
    first = campaign.picks(1)[0]
    campaign.undo("ann", first.item)
    settle(learner)
    assert [row.waits for row in open_rows(campaign) if row.item_id == first.item] == [True]
    assert campaign.lease("ann", 1).picks[0].item == first.item


@pytest.mark.parametrize(("batch", "share", "drawn"), [(4, 0.1, 4), (10, 0.25, 10), (7, 0.0, 0)])
def test_the_share_of_random_draws_is_kept_over_small_batches(campaign, make_learner, batch, share, drawn):
    learner = make_learner(batch, share)
    settle(learner)
    while sum(row.budget for row in all_rounds(campaign)) < 40:
        answer(campaign, campaign.lease("ann", batch).picks)
        settle(learner)
    rows = [pick for row in all_rounds(campaign) for pick in campaign.picks(row.number)][:40]
    assert abs(sum(pick.at_random for pick in rows) - drawn) <= 1


def test_the_score_is_that_of_a_training_on_the_same_labels(campaign, make_learner):
    settle(make_learner(batch=24, measures=True))
    picked = campaign.picks()
    answer(campaign, picked[:20])
    for pick in picked[20:]:  # wrong ones, so that the score is not 1
        campaign.label(pick.item, "red", "bob")
    state = settle(make_learner(batch=24, measures=True))
    live = campaign.model()
    assert (state.measured, live.labels, live.strategy) == (24, 24, "uherding")
    trained = campaign.train()
    assert trained.run != live.run
    assert trained.score == live.score
    assert trained.interval == live.interval


def test_the_effect_of_the_last_answers_is_measured_on_the_same_labels(campaign, make_learner):
    learner = make_learner(batch=24, measures=True)
    settle(learner)
    picked = campaign.picks()
    answer(campaign, picked[:12])
    settle(learner)
    wrong = {"red": "green", "green": "blue", "blue": "red"}
    for pick in picked[12:22]:
        campaign.label(pick.item, wrong[class_of(pick.path)], "bob")
    last = settle(learner).last_answers
    assert last.answers == 10
    assert last.after == campaign.model().score
    # Without the ten wrong labels the model is right about the others, and about none of the ten.
    assert last.before == pytest.approx(12 / 22)


def test_the_model_of_the_last_measurement_can_be_used(campaign, make_learner):
    learner = make_learner(measures=True)
    settle(learner)
    work(campaign, learner, 18, at_once=6)
    model = campaign.model()
    assert (model.labels, model.labels_since) == (18, 0)
    trained = load_trained(run_folder(campaign.folder, model.run))
    assert trained.facts["labels"] == 18
    kept = sorted(path.name for path in (campaign.folder / "models").iterdir())
    assert len(kept) <= 3
    assert [point.labels for point in campaign.curve()][-1] == 18
    assert len(campaign.curve()) > 2


def test_a_learner_that_starts_again_goes_on_where_the_other_was(campaign, make_learner):
    learner = make_learner(measures=True)
    settle(learner)
    work(campaign, learner, 12)
    before = (all_rounds(campaign), open_rows(campaign), campaign.model())
    settle(make_learner(measures=True))
    assert (all_rounds(campaign), open_rows(campaign), campaign.model()) == before


def test_images_and_settings_that_change_meanwhile_are_used(campaign, make_learner, pool):
    learner = make_learner()
    settle(learner)
    work(campaign, learner, 9)
    campaign.configure(strategy="margin")
    gone = next(
        path for path in sorted(pool[0].iterdir()) if path.name not in {row.path for row in all_picks(campaign)}
    )
    gone.unlink()
    campaign.refresh()
    work(campaign, learner, 9)
    assert all_rounds(campaign)[-1].strategy == "margin"
    assert gone.name not in {pick.path for pick in all_picks(campaign)}


def all_picks(campaign):
    return [pick for row in all_rounds(campaign) for pick in campaign.picks(row.number)]


def test_nothing_is_published_under_classes_that_have_changed(campaign, make_learner, monkeypatch):
    learner = make_learner()
    settle(learner)
    answer(campaign, campaign.lease("ann", 4).picks)
    real = LiveLearner._choose

    def change_classes(self, snapshot):
        monkeypatch.setattr(LiveLearner, "_choose", real)
        campaign.add_classes(["grey"])
        return real(self, snapshot)

    monkeypatch.setattr(LiveLearner, "_choose", change_classes)
    version = learner.state.version
    while learner.step() and campaign.classes == CLASSES:
        pass
    with campaign.store.reading() as connection:
        assert read_live_state(connection).version == version
    assert settle(learner).labels == 4


def test_a_held_out_share_measures_the_model(campaign, make_learner):
    campaign.configure(validation_share=0.3)
    learner = make_learner(measures=True)
    settle(learner)
    work(campaign, learner, 21)
    model = campaign.model()
    assert model.held_out > 0
    assert model.measured_on == model.held_out


def test_an_image_without_features_is_never_chosen(campaign, make_learner, pool, tmp_path):
    from minimax_al.campaign.features.pool_features import PoolFeatures

    learner = make_learner(batch=30)
    lacking = sorted(pool[0].iterdir())[7].name
    real = PoolFeatures.compute

    def compute(self, images, progress=None):
        return real(self, [image for image in images if image.path != lacking], progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PoolFeatures, "compute", compute)
        settle(learner)
        work(campaign, learner, 40, at_once=10)
    assert lacking not in {pick.path for pick in all_picks(campaign)}


@pytest.mark.parametrize(
    ("options", "message"), [({"batch": 0}, "batch=0 must be"), ({"random_share": 1.5}, "fraction")]
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        LiveOptions(**options)


def test_an_older_state_is_read(campaign, make_learner):
    settle(make_learner())
    from minimax_al.campaign.store.schema import settings

    with campaign.store.writing() as connection:
        connection.execute(update(settings).where(settings.c.key == "live").values(value={"version": 3, "gone": 1}))
    with campaign.store.reading() as connection:
        assert read_live_state(connection).version == 3


def test_many_annotators_find_images_for_each_of_them(campaign, make_learner, clock):
    learner = make_learner(batch=8)
    settle(learner)
    for author in ("ann", "bob", "cat", "dan", "eve"):
        answer(campaign, campaign.lease(author, 1).picks, author)
    settle(learner)
    assert sum(row.waits and row.lease_holder is None for row in open_rows(campaign)) >= 8
    assert all_rounds(campaign)[-1].budget >= 12  # three for each of five, less those that were there
    clock.advance(60)
    answer(campaign, campaign.lease("ann", 15).picks)
    settle(learner)
    assert all_rounds(campaign)[-1].budget <= 15
