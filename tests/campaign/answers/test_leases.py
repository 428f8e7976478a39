import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.answers.leases import UptimeClock
from minimax_al.campaign.store.history import current_labels
from minimax_al.campaign.store.schema import items as items_table
from minimax_al.campaign.store.schema import picks as picks_table
from minimax_al.errors import BudgetError, CampaignError, ConfigurationError

from ...support.fakes import Clock, random_image  # noqa: TID252 - the same images


def items(lease):
    return [pick.item for pick in lease.picks]


def test_an_image_is_leased_to_one_annotator_at_a_time(campaign):
    campaign.query(6)
    ann, bob, eve = (campaign.lease(author, 4) for author in ("ann", "bob", "eve"))
    assert [len(lease.picks) for lease in (ann, bob, eve)] == [4, 2, 0]
    assert not set(items(ann)) & set(items(bob))
    # An empty hand is no empty queue: it says how many are with others, and until when.
    assert (eve.waiting, eve.with_others, eve.next_free_at) == (6, 6, ann.until)


def test_a_repeated_lease_extends_the_same_images(campaign, clock):
    campaign.query(6)
    first = campaign.lease("ann", 2)
    clock.advance(100)
    again = campaign.lease("ann", 2)
    assert items(again) == items(first)
    assert (again.until - first.until).total_seconds() == 100
    assert items(campaign.lease("ann", 3))[:2] == items(first)


def test_a_lease_that_lapses_returns_to_the_queue_and_the_late_answer_is_kept(campaign, clock):
    campaign.query(2)
    ann = campaign.lease("ann", 2)
    clock.advance(campaign.settings.lease_seconds)
    bob = campaign.lease("bob", 2)
    assert items(bob) == items(ann)
    campaign.label(items(ann)[0], "cat", author="ann")
    assert items(campaign.lease("bob", 2)) == items(ann)[1:]
    assert list(campaign.labels().values()) == ["cat"]


@pytest.mark.parametrize("days", [1, 365, 3650])
def test_a_lease_granted_by_a_wrong_clock_ends_when_the_clock_is_corrected(campaign, clock, days):
    campaign.query(3)
    clock.advance(days * 86_400)
    ahead = campaign.lease("ann", 2)
    clock.advance(-days * 86_400)
    lease = campaign.lease("bob", 3)
    assert items(lease)[:2] == items(ahead)
    assert (len(lease.picks), lease.with_others) == (3, 0)
    assert not any(pick.is_with_a_person(clock()) for pick in ahead.picks)
    assert all(pick.is_with_a_person(clock()) for pick in lease.picks)


@pytest.mark.parametrize("jump", [-365 * 86_400, -3600, 3600, 365 * 86_400])
def test_setting_the_clock_neither_ends_nor_extends_leases(campaign, clock, jump):
    uptime = Clock()

    def seconds():
        return uptime.time.timestamp()

    campaign.lease_clock = UptimeClock(clock, seconds)
    campaign.query(1)
    ann = campaign.lease("ann")
    clock.advance(jump)
    uptime.advance(campaign.settings.lease_seconds - 1)
    assert campaign.lease("bob").picks == ()
    uptime.advance(1)
    assert items(campaign.lease("bob")) == items(ann)


def test_the_clock_of_leases_advances_with_the_machine(clock):
    lease_clock = UptimeClock(clock)
    first = lease_clock()
    assert first >= clock()
    while lease_clock() == first:
        pass
    assert lease_clock() > first


def test_one_name_in_two_browsers_gets_different_images(campaign):
    campaign.query(6)
    home, office = (campaign.lease("ann", 2, session=session) for session in ("home", "office"))
    script = campaign.lease("ann", 2)
    assert len({*items(home), *items(office), *items(script)}) == 6
    assert items(campaign.lease("ann", 2, session="home")) == items(home)
    assert campaign.lease("bob", 1).with_others == 6
    assert campaign.release("ann", session="office") == 2
    assert items(campaign.lease("bob", 6)) == items(office)
    assert campaign.release("ann") == 4


def test_a_short_lease_returns_soon_and_none_is_longer_than_the_setting(campaign, clock):
    campaign.query(2)
    short = campaign.lease("ann", 1, seconds=90)
    assert (short.until - clock()).total_seconds() == 90
    assert (campaign.lease("bob", 1, seconds=10**9).until - clock()).total_seconds() == 600
    clock.advance(90)
    assert items(campaign.lease("eve", 1)) == items(short)
    with pytest.raises(ConfigurationError, match="seconds=0 must be positive"):
        campaign.lease("ann", 1, seconds=0)


