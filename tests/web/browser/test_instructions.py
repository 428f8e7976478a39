"""Instructions in a browser: a dialog that opens, scrolls and closes by keys."""

from PIL import Image

TEXT = """# Shapes

Label the **shape in front**; see [the guide](https://example.org).

| class | note |
|---|---|
| disc | round |
| square | four `equal` sides |

1. Look at the outline.
2. Press the key of its class.

![a disc](<grey disc.png>)

"""


def test_the_dialog_shows_images_scrolls_and_closes_by_escape(ann):
    campaign, person = ann
    page = person.page
    folder = campaign.folder / "instructions"
    folder.mkdir()
    (folder / "instructions.md").write_text(TEXT + "Another line of the text.\n\n" * 40)
    Image.new("RGB", (300, 200), "grey").save(folder / "grey disc.png")
    page.reload()
    page.click("#instructions-open")
    page.wait_for_selector("#instructions[open]")
    page.wait_for_function("() => document.querySelector('#instructions img').naturalWidth === 300")
    box = page.locator("#instructions .instructions")
    assert box.evaluate("one => one.scrollHeight > one.clientHeight")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("1")  # belongs to the dialog: no image is answered
    page.keyboard.press("Escape")
    page.wait_for_selector("#instructions:not([open])", state="attached")
    assert campaign.status().labelled == 0
    assert person.problems == []
