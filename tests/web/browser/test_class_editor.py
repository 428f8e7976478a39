"""Classes edited on the page, in a browser."""


def test_a_manager_edits_the_classes(ann):
    campaign, person = ann
    page = person.page
    path = person.press("1")  # a disc
    person.saved()
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#classes-edit")
    page.wait_for_selector("#class-editor[open] li >> nth=2")
    assert page.locator("#class-rows").get_by_role("button", name="Delete disc").count() == 0  # it has a label
    page.get_by_label("Name of disc").fill("ring")
    page.get_by_role("button", name="Rename disc").click()
    page.wait_for_selector("#class-said:has-text('disc is now ring')")
    page.fill("#class-new", "star")
    page.keyboard.press("Enter")
    page.wait_for_selector("#class-said:has-text('star is added')")
    merging = page.get_by_label("Merge ring into")
    assert merging.locator("option").count() == 1
    merging.focus()
    assert merging.locator("option").all_inner_texts() == ["Merge into …", "square", "triangle", "star"]
    merging.select_option("square")
    page.wait_for_selector("#class-said:has-text('1 label changed')")
    page.get_by_role("button", name="Delete triangle").click()
    page.wait_for_selector("#class-said:has-text('triangle is deleted')")
    page.keyboard.press("Escape")
    assert campaign.classes == ("square", "star")
    assert campaign.labels()[path] == "square"
    assert page.locator("#classes .class .name").all_inner_texts() == ["square", "star"]
    answered = person.press("2")
    person.saved()
    assert campaign.labels()[answered] == "star"
    assert person.problems == []


def test_an_open_page_follows_a_change_of_the_classes(ann):
    campaign, person = ann
    page = person.page
    campaign.rename_class("disc", "ring")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # reads the status
    page.wait_for_function("() => document.querySelector('#classes .name').textContent === 'ring'")
    path = person.press("1")
    person.saved()
    assert campaign.labels()[path] == "ring"


def test_an_older_answer_does_not_bring_back_former_classes(ann):
    campaign, person = ann
    page = person.page
    held = []
    page.route("**/api/campaign", lambda route: route.continue_() if held else held.append(route))
    read_status = "document.dispatchEvent(new Event('visibilitychange'))"
    has_key = "name => [...document.querySelectorAll('#classes .name')].some(one => one.textContent === name)"
    campaign.rename_class("disc", "ring")
    former = page.request.get(f"{page.url}api/campaign").json()
    with page.expect_request("**/api/campaign"):
        page.evaluate(read_status)
    campaign.rename_class("ring", "circle")
    page.evaluate(read_status)
    page.wait_for_function(has_key, arg="circle")
    with page.expect_response("**/api/campaign"):
        held[0].fulfill(json=former)  # the answer to the first request arrives last
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve))")
    assert page.evaluate(has_key, "circle")
    assert not page.evaluate(has_key, "ring")
    assert person.problems == []
