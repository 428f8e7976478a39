"""Script and styles of the page: names that follow from the content, compression, caching, and the bundle."""

import gzip
import re

import pytest

from minimax_al.web.assets import STATIC, page_assets
from minimax_al.web.bundle import bundle_modules


def addresses(client):
    page = client.get("/").text
    return re.findall(r'(?:src|href)="(assets/[^"]+)"', page)


def test_the_page_loads_one_script_and_one_style_sheet(onlooker):
    found = addresses(onlooker)
    assert sorted(path.rpartition("/")[2] for path in found) == ["icon.svg", "page.css", "page.js"]
    assert "static/" not in onlooker.get("/").text


def test_files_are_kept_by_browsers_for_ever_and_compressed(onlooker):
    for path in addresses(onlooker):
        answer = onlooker.get(f"/{path}", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        plain = onlooker.get(f"/{path}", headers={"Accept-Encoding": "br, gzip;q=0"})
        assert "Content-Encoding" not in plain.headers
        assert plain.content == answer.content
        assert onlooker.get(f"/{path.replace('/page', '/other')}x").status_code == 404
    script = page_assets()["script"]
    assert gzip.decompress(script.compressed) == script.content
    assert sum(len(asset.compressed) for asset in page_assets().values()) < 100_000


def test_answers_with_data_of_the_campaign_are_not_compressed(onlooker):
    for path in ("/", "/api/campaign", "/api/status", "/api/picks"):
        answer = onlooker.get(path, headers={"Accept-Encoding": "gzip, br"})
        assert "Content-Encoding" not in answer.headers, path
        assert answer.headers["Cache-Control"] == "private, no-cache"


def test_another_content_has_another_name(tmp_path, monkeypatch):
    before = page_assets()["styles"].path
    for file in STATIC.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "base.css").write_text("body { color: red; }")
    monkeypatch.setattr("minimax_al.web.assets.STATIC", tmp_path)
    page_assets.cache_clear()
    try:
        assert page_assets()["styles"].path != before
    finally:
        page_assets.cache_clear()


def test_every_module_of_the_page_is_in_the_bundle():
    bundle = bundle_modules(STATIC / "main.js")
    found = set(re.findall(r"^const m\d+ = \(\(\) => \{ // (\w+\.js)$", bundle, re.MULTILINE))
    assert found == {file.name for file in STATIC.glob("*.js")}
    assert not re.search(r"^(import|export)\b", bundle, re.MULTILINE)


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        ({"main.js": 'import { a } from "./a.js";\n', "a.js": 'import { b } from "./main.js";\n'}, "in a circle"),
        ({"main.js": "export default 1;\n"}, "'export default 1;' is in a form that cannot be bundled"),
        ({"main.js": 'import "./a.js";\n', "a.js": ""}, "cannot be bundled"),
    ],
)
def test_modules_that_cannot_be_bundled_are_errors(tmp_path, modules, sentence):
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        bundle_modules(tmp_path / "main.js")
