"""The vector store over real Chroma, in a folder and on a server started here; nothing leaves the machine."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import WordHash

import index.collection
import index.health
import index.sync
import index.vectors
from index.errors import IndexDamagedError, RagError, SettingsError
from index.settings import IndexSettings
from index.store import Index
from index.vectors import ChromaVectors, Record, discard


def records(count: int, first: int = 1, **metadata: str) -> list[Record]:
    rows = np.random.default_rng(first).standard_normal((count, 8)).astype(np.float32)
    return [Record(first + n, row, f"text {first + n}", {"doc": "a", **metadata}) for n, row in enumerate(rows)]


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[ChromaVectors]:
    chroma = ChromaVectors(tmp_path / "chroma")
    yield chroma
    chroma.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Server:
    """`chroma run` on a folder; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = Path(sys.executable).with_name("chroma")
        self.process = subprocess.Popen(
            [program, "run", "--path", self.folder, "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("chroma run did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.stop()


def test_a_metadata_key_that_is_gone_is_gone_from_chroma(chroma: ChromaVectors) -> None:
    chroma.upsert(records(1, author="me"))
    chroma.upsert(records(1))
    assert chroma.part(0)._call("get", include=["metadatas"])["metadatas"] == [{"doc": "a"}]


def test_ids_of_many_records_come_in_pages(chroma: ChromaVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.collection, "_BATCH", 10)
    chroma.upsert(records(35))
    assert chroma.ids() == set(range(1, 36))
    chroma.delete(range(1, 30))
    assert chroma.ids() == set(range(30, 36))


def test_dead_entries_are_counted_until_the_collection_begins_anew(chroma: ChromaVectors) -> None:
    assert not chroma.worn()  # and nothing was opened to find out
    assert not chroma.folder.exists()
    chroma.upsert(records(500))
    chroma.delete(range(1, 101))
    assert not chroma.worn()
    chroma.delete(range(101, 151))
    chroma.close()
    chroma.upsert(records(1))
    assert chroma.worn() == [0]  # 150 dead of 501
    chroma.reset()
    chroma.upsert(records(350))
    assert not chroma.worn()


def test_a_sync_that_wears_chroma_out_makes_it_anew(
    folder: Path, tmp_path: Path, words: WordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index.collection, "_FEW_DEAD", 1)
    kb = Index(tmp_path / "index", embedder=words)
    kb.sync([folder])
    (folder / "ferry.txt").write_text("The ferry is gone.")
    kb.sync([folder])
    assert kb._chroma.part(0).dead() == 1  # one of four entries, too few to matter
    (folder / "ferry.txt").write_text("The ferry is back.")
    words.encoded.clear()
    kb._chroma.close()
    kb.sync([folder])
    assert kb._chroma.part(0).dead() == 0
    assert len(words.encoded) == 1
    assert [check.found for check in kb.verify() if not check.ok] == []


def test_a_reset_that_is_cut_leaves_no_half_folder(chroma: ChromaVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    chroma.upsert(records(20))

    def crash(path: Path, **_: object) -> None:
        if Path(path).exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            chroma.reset()
    assert chroma.ids() == set()
    chroma.upsert(records(3))
    chroma.reset()
    assert not chroma.folder.exists()
    assert not chroma.folder.with_name("chroma.old").exists()


def test_damage_and_want_of_room_are_told_apart(chroma: ChromaVectors, tmp_path: Path) -> None:
    assert isinstance(chroma.part(0)._failed(ValueError("database or disk is full")), RagError)
    assert not isinstance(chroma.part(0)._failed(ValueError("database or disk is full")), IndexDamagedError)
    chroma.folder.mkdir()
    (chroma.folder / "chroma.sqlite3").write_bytes(b"damaged" * 1000)
    with pytest.raises(IndexDamagedError, match="doctor --rebuild"):
        chroma.ids()
    blocked = ChromaVectors(tmp_path / "file" / "chroma")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RagError, match="cannot be written to"):
        blocked.upsert(records(1))
    in_the_way = ChromaVectors(tmp_path / "file")
    with pytest.raises(IndexDamagedError, match="doctor --rebuild"):
        in_the_way.ids()
    in_the_way.reset()
    assert in_the_way.ids() == set()
    in_the_way.close()


# Parts


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of ten ids, one open at a time."""
    for module in (index.vectors, index.sync, index.health):
        monkeypatch.setattr(module, "PART", 10)
    monkeypatch.setattr(index.vectors, "_OPEN", 1)


def test_ids_go_to_the_part_of_their_range_and_searches_to_all(small: None, chroma: ChromaVectors) -> None:
    rows = records(35)
    chroma.upsert(rows)
    assert chroma.parts() == [0, 1, 2, 3]
    assert sum(part._client is not None for part in chroma._parts.values()) == 1
    assert [chroma.part(number).ids() for number in (0, 3)] == [set(range(1, 10)), set(range(30, 36))]
    assert chroma.ids() == set(range(1, 36))
    exact = np.argsort([-float(row.vector @ rows[20].vector / np.linalg.norm(row.vector)) for row in rows])[:5]
    assert chroma.nearest(rows[20].vector, 5) == [rows[at].id for at in exact]
    chroma.delete([5, 15, 99])
    assert chroma.ids() == set(range(1, 36)) - {5, 15}
    chroma.part(2).reset()
    assert chroma.parts() == [0, 1, 3, 9]  # 99 was asked of a part that is empty now
    chroma.reset()
    assert chroma.parts() == []
    assert not list(chroma.folder.parent.glob("chroma*"))


def test_files_that_are_as_they_were_left_are_told_from_others(chroma: ChromaVectors) -> None:
    part = chroma.part(0)
    assert not part.as_left()  # there is nothing
    chroma.upsert(records(20))
    assert not part.as_left()  # a crash now would leave it so
    chroma.close()
    assert part.as_left()
    with (chroma.folder / "chroma.sqlite3").open("r+b") as file:
        file.write(b"SQLite")
    assert not part.as_left()
    chroma.upsert(records(1))
    chroma.close()
    assert not chroma.part(0).as_left()  # writing to doubtful files does not make them sound
    chroma.part(0).vouch()
    assert chroma.part(0).as_left()


def test_an_index_in_parts_is_kept_in_step_and_mended_part_by_part(
    small: None, folder: Path, tmp_path: Path, words: WordHash
) -> None:
    for number in range(24):
        (folder / f"note-{number:02}.txt").write_text(f"Note number {number} speaks of {number * 7} barges.")
    kb = Index(tmp_path / "index", embedder=words)
    kb.sync([folder])
    count = sum(info.chunks for info in kb.documents())
    assert len(kb._chroma.ids()) == count > 20
    kb._chroma.close()
    shutil.rmtree(kb.folder / "chroma-2")
    check = next(check for check in kb.verify() if check.name == "chroma")
    assert check.found.startswith("1 of 3 parts are not sound; part 2: 0 records for 10 chunks")
    words.encoded.clear()
    (folder / "note-00.txt").write_text("Note number 0 speaks of no barge.")
    (folder / "note-01.txt").unlink()
    report = kb.sync([folder])
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("1 of Chroma's 3 parts were not sound (0 records for 10 chunks")
    assert len(words.encoded) == 1
    assert [check.found for check in kb.verify() if not check.ok] == []
    assert kb._chroma.ids() == kb.catalog.chunk_ids(0, 10**6)
    assert kb.sync([folder]).warnings == ()


# A server


def served(server: Server, folder: Path, words: WordHash) -> Index:
    return Index(folder, IndexSettings(chroma_url=server.url), words)


def test_two_indexes_on_one_server_do_not_meet(server: Server, folder: Path, tmp_path: Path, words: WordHash) -> None:
    one, two = served(server, tmp_path / "one", words), served(server, tmp_path / "two", words)
    one.sync([folder])
    two.add("Whales were seen.", "note")
    for kb, count in ((one, 3), (two, 1)):
        assert [check.found for check in kb.verify() if not check.ok] == []
        assert len(kb._chroma.ids()) == count
    assert one.rebuild_vectors() == 3
    assert len(two._chroma.ids()) == 1
    assert served(server, tmp_path / "one", words)._chroma.ids() == one._chroma.ids()  # found again by another process
    (folder / "ferry.txt").unlink()
    one.sync([folder])
    assert len(one._chroma.ids()) == 2
    one.close()
    name = one._chroma.name
    discard(one.folder / "chroma")
    assert not (one.folder / "chroma").exists()
    assert [found.name for found in two._chroma.part(0)._connect().list_collections()] == [two._chroma.name] != [name]


def test_a_server_that_goes_in_mid_sync_costs_nothing(
    server: Server, folder: Path, tmp_path: Path, words: WordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = served(server, tmp_path / "index", words)
    kb.sync([folder])
    (folder / "new.txt").write_text("Whales were seen.")
    upsert = ChromaVectors.upsert

    def stopped(moment: str) -> Callable[..., None]:
        def wrapped(self: ChromaVectors, part: list[Record]) -> None:
            if moment == "before":
                server.stop()
            upsert(self, part)
            server.stop()

        return wrapped

    for moment in ("before", "after"):
        with monkeypatch.context() as patch:
            patch.setattr(ChromaVectors, "upsert", stopped(moment))
            with pytest.raises(RagError, match=r"chroma run.*Nothing is lost"):
                kb.sync([folder])
        checks = {check.name: check for check in kb.verify()}
        assert "once Chroma can be reached" in checks["chroma"].advice
        assert checks["catalog"].ok
        server.start()
        kb.sync([folder])
        assert [check.found for check in kb.verify() if not check.ok] == []
        assert len(kb._chroma.ids()) == sum(info.chunks for info in kb.documents())
        (folder / "new.txt").write_text("Whales were seen again, and more than once.")


def test_a_silent_server_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.collection, "_CONNECT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        chroma = ChromaVectors(tmp_path / "chroma", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(RagError, match="timed out"):
            chroma.ids()


def test_an_address_without_http_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected http://host:port"):
        ChromaVectors(tmp_path / "chroma", "127.0.0.1:8000").ids()


# What leaves the machine, and what is read of the working folder

_USE = """
import sys
sent = []
def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname") or (
        event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(arguments[1], (str, bytes))
    ):
        sent.append((event, arguments[1:]))
sys.addaudithook(hook)
import numpy as np
from pathlib import Path
from index.vectors import ChromaVectors, Record, discard
chroma = ChromaVectors(Path(sys.argv[1]))
chroma.upsert([Record(1, np.ones(4, np.float32), "text", {"doc": "a"})])
chroma.delete([2])
print(chroma.nearest(np.ones(4, np.float32), 1), len(chroma.ids()), sent)
from chromadb.config import Settings
settings = chroma.part(0)._client.get_settings()
print(settings.chroma_otel_collection_endpoint or "", settings.allow_reset)
chroma.close()
"""
_HOSTILE = "MIGRATIONS=bogus\nALLOW_RESET=TRUE\nCHROMA_OTEL_COLLECTION_ENDPOINT=http://192.0.2.1:4317\nCHROMA_SERVER_HOST=192.0.2.1\n"


def test_no_packet_leaves_and_a_dotenv_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(_HOSTILE)
    trace = shutil.which("strace")
    before = [trace, "-f", "-o", "calls", "-e", "trace=connect,sendto,sendmsg,sendmmsg"] if trace else []
    environment = {**os.environ, "PYTHONPATH": str(Path(index.vectors.__file__).parents[1])}
    done = subprocess.run(
        [*before, sys.executable, "-c", _USE, "store"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["[1] 1 []", " False"], done.stderr
    if trace:  # also what Rust sends, which Python's own hook does not see
        calls = (tmp_path / "calls").read_text().splitlines()
        assert [line for line in calls if "AF_INET" in line] == []
