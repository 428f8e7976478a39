"""Accessibility of the views of many images: axe finds nothing, light and dark, with few and with many classes."""

import pytest

from minimax_al.campaign import Campaign

from ...support.feature_campaigns import class_of, write_clusters  # noqa: TID252 - shared fixtures

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")


@pytest.fixture(scope="module", params=[8, 120], ids="{} classes".format)
def page(modules, tmp_path_factory, request):
    """The page of a trained campaign with a map, an open round, and wrong labels."""
    people, _, session = modules
    classes = tuple(f"a rather long name {number:03d}" for number in range(request.param))
    names = tuple(name.replace(" ", "_") for name in classes)
    place = tmp_path_factory.mktemp("axe")
    images, table = write_clusters(place / "pool", count=4 * len(names), width=24, noise=0.1, classes=names)
    with (
        Campaign.create(place / "herons", images, list(names), features=str(table), near_duplicates="off") as campaign,
        people.served(campaign) as address,
        session.sync_playwright() as playwright,
        people.launch(playwright) as browser,
    ):
        campaign.query(2 * len(names))
        for pick in campaign.picks():
            campaign.label(pick.item, class_of(pick.path), "ann", origin="page")
        campaign.label(campaign.picks()[0].item, class_of(campaign.picks()[1].path), "bob", origin="page")
        campaign.train()
        campaign.query(12)
        person = people.Person(browser.new_context().new_page(), "ann", {}, list(names))
        person.page.set_default_timeout(30_000)
        person.open(address)
        person.page.keyboard.press("Shift+E")
        person.page.click("#map-compute")
        person.page.wait_for_function("() => document.querySelectorAll('#map-legend li').length > 0", timeout=120_000)
        yield person.page
        assert person.problems == []


def violations(page):
    return [
        (found["id"], node["html"][:200])
        for found in axe.Axe().run(page).response["violations"]
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["grid", "confirm", "explore", "review"])
def test_axe_finds_no_violation(page, scheme, view):
    page.emulate_media(color_scheme=scheme)
    page.click(f'.tabs [data-view="{view}"]')
    page.wait_for_selector(f"#{view}-tiles .tile")
    assert violations(page) == []
    if view != "explore":
        return
    page.keyboard.press("Escape")
    page.select_option("#map-colour", "uncertainty")
    page.focus("#map")
    for key in ("ArrowLeft", *["]"] * 12, "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#explore-title:has-text('selected on the map')")
    assert violations(page) == []
    page.select_option("#map-colour", "label")
    page.click("#explore-clear")


@pytest.mark.parametrize("view", ["grid", "confirm", "explore", "review"])
def test_nothing_sticks_out_of_a_phone(page, view):
    page.set_viewport_size({"width": 360, "height": 740})
    page.click(f'.tabs [data-view="{view}"]')
    page.wait_for_selector(f"#{view}-tiles .tile")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})
