"""Requests whose bodies come when a test sends them."""

import asyncio
import json

import anyio


class Exchange:
    """One POST request without a network, whose body arrives when the test sends it.

    Args:
        app: Application that answers.
        path: Path of the request.
    """

    def __init__(self, app, path):
        self.app, self.path = app, path
        self.incoming = asyncio.Queue()
        self.begun = anyio.Event()
        self.answers = []

    async def run(self):
        path, _, query = self.path.partition("?")
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
        scope |= {"query_string": query.encode(), "scheme": "http", "http_version": "1.1", "server": ("localhost", 80)}
        await self.app(scope | {"client": ("127.0.0.1", 1), "root_path": ""}, self.receive, self.keep)

    async def receive(self):
        self.begun.set()
        return await self.incoming.get()

    async def keep(self, message):
        self.answers.append(message)

    async def body(self, content=b"", *, more=False):
        await self.incoming.put({"type": "http.request", "body": content, "more_body": more})

    @property
    def status(self):
        return self.answers[0]["status"]

    @property
    def error(self):
        return json.loads(self.answers[1]["body"])["error"]