def test_an_answer_ends_the_lease_and_an_undo_frees_the_image(campaign):
    campaign.query(1)
    (pick,) = campaign.lease("ann").picks
    assert (pick.lease_holder, pick.answer) == ("ann", "waiting")
    campaign.label(pick.item, "cat", author="ann")
    assert campaign.picks()[0].lease_holder is None
    assert campaign.lease("ann").picks == ()
    campaign.undo("ann")
    assert items(campaign.lease("bob")) == [pick.item]


def test_released_images_are_free_at_once(campaign):
    campaign.query(3)
    campaign.lease("ann", 3)
    assert campaign.release("ann") == 3
    assert len(campaign.lease("bob", 3).picks) == 3


def test_without_a_round_there_is_nothing_to_lease(campaign):
    assert campaign.lease("ann", 3).picks == ()
    campaign.query(2)
    campaign.close_round()
    assert campaign.lease("ann", 3).waiting == 0


def test_twenty_people_at_once_answer_every_image_once(make_campaign, storage, clock):
    campaign = make_campaign(count=60, storage=storage)
    campaign.query(60)
    # A second connection pool, as another process would have.
    other = make_campaign.track(Campaign.open(campaign.folder, clock=clock))

    def work(number):
        door, done = (campaign, other)[number % 2], []
        while picks := door.lease(f"person {number}", 2).picks:
            for pick in picks:
                door.label(pick.item, "cat", author=f"person {number}")
                done.append(pick.item)
        return done

    with ThreadPoolExecutor(20) as threads:
        answered = [item for done in threads.map(work, range(20)) for item in done]
    assert sorted(answered) == sorted(pick.item for pick in campaign.picks())
    assert len(campaign.labels()) == 60


@pytest.mark.parametrize(
    ("author", "count", "error", "match"),
    [("ann", 0, ConfigurationError, "count=0 must be at least one"), (" ", 1, CampaignError, "author ' ' is blank")],
)
def test_a_lease_needs_a_count_and_an_author(campaign, author, count, error, match):
    campaign.query(2)
    with pytest.raises(error, match=match):
        campaign.lease(author, count)


def test_lent_images_are_not_leased_until_answered_or_recalled(campaign, clock):
    campaign.query(6)
    first, second, third, *rest = (pick.item for pick in campaign.picks())
    campaign.label(third, "cat", author="bob")
    campaign.lease("ann", 1)
    assert campaign.lend([first, second, third], "ann") == 1  # not what ann has before her, nor what has its answer
    clock.advance(600)
    assert campaign.lend([first, second, third], "ann") == 2
    clock.advance(10**6)
    campaign.release("ann")
    lease = campaign.lease("ann", 6)
    assert (items(lease), lease.waiting, lease.with_others, lease.next_free_at, lease.lent) == (rest, 5, 0, None, 2)
    campaign.label(first, "cat", author="eve")
    assert campaign.lease("ann").lent == 1
    with pytest.raises(CampaignError, match="round 7 is not the open one, which is round 1: nothing was recalled"):
        campaign.recall(7)
    assert campaign.recall(1) == 1
    campaign.undo("eve")
    assert items(campaign.lease("ann", 6)) == [first, second, *rest]


def test_another_round_leases_what_an_earlier_one_had_lent(campaign):
    campaign.query(12)
    ids = [pick.item for pick in campaign.picks()]
    campaign.lend(ids, "elsewhere")
    campaign.close_round()
    assert (campaign.lend(ids, "elsewhere"), campaign.recall()) == (0, 0)
    campaign.query(12)
    assert len(campaign.lease("ann", 12).picks) == 12


def active_items(campaign):
    """Return the ids of the images that are there."""
    with campaign.store.reading() as connection:
        return {row.id for row in connection.execute(items_table.select()) if row.status == "active"}


def waiting_picks(campaign):
    """Return the waiting picks, computed from the history and the images only; None if the round is closed."""
    if campaign.round().closed_at is not None:
        return None
    there = active_items(campaign)
    return [pick for pick in campaign.picks() if pick.answer == "waiting" and pick.item in there]


def plain_lease(everything, author, count, now):
    """The rule, by looking at every waiting pick: (images, waiting, with others, when the first returns, lent)."""
    if everything is None:
        return [], 0, 0, None, 0
    waiting = [pick for pick in everything if pick.lease_holder is None or pick.lease_until is not None]
    theirs = [pick for pick in waiting if pick.lease_holder == author]
    others = [
        pick.lease_until for pick in waiting if pick.lease_holder not in {None, author} and pick.lease_until > now
    ]
    free = [
        pick
        for pick in waiting
        if pick.lease_holder is None or (pick.lease_holder != author and pick.lease_until <= now)
    ]
    chosen = sorted((theirs + free)[:count], key=lambda pick: pick.rank)
    lent = len(everything) - len(waiting)
    return [pick.item for pick in chosen], len(everything), len(others), min(others, default=None), lent


