"""`rag serve` as plain HTTP: the REST API, its OpenAPI page, keys, limits, logs, metrics. Real server, tiny index."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import WordHash
from served import Served, served, wait_for

from rag import Answer, Rag
from rag.serve.keys import FILE, KeyFile
from rag.serve.logs import JsonLines

TOWER = "When was the tower built?"


@pytest.fixture
def kb(tmp_path: Path, folder: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def server(kb: Rag) -> Iterator[Served]:
    with served(kb) as running:
        yield running


def error(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


# What it does


def test_search_and_ask_give_what_the_library_gives(server: Served, kb: Rag) -> None:
    found = server.http.post("/search", json={"question": TOWER, "k": 2}).json()
    assert [passage["text"] for passage in found["passages"]] == [p.text for p in kb.search(TOWER, k=2)]
    found = server.http.post("/search", json={"question": "cliffs", "where": {"folder": "sub"}}).json()
    assert {passage["doc"] for passage in found["passages"]} == {"sub/birds.txt"}
    told = server.http.post("/ask", json={"question": "How high is the tower?", "history": [["a", "b"]]}).json()
    answer, ours = Answer.from_dict(told), kb.ask("How high is the tower?")
    assert (answer.text, answer.citations, answer.passages) == (ours.text, ours.citations, ours.passages)


def test_documents_are_listed_and_read_in_ranges(server: Served, kb: Rag) -> None:
    listed = server.http.get("/documents").json()["documents"]
    assert [entry["doc"] for entry in listed] == ["ferry.txt", "sub/birds.txt", "tower.md"]
    assert "path" not in listed[0]
    assert server.http.get("/documents/sub/birds.txt").json()["text"] is None
    text = kb.document("tower.md").text
    for query, span in (
        ("start=3&end=9", (3, 9)),
        ("end=4", (0, 4)),
        ("start=40", (40, len(text))),
        ("start=9&end=3", (9, 9)),
    ):
        told = server.http.get(f"/documents/tower.md?{query}").json()
        assert (told["text"], told["start"], told["end"]) == (text[slice(*span)], *span)
    assert error(server.http.get("/documents/none.txt")) == (404, "document_not_found")


def test_sync_reads_again_what_was_synced_before_and_nothing_else(server: Served, folder: Path, tmp_path: Path) -> None:
    (folder / "new.txt").write_text("A new document about seals.")
    (folder / "bad.pdf").write_text("no PDF")
    done = server.http.post("/sync").json()
    assert (done["added"], done["failed"][0]["doc"]) == (["new.txt"], "bad.pdf")
    assert server.http.post("/sync", json={"targets": [str(folder)]}).json()["unchanged"]
    (tmp_path / "secret").mkdir()
    assert error(server.http.post("/sync", json={"targets": [str(tmp_path / "secret")]})) == (403, "unknown_target")


def test_a_sync_that_would_remove_most_is_refused_until_confirmed(server: Served, folder: Path) -> None:
    (folder / "ferry.txt").unlink()
    (folder / "tower.md").unlink()
    assert error(server.http.post("/sync", json={})) == (409, "would_remove_most")
    assert len(server.http.get("/documents").json()["documents"]) == 3
    assert len(server.http.post("/sync", json={"remove_most": True}).json()["removed"]) == 2


def test_a_removed_document_is_gone(server: Served) -> None:
    assert server.http.delete("/documents/sub/birds.txt").json()["removed"] == ["sub/birds.txt"]
    assert error(server.http.delete("/documents/sub/birds.txt")) == (404, "document_not_found")
    found = server.http.post("/search", json={"question": "puffins"}).json()
    assert "birds" not in json.dumps(found)


def test_one_write_at_a_time_and_the_other_is_told_who_holds_it(server: Served, kb: Rag) -> None:
    begun, go_on = threading.Event(), threading.Event()
    replies = []
    sync = kb.sync

    def slow(*targets: str, **options: object) -> object:
        begun.set()
        go_on.wait(20)
        return sync(*targets, **options)

    kb.sync = slow  # type: ignore[method-assign]
    first = threading.Thread(target=lambda: replies.append(server.http.post("/sync")))
    first.start()
    begun.wait(20)
    second = server.http.delete("/documents/tower.md")
    assert error(second) == (409, "writing")
    assert "busy with a sync that began at" in second.json()["error"]["message"]
    assert server.http.post("/search", json={"question": TOWER}).status_code == 200
    go_on.set()
    first.join()
    assert replies[0].status_code == 200


def test_another_process_that_writes_is_named(server: Served, kb: Rag) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom index.lock import write_lock\n"
        f"with write_lock(Path({str(kb.index.folder)!r})):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        refused = server.http.post("/sync")
        assert error(refused) == (409, "index_locked")
        assert f"Process {other.pid} on" in refused.json()["error"]["message"]
        other.communicate("")


def test_without_an_index_it_is_alive_but_not_ready(tmp_path: Path, words: WordHash) -> None:
    with served(Rag(tmp_path / "none", embedder=words)) as server:
        assert server.http.get("/healthz").json() == {"status": "ok", "reason": ""}
        assert server.http.get("/readyz").status_code == 503
        assert "no index" in server.http.get("/readyz").json()["reason"]
        assert error(server.http.post("/search", json={"question": TOWER})) == (503, "no_index")
        assert "rag_index_documents 0.0" in server.http.get("/metrics").text


def test_an_index_made_anew_by_another_process_is_taken_up(server: Served, kb: Rag, folder: Path) -> None:
    from index.store import forget

    assert server.http.post("/search", json={"question": TOWER}).json()["passages"]
    assert forget(kb.index.folder)
    (folder / "new.txt").write_text("A new document about seals.")
    with Rag(kb.index.folder, embedder=WordHash()) as other:
        other.sync(folder)
    assert server.http.post("/search", json={"question": "seals", "k": 1}).json()["passages"][0]["doc"] == "new.txt"
    assert len(server.http.get("/documents").json()["documents"]) == 4


# The page


def test_every_request_that_fits_the_openapi_page_and_many_that_do_not_are_answered_as_it_says(
    server: Served, tmp_path: Path
) -> None:
    config = Path(__file__).with_name("schemathesis.toml")
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", config, "run"]
    if not command[0].exists():
        command[:1] = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    bounds = ["--max-examples", "5", "--phases", "examples,coverage,fuzzing,stateful", "--seed", "1"]
    done = subprocess.run(
        [*command, f"{server.url}/openapi.json", "--checks", "all", "--no-color", *bounds],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "12 selected / 12 total" in done.stdout


def test_the_page_loads_nothing_from_elsewhere(server: Served) -> None:
    page = server.http.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for part in loaded:
        assert not re.match(r"\w+:|//", part)
        assert server.http.get(f"/{part}").status_code == 200
    assert server.http.get("/docs/../../etc/passwd").status_code == 404
    assert server.http.get("/docs/__init__.py").status_code == 404


# Who may come in


def test_keys_are_hashed_shown_once_and_needed_once_there_are_any(server: Served, kb: Rag) -> None:
    keys = KeyFile(kb.index.folder / FILE)
    assert server.http.get("/documents").status_code == 200
    secret = keys.add("reader")
    kept = keys.file.read_text()
    assert secret not in kept
    assert "reader" in kept
    assert oct(keys.file.stat().st_mode)[-3:] == "600"
    assert error(server.http.get("/documents")) == (401, "invalid_api_key")
    assert server.http.get("/documents", headers={"authorization": "Bearer wrong"}).status_code == 401
    mine = {"authorization": f"Bearer {secret}"}
    assert server.http.get("/documents", headers=mine).status_code == 200
    assert [model.id for model in server.client(secret).models.list()] == ["footnote"]
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert server.http.get(path).status_code == 200
    assert server.http.get("/metrics").status_code == 401
    assert error(server.http.post("/sync", headers=mine)) == (403, "read_only_key")
    assert error(server.http.delete("/documents/tower.md", headers=mine)) == (403, "read_only_key")
    writer = {"authorization": f"Bearer {keys.add('writer', may_write=True)}"}
    assert server.http.post("/sync", headers=writer).status_code == 200
    keys.remove("reader")
    assert server.http.get("/documents", headers=mine).status_code == 401


def test_a_damaged_key_file_lets_nobody_in(server: Served, kb: Rag) -> None:
    (kb.index.folder / FILE).write_text("{")
    assert error(server.http.get("/documents")) == (503, "keys_damaged")


def test_other_names_and_other_sites_are_refused(server: Served) -> None:
    assert server.http.get("/documents", headers={"host": "evil.example"}).status_code == 400
    for origin in ("https://evil.example", "null"):
        reply = server.http.post("/sync", headers={"origin": origin})
        assert error(reply) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in reply.headers
    own = {"origin": server.url}
    assert server.http.post("/search", json={"question": TOWER}, headers=own).status_code == 200
    plain = server.http.post("/search", content=json.dumps({"question": TOWER}), headers={"content-type": "text/plain"})
    assert plain.status_code == 422


def test_too_often_is_told_when_to_come_again(kb: Rag) -> None:
    with served(kb, rate=3) as server:
        replies = [server.http.get("/documents") for _ in range(4)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 61
        assert error(replies[-1]) == (429, "rate_limited")
        assert server.http.get("/healthz").status_code == 200
        key = {"authorization": f"Bearer {KeyFile(kb.index.folder / FILE).add('other')}"}
        assert server.http.get("/documents", headers=key).status_code == 200


def test_too_much_at_once_is_refused_said_or_not(kb: Rag) -> None:
    with served(kb, body_kb=1) as server:
        big = {"question": "a" * 2000}
        assert error(server.http.post("/search", json=big)) == (413, "too_large")
        pieces = iter([b'{"question": "', b"a" * 2000, b'"}'])
        json_type = {"content-type": "application/json"}
        assert server.http.post("/search", content=pieces, headers=json_type).status_code == 413


# What it tells


def test_a_request_id_goes_in_and_out_and_into_the_log(
    server: Served, caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    caplog.set_level(logging.INFO, "rag.serve")
    reply = server.http.post("/ask", json={"question": TOWER}, headers={"x-request-id": "mine-1"})
    assert reply.headers["x-request-id"] == "mine-1"
    made = server.http.get("/documents", headers={"x-request-id": "no good\t!"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", made)
    server.http.get("/documents/tower.md?start=0")
    wait_for(lambda: len(caplog.records) >= 3)
    lines = [JsonLines().format(record) for record in caplog.records]
    first = json.loads(lines[0])
    assert (first["request_id"], first["route"], first["status"]) == ("mine-1", "/ask", 200)
    assert {"abstained", "confidence", "who", "seconds", "time"} <= first.keys()
    assert json.loads(lines[2])["route"] == "/documents/{doc:path}"
    everything = "\n".join(lines)
    assert TOWER not in everything
    assert "1868" not in everything
    assert "tower.md" not in everything


def test_the_log_holds_text_only_when_asked(kb: Rag, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rag.serve")
    with served(kb, log_text=True) as server:
        server.http.post("/ask", json={"question": TOWER})
        wait_for(lambda: any("/ask" in str(getattr(r, "fields", "")) for r in caplog.records))
    line = next(JsonLines().format(r) for r in caplog.records if "/ask" in str(getattr(r, "fields", "")))
    assert json.loads(line)["question"] == TOWER


def test_what_nobody_expected_is_a_500_without_its_words(
    server: Served, kb: Rag, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("words of a document")

    kb.documents = broken  # type: ignore[assignment]
    reply = server.http.get("/documents", headers={"x-request-id": "r-7"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (500, "server_error")
    assert "r-7" in reply.json()["error"]["message"]
    wait_for(lambda: caplog.records)
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert (line["level"], line["error"]) == ("error", "ZeroDivisionError")
    assert "test_serve_api.py" in line["at"][-1]
    assert "words of a document" not in reply.text + json.dumps(line)


def test_the_metrics_count_what_happened(server: Served, kb: Rag) -> None:
    server.http.post("/search", json={"question": TOWER})
    server.http.post("/ask", json={"question": "What is tungsten?"})
    server.http.get("/nowhere")
    page = server.http.get("/metrics").text
    for line in (
        'rag_requests_total{method="POST",route="/search",status="200"} 1.0',
        'rag_requests_total{method="GET",route="(none)",status="404"} 1.0',
        'rag_answers_total{outcome="abstained"} 1.0',
        'rag_request_seconds_count{route="/search"} 1.0',
        'rag_stage_seconds_count{stage="embed",work="search"} 1.0',
        'rag_stage_seconds_count{stage="read",work="answer"} 1.0',
        f"rag_index_generation {kb.index.catalog.generation()}.0",
        "rag_index_documents 3.0",
        "rag_requests_under_way 1.0",
    ):
        assert line in page.splitlines(), line


def test_threads_and_connections_stay_few(server: Served, kb: Rag) -> None:
    askers = [
        threading.Thread(target=lambda: [server.http.post("/search", json={"question": TOWER}) for _ in range(5)])
        for _ in range(20)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(kb.index.catalog._open) <= 10
