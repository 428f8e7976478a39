import itertools
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from minimax_al.campaign import Campaign

pytest.importorskip("playwright", reason="Playwright's Python package is not installed")


def test_two_annotators_label_train_review_and_export(modules, browser, tmp_path):
    _, shown, session = modules
    # What is trained is the campaign's to test; here the second round is drawn, in a process that loads no torch.
    truth = shown.draw_images(tmp_path / "images", each=8)
    figures = session.run(tmp_path, truth, 12, browser, shots=None, train=False, strategy="random")
    assert figures["labels"] >= 12


def test_a_frozen_page_does_not_overwrite_later_answers(ann):
    campaign, person = ann
    page, path = person.page, person.image()
    debugger = page.context.new_cdp_session(page)
    debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
    campaign.label(path, "square", author="bob")
    debugger.send("Page.setWebLifecycleState", {"state": "active"})
    person.press("1")  # a disc
    page.wait_for_selector("text=had been answered before")
    person.saved()
    assert campaign.pick(path).class_name == "square"
    person.label(1)
    person.saved()
    page.keyboard.press("z")
    page.wait_for_selector("text=Undone")
    assert campaign.pick(path).class_name == "square"
    assert person.problems == []


def test_a_queued_undo_of_a_rejected_answer_is_dropped(ann):
    campaign, person = ann
    page, path = person.page, person.image()
    page.context.set_offline(True)
    person.press("1")
    page.keyboard.press("z")
    page.wait_for_function("path => document.getElementById('file').title === path", arg=path)
    campaign.label(path, "square", author="bob")
    page.context.set_offline(False)
    page.wait_for_selector("text=had been answered before")
    person.saved()
    page.wait_for_selector("#lapsed:not([hidden])")  # what is on the screen stays, and says so
    assert campaign.pick(path).class_name == "square"
    assert page.locator("#warnings > *").count() == 0


def test_recalled_images_are_shown_on_the_page(ann):
    campaign, person = ann
    page, address = person.page, person.page.url
    page.goto("about:blank")  # a page that is open leases again what it loses
    campaign.release("ann")
    assert campaign.lend([pick.path for pick in campaign.picks()], "Label Studio, project 1") == 6
    page.goto(address)
    person.shows("others")
    assert "6 images of this round were sent to Label Studio" in page.inner_text("#lent")
    assert page.is_hidden("#others-text")
    page.click("#recall")
    person.shows("single")
    assert person.image() in {pick.path for pick in campaign.picks()}


def test_one_name_in_two_browsers_shows_different_images(ann, modules):
    people, _, _ = modules
    campaign, person = ann
    context = person.page.context.browser.new_context()
    other = people.Person(context.new_page(), "ann", person.truth, person.classes)
    other.open(person.page.url)
    assert other.image() != person.image()
    person.label(2)
    person.page.close()
    other.label(2)
    other.saved()
    assert not set(person.seen) & set(other.seen)
    assert len(campaign.labels()) == 4
    assert campaign.labels().keys() == {*person.seen, *other.seen}


def test_leases_of_a_crashed_browser_expire_soon(ann):
    campaign, person = ann
    now = campaign.lease_clock()
    campaign.lease_clock = lambda: now
    person.page.reload()
    person.shows("single")
    assert len(campaign.lease("bob", 6).picks) == 3  # ann has the others
    person.page.context.set_offline(True)
    person.page.close()
    now += timedelta(seconds=31)  # of the ten minutes for which an image is kept for a program
    assert len(campaign.lease("bob", 6).picks) == 6


def test_a_mask_file_named_after_another_image_needs_confirmation(modules, browser, tmp_path):
    people, shown, _ = modules
    shown.draw_images(tmp_path / "images", each=2)
    classes = ["ground", "thing", "sky"]
    with (
        Campaign.create(tmp_path / "campaign", tmp_path / "images", classes, "segmentation") as campaign,
        people.served(campaign) as address,
        closing(browser.new_page()) as page,
    ):
        person = people.Person(page, "ann", {}, classes)
        person.open(address)
        assert "a mask for each image" in page.inner_text(".steps")
        assert "key" not in page.inner_text(".steps")
        campaign.query(4)
        page.reload()
        path = person.image()
        page.wait_for_selector("#draw-save:enabled")
        palette = page.locator("#palette button").all_inner_texts()
        assert [entry.split()[:2] for entry in palette] == [
            ["0", "void"],
            ["1", "ground"],
            ["2", "thing"],
            ["3", "sky"],
        ]
        other = next(pick.path for pick in campaign.picks() if Path(pick.path).stem != Path(path).stem)
        with Image.open(campaign.images / path) as image:
            mask = Image.new("L", image.size, 1)
        mask.save(tmp_path / f"{Path(other).stem}.png")
        page.set_input_files("#mask-file", tmp_path / f"{Path(other).stem}.png")
        page.wait_for_selector(f"text=is named after the image '{other}', and this is '{path}'")
        assert campaign.labels() == {}
        page.click("text=Save it here")
        page.wait_for_selector(f"text=saved as the mask of {Path(path).name}")
        assert list(campaign.labels()) == [path]
        assert page.locator("#warnings > *").count() == 0
        assert all("409" in problem for problem in person.problems)


