"""Instructions for annotators: Markdown that cannot harm the page."""

import pytest
from PIL import Image

TEXT = """# Herons

Label the **bird in front**. <script>alert(1)</script> [a page](https://example.org) [harm](javascript:alert(1))

## Egret

![an egret](egret 1.png) ![elsewhere](https://evil.example/x.png) ![above](../images/0.png)
![data](data:image/png;base64,AA)
"""


@pytest.fixture
def page(campaign, make_client):
    folder = campaign.folder / "instructions"
    folder.mkdir()
    (folder / "instructions.md").write_text(TEXT.replace("egret 1.png", "egret-1.png"))
    Image.new("RGB", (8, 8), "white").save(folder / "egret-1.png")
    (folder / "secret.txt").write_text("no image")
    return make_client(campaign)


def test_the_text_is_shown_without_anything_that_runs(page):
    html = page.get("/").text
    assert "<strong>bird in front</strong>" in html
    assert "<h4>Egret</h4>" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html
    assert 'href="javascript' not in html
    assert 'src="instructions/egret-1.png"' in html
    assert 'evil.example/x.png"' not in html
    assert "../images" not in html.replace("above", "")
    assert 'src="data:' not in html


def test_images_come_from_the_folder_alone(page):
    assert page.get("/instructions/egret-1.png").headers["Content-Type"] == "image/png"
    assert page.get("/instructions/other.png").status_code == 404
    for name in ("secret.txt", "..%2Fcampaign.db", ".png", "a%2Fb.png"):
        assert page.get(f"/instructions/{name}").status_code in (404, 422), name


def test_without_a_text_there_is_no_button(onlooker):
    assert "instructions-open" not in onlooker.get("/").text


def test_names_of_images_may_have_spaces_and_letters_beyond_ascii(campaign, make_client):
    folder = campaign.folder / "instructions"
    folder.mkdir()
    (folder / "instructions.md").write_text("![one](<grey heron.png>) ![two](Möwe.png)", encoding="utf-8")
    for name in ("grey heron.png", "Möwe.png"):
        Image.new("RGB", (8, 8), "white").save(folder / name)
    client = make_client(campaign)
    html = client.get("/").text
    for address in ("instructions/grey%20heron.png", "instructions/M%C3%B6we.png"):
        assert f'src="{address}"' in html
        assert client.get(f"/{address}").status_code == 200
