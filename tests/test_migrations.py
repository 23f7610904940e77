"""Indexes of every schema so far, as their versions made them (tests/data): each opens, is whole and goes on."""

import json
import os
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import WordHash

import index.migrations
from index.catalog import SCHEMA
from index.errors import IndexLockedError, IndexMismatchError, RagError
from index.lock import write_lock
from index.store import Index
from rag import Rag
from rag.cli import main

DATA = Path(__file__).with_name("data")
EVERY = pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
HERE = "/tmp/harbour"
"""Where the files lay when the indexes were made."""


def unpacked(schema: int, to: Path) -> Path:
    """The kept index, and the files it was made of, as if both had always been below `to`."""
    with tarfile.open(DATA / f"index-schema-{schema}.tar.xz") as archive:
        archive.extractall(to, filter="data")
    folder = to / f"index-{schema}"
    files = {
        "docs/tower.md": "# The tower\n\nThe tower was built in 1868. It is 34 metres high.\n\n"
        "## Keepers\n\nThe last keeper was Ewan Brough. He left in 1994.\n",
        "docs/ferry.txt": "The ferry sails at noon. A ticket costs 18 pounds.\n",
        "docs/sub/birds.txt": "Puffins nest in burrows. Kittiwakes nest on cliffs.\n",
        "letter.txt": "The harbour master wrote that the crane was sold in 1921.\n",
    }
    for name, text in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text(text)
        os.utime(to / name, (1_600_000_000, 1_600_000_000))
    with sqlite3.connect(folder / "catalog.sqlite3") as db:
        for table, column in (
            ("documents", "path"),
            ("roots", "path"),
            *([("documents", "root")] if schema > 1 else []),
        ):
            db.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (HERE, str(to)))
    db.close()
    return folder


def manifest(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text())


def test_an_index_of_each_schema_is_kept() -> None:
    assert sorted(file.name for file in DATA.glob("index-schema-*")) == [
        f"index-schema-{schema}.tar.xz" for schema in range(1, SCHEMA + 1)
    ]


@EVERY
def test_it_opens_is_sound_answers_and_syncs_on(schema: int, tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(schema, tmp_path)
    before = manifest(folder)
    with Rag(folder, embedder=words) as kb:
        assert [info.doc for info in kb.documents()] == [
            "ferry.txt", "letter.txt", "note.txt", "sub/birds.txt", "tower.md",
        ]  # fmt: skip
        assert kb.search("When was the tower built?", k=1)[0].doc == "tower.md"
        answer = kb.ask("When was the crane sold?")
        assert answer.citations[0].quote == "The harbour master wrote that the crane was sold in 1921."
        assert [check for check in kb.verify() if not check.ok] == []
        words.encoded.clear()
        (tmp_path / "docs" / "ferry.txt").unlink()
        (tmp_path / "docs" / "new.txt").write_text("Seals lie on the skerries.")
        report = kb.sync()
        assert (report.added, report.removed, len(report.unchanged)) == (("new.txt",), ("ferry.txt",), 2)
        assert len(words.encoded) == 1, "unchanged text is not embedded again"
        assert {state.source.root for state in kb.index.catalog.files()} == {"", str(tmp_path), str(tmp_path / "docs")}
    assert manifest(folder) == {**before, "schema": SCHEMA}
    assert not list(folder.glob("*schema*"))


def test_a_step_that_fails_changes_nothing_and_keeps_the_copy(
    tmp_path: Path, words: WordHash, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked(1, tmp_path)

    def half(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE documents ADD COLUMN root TEXT NOT NULL DEFAULT ''")
        raise sqlite3.OperationalError("out of patience")

    with monkeypatch.context() as patched:
        patched.setattr(index.migrations, "STEPS", {1: half})
        with pytest.raises(RagError, match=r"out of patience.*Nothing was changed.*rag sync --rebuild FOLDER"):
            Index(folder, embedder=words)
    assert manifest(folder)["schema"] == 1
    with sqlite3.connect(folder / "catalog.schema-1.sqlite3") as copy:
        assert copy.execute("SELECT count(*) FROM documents").fetchone() == (5,)
    copy.close()
    assert len(Index(folder, embedder=words).documents()) == 5
    assert not list(folder.glob("*schema*"))


def test_a_crash_between_the_tables_and_the_manifest_is_made_good(tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(1, tmp_path)
    old = (folder / "manifest.json").read_bytes()
    Index(folder, embedder=words).close()
    (folder / "manifest.json").write_bytes(old)
    assert len(Index(folder, embedder=words).documents()) == 5
    assert manifest(folder)["schema"] == SCHEMA


def test_while_another_writes_it_waits_for_its_turn(tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(1, tmp_path)
    with write_lock(folder), pytest.raises(IndexLockedError, match="try again when it is done"):
        Index(folder, embedder=words)
    assert len(Index(folder, embedder=words).documents()) == 5


def test_a_lost_catalog_is_said_and_not_made_anew(tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(1, tmp_path)
    (folder / "catalog.sqlite3").unlink()
    with pytest.raises(RagError, match=r"catalog\.sqlite3 is missing.*rag sync --rebuild"):
        Index(folder, embedder=words)
    assert not (folder / "catalog.sqlite3").exists()


@pytest.mark.parametrize(
    ("schema", "said"), [(SCHEMA + 1, "pip install --upgrade footnote-rag"), (0, "rag sync --rebuild")]
)
def test_a_schema_that_cannot_be_read_gives_a_sentence(schema: int, said: str, tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(SCHEMA, tmp_path)
    (folder / "manifest.json").write_text(json.dumps({**manifest(folder), "schema": schema}))
    with pytest.raises(IndexMismatchError, match=said):
        Index(folder, embedder=words)
    done = CliRunner().invoke(main, ["ask", "Anything?", "--index", str(folder)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_left_and_said(tmp_path: Path, words: WordHash) -> None:
    folder = unpacked(1, tmp_path)
    folder.chmod(0o500)
    try:
        with pytest.raises(RagError, match=r"cannot be written to.*rag doctor"):
            Index(folder, embedder=words)
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)