class People:
    """Everything that people do, drawn at random."""

    def __init__(self, campaign, clock, tmp_path, seed):
        self.campaign, self.clock, self.folder, self.random = campaign, clock, tmp_path, random.Random(seed)
        self.gone = {}

    def act(self):
        author = self.random.choice(["ann", "bob", "eve"])
        action = self.random.choice([self.lease, self.lease, self.answer, self.undo, self.others, self.others])
        # Nothing to undo, a round that is open, no image left: all say so and change nothing.
        with suppress(CampaignError, BudgetError):
            action(author)

    def lease(self, author):
        count = self.random.randint(1, 6)
        everything = waiting_picks(self.campaign)
        expected = [plain_lease(everything, author, left, self.clock()) for left in range(count + 1)]
        unsure = self.unsure_of_others(author)
        found = self.campaign.lease(author, count)
        second = [pick.item for pick in found.picks if pick.second_opinion]
        assert set(second) <= unsure
        assert len(second) <= max(1, count // 2)
        first = [pick.item for pick in found.picks if not pick.second_opinion]
        left = count - len(second)
        assert (first, found.waiting, found.with_others, found.next_free_at, found.lent) == expected[left]
        assert all(pick.lease_holder == author and pick.lease_until == found.until for pick in found.picks)

    def unsure_of_others(self, author):
        """Ids of the images that are there and whose current answer is another author's "unsure"."""
        with self.campaign.store.reading() as connection:
            there = {row.id for row in connection.execute(items_table.select()) if row.status == "active"}
            current = connection.execute(current_labels(unsure=True)).all()
        rows = [row for row in current if row.class_id is None and row.author != author]
        return there & {row.item_id for row in rows}

    def answer(self, author):
        chosen = self.random.sample(range(1, 13), self.random.randint(1, 3))
        kind = self.random.choice(["label", "skip", "unsure"])
        if kind == "label":
            self.campaign.label(chosen, self.random.choice(["cat", "dog"]), author=author)
        else:
            getattr(self.campaign, kind)(chosen, author=author)

    def undo(self, author):
        self.campaign.undo(author, self.random.choice([None, self.random.randint(1, 12)]))

    def others(self, author):
        kinds = ["time", "time", "release", "file", "round", "close", "import", "accept", "lend", "lend", "recall"]
        what = self.random.choice(kinds)
        if what == "time":
            self.clock.advance(self.random.choice([1, 300, 600]))  # a lease is for 600 seconds
        elif what == "release":
            self.campaign.release(author)
        elif what == "file":
            self.touch_a_file()
        elif what == "round":
            self.campaign.query(self.random.randint(1, 9), "random")
        elif what == "close":
            self.campaign.close_round()
        elif what == "lend":  # the name of a place may be that of a person
            chosen, now = self.random.sample(range(1, 13), 3), self.clock()
            waiting = waiting_picks(self.campaign) or []
            free = {pick.item for pick in waiting if pick.lease_until is None or pick.lease_until <= now}
            expected = len(free & set(chosen))
            assert self.campaign.lend(chosen, self.random.choice(["ann", "elsewhere"])) == expected
        elif what == "recall":
            self.campaign.recall()
        elif what == "accept":
            self.campaign.accept_changed()
        else:
            path = self.random.choice(self.campaign.picks()).path
            (self.folder / "given.csv").write_text(f"path,label\n{path},dog\n")
            self.campaign.import_labels(self.folder / "given.csv")

    def touch_a_file(self):
        how = self.random.choice(["take away", "bring back", "change", "break"])
        if how == "bring back" and self.gone:
            path, content = self.gone.popitem()
            path.write_bytes(content)
        else:
            path = self.random.choice(sorted(self.campaign.images.rglob("*.png")))
            content = path.read_bytes()
            if how == "change":
                random_image(self.random.randrange(100, 10**9)).save(path)
            elif how == "break":
                path.write_bytes(b"no image")
                self.gone[path] = content
            else:
                path.unlink()
                self.gone[path] = content
        self.campaign.refresh()


@pytest.mark.parametrize("seed", range(6))
def test_leases_equal_a_reference_model_in_random_histories(campaign, clock, tmp_path, seed):
    campaign.query(9)
    people = People(campaign, clock, tmp_path, seed)
    for _ in range(60):
        people.act()
        there = active_items(campaign)
        with campaign.store.reading() as connection:
            waits = {(row.round_id, row.item_id): row.waits for row in connection.execute(picks_table.select())}
        for number in range(1, campaign.round().number + 1):
            picked = campaign.picks(number)
            expected = {pick.item for pick in picked if pick.answer == "waiting" and pick.item in there}
            assert expected == {pick.item for pick in picked if waits[number, pick.item]}
            state = campaign.round(number)
            assert (state.waiting, state.picks) == (len(expected), len(picked))
