"""Page without a server, without a network, and with images that fail to load."""

import re

import pytest

FILES = re.compile(r"/(images|thumbnails)/\d+$")


def test_an_image_that_fails_is_requested_again_by_itself(ann):
    _, person = ann
    page = person.page
    page.clock.install()
    page.route(FILES, lambda route: route.abort())
    page.reload()
    page.wait_for_selector(".stage-message:not([hidden])")
    path = page.get_attribute("#file", "title")
    page.unroute(FILES)
    page.clock.run_for(2_500)
    assert person.image() == path
    assert page.is_hidden(".stage-message")


def test_failed_images_and_answers_are_sent_at_once_when_the_network_returns(ann):
    campaign, person = ann
    page = person.page
    page.clock.install()
    page.reload()
    path = person.image()
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.wait_for_selector("#save-state[data-stage=offline]")
    page.clock.run_for(60_000)  # many tries, with ever longer pauses
    page.context.set_offline(False)  # the clock of the page stands still: no pause ends
    person.saved()
    assert campaign.labels()[path] == person.classes[0]
    page.wait_for_selector("#stage .image.loaded")


def test_all_saved_is_not_shown_while_the_server_is_down(ann, stoppable):
    _, person = ann
    page = person.page
    page.clock.install()
    page.goto(stoppable.address)
    page.wait_for_selector("#save-state[data-stage=saved]")
    stoppable.stop()
    page.clock.run_for(8_000)
    page.wait_for_selector("#save-state[data-stage=offline]")
    assert page.inner_text("#save-words") == "No connection"
    assert "cannot be reached" in page.inner_text("#trouble")


@pytest.mark.parametrize("key", ["1", "u", "s"])
def test_a_key_pressed_twice_answers_one_image(ann, key):
    campaign, person = ann
    page, path = person.page, person.image()
    page.evaluate(
        """(key) => { for (let press = 0; press < 3; press += 1)
             document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }""",
        key,
    )
    page.wait_for_function("path => document.getElementById('file').title !== path", arg=path)
    person.saved()
    assert [pick.path for pick in campaign.picks() if pick.answer != "waiting"] == [path]
    person.press("1")  # the next one can be answered once it was on the screen
    person.saved()
    assert sum(pick.answer != "waiting" for pick in campaign.picks()) == 2


def test_a_key_pressed_twice_in_the_grid_answers_one_image(ann):
    campaign, person = ann
    page = person.page
    page.keyboard.press("g")
    person.shows("grid")
    page.locator("#grid-tiles .tile").first.focus()
    page.evaluate(
        """() => { for (let press = 0; press < 3; press += 1)
             document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true })); }"""
    )
    page.wait_for_selector("#said:has-text('saved')")
    person.saved()
    assert sum(pick.answer != "waiting" for pick in campaign.picks()) == 1


def test_two_pages_of_one_name_in_one_browser_show_different_images(ann, modules):
    people, _, _ = modules
    _, person = ann
    other = people.Person(person.page.context.new_page(), "ann", person.truth, person.classes)
    other.open(person.page.url)
    assert other.image() != person.image()


def test_newcomers_get_images_soon_after_a_browser_ended(ann):
    campaign, person = ann
    person.image()
    held = [pick for pick in campaign.picks() if pick.lease_holder == "ann"]
    assert held
    assert all((pick.lease_until - pick.lease_from).total_seconds() <= 30 for pick in held)
    assert campaign.lease("bob", 6).picks, "a newcomer gets some of six images while another annotator works"


def test_a_cold_page_needs_few_requests_and_a_warm_one_no_script(ann):
    _, person = ann
    page = person.page
    asked = []

    def hear(request):
        asked.append(request)

    page.on("request", hear)
    page.reload()
    person.image()
    data = ("images/", "thumbnails/", "api/")
    assert all(request.url.startswith(page.url) for request in asked), "no request to a third party"
    assert sum(not request.url[len(page.url) :].startswith(data) for request in asked) <= 4
    cached = page.evaluate(
        "() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/')).map("
        "({ transferSize }) => transferSize)"
    )
    assert cached
    assert not any(cached)


def test_long_messages_are_readable_whole(ann, modules):
    page = ann[1].page
    ann[1].image()
    for scheme in ("light", "dark"):
        for width, height in ((390, 760), (1280, 800)):
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            assert modules[1].cut_off_messages(page) == [], (width, scheme)


def test_a_refused_answer_and_a_lost_connection_are_announced_once(ann):
    _, person = ann
    page = person.page
    person.image()
    page.evaluate(
        """() => {
          globalThis.heard = [];
          for (const region of document.querySelectorAll("[role=status], [role=alert]"))
            new MutationObserver(() => region.textContent.trim() && globalThis.heard.push(region.textContent))
              .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    refusal = {"status": 400, "json": {"error": "unknown class 'cat'"}}
    page.route("**/api/label", lambda route: route.fulfill(**refusal))
    page.keyboard.press("1")
    page.wait_for_selector("#said:has-text('Not saved: Unknown class')")
    page.unroute("**/api/label")
    page.route("**/api/**", lambda route: route.abort())
    person.press("2")
    page.wait_for_selector("#trouble:not([hidden])")
    person.press("2")
    page.wait_for_selector("#trouble-kept:has-text('3 answers are kept')")
    heard = page.evaluate("() => globalThis.heard")
    for words in ("unknown class 'cat'", "cannot be reached"):
        assert sum(words.lower() in text.lower() for text in heard) == 1, heard
