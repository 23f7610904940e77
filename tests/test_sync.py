"""A folder against the index, over real SQLite and Chroma: what is added, changed, removed, and what a crash costs."""

import gc
import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import WordHash

from index.documents import Document
from index.errors import IndexLockedError, IndexMismatchError, IndexMissingError, RagError
from index.settings import IndexSettings
from index.store import Index, forget
from index.vectors import ChromaVectors


@pytest.fixture
def index(tmp_path: Path, words: WordHash) -> Index:
    return Index(tmp_path / "index", embedder=words)


def searchable(index: Index, word: str) -> list[str]:
    with index.reading() as snapshot:
        rows, _ = snapshot.lexical([word], 10)
        return [snapshot.text(int(row)) for row in rows]


def test_opening_creates_nothing(tmp_path: Path) -> None:
    Index(tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_the_first_sync_adds_all_and_the_second_embeds_nothing(index: Index, folder: Path, words: WordHash) -> None:
    first = index.sync([folder])
    assert first.added == ("ferry.txt", "sub/birds.txt", "tower.md")
    words.encoded.clear()
    second = index.sync([folder])
    assert (second.unchanged, second.embedded, second.chunks) == (first.added, 0, 0)
    assert words.encoded == []


def test_a_touched_file_is_unchanged(index: Index, folder: Path) -> None:
    index.sync([folder])
    os.utime(folder / "ferry.txt", (1, 1))
    assert "ferry.txt" in index.sync([folder]).unchanged


def test_only_the_changed_part_of_a_file_is_embedded(index: Index, folder: Path) -> None:
    parts = [f"Paragraph {n} speaks of subject {n} at some length. " * 12 for n in range(6)]
    (folder / "long.txt").write_text("\n\n".join(parts))
    index.sync([folder])
    (folder / "long.txt").write_text("\n\n".join([*parts[:5], "A new ending about whales."]))
    report = index.sync([folder])
    assert report.changed == ("long.txt",)
    assert 0 < report.embedded < report.chunks
    assert searchable(index, "whale")[0].endswith("A new ending about whales.")


def test_a_deleted_file_leaves_nothing_behind(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "ferry.txt").unlink()
    assert index.sync([folder]).removed == ("ferry.txt",)
    assert searchable(index, "ferri") == []
    assert all(check.ok for check in index.verify())
    with index.catalog.read() as db:
        vectors, chunks = (db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("vectors", "chunks"))
    assert vectors == chunks


def test_remove_takes_a_document_out_and_a_wrong_name_changes_nothing(index: Index, folder: Path) -> None:
    index.sync([folder])
    with pytest.raises(RagError, match=r"no document 'nope\.txt'"):
        index.remove(["ferry.txt", "nope.txt"])
    index.remove(["ferry.txt"])
    assert [info.doc for info in index.documents()] == ["sub/birds.txt", "tower.md"]


def test_equal_text_is_embedded_once(index: Index, folder: Path, words: WordHash) -> None:
    (folder / "0123456789ab.txt").write_text("The same words stand here twice.")
    (folder / "ba9876543210.txt").write_text("The same words stand here twice.")
    index.sync([folder])
    assert sum("same words" in text for text in words.encoded) == 2  # the titles differ, so what is read differs
    texts = [text.split("\n", 1)[-1] for text in words.encoded if "same words" in text]
    assert texts[0] == texts[1]


def test_a_syncing_of_nothing_names_the_missing_folder(index: Index, tmp_path: Path) -> None:
    with pytest.raises(RagError, match="no file or folder"):
        index.sync([tmp_path / "nowhere"])
    assert not index.folder.exists()


def test_without_an_index_the_error_says_how_to_make_one(index: Index) -> None:
    with pytest.raises(IndexMissingError, match="rag sync"), index.reading():
        pass


def test_bad_files_cost_the_good_ones_nothing(index: Index, folder: Path) -> None:
    (folder / "empty.txt").write_bytes(b"")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 10)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "naïve name 文.txt").write_text("Words in a strangely named file.", "utf-8")
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "out.txt").symlink_to("/etc/hostname")
    report = index.sync([folder])
    assert dict(report.failed).keys() == {
        "empty.txt", "binary.txt", "broken.pdf", "picture.png", "loop", "self", "out.txt",
    }  # fmt: skip
    assert "naïve name 文.txt" in report.added
    assert len(report.added) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_failure(index: Index, folder: Path) -> None:
    (folder / "ferry.txt").chmod(0)
    assert "Permission" in dict(index.sync([folder]).failed)["ferry.txt"]


