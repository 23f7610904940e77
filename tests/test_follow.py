"""Web pages into an index, folders that are followed, a sync that is interrupted, and the options of `rag sync`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import SAMPLE, WordHash

from index.errors import RagError
from index.settings import IndexSettings
from index.store import Index
from index.sync import SyncReport
from index.watch import watch
from rag.cli import main


@pytest.fixture
def pages() -> Iterator[dict[str, tuple[str, bytes]]]:
    """Path -> (content type, body) of a site on the loopback; "" holds its address."""
    site: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = site.get(self.path, ("", b""))
            etag = f'"{hash(body)}"'
            same = kind and self.headers.get("If-None-Match") == etag
            self.send_response(304 if same else 200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("ETag", etag)
            self.send_header("Content-Length", "0" if same else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if same else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    site[""] = (f"http://127.0.0.1:{server.server_address[1]}", b"")
    yield site
    server.shutdown()
    server.server_close()


def sitemap(*urls: str) -> tuple[str, bytes]:
    listed = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return "application/xml", f'<urlset xmlns="{space}">{listed}</urlset>'.encode()


def test_a_sitemap_is_followed_page_by_page(
    tmp_path: Path, words: WordHash, pages: dict[str, tuple[str, bytes]]
) -> None:
    home = pages[""][0]
    one, two, gone = f"{home}/one", f"{home}/two.txt", f"{home}/gone"
    pages["/one"] = (
        "text/html",
        b"<html><title>Kelp</title><body><p>Kelp grows in cold water near the shore.</p></body>",
    )
    pages["/two.txt"] = "text/plain", b"Crabs walk sideways over the wet sand."
    pages["/sitemap.xml"] = sitemap(one, two, gone)
    index = Index(tmp_path / "index", IndexSettings(web_private=True), words)
    report = index.sync([f"{home}/sitemap.xml"])
    assert report.added == (one, two)
    assert "404" in dict(report.failed)[gone]
    assert index.document(one).title == "Kelp"
    assert index.document(one).meta["url"] == one

    assert index.sync().unchanged == (one, two)  # 304, and known without a target
    pages["/two.txt"] = "text/plain", b"Crabs walk sideways, and gulls eat them."
    pages["/sitemap.xml"] = sitemap(two)
    report = index.sync()
    assert (report.changed, report.removed) == ((two,), (one,))
    assert "gulls" in index.document(two).text


def test_a_page_on_a_private_address_is_refused_by_default(
    tmp_path: Path, words: WordHash, pages: dict[str, tuple[str, bytes]]
) -> None:
    pages["/one"] = "text/plain", b"Nobody should read this."
    with pytest.raises(RagError, match="web_private"):
        Index(tmp_path / "index", embedder=words).sync([f"{pages[''][0]}/one"])


def test_a_followed_folder_is_searchable_soon_after_a_change(tmp_path: Path, folder: Path, words: WordHash) -> None:
    index = Index(tmp_path / "index", embedder=words)
    reports: list[SyncReport] = []
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(index, [folder], reports.append, stop))
    thread.start()
    try:
        wait_for(lambda: len(reports) == 1)
        (folder / "new.txt").write_text("Gannets dive from great heights.")
        wait_for(lambda: len(reports) == 2)
        (folder / "new.txt").unlink()
        wait_for(lambda: len(reports) == 3)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert [report.added for report in reports] == [("ferry.txt", "sub/birds.txt", "tower.md"), ("new.txt",), ()]
    assert reports[2].removed == ("new.txt",)


def wait_for(happened, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what is started in a shell's background
sys.path.insert(0, {tests!r})
from conftest import WordHash
from index.store import Index
class Slow(WordHash):
    def encode(self, texts):
        print("embedding", flush=True)
        time.sleep(0.5)
        return super().encode(texts)
Index({index!r}, embedder=Slow()).sync([{docs!r}])
"""


def test_ctrl_c_stops_at_a_document_and_the_next_sync_goes_on(tmp_path: Path, words: WordHash) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        text = "\n\n".join(f"Paragraph {n} of file {number} on matter {n * number}. " * 9 for n in range(60))
        (docs / f"{number:02}.txt").write_text(text)
    names = {"tests": str(Path(__file__).parent), "index": str(tmp_path / "index"), "docs": str(docs)}
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(**names)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    for _ in range(7):  # batches are embedded in two or three steps: the second one is written by now
        child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    index = Index(tmp_path / "index", embedder=words)
    kept = index.documents()
    assert 0 < len(kept) < 30
    report = index.sync([docs])
    assert len(report.unchanged) == len(kept)
    assert len(report.added) == 30 - len(kept)
    assert all(check.ok for check in index.verify())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_dry_run_prints_the_plan_and_makes_nothing(tmp_path: Path, folder: Path) -> None:
    done = run("sync", str(folder), "--dry-run", "--index", str(tmp_path / "i"))
    assert done.stdout.splitlines()[:3] == ["would add ferry.txt", "would add sub/birds.txt", "would add tower.md"]
    assert not (tmp_path / "i").exists()


def test_the_command_asks_before_most_of_an_index_goes(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for path in sorted(SAMPLE.glob("*.md"))[:3]:
        (docs / path.name).write_bytes(path.read_bytes())
    index = ("--index", str(tmp_path / "i"))
    assert run("sync", str(docs), *index).exit_code == 0
    for path in sorted(docs.iterdir())[:2]:
        os.remove(path)
    refused = run("sync", *index)
    assert refused.exit_code == 1
    assert "rag sync --yes" in refused.stderr
    assert "2 removed" in run("sync", "--yes", *index).stdout


def test_files_of_kinds_that_nobody_reads_are_one_line(tmp_path: Path, folder: Path) -> None:
    for number in range(30):
        (folder / f"{number}.png").write_bytes(b"\x89PNG")
    done = run("sync", str(folder), "--index", str(tmp_path / "i"))
    assert "no reader for: 30 .png" in done.stderr
    assert done.stderr.count("png") == 1
