"""A real server on the loopback around an index, and the ways to talk to it. No mock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from rag import Rag
from rag.serve.app import build
from rag.serve.service import Options


class Served:
    """`url` without a path, `app` with its service; `http` sends requests there."""

    def __init__(self, app: Any, url: str) -> None:
        self.app, self.url = app, url
        self.http = httpx.Client(base_url=url, timeout=30)
        self.service = app.state.service

    def client(self, key: str = "none", **options: Any) -> Any:
        """The real openai client."""
        import openai

        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options)


@contextmanager
def served(kb: Rag, **options: Any) -> Iterator[Served]:
    """The index behind uvicorn for as long as the block runs, ready when it begins."""
    app = build(kb, Options(**{"rate": 0, **options}))
    with listening(app) as url, Served(app, url).http as http:
        wait_for(lambda: http.get("/readyz").status_code == 200 or not kb.index.exists())
        yield Served(app, url)


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Any ASGI application behind uvicorn; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


def wait_for(what: Any, seconds: float = 20.0) -> None:
    """Until `what()` holds; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