def test_a_file_that_breaks_keeps_its_last_good_version(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "ferry.txt").write_bytes(b"\0\0\0")
    assert "stays" in dict(index.sync([folder]).failed)["ferry.txt"]
    assert searchable(index, "ferri")


def test_names_collide_only_where_two_roots_do(index: Index, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "ferry.txt").write_text("Another ferry sails at dusk.")
    (other / "new.txt").write_text("Something new.")
    index.sync([folder])
    assert index.sync([other]).added == ("other/ferry.txt", "new.txt")
    assert len(index.sync().unchanged) == 5


def test_a_moved_folder_is_the_same_documents(index: Index, folder: Path, tmp_path: Path) -> None:
    index.sync([folder])
    folder.rename(tmp_path / "moved")
    report = index.sync([tmp_path / "moved"])
    assert (len(report.unchanged), report.embedded) == (3, 0)


def test_a_file_inside_a_synced_folder_keeps_its_name(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "sub" / "birds.txt").write_text("Only terns are left.")
    assert index.sync([folder / "sub"]).changed == ("sub/birds.txt",)
    assert index.sync([folder / "sub" / "birds.txt"]).unchanged == ("sub/birds.txt",)
    assert len(index.documents()) == 3


def test_added_text_needs_no_file_and_survives_a_sync(index: Index, folder: Path) -> None:
    index.add("A note that was typed in.", "note", {"author": "me"})
    index.sync([folder])
    assert "note" in [info.doc for info in index.documents()]
    assert index.add("A note that was typed in.", "note", {"author": "me"}).unchanged == ("note",)
    assert index.add("Another note.", "note").changed == ("note",)


def test_added_text_outlives_an_index_that_is_made_anew(index: Index, folder: Path, words: WordHash) -> None:
    index.sync([folder])
    index.add("A note that was typed in.", "note", {"author": "me"})
    index.add_documents(
        [Document("book", "First page.Second page.", ((0, 11), (11, 23)), "A book", "x", {"year": 1871})]
    )
    kept = [index.document(doc) for doc in ("note", "book")]
    index.close()
    (index.folder / "manifest.json").write_text("{")
    forget(index.folder)
    assert forget(index.folder) == []  # once more, as a person would who was interrupted
    anew = Index(index.folder, IndexSettings(chunk_tokens=50), words)
    report = anew.sync([folder])
    assert {"note", "book"} < set(report.added)
    assert [anew.document(doc) for doc in ("note", "book")] == kept
    anew.remove(["note"])
    assert "note" not in [info.doc for info in anew.documents()]
    assert anew.sync([folder]).added == ()


def test_what_cannot_be_set_aside_stays(index: Index, words: WordHash) -> None:
    index.add("A note that was typed in.", "note")
    index.close()
    (index.folder / "unfiled.jsonl.part").mkdir()  # in the way, as a full disk would be
    with pytest.raises(RagError, match="Nothing was removed"):
        forget(index.folder)
    (index.folder / "unfiled.jsonl.part").rmdir()
    assert [info.doc for info in Index(index.folder, embedder=words).documents()] == ["note"]
    (index.folder / "unfiled.jsonl").write_text("{")
    with pytest.raises(RagError, match="move it away"):
        Index(index.folder, embedder=words).sync()


def test_an_index_of_added_text_alone_is_made_anew_without_a_folder(index: Index, words: WordHash) -> None:
    text = "A note\u2028that was\x85typed in.\r\nIn lines."
    index.add(text, "note")
    index.close()
    assert forget(index.folder) == []
    anew = Index(index.folder, IndexSettings(), words)
    assert anew.sync().added == ("note",)
    assert anew.document("note").text == text


