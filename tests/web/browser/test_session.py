import importlib
import itertools
from pathlib import Path

import pytest

from minimax_al.campaign import Campaign

pytest.importorskip("playwright", reason="Playwright's Python package is not installed")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    """The scripts beside this file: they import one another by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        people = importlib.import_module("people")
        if people.find_chromium() is None:
            pytest.skip("no Chromium or Chrome is installed")
        yield people, importlib.import_module("shown"), importlib.import_module("session")


def test_two_people_label_train_look_over_and_export(modules, tmp_path):
    _, shown, session = modules
    # What is trained is the campaign's to test; here the second round is drawn, in a process that loads no torch.
    truth = shown.draw_pictures(tmp_path / "pictures", each=10)
    figures = session.run(tmp_path, truth, budget=20, shots=None, train=False, strategy="random")
    assert figures["labels"] >= 20


@pytest.fixture(scope="module")
def page(modules, tmp_path_factory):
    """A page that has loaded nothing but can import the page's modules."""
    people, shown, session = modules
    place = tmp_path_factory.mktemp("modules")
    shown.draw_pictures(place / "pictures", each=2)
    with (
        Campaign.create(place / "campaign", place / "pictures", ["disc", "square"]) as campaign,
        people.served(campaign) as address,
        session.sync_playwright() as playwright,
        people.launch(playwright) as browser,
    ):
        page = browser.new_page()
        page.goto(f"{address}static/icon.svg")
        yield page


OUTBOX = """async ([fates]) => {
  const { Outbox } = await import('/static/outbox.js');
  const { ApiError } = await import('/static/api.js');
  const sent = [], kept = [];
  const send = async ({ items }) => {
    const status = fates.shift() ?? 200;
    sent.push([items[0], status]);
    if (status !== 200) throw new ApiError('no', status);
    return {};
  };
  const save = (entries) => kept.push(entries.map(({ items }) => items[0]));
  const box = new Outbox({ send, save, onChange() {}, onSaved() {} });
  for (const item of [1, 2, 3]) box.add({ kind: 'label', items: [item], className: 'disc' });
  const until = async (test) => { while (!test()) await new Promise((resolve) => setTimeout(resolve, 5)); };
  await until(() => box.entries.every(({ refused }) => refused !== null) && box.sending === null);
  return { sent, kept, left: box.entries.map(({ items }) => items[0]), first: kept[0] };
}"""


def test_answers_are_kept_before_they_are_sent_and_arrive_in_order_after_a_lost_network(page):
    told = page.evaluate(OUTBOX, [[200, 0]])
    assert told["first"] == [1]
    assert told["sent"] == [[1, 200], [2, 0], [2, 200], [3, 200]]
    assert told["left"] == []
    assert told["kept"][-1] == []


def test_a_refused_answer_stays_and_lets_the_others_pass(page):
    told = page.evaluate(OUTBOX, [[400]])
    assert told["sent"] == [[1, 400], [2, 200], [3, 200]]
    assert told["left"] == told["kept"][-1] == [1]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.31, 0.78), (0, 104), (0, 12_345), (0.91, 0.93)])
def test_ticks_are_round_numbers_within_the_span(page, low, high):
    ticks = page.evaluate("async ([low, high]) => (await import('/static/curve.js')).ticks(low, high, 5)", [low, high])
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)
    steps = {round(after - before, 9) for before, after in itertools.pairwise(ticks)}
    assert len(steps) == 1
    mantissa = f"{steps.pop():e}"[:4]
    assert mantissa in {"1.00", "2.00", "5.00"}


def test_no_key_means_two_things(page):
    keys = page.evaluate("async () => (await import('/static/keys.js')).CLASS_KEYS")
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("fghlosuz")
