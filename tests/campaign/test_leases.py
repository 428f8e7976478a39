from concurrent.futures import ThreadPoolExecutor

from minimax_al.campaign import Campaign


def items(lease):
    return [pick.item for pick in lease.picks]


def test_a_picture_is_never_kept_for_two(campaign):
    campaign.query(6)
    ann, bob, eve = (campaign.lease(author, 4) for author in ("ann", "bob", "eve"))
    assert [len(lease.picks) for lease in (ann, bob, eve)] == [4, 2, 0]
    assert not set(items(ann)) & set(items(bob))
    # An empty hand is no empty queue: it says how many are with others, and until when.
    assert (eve.waiting, eve.with_others, eve.next_free_at) == (6, 6, ann.until)


def test_loading_again_gives_the_same_pictures_for_longer(campaign, clock):
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


def test_an_answer_ends_the_lease_and_an_undo_gives_it_back(campaign):
    campaign.query(1)
    (pick,) = campaign.lease("ann").picks
    assert (pick.lease_holder, pick.answer) == ("ann", "waiting")
    campaign.label(pick.item, "cat", author="ann")
    assert campaign.picks()[0].lease_holder is None
    assert campaign.lease("ann").picks == ()
    campaign.undo("ann")
    assert items(campaign.lease("bob")) == [pick.item]


def test_released_pictures_are_free_at_once(campaign):
    campaign.query(3)
    campaign.lease("ann", 3)
    assert campaign.release("ann") == 3
    assert len(campaign.lease("bob", 3).picks) == 3


def test_without_a_round_there_is_nothing_to_lease(campaign):
    assert campaign.lease("ann", 3).picks == ()
    campaign.query(2)
    campaign.close_round()
    assert campaign.lease("ann", 3).waiting == 0


def test_twenty_people_at_once_answer_every_picture_once(make_campaign, storage, clock):
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