def test_added_text_that_cannot_be_read_is_named(index: Index, words: WordHash) -> None:
    index.add("A note that was typed in.", "note")
    index.add("Another one.", "other")
    index.close()
    with sqlite3.connect(index.folder / "catalog.sqlite3") as db:
        db.execute("UPDATE documents SET pages = '{' WHERE doc = 'note'")
    db.close()
    forget(index.folder)
    with Index(index.folder, IndexSettings(), words)._writing():
        pass  # half made, and thrown away once more
    forget(index.folder)
    report = Index(index.folder, IndexSettings(), words).sync()
    assert report.added == ("other",)
    assert report.warnings == ("added from memory, and not readable in the index before: note; add them again",)


def test_other_chunking_is_refused_and_named(index: Index, folder: Path, words: WordHash) -> None:
    index.sync([folder])
    with pytest.raises(IndexMismatchError, match="chunk_tokens 112"):
        Index(index.folder, IndexSettings(chunk_tokens=50), words)
    assert forget(index.folder) == [str(folder)]
    Index(index.folder, IndexSettings(chunk_tokens=50), words).sync([folder])


def test_a_second_writer_is_told_who_holds_the_index(index: Index, folder: Path, tmp_path: Path) -> None:
    index.sync([folder])
    script = (
        "import sys; from index.store import Index; from conftest import WordHash\n"
        f"index = Index({str(index.folder)!r}, embedder=WordHash())\n"
        "with index._writing():\n    print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(IndexLockedError, match=f"Process {other.pid}"):
            index.sync([folder])
        assert searchable(index, "ferri")  # readers do not wait
        other.kill()
    assert index.sync([folder]).unchanged  # a dead process holds nothing


def test_a_crash_between_chroma_and_the_catalog_is_swept(
    index: Index, folder: Path, words: WordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sync([folder])
    (folder / "new.txt").write_text("Whales were seen.")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(index.catalog), "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            index.sync([folder])
    assert searchable(index, "whale") == []
    assert not all(check.ok for check in index.verify())
    assert index.sync([folder]).added == ("new.txt",)
    assert all(check.ok for check in index.verify())


def test_chroma_is_rebuilt_from_the_catalog_without_embedding(index: Index, folder: Path, words: WordHash) -> None:
    index.sync([folder])
    words.encoded.clear()
    for file in (index.folder / "chroma").glob("*.sqlite3"):
        file.write_bytes(b"damaged")
    assert not {check.name: check.ok for check in index.verify()}["chroma"]
    assert index.rebuild_vectors() == 3
    assert all(check.ok for check in index.verify())
    assert words.encoded == []


def test_any_chroma_client_can_read_the_collection(index: Index, folder: Path) -> None:
    index.sync([folder])
    chroma = ChromaVectors(index.folder / "chroma")
    found = chroma.part(0)._call("get", where={"doc": "tower.md"}, include=["documents", "metadatas"])
    chroma.close()
    assert any("34 metres" in text for text in found["documents"])
    assert found["metadatas"][0]["title"] == "The tower"


def test_a_dotenv_in_the_working_folder_is_not_chromas_business(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MIGRATIONS=bogus\nALLOW_RESET=TRUE\n")
    script = (
        "from index.store import Index; from conftest import WordHash\n"
        f"print(len(Index('index', embedder=WordHash()).sync([{str(folder)!r}]).added))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout == "3\n", done.stderr


def test_the_manifest_says_how_the_index_was_made(index: Index, folder: Path) -> None:
    index.sync([folder])
    manifest = json.loads((index.folder / "manifest.json").read_text())
    assert (manifest["embedder"], manifest["chunk_tokens"]) == ("word-hash", 112)


def test_threads_that_have_ended_leave_no_open_files(index: Index, folder: Path) -> None:
    index.sync([folder])

    def open_connections(rounds: int) -> int:
        for _ in range(rounds):
            threads = [threading.Thread(target=index.documents) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        gc.collect()
        return len(index.catalog._open)

    assert open_connections(10) <= 11
