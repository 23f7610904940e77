"""The page as a browser meets it: one asks and gets a cited answer, other hosts are refused, nothing is public."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import WordHash

from rag import Rag, Settings
from ui.app import build
from ui.server import HEADERS

pytest.importorskip("gradio", reason="the ui extra is not installed")
from starlette.testclient import TestClient

# Gradio's own use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def page(kb: Rag) -> Iterator[TestClient]:
    with TestClient(build(kb), base_url="http://localhost:7860") as client:
        yield client


NOTHING: list[Any] = [None, None, [], [], [], "", ""]
"""The conversation, which the server holds; no settings; all documents."""


class Session:
    """What Gradio's page does in a browser, in as few requests."""

    def __init__(self, page: TestClient, name: str) -> None:
        self.page, self.name = page, name
        self.config = page.get("/config").json()
        self.parts = {c["props"].get("elem_id"): c["id"] for c in self.config["components"]}

    def event(self, part: str, event: str, data: list[Any], event_data: Any = None) -> list[list[Any]]:
        """The outputs of a listener, one list for each time it yields. Values of the server's own are sent as None."""
        target = [self.parts[part], event]
        (listener,) = [d["id"] for d in self.config["dependencies"] if target in d["targets"] and d["inputs"]]
        body = {"data": data, "fn_index": listener, "session_hash": self.name, "event_data": event_data}
        assert self.page.post("/gradio_api/queue/join", json=body).status_code == 200
        states: list[list[Any]] = []
        for line in self.page.get("/gradio_api/queue/data", params={"session_hash": self.name}).iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                assert message["success"], message
                return states
            if message.get("msg") == "process_generating":
                states.append(_patched(states, message["output"]["data"]))
        raise AssertionError("the stream ended early")

    def ask(self, question: str) -> str:
        """The last HTML of the running turn."""
        states = self.event("question", "submit", [question, *NOTHING])
        return str([state[2] for state in states if isinstance(state[2], str)][-1])


def _patched(states: list[list[Any]], data: list[Any]) -> list[Any]:
    """After the first state Gradio sends only what changed: [["replace", path, value], ...]."""
    if not states:
        return data
    out = list(states[-1])
    for at, change in enumerate(data):
        for kind, path, value in change if isinstance(change, list) else ():
            if kind == "append":
                out[at] += value
            elif kind == "replace" and path == []:
                out[at] = value
    return out


def test_one_asks_and_gets_a_cited_answer_whose_link_opens_the_words(page: TestClient, kb: Rag) -> None:
    session = Session(page, "one")
    html = session.ask("Who was the last keeper?")
    text = kb.document("tower.md").text
    start = text.index("The last keeper")
    assert "Ewan Brough" in html
    assert f'data-doc="tower.md" data-start="{start}"' in html
    call = {"component_id": session.parts["panel"], "fn_name": "opened", "session_hash": "one"}
    place = ["tower.md", str(start), str(start + 32), ""]
    shown = page.post("/gradio_api/component_server", json={**call, "data": place}).json()
    assert "<mark>The last keeper was Ewan Brough.</mark>" in shown


def test_an_example_asks_itself(page: TestClient) -> None:
    states = Session(page, "two").event("live", "select", NOTHING, {"question": "Who was the last keeper?"})
    assert any("Ewan Brough" in str(state[2]) for state in states)


def test_a_conversation_stays_in_its_session(page: TestClient) -> None:
    Session(page, "alice").ask("Who was the last keeper?")
    assert 'id="turn-2"' in Session(page, "alice").ask("When does the ferry sail?")
    assert 'id="turn-1"' in Session(page, "bob").ask("When does the ferry sail?")


def test_the_page_lists_the_documents(page: TestClient) -> None:
    components = {c["props"].get("elem_id"): c["props"] for c in page.get("/config").json()["components"]}
    assert "3 documents" in components["panel"]["value"]
    assert "Ask your documents" in components["live"]["value"]


def test_every_reply_carries_the_security_headers(page: TestClient) -> None:
    for path in ("/", "/config", "/nowhere", "/gradio_api/info"):
        reply = page.get(path)
        assert {name: reply.headers[name] for name in HEADERS} == HEADERS


def test_the_policy_lets_nothing_leave(page: TestClient) -> None:
    policy = page.get("/").headers["content-security-policy"]
    for rule in ("default-src 'self'", "connect-src 'self'", "img-src 'self' data: blob:", "form-action 'self'"):
        assert rule in policy
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "localhost.evil.example", "192.168.1.7:7860", ""]
)
def test_other_hosts_are_refused(page: TestClient, host: str) -> None:
    assert page.get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST"])
def test_this_machine_is_served(page: TestClient, host: str) -> None:
    assert page.get("/", headers={"host": host}).status_code == 200


def test_no_event_is_a_public_interface(page: TestClient) -> None:
    info = page.get("/gradio_api/info").json()
    assert info == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_nothing_is_reported_to_anybody(page: TestClient) -> None:
    config = page.get("/config").json()
    assert config["analytics_enabled"] is False
    assert not config.get("run_history")
    assert config["footer_links"] == []


def test_uploads_are_refused(page: TestClient) -> None:
    reply = page.post("/gradio_api/upload", files={"files": ("a.txt", b"some text")})
    assert reply.status_code >= 400


def test_a_page_without_an_index_says_how_to_make_one(tmp_path: Path, words: WordHash) -> None:
    with TestClient(build(Rag(tmp_path / "none", embedder=words)), base_url="http://localhost") as client:
        assert "rag sync FOLDER" in Session(client, "three").ask("Anything?")
        assert "rag sync FOLDER" in client.get("/config").text
    assert not (tmp_path / "none").exists()
