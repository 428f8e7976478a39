"""Accessibility of all views: axe finds nothing, light and dark, with 8 and with 120 classes, and on a phone.

One page goes through all views; the campaign has a model, a map, wrong labels, conflicts, instructions and a learner.
"""

import re
import sys
from contextlib import closing

import numpy as np
import pytest

from minimax_al.campaign import Campaign
from minimax_al.campaign.classes.classes import class_ids
from minimax_al.campaign.progress.pool_predictions import Likeliest, write_pool_predictions
from minimax_al.campaign.progress.runs import run_folder
from minimax_al.campaign.rounds.live_state import LastAnswers, LiveOptions, write_live_state
from minimax_al.campaign.store.schema import runs
from minimax_al.exploring.projection import PoolMap, write_map
from minimax_al.live.batches import update_suggestions
from minimax_al.web.learner import Learner

from ...support.feature_campaigns import write_clusters  # noqa: TID252 - shared fixtures

base = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")

FEW, MANY = 8, 120
CLASSES = [f"a rather long name {number:03d}" for number in range(MANY)]
COUNT = 32
TEXT = "# Herons\n\nSee **both** `pages`, and [the guide](https://example.org).\n\n| class |\n|---|\n| a |\n\n"
STUB = """
import os, sys
sys.stdin.readline()
print('{"state": "learning"}', flush=True)
os.read(0, 1)
"""
LAST_SELECTED = "() => document.getElementById('map-said').textContent.endsWith('selected')"
WALLS = "() => document.documentElement.scrollWidth <= innerWidth"
SIDEWAYS = """() => [...document.querySelectorAll('main > :not([hidden]) .tile')].flatMap((tile) =>
  [...tile.querySelectorAll('.tile-words > *')].filter((words) =>
    words.getBoundingClientRect().right > tile.getBoundingClientRect().right + 1).map((words) => words.textContent))"""
