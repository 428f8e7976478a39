"""Limits of bodies in size and time, and of concurrent uploads."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from minimax_al.web import create_app
from minimax_al.web.bodies import BODY, UPLOAD, UPLOADS_AT_ONCE, BodyLimit, Limit

from .exchange import Exchange


def in_pieces(size):
    """Yield a body without a declared length."""
    for _ in range(size // 65536 + 1):
        yield b" " * 65536


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/label", BODY.size),
        ("POST", "/api/import?filename=a.csv", UPLOAD.size),
        ("PUT", "/api/masks/1?author=ann", UPLOAD.size),
    ],
)
def test_bodies_over_the_limit_are_refused_with_or_without_content_length(onlooker, method, path, limit, monkeypatch):
    json_type = {"Content-Type": "application/json"}
    said = onlooker.request(method, path, content=b"{}", headers={**json_type, "Content-Length": str(limit + 1)})
    assert said.status_code == 413
    silent = onlooker.request(method, path, content=in_pieces(limit), headers=json_type)
    assert silent.status_code == 413
    assert f"{limit:,} bytes" in silent.json()["error"]


def test_a_body_within_the_limit_is_accepted(onlooker):
    body = b" " * (BODY.size - 17) + b'{"author": "ann"}'
    answer = onlooker.post("/api/release", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


IMPORT = "/api/import?filename=labels.csv"


@pytest.mark.parametrize("path", ["/api/label", IMPORT])
def test_a_stalled_body_times_out(campaign, path):
    app = BodyLimit(
        create_app(campaign), uploads=["/api/import"], usual=Limit(BODY.size, 0.01), upload=Limit(BODY.size, 0.01)
    )

    async def scene():
        slow = Exchange(app, path)
        await slow.body(b"{", more=True)
        await slow.run()
        return slow

    slow = anyio.run(scene)
    assert slow.status == 408
    assert slow.error == "the body has not arrived within 0.01 seconds: send it again"


def test_processing_time_does_not_count_against_the_body_timeout():
    """Answers that are streamed look for the client's going with the same call."""

    async def work(scope, receive, send):
        assert (await receive())["body"] == b"{}"
        assert (await receive())["type"] == "http.disconnect"
        scope["done"] = True

    async def scene():
        messages = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]

        async def receive():
            if len(messages) == 1:
                await checkpoint()  # here who waits for too long is told so
            return messages.pop(0)

        scope = {"type": "http", "path": "/", "headers": []}
        await BodyLimit(work, uploads=(), usual=Limit(10, 0))(scope, receive, None)
        return scope

    assert anyio.run(scene)["done"]


def test_a_client_disconnect_frees_the_upload_slot_without_a_server_error(campaign):
    app = BodyLimit(create_app(campaign), uploads=["/api/import"], at_once=1, wait=0.01)

    async def scene():
        gone, later = Exchange(app, IMPORT), Exchange(app, IMPORT)
        await gone.body(b"path,", more=True)
        await gone.incoming.put({"type": "http.disconnect"})
        await gone.run()
        await later.body(b"path,label\n")
        await later.run()
        return gone, later

    gone, later = anyio.run(scene)
    assert (gone.status, gone.error) == (400, "the client closed the connection before the body was complete")
    assert later.status == 400  # has the place, and no labels


def test_uploads_over_the_concurrency_limit_are_asked_to_retry(campaign):
    app = BodyLimit(create_app(campaign), uploads=["/api/import"], wait=0.01)
    paths = [pick.path for pick in campaign.picks()]

    async def scene():
        running = [Exchange(app, IMPORT) for _ in range(UPLOADS_AT_ONCE)]
        refused, label, later = Exchange(app, IMPORT), Exchange(app, "/api/release"), Exchange(app, IMPORT)
        async with anyio.create_task_group() as group:
            for one in running:
                group.start_soon(one.run)
            for one in running:
                await one.begun.wait()
            await refused.run()
            await label.body(b'{"author": "ann"}')
            await label.run()  # all else goes on
            for one, path in zip(running, paths, strict=True):
                await one.body(f"path,label\n{path},cat\n".encode())
        await later.body(b"path,label\n")
        await later.run()
        return running, refused, label, later

    running, refused, label, later = anyio.run(scene)
    assert refused.status == 429
    assert refused.error == "8 other uploads are in progress: send it again in a moment"
    assert (b"retry-after", b"2") in refused.answers[0]["headers"]
    assert not refused.begun.is_set()  # nothing of it was read
    assert [one.status for one in (label, *running)] == [200] * 9
    assert later.status == 400  # has its place, and no labels
    assert len(campaign.labels()) == 8
