"""The page as a browser meets it: one asks and gets a cited answer, other hosts are refused, nothing is public."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import SAMPLE, WordHash

from rag import Rag, Settings
from rag.cli import main
from ui.app import build
from ui.auth import Users
from ui.server import HEADERS, REPORT_POLICY, Access

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
        (listener,) = [d for d in self.config["dependencies"] if target in d["targets"] and d["inputs"]]
        body = {"data": data, "fn_index": listener["id"], "session_hash": self.name, "event_data": event_data}
        if not listener["queue"]:
            reply = self.page.post("/gradio_api/run/predict", json=body)
            assert reply.status_code == 200, reply.text
            return [reply.json()["data"]]
        assert self.page.post("/gradio_api/queue/join", json=body).status_code == 200
        states: list[list[Any]] = []
        for line in self.page.get("/gradio_api/queue/data", params={"session_hash": self.name}).iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                assert message["success"], message
                return states or [message["output"]["data"]]  # one that yields nothing gives all at its end
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


def test_an_answer_that_was_withheld_can_be_had_anyway(kb: Rag) -> None:
    kb.settings = Settings(min_confidence=0.99)
    with TestClient(build(kb), base_url="http://localhost") as client:
        session = Session(client, "anyway")
        question = "What colour is the harbour office?"
        assert "Not in these documents" in session.ask(question)
        states = session.event("live", "select", NOTHING, {"act": "retry", "turn": "1", "anyway": "1"})
        assert "Not in these documents" not in str(states[-1][2])
        assert 'id="turn-1"' in str(states[-1][2])


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


def test_only_asking_is_a_public_interface(page: TestClient) -> None:
    info = page.get("/gradio_api/info").json()
    assert list(info["named_endpoints"]) == ["/ask"]
    assert info["unnamed_endpoints"] == {}


def test_nothing_is_reported_to_anybody(page: TestClient) -> None:
    config = page.get("/config").json()
    assert config["analytics_enabled"] is False
    assert not config.get("run_history")
    assert config["footer_links"] == []


def test_uploads_are_refused(page: TestClient) -> None:
    reply = page.post("/gradio_api/upload", files={"files": ("a.txt", b"some text")})
    assert reply.status_code >= 400


# Routes beside the page


def test_the_file_of_an_indexed_document_is_handed_out_and_no_other(page: TestClient, folder: Path) -> None:
    reply = page.get("/file", params={"doc": "tower.md"})
    assert reply.text == (folder / "tower.md").read_text("utf-8")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-disposition"].startswith("inline")
    assert reply.headers["x-content-type-options"] == "nosniff"
    (folder.parent / "secret.txt").write_text("secret", "utf-8")
    for doc in ("../secret.txt", str(folder.parent / "secret.txt"), "/etc/passwd", "", "\x00", "sub"):
        reply = page.get("/file", params={"doc": doc})
        assert reply.status_code == 404
        assert "secret" not in reply.text.replace(doc, "")


def test_a_file_that_a_browser_could_run_is_a_download(page: TestClient, kb: Rag, folder: Path) -> None:
    (folder / "evil.html").write_text("<html><body><script>alert(1)</script><p>Some text here.</p></body></html>")
    kb.sync(folder)
    reply = page.get("/file", params={"doc": "evil.html"})
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")


def test_a_file_that_has_gone_is_said_so(page: TestClient, folder: Path) -> None:
    (folder / "tower.md").unlink()
    reply = page.get("/file", params={"doc": "tower.md"})
    assert (reply.status_code, "no longer there" in reply.text) == (404, True)


def test_pages_of_pdfs_are_pictures(page: TestClient, kb: Rag, folder: Path) -> None:
    shutil.copy(SAMPLE / "holm-hill-report-2023.pdf", folder)
    kb.sync(folder)
    reply = page.get("/sheet", params={"doc": "holm-hill-report-2023.pdf", "page": 2, "v": "1"})
    assert reply.headers["content-type"] == "image/png"
    assert reply.content.startswith(b"\x89PNG")
    for doc, number in (("holm-hill-report-2023.pdf", 99), ("holm-hill-report-2023.pdf", 0), ("tower.md", 1), ("x", 1)):
        assert page.get("/sheet", params={"doc": doc, "page": number}).status_code == 404


def test_an_upload_is_kept_under_its_name_and_synced_from_there(page: TestClient, kb: Rag) -> None:
    sent = page.post("/upload", params={"name": "new/mast.md"}, content=b"# Mast\n\nThe mast is red.\n")
    assert sent.json() == {"saved": ["new/mast.md"], "existing": [], "refused": ""}
    states = Session(page, "up").event(
        "drop", "input", ["", None], {"act": "uploaded", "refused": "a.exe: no <reader>"}
    )
    assert "1 added" in str(states[-1][0])
    assert "a.exe: no &lt;reader&gt;" in str(states[-1][0])
    assert kb.document("new/mast.md").title == "Mast"


@pytest.mark.parametrize("name", ["../evil.md", "/etc/evil.md", "a.exe", ".hidden.md", ""])
def test_an_upload_of_another_kind_or_place_is_refused(page: TestClient, kb: Rag, name: str) -> None:
    sent = page.post("/upload", params={"name": name}, content=b"text")
    assert sent.json()["refused"]
    assert not list((kb.index.folder / "uploads").rglob("*.md"))


def test_an_upload_that_is_too_large_is_cut_off(folder: Path, tmp_path: Path, words: WordHash) -> None:
    kb = Rag(tmp_path / ".rag", Settings(max_file_mb=1), embedder=words)
    kb.sync(folder)
    with TestClient(build(kb), base_url="http://localhost") as client:
        sent = client.post("/upload", params={"name": "big.md"}, content=b"x" * 1_000_001)
    assert sent.json() == {"refused": "larger than 1 MB (max_file_mb)"}


def test_a_document_that_was_removed_is_brought_back(page: TestClient, kb: Rag) -> None:
    session = Session(page, "undo")
    (gone,) = session.event("documents", "input", ["", None], {"act": "remove", "name": "tower.md"})
    assert "tower.md is removed. Its file stays where it is" in gone[0]
    assert 'data-act="undo"' in gone[0]
    assert [info.doc for info in kb.documents()] == ["ferry.txt", "sub/birds.txt"]
    (back,) = session.event("news", "input", [None, "", None], {"act": "undo"})
    assert "tower.md is back." in back[0]
    assert 'data-doc="tower.md"' in back[1]
    (again,) = session.event("news", "input", [None, "", None], {"act": "undo"})
    assert "is kept for 10 minutes only" in again[0]


def test_a_report_is_framed_under_a_policy_of_its_own(tmp_path: Path, kb: Rag) -> None:
    runs = tmp_path / "runs"
    options = ["--limit", "2", "--index", str(tmp_path / "sample"), "--out"]
    for name in ("one", "two"):
        done = CliRunner().invoke(main, ["eval", "run", "sample", *options, str(runs / "sample" / name)])
        assert done.exit_code == 0, done.output
    with TestClient(build(kb, runs=runs), base_url="http://localhost") as client:
        choices = Session(client, "runs").config["components"]
        assert any(c["props"].get("elem_id") == "run" for c in choices)
        alone = client.get("/report", params={"run": "sample/two"})
        both = client.get("/report", params={"run": "sample/two", "base": "sample/one"})
        wrong = client.get("/report", params={"run": "../../etc<b>"})
    assert "sample: eval report" in alone.text
    assert "Against" in both.text
    assert "Against" not in alone.text
    assert alone.headers["content-security-policy"] == REPORT_POLICY
    assert (wrong.status_code, "&lt;b&gt;" in wrong.text) == (404, True)


# Rooms


def test_an_answer_is_kept_and_listed_for_who_asked(page: TestClient) -> None:
    session = Session(page, "kept")
    states = session.event("question", "submit", ["Who was the last keeper?", *NOTHING])
    assert "Who was the last keeper?" in str(states[-1][4])
    assert 'data-act="say"' in str(states[-1][2])
    said = session.event("live", "input", [None], {"act": "say", "turn": "1", "kind": "up"})
    assert "You called this a good answer." in str(said[-1][2])
    lines = page.get("/feedback.jsonl").text.splitlines()
    assert [json.loads(line)["good"] for line in lines] == [True]


def test_a_conversation_that_was_deleted_is_brought_back(page: TestClient) -> None:
    session = Session(page, "back")
    states = session.event("question", "submit", ["Who was the last keeper?", *NOTHING])
    (id,) = set(re.findall(r'data-id="([^"]+)"', str(states[-1][4])))
    (gone,) = session.event("talks", "input", [None, "", None], {"act": "delete", "id": id})
    assert "is deleted." in gone[4]
    assert id not in gone[4]
    assert "Ask your documents" in gone[2]
    (back,) = session.event("talks", "input", [None, "", None], {"act": "undo"})
    assert "“Who was the last keeper?” is back." in back[4]
    assert id in back[4]
    (again,) = session.event("talks", "input", [None, "", None], {"act": "undo"})
    assert "is kept for 10 minutes only" in again[4]


@pytest.mark.parametrize(
    "data", [None, {}, 5, {"act": "say"}, {"act": "edit", "turn": "x"}, {"act": "say", "turn": "9"}]
)
def test_nonsense_from_a_browser_changes_nothing(page: TestClient, data: Any) -> None:
    session = Session(page, "nonsense")
    session.ask("Who was the last keeper?")
    assert "Ewan Brough" in str(session.event("live", "input", [None], data)[-1][2])


def test_a_passage_that_somebody_shows_is_kept(page: TestClient) -> None:
    session = Session(page, "pick")
    session.ask("How high is it?")
    shown = {"act": "picked", "turn": "1", "doc": "tower.md", "quote": "It is 34\nmetres high."}
    assert "You showed the right passage." in str(session.event("pick", "input", [None], shown)[-1][1])
    line = json.loads(page.get("/feedback.jsonl").text)
    assert line["evidence"][0]["quote"] == "It is 34 metres high."
    lost = {**shown, "quote": "Nobody wrote this."}
    assert "do not stand in the document" in str(session.event("pick", "input", [None], lost)[-1][1])


def test_where_others_reach_the_page_nobody_names_models_or_folders(kb: Rag, tmp_path: Path) -> None:
    users = Users(tmp_path / "users.txt")
    users.add("ann", "correct horse")
    with TestClient(build(kb, Access(users=users)), base_url="http://localhost") as client:
        client.post("/login", data={"name": "ann", "password": "correct horse"}, follow_redirects=False)
        session = Session(client, "ann")
        own = {"model": "openai-like:m@http://127.0.0.1:9/v1"}
        states = session.event("question", "submit", ["Who was the last keeper?", None, own, [], [], [], "", ""])
        assert "no language model" in str(states[-1][2])
        added = session.event("add", "click", [str(tmp_path), "", None])
        assert "Type an address" in str(added[-1][0])


def test_a_page_without_an_index_says_how_to_make_one(tmp_path: Path, words: WordHash) -> None:
    with TestClient(build(Rag(tmp_path / "none", embedder=words)), base_url="http://localhost") as client:
        assert "rag sync FOLDER" in Session(client, "three").ask("Anything?")
        assert "rag sync FOLDER" in client.get("/config").text
    assert not (tmp_path / "none").exists()