@pytest.fixture(scope="module")
def page(modules, browser, tmp_path_factory):
    """A page that has loaded nothing but can import the page's modules."""
    people, shown, _ = modules
    place = tmp_path_factory.mktemp("modules")
    shown.draw_images(place / "images", each=2)
    with (
        Campaign.create(place / "campaign", place / "images", ["disc", "square"], recipe="scratch") as campaign,
        people.served(campaign) as address,
        closing(browser.new_page()) as page,
    ):
        page.goto(f"{address}static/base.css")
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


def test_answers_are_stored_before_sending_and_sent_in_order_after_an_outage(page):
    told = page.evaluate(OUTBOX, [[200, 0]])
    assert told["first"] == [1]
    assert told["sent"] == [[1, 200], [2, 0], [2, 200], [3, 200]]
    assert told["left"] == []
    assert told["kept"][-1] == []


def test_a_refused_answer_does_not_block_later_ones(page):
    told = page.evaluate(OUTBOX, [[400]])
    assert told["sent"] == [[1, 400], [2, 200], [3, 200]]
    assert told["left"] == told["kept"][-1] == [1]


TABS = """async () => {
  const { Tabs } = await import('/static/tabs.js');
  const { recallNames } = await import('/static/state.js');
  const closed = new Tabs('herons', 'ann'), others = new Tabs('herons', 'ann/bob');
  for (const [tabs, item] of [[closed, 1], [others, 2]]) {
    tabs.save([{ id: 'x', kind: 'label', items: [item] }]);
    tabs.leave();
  }
  const left = new Tabs('herons', 'ann');
  const asked = left.orphans();
  left.leave();
  const nobodys = await asked, kept = recallNames('herons/unsent/ann/').length;
  const here = new Tabs('herons', 'ann'), found = await here.orphans();
  here.leave();
  return { nobodys, kept, found: found.map(({ items }) => items[0]) };
}"""


def test_unsent_answers_of_a_closed_page_are_adopted_by_the_same_author_only(page):
    assert page.evaluate(TABS) == {"nobodys": [], "kept": 2, "found": [1]}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.31, 0.78), (0, 104), (0, 12_345), (0.91, 0.93)])
def test_ticks_are_round_numbers_within_the_span(page, low, high):
    ticks = page.evaluate("async ([low, high]) => (await import('/static/curve.js')).ticks(low, high, 5)", [low, high])
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)
    steps = {round(after - before, 9) for before, after in itertools.pairwise(ticks)}
    assert len(steps) == 1
    mantissa = f"{steps.pop():e}"[:4]
    assert mantissa in {"1.00", "2.00", "5.00"}


def test_keys_are_unique(page):
    keys = page.evaluate("async () => (await import('/static/keys.js')).CLASS_KEYS")
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("fghlosuz")


MOVING = """async ([width, height]) => {
  const { PointMap } = await import('/static/pointmap.js');
  const canvas = document.createElement('canvas');
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  document.body.replaceChildren(canvas);
  const map = new PointMap(canvas);
  map.setPoints(Int32Array.of(7, 9), Float32Array.of(-0.5, 0.5, 0.25, -0.25));
  map.setColours(Uint8Array.of(255, 0, 0, 255, 0, 255, 0, 255));
  map.zoom(1);
  map.paint();
  const moving = [canvas.width, canvas.height], most = map.painter.most;
  const point = map.toCanvas([-0.5, 0.5]), found = map.nearest(point);
  while (canvas.width !== width) await new Promise(requestAnimationFrame);
  return { moving, most, found, resting: [canvas.width, canvas.height] };
}"""


@pytest.mark.parametrize("size", [(300, 200), (2000, 1400)])
def test_the_map_has_fewer_pixels_while_it_moves_and_all_at_rest(page, size):
    told = page.evaluate(MOVING, size)
    width, height = told["moving"]
    assert told["resting"] == list(size)
    assert told["found"] == 0
    assert width / height == pytest.approx(size[0] / size[1], rel=0.01)
    if told["most"] is None:  # a graphics card draws every pixel
        assert told["moving"] == list(size)
    else:
        assert width * height == pytest.approx(min(told["most"], size[0] * size[1]), rel=0.01)
