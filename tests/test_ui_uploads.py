"""Uploads: names that cannot lead anywhere, limits, nothing overwritten unasked, and a folder that syncs as its own."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import WordHash

from index.errors import DocumentError, RagError
from rag import Rag, Settings
from ui.library import holdings
from ui.uploads import LONGEST_NAME, Limits, UploadError, Uploads, safe_name


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def uploads(kb: Rag) -> Uploads:
    return Uploads(kb)


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """Where the server has put what a browser sent, under a name of its own."""
    file = tmp_path / "temporary"
    file.write_text("The regatta was won by the Marigold.\n", "utf-8")
    return file


def docs(kb: Rag) -> list[str]:
    return [info.doc for info in kb.documents()]


def test_an_upload_is_asked_for_after_its_sync(kb: Rag, uploads: Uploads, dropped: Path) -> None:
    assert uploads.add([("regatta.txt", dropped)]).saved == ("regatta.txt",)
    assert uploads.sync().added == ("regatta.txt",)
    assert "Marigold" in kb.ask("Who won the regatta?").text


def test_a_folder_keeps_its_names(kb: Rag, uploads: Uploads, dropped: Path) -> None:
    received = uploads.add([("2024/a.txt", dropped), ("2024/sub/b.md", dropped)])
    assert received.saved == ("2024/a.txt", "2024/sub/b.md")
    uploads.sync()
    assert {"2024/a.txt", "2024/sub/b.md"} <= set(docs(kb))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "C:\\evil.txt", "..\\evil.txt", "a//b.txt", "",
        "a/", ".hidden.txt", ".ragignore", "a/.b/c.txt", "rag.toml", "notes.txt.meta.toml", "node_modules/a.txt",
        "a\0b.txt", "a\nb.txt", "a\u202etxt.exe.txt", "con.txt", "NUL.md", "a:b.txt", "a.txt ", "a./b.txt",
        "x" * LONGEST_NAME + ".txt", "/".join("abcdefghi") + "/x.txt", "a.exe", "a", "a.zip", "..", "\ud83d/../x.txt",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_or_mean_something_are_refused(uploads: Uploads, dropped: Path, name: str) -> None:
    if name == "a.txt ":  # white space around a name is no part of it
        assert safe_name(name) == "a.txt"
        return
    (refused,) = uploads.add([(name, dropped)]).refused
    assert refused[1]
    assert [path for path in uploads.folder.rglob("*") if path.is_file()] == []
    assert not list(uploads.folder.parent.glob("evil*"))


@pytest.mark.parametrize("name", ["résumé.pdf", "会議の記録.txt", "a b (1).docx", "x.HTML", "sub/Ünï.md"])
def test_ordinary_names_stay(name: str) -> None:
    assert safe_name(name) == name


def test_one_spelling_of_one_name(uploads: Uploads) -> None:
    assert safe_name("cafe\u0301.txt") == "caf\u00e9.txt"


def test_nothing_is_overwritten_unasked(uploads: Uploads, dropped: Path, tmp_path: Path) -> None:
    uploads.add([("a.txt", dropped)])
    other = tmp_path / "other"
    other.write_text("Other words.\n")
    assert uploads.add([("a.txt", other)]).existing == ("a.txt",)
    assert (uploads.folder / "a.txt").read_text() == dropped.read_text()
    assert uploads.add([("a.txt", other)], replace=True).saved == ("a.txt",)
    assert (uploads.folder / "a.txt").read_text() == "Other words.\n"
    assert uploads.add([("a.txt", other)], replace=True).existing == ("a.txt",)


def test_of_many_at_once_under_one_name_one_is_kept(uploads: Uploads, tmp_path: Path) -> None:
    saved: list[str] = []

    def drop(number: int) -> None:
        file = tmp_path / f"drop{number}"
        file.write_text(f"drop {number}\n" * 1000)
        saved.extend(uploads.add([("a.txt", file)]).saved)

    threads = [threading.Thread(target=drop, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert saved == ["a.txt"]
    assert len(set((uploads.folder / "a.txt").read_text().splitlines())) == 1
    assert [path.name for path in uploads.folder.iterdir()] == ["a.txt"]


def test_large_empty_and_too_many_files_are_refused(kb: Rag, dropped: Path, tmp_path: Path) -> None:
    uploads = Uploads(kb, limits=Limits(file_bytes=50, files=2, bytes=80))
    large, empty = tmp_path / "large", tmp_path / "empty"
    large.write_text("x" * 51)
    empty.write_text("")
    received = uploads.add([("l.txt", large), ("e.txt", empty), ("a.txt", dropped), ("b.txt", dropped)])
    assert received.saved == ("a.txt", "b.txt")
    assert [name for name, _ in received.refused] == ["l.txt", "e.txt"]
    (full,) = uploads.add([("c.txt", dropped)]).refused
    assert "the uploads are full (2 files" in full[1]
    with pytest.raises(UploadError, match="201 files at once"):
        uploads.add([(f"{n}.txt", dropped) for n in range(201)])


def test_the_size_altogether_is_bounded(kb: Rag, dropped: Path) -> None:
    uploads = Uploads(kb, limits=Limits(file_bytes=50, bytes=60))
    received = uploads.add([("a.txt", dropped), ("b.txt", dropped)])
    assert received.saved == ("a.txt",)


def test_a_link_in_the_folder_leads_no_writing_out_of_it(uploads: Uploads, dropped: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    uploads.folder.mkdir()
    (uploads.folder / "way").symlink_to(outside)
    (uploads.folder / "file.txt").symlink_to(outside / "target.txt")
    received = uploads.add([("way/a.txt", dropped)])
    assert "leads out of the uploads" in received.refused[0][1]
    uploads.add([("file.txt", dropped)], replace=True)
    assert list(outside.iterdir()) == []
    assert not (uploads.folder / "file.txt").is_symlink()


def test_a_file_where_a_folder_should_be_and_the_reverse(uploads: Uploads, dropped: Path) -> None:
    uploads.add([("a.txt", dropped), ("b.txt/c.txt", dropped)])
    received = uploads.add([("a.txt/d.txt", dropped), ("b.txt", dropped)])
    assert [reason for _, reason in received.refused] == [
        "a file of that name stands where its folder would be", "a folder has that name",
    ]  # fmt: skip


def test_a_removed_upload_stays_away(kb: Rag, uploads: Uploads, dropped: Path) -> None:
    uploads.add([("a.txt", dropped)])
    uploads.sync()
    uploads.remove("a.txt")
    assert not (uploads.folder / "a.txt").exists()
    kb.sync()
    assert "a.txt" not in docs(kb)


def test_removing_a_document_of_a_folder_leaves_its_file(kb: Rag, uploads: Uploads, folder: Path) -> None:
    uploads.remove("ferry.txt")
    assert (folder / "ferry.txt").exists()
    assert "ferry.txt" not in docs(kb)
    with pytest.raises(DocumentError):
        uploads.remove("nowhere.txt")


def test_what_was_removed_comes_back_as_it_was(kb: Rag, uploads: Uploads, dropped: Path, folder: Path) -> None:
    kb.add("The mast was painted red.", doc="note")
    uploads.add([("new/a.txt", dropped)])
    uploads.sync()
    before = kb.index.catalog.documents(), kb.index.source("new/a.txt")
    removed = [uploads.remove(doc) for doc in ("new/a.txt", "ferry.txt", "note")]
    assert docs(kb) == ["sub/birds.txt", "tower.md"]
    assert [path for path in uploads.folder.rglob("*") if path.is_file()] == []
    for each in removed:
        assert each is not None
        uploads.undo(each)
    assert [replace(info, indexed=0) for info in kb.documents()] == [replace(info, indexed=0) for info in before[0]]
    assert kb.index.source("new/a.txt") == before[1]
    assert (uploads.folder / "new" / "a.txt").read_bytes() == dropped.read_bytes()
    assert {holding.state for holding in holdings(kb)} == {"ready", "memory"}
    assert "Marigold" in kb.ask("Who won the regatta?").text
    report = kb.sync()
    assert (report.added, report.changed, report.removed) == ((), (), ())


def test_nothing_comes_back_over_what_has_taken_its_place(kb: Rag, uploads: Uploads, dropped: Path) -> None:
    uploads.add([("a.txt", dropped)])
    uploads.sync()
    upload, file = uploads.remove("a.txt"), uploads.remove("ferry.txt")
    assert upload is not None
    assert file is not None
    (uploads.folder / "a.txt").write_text("Other words.\n")
    with pytest.raises(UploadError, match=r"a\.txt was uploaded again"):
        uploads.undo(upload)
    assert (uploads.folder / "a.txt").read_text() == "Other words.\n"
    kb.sync()
    with pytest.raises(DocumentError, match=r"ferry\.txt is in the index again"):
        uploads.undo(file)
    (uploads.folder / "a.txt").unlink()  # in the index still, so that its file must not stay either
    with pytest.raises(DocumentError, match=r"a\.txt is in the index again"):
        uploads.undo(upload)
    assert not (uploads.folder / "a.txt").exists()


def test_an_upload_whose_file_has_gone_is_not_promised_back(uploads: Uploads, dropped: Path) -> None:
    uploads.add([("a.txt", dropped)])
    uploads.sync()
    (uploads.folder / "a.txt").unlink()
    assert uploads.remove("a.txt") is None


def test_syncing_a_folder_around_the_index_neither_lists_nor_removes_uploads(
    kb: Rag, uploads: Uploads, dropped: Path, tmp_path: Path
) -> None:
    kb.sync(tmp_path)
    uploads.add([("a.txt", dropped)])
    assert uploads.sync().added == ("a.txt",)
    assert kb.sync(tmp_path).removed == ()
    report = kb.sync()
    assert (report.added, report.removed) == ((), ())
    assert "a.txt" in docs(kb)
    os.unlink(uploads.folder / "a.txt")
    assert kb.sync().removed == ("a.txt",)


def test_an_index_that_is_no_hidden_folder_keeps_its_uploads_too(
    tmp_path: Path, folder: Path, dropped: Path, words: WordHash
) -> None:
    kb = Rag(tmp_path / "docs" / "index", embedder=words)
    kb.sync(folder)
    uploads = Uploads(kb)
    uploads.add([("a.txt", dropped)])
    assert uploads.sync().added == ("a.txt",)
    assert kb.sync(folder).removed == ()


def test_a_configured_folder_is_used(kb: Rag, dropped: Path, tmp_path: Path) -> None:
    uploads = Uploads(kb, tmp_path / "elsewhere")
    uploads.add([("a.txt", dropped)])
    assert (tmp_path / "elsewhere" / "a.txt").exists()
    assert uploads.sync().added == ("a.txt",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost/", "http://[::1]/"])
def test_addresses_inside_are_not_read(uploads: Uploads, url: str) -> None:
    with pytest.raises(RagError, match=r"not public|private"):
        uploads.add_url(url)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://example.org/x", "example.org", "javascript:alert(1)"])
def test_what_is_no_web_address_is_refused(uploads: Uploads, url: str) -> None:
    with pytest.raises(UploadError, match="is not a web address"):
        uploads.add_url(url)


def test_a_folder_that_cannot_be_written_is_said_so(kb: Rag, dropped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UploadError, match="cannot be written"):
        Uploads(kb, tmp_path / "file" / "uploads").add([("a.txt", dropped)])