AXE = """async ([selector, options]) => {
  const { violations } = await axe.run(selector === null ? document : document.querySelector(selector), options);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html.slice(0, 200)]));
}"""
ONLY_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
ALL_RULES = {"resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def site(modules, browser, tmp_path_factory):
    """A campaign of eight classes with everything that a view can show, its address, and Ann at its page."""
    people, _, _ = modules
    place = tmp_path_factory.mktemp("axe")
    images, table = write_clusters(place / "pool", count=COUNT, width=FEW)
    with Campaign.create(
        place / "herons", images, CLASSES[:FEW], features=str(table), near_duplicates="off", overlap=1.0, team_page=True
    ) as campaign:
        fill(campaign)
        learner = Learner(campaign, LiveOptions(), (sys.executable, "-c", STUB))
        with (
            people.served(campaign, learner=learner) as address,
            closing(browser.new_context(viewport={"width": 1280, "height": 800})) as context,
        ):
            person = people.Person(context.new_page(), "ann", {}, CLASSES)
            person.page.set_default_timeout(20_000)
            person.open(address)
            person.page.evaluate(base.AXE_SCRIPT)
            yield campaign, person, address
            assert person.problems == []


def fill(campaign):
    """Give a campaign two annotators' answers, conflicts, a model that contradicts labels, a map, a live state."""
    campaign.query(24)
    items = np.array([pick.item for pick in campaign.picks()])
    campaign.label(items[:12].tolist(), CLASSES[0], "bob", if_waiting=True, origin="page")
    campaign.label(items[:3].tolist(), CLASSES[1], "carl", if_waiting=True, origin="page")
    campaign.label(items[3:12].tolist(), CLASSES[0], "carl", if_waiting=True, origin="page")
    every = np.arange(1, COUNT + 1)
    values = {"state": "done", "strategy": "random", "fingerprint": "x", "labels": 12, "held_out": 0}
    metrics = {"accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 0.9}
    with campaign.store.writing() as connection:
        ids = np.array(list(class_ids(connection).values()))
        now = campaign.now()
        insert = runs.insert().values(started_at=now, finished_at=now, metrics=metrics, **values)
        run = connection.execute(insert.returning(runs.c.id)).scalar_one()
        write_live_state(connection, labels=12, measured=12, last_answers=LastAnswers(10, 0.5, 0.75))
        update_suggestions(connection, {item: (int(ids[0]), 0.5) for item in items.tolist()})
    order = (every[:, None] % 2 + np.arange(5)) % FEW
    shares = np.tile(np.array([0.5, 0.2, 0.1, 0.1, 0.05], dtype=np.float32), (COUNT, 1))
    folder = run_folder(campaign.folder, run)
    folder.mkdir(parents=True)
    uncertain = np.linspace(0, 1, COUNT, dtype=np.float32)
    write_pool_predictions(folder, every, Likeliest(order, shares, uncertain), ids, np.zeros(COUNT, dtype=bool))
    points = np.random.default_rng(0).uniform(-1, 1, (COUNT, 2)).astype(np.float32)
    write_map(campaign.folder, "pca", PoolMap(every, points, "features"))
    (campaign.folder / "instructions").mkdir()
    (campaign.folder / "instructions" / "instructions.md").write_text(TEXT)


@pytest.fixture(scope="module", params=[FEW, MANY], ids="{} classes".format)
def page(site, request):
    """The page of the campaign with 8 classes, and the same page after 112 more have been added."""
    campaign, person, _ = site
    if request.param > len(campaign.classes):
        campaign.add_classes(CLASSES[FEW:])
        person.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # reads the status
    person.page.wait_for_function(
        "number => document.querySelectorAll('#classes .class').length === number", arg=request.param
    )
    return person.page


def violations(page, selector=None):
    """Return what axe finds: by all rules in light colours, by those about colours in dark ones."""
    found = []
    for scheme, rules in (("light", ALL_RULES), ("dark", ONLY_COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [(scheme, *one) for one in page.evaluate(AXE, [selector, rules])]
    return found


def show(page, view):
    page.click(f'.tabs [data-view="{view}"]')
    page.wait_for_selector(f"main > [data-phase={view}]:not([hidden])")


def test_the_page_around_an_image(page):
    show(page, "single")
    page.wait_for_selector("#stage.ready .image.loaded")
    page.wait_for_selector("#suggestion:not([hidden])")
    page.wait_for_selector("#live-last:not([hidden])")
    assert page.text_content("#top-done") == "12 labelled"
    assert "held out" not in page.inner_text("#panel")  # on features no label is
    assert page.is_hidden("#train-why")
    assert violations(page) == []  # header, panel and answers, too


@pytest.mark.parametrize("view", ["grid", "confirm", "explore", "review", "conflicts"])
def test_views_of_many_images(page, view):
    show(page, view)
    page.locator(f"#{'conflict' if view == 'conflicts' else view}-tiles .tile").first.click()
    assert violations(page, "main") == []
    assert page.evaluate(SIDEWAYS) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(WALLS)
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(AXE, ["main", {**ALL_RULES, "runOnly": ["target-size", "color-contrast"]}]) == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.press("Escape")


def test_the_map_a_selection_on_it_and_similar_images(page):
    show(page, "explore")
    page.wait_for_function("() => document.querySelectorAll('#map-legend li').length > 0")
    page.focus("#map")
    for key in ("ArrowLeft", *["]"] * 12, "Enter"):
        page.keyboard.press(key)
    page.wait_for_function(LAST_SELECTED)
    colours = ("predicted", "uncertainty", "picked", "label")
    for colour in colours if page.locator("#classes .class").count() == FEW else colours[:1]:
        page.select_option("#map-colour", colour)
        assert violations(page, ".map-pane") == []
    page.locator("#explore-tiles .tile").first.click()
    page.click("#explore-like")
    page.wait_for_selector("text=/most similar to/")
    assert violations(page, ".explore") == []
    page.click("#explore-clear")


DIALOGS = {
    "help": "#help-open",
    "unsent": "#save-state",
    "author": "#author-open",
    "instructions": "#instructions-open",
    "class-editor": "#classes-edit",
}


@pytest.mark.parametrize("name", DIALOGS)
def test_dialogs(page, name):
    show(page, "single")
    page.click(DIALOGS[name])
    page.wait_for_selector(f"#{name}[open]")
    if name == "class-editor":
        page.wait_for_selector("#class-rows li >> nth=7")
    assert violations(page, f"#{name}") == []
    page.keyboard.press("Escape")
    page.wait_for_selector(f"#{name}:not([open])", state="attached")


def test_the_large_image(page):
    show(page, "grid")
    page.locator("#grid-tiles .tile").first.focus()
    page.keyboard.press("o")
    page.wait_for_selector("#large[open]")
    assert violations(page, "#large") == []
    page.keyboard.press("Escape")


@pytest.mark.parametrize("page", [FEW], indirect=True)
def test_states_without_an_image(page):
    show(page, "single")
    page.evaluate("document.getElementById('wait-title').textContent = 'Training'")
    for state in ("loading", "sending", "start", "job", "live", "others", "done"):
        page.evaluate(
            "state => document.querySelectorAll('main > [data-phase]').forEach((one) => {"
            " one.hidden = one.dataset.phase !== state; })",
            state,
        )
        assert violations(page, f"[data-phase={state}]") == [], state
    page.evaluate("delete document.body.dataset.live")  # the panel of a page that works in rounds
    assert violations(page, "#panel") == []
    page.evaluate("document.body.dataset.live = ''")
    show(page, "grid")


def test_the_page_of_the_team(site):
    campaign, person, address = site
    with closing(person.page.context.new_page()) as page:
        page.set_viewport_size({"width": 375, "height": 700})
        page.goto(f"{address}team")
        assert re.search(r"9 of 12 images have the same label", page.inner_text("main"))
        assert campaign.count_conflicts() == 3
        page.evaluate(base.AXE_SCRIPT)
        assert violations(page) == []
        assert page.evaluate(WALLS)
