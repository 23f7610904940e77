"""A real browser over the real page: Debian's Chromium, the application behind uvicorn, the sample corpus.

The fixtures `chromium` and `site` live as long as a module, `page` as long as a test. What is missing skips
with its reason. Every page records what it requests and what goes wrong in it; at the end of a test nothing may have
left the page's own address and no script may have failed.
"""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer

from rag import Rag, Settings

# No crash reports, no updates, no prefetching: nothing that would knock at doors which are closed here.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PATIENCE = 15_000
"""Milliseconds to wait for anything to appear: machines that test are slow, and nothing here takes that long."""

SAMPLE = Path(__file__).resolve().parents[1] / "evals" / "suites" / "sample" / "docs"
_FINDS = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Site:
    """The page as it is served; `model` answers where `model_spec` is set."""

    url: str
    kb: Rag
    model: ScriptedServer
    folder: Path
    """The documents that were synced."""

    @property
    def model_spec(self) -> str:
        return f"openai-like:tiny@{self.model.url}"


@dataclass
class Watched:
    """What a page asked for, and what went wrong in it."""

    urls: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(f"{error}"))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))

    def elsewhere(self, url: str) -> list[str]:
        """What was asked of anybody but the page's own server."""
        own = re.compile(rf"({re.escape(url)}(/|$)|data:|blob:{re.escape(url)}/|about:)")
        return [each for each in self.urls if not own.match(each)]


def browser_path() -> str:
    """Skips the test where something is missing."""
    pytest.importorskip("gradio", reason="the ui extra is not installed")
    pytest.importorskip("playwright", reason="playwright is not installed: pip install --group dev")
    found = next((path for name in _FINDS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


@contextmanager
def serving(kb: Rag, **options: Any) -> Iterator[str]:
    """The address of the application over `kb`, served from a thread."""
    import uvicorn

    from ui.app import build

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(build(kb, **options), log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def sample_site(folder: Path, **options: Any) -> Iterator[Site]:
    """The sample corpus, synced into `folder` and served."""
    docs = folder / "docs"
    shutil.copytree(SAMPLE, docs)
    with ScriptedServer() as model, Rag(folder / ".rag", Settings()) as kb:
        kb.sync(docs)
        with serving(kb, runs=folder / "runs", **options) as url:
            yield Site(url, kb, model, docs)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = browser_path()
    from playwright.sync_api import sync_playwright

    # Of a module, not of the session: while it runs this thread counts as having an event loop, which other tests need.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with sample_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@contextmanager
def opened(chromium: Any, site: Site, path: str = "/", **context: Any) -> Iterator[Any]:
    """A page of a context of its own; its scripts must not fail, and it must ask nobody else for anything."""
    watched = Watched()
    with chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **context}) as own:
        own.set_default_timeout(PATIENCE)
        page = own.new_page()
        watched.watch(page)
        page.watched = watched
        page.goto(site.url + path)
        page.wait_for_selector("#question textarea")
        yield page
        assert watched.elsewhere(site.url) == []
        assert watched.errors == []


@pytest.fixture
def page(chromium: Any, site: Site) -> Iterator[Any]:
    site.model.script.clear()
    with opened(chromium, site) as page:
        yield page


# What a person does


def ask(page: Any, question: str) -> Any:
    """Ask, wait for the whole answer; returns the turn."""
    before = page.locator(".turn").count()
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    page.wait_for_function("n => document.querySelectorAll('.turn').length > n", arg=before)
    turn = page.locator(".turn").last
    turn.locator('.answer[aria-busy="false"]').wait_for()
    turn.locator(".tools").wait_for()
    return turn


def until(true: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for something on the server's side."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return found
