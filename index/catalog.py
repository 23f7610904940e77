"""The SQLite catalog: documents, text, chunk spans, vectors and the lexical index. The truth about what is indexed.

Chroma is derived from it. Knows SQL and bytes; not files, models or how a search is ranked.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from index.chunks import Chunk
from index.documents import Document
from index.errors import IndexDamagedError
from index.terms import language_code, terms

SCHEMA = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS roots (path TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, doc TEXT NOT NULL UNIQUE, path TEXT UNIQUE, size INTEGER, mtime_ns INTEGER,
    root TEXT NOT NULL, stamp TEXT NOT NULL, sha256 TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    pages TEXT NOT NULL, meta TEXT NOT NULL, indexed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
    doc TEXT PRIMARY KEY, root TEXT NOT NULL, reason TEXT NOT NULL, seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(id), ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, heading TEXT NOT NULL, tokens INTEGER NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_document ON chunks (document, ordinal);
CREATE INDEX IF NOT EXISTS chunks_vector ON chunks (vector);
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS lexicon USING fts5 (terms, tokenize = "ascii tokenchars '.'");
CREATE VIRTUAL TABLE IF NOT EXISTS vocabulary USING fts5vocab (lexicon, row);
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document came from, and what tells cheaply that it has not changed since.

    `path` is a file's or a web page's address, None for text that was added from memory; `root` what was synced when it
    was found. `stamp` is the digest of a file's sidecar, or a page's ETag and date.
    """

    path: str | None = None
    size: int | None = None
    mtime_ns: int | None = None
    root: str = ""
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """What the catalog knows of a document's source."""

    id: int
    doc: str
    source: Source
    sha256: str
    indexed: float

    @property
    def path(self) -> str | None:
        """The file or address, None for text from memory."""
        return self.source.path


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as listed: everything but its text."""

    doc: str
    title: str
    path: str | None
    sha256: str
    characters: int
    pages: int
    chunks: int
    meta: Mapping[str, Any]
    indexed: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A document version ready to be written: `keys[i]` names the vector of `chunks[i]`, whose ids are final."""

    document: Document
    chunks: Sequence[Chunk]
    keys: Sequence[bytes]
    searched: Sequence[str]
    source: Source = Source()


class Catalog:
    """One SQLite file in WAL mode: one writer (under the index's lock), many readers, one connection a thread."""

    def __init__(self, file: Path, *, create: bool = False) -> None:
        self.file = file
        self._local = threading.local()
        # Weakly held: the connection of a thread that has ended goes with it, or a server would run out of files.
        self._open: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()
        try:
            if create:
                sqlite3.connect(file).close()
                self._db.executescript(_TABLES)
            else:
                self._db.execute("SELECT count(*) FROM state").fetchone()
        except sqlite3.DatabaseError as error:
            if "disk is full" in str(error):
                raise  # the index says that better
            raise IndexDamagedError(f"{file} cannot be read ({error}). Type: rag doctor") from error
        self._inode = file.stat().st_ino

    def replaced(self) -> bool:
        """Whether the file that is open is no longer the one of this name."""
        try:
            return self.file.stat().st_ino != self._inode
        except OSError:
            return True

    @property
    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            # check_same_thread is off so that close() can end the connections of other threads.
            if os.access(self.file.parent, os.W_OK):
                # mode=rw: a catalog that has gone must not be replaced by an empty one.
                db = _connect(self.file, "mode=rw")
                # FULL: what a sync has reported survives a power cut, too.
                db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            else:
                db = open_read_only(self.file)
            self._local.db = db
            self._open.add(db)
        return db

    def close(self) -> None:
        """Close every thread's connection."""
        for db in list(self._open):
            db.close()
        self._open.clear()
        self._local = threading.local()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A snapshot: all reads inside see one version of everything. Nested calls share the outer one."""
        db = self._db
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; raises the generation, by which readers notice."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("INSERT INTO state VALUES ('generation', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    # State

    def generation(self) -> int:
        """Rises with every write."""
        return int(self._state("generation") or 0)

    def _state(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _set_state(self, key: str, value: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def reserve_ids(self, count: int) -> int:
        """The first of `count` chunk ids that were never used; also notes that vectors are about to be written."""
        with self.write():
            first = int(self._state("next_chunk") or 1)
            self._set_state("next_chunk", first + count)
            self._set_state("unsettled", 1)
        return first

    def unsettled(self, place: str) -> bool:
        """Whether a writer may have died between Chroma and the catalog, or Chroma was in another place then."""
        return bool(self._state("unsettled")) or self._state("settled_in") not in {None, place}

    def settle(self, place: str) -> None:
        """The Chroma in `place` (a server's address, "" for the index's own folder) and the catalog agree."""
        with self.write():
            self._set_state("unsettled", 0)
            self._set_state("settled_in", place)

    # Documents

    def roots(self) -> list[str]:
        """Folders that were synced, longest path first."""
        rows = self._db.execute("SELECT path FROM roots ORDER BY length(path) DESC")
        return [path for (path,) in rows]

    def add_root(self, path: str) -> None:
        """Remember a synced folder: names of its documents are relative to it."""
        if path not in self.roots():
            with self.write() as db:
                db.execute("INSERT OR IGNORE INTO roots VALUES (?)", (path,))

    def files(self) -> list[FileState]:
        """Every document's file state."""
        rows = self._db.execute("SELECT id, doc, path, size, mtime_ns, root, stamp, sha256, indexed FROM documents")
        return [FileState(id, doc, Source(*source), sha, at) for id, doc, *source, sha, at in rows]

    def source(self, doc: str) -> Source | None:
        """Where a document came from, or None when there is no such document."""
        row = self._db.execute(
            "SELECT path, size, mtime_ns, root, stamp FROM documents WHERE doc = ?", (doc,)
        ).fetchone()
        return Source(*row) if row else None

    def documents(self) -> list[DocumentInfo]:
        """Every document, by name."""
        rows = self._db.execute(
            "SELECT doc, title, path, sha256, length(text), pages, (SELECT count(*) FROM chunks WHERE document = d.id),"
            " meta, indexed FROM documents d ORDER BY doc"
        )
        return [
            DocumentInfo(doc, title, path, sha, size, len(json.loads(pages)), chunks, json.loads(meta), indexed)
            for doc, title, path, sha, size, pages, chunks, meta, indexed in rows
        ]

    def unfiled(self) -> list[str]:
        """Names of the documents that were added from memory."""
        return [doc for (doc,) in self._db.execute("SELECT doc FROM documents WHERE path IS NULL ORDER BY doc")]

    def document(self, doc: str) -> Document | None:
        """A document with its text, or None."""
        row = self._db.execute(
            "SELECT doc, text, pages, title, sha256, meta FROM documents WHERE doc = ?", (doc,)
        ).fetchone()
        if row is None:
            return None
        pages = tuple((start, end) for start, end in json.loads(row[2]))
        return Document(row[0], row[1], pages, row[3], row[4], json.loads(row[5]))

    def touch(self, states: Sequence[FileState]) -> None:
        """The sources' times or places changed, their content did not."""
        with self.write() as db:
            db.executemany(
                "UPDATE documents SET path = ?, size = ?, mtime_ns = ?, root = ?, stamp = ?, indexed = ? WHERE id = ?",
                [(*_columns(state.source), time.time(), state.id) for state in states],
            )

    def failures(self) -> list[tuple[str, str]]:
        """(name, reason) of what could not be read when it was last tried, by name."""
        return self._db.execute("SELECT doc, reason FROM failures ORDER BY doc").fetchall()

    def note_failures(self, root: str, failed: Sequence[tuple[str, str]]) -> None:
        """Replace what is known of the failures below a synced root."""
        known = self._db.execute("SELECT doc, reason FROM failures WHERE root = ? ORDER BY doc", (root,)).fetchall()
        if known == sorted(dict(failed).items()):
            return
        with self.write() as db:
            db.execute("DELETE FROM failures WHERE root = ?", (root,))
            rows = [(doc, root, reason, time.time()) for doc, reason in failed]
            db.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?)", rows)

    # Chunks and vectors

    def chunks(self, doc: str) -> list[tuple[Chunk, bytes]]:
        """A document's chunks in reading order, each with the key of its vector."""
        rows = self._db.execute(
            "SELECT c.id, start, end, page, heading, tokens, vector FROM chunks c JOIN documents d ON d.id = c.document"
            " WHERE d.doc = ? ORDER BY ordinal",
            (doc,),
        )
        return [(Chunk(id, doc, *rest), key) for id, *rest, key in rows]

    def chunk_ids(self, first: int, last: int) -> set[int]:
        """The ids of all chunks from `first` to `last`."""
        return {id for (id,) in self._db.execute("SELECT id FROM chunks WHERE id BETWEEN ? AND ?", (first, last))}

    def chunk_ranges(self, size: int) -> list[int]:
        """Which ranges of `size` ids hold a chunk: 0 stands for the ids below `size`, 1 for the next, and so on."""
        largest = int(self._db.execute("SELECT coalesce(max(id), -1) FROM chunks").fetchone()[0])
        query = "SELECT EXISTS (SELECT 1 FROM chunks WHERE id BETWEEN ? AND ?)"
        ranges = range(largest // size + 1)
        return [at for at in ranges if self._db.execute(query, (at * size, (at + 1) * size - 1)).fetchone()[0]]

    def documents_with(self, first: int, last: int) -> list[str]:
        """Names of the documents that have a chunk whose id is between `first` and `last`."""
        query = (
            "SELECT doc FROM documents WHERE id IN (SELECT document FROM chunks WHERE id BETWEEN ? AND ?) ORDER BY id"
        )
        return [doc for (doc,) in self._db.execute(query, (first, last))]

    def known_vectors(self, keys: Iterable[bytes]) -> dict[bytes, np.ndarray]:
        """Those of the vectors that are stored, each (d,) float32."""
        found: dict[bytes, np.ndarray] = {}
        wanted = list(dict.fromkeys(keys))
        for at in range(0, len(wanted), 500):
            part = wanted[at : at + 500]
            marks = ",".join("?" * len(part))
            for key, blob in self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part):
                found[key] = np.frombuffer(blob, np.float16).astype(np.float32)
        return found

    def replace(
        self,
        entries: Sequence[Entry],
        vectors: Mapping[bytes, np.ndarray],
        gone: Sequence[str] = (),
        renamed: Sequence[tuple[str, str]] = (),
    ) -> list[int]:
        """In one transaction: new versions of `entries` become visible, old ones and `gone` documents vanish.

        `renamed` (old name, new name) comes first; `entries` hold the documents under their new names. Returns the ids
        of the chunks that no longer exist.
        """
        with self.write() as db:
            db.executemany("UPDATE documents SET doc = ?2 WHERE doc = ?1", renamed)
            db.executemany(
                "INSERT OR IGNORE INTO vectors VALUES (?, ?)",
                [(key, vector.astype(np.float16).tobytes()) for key, vector in vectors.items()],
            )
            dead: list[int] = []
            stale: list[bytes] = []
            for doc in [*gone, *(entry.document.doc for entry in entries)]:
                old = self.chunks(doc)
                dead += [chunk.id for chunk, _ in old]
                stale += [key for _, key in old]
                db.executemany("DELETE FROM lexicon WHERE rowid = ?", [(chunk.id,) for chunk, _ in old])
                db.execute("DELETE FROM chunks WHERE document = (SELECT id FROM documents WHERE doc = ?)", (doc,))
            db.executemany("DELETE FROM documents WHERE doc = ?", [(doc,) for doc in gone])
            alive: set[int] = set()
            for entry in entries:
                self._insert(db, entry)
                alive.update(chunk.id for chunk in entry.chunks)
            db.executemany(
                "DELETE FROM vectors WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector = ?1)",
                [(key,) for key in set(stale)],
            )
        return [chunk for chunk in dead if chunk not in alive]

    def _insert(self, db: sqlite3.Connection, entry: Entry) -> None:
        d = entry.document
        (row,) = db.execute(
            "INSERT INTO documents (doc, path, size, mtime_ns, root, stamp, sha256, title, text, pages, meta, indexed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (doc) DO UPDATE SET path = excluded.path,"
            " size = excluded.size, mtime_ns = excluded.mtime_ns, root = excluded.root, stamp = excluded.stamp,"
            " sha256 = excluded.sha256, title = excluded.title, text = excluded.text, pages = excluded.pages,"
            " meta = excluded.meta, indexed = excluded.indexed RETURNING id",
            (
                d.doc, *_columns(entry.source), d.sha256, d.title, d.text,
                json.dumps(d.pages), json.dumps(dict(d.meta), ensure_ascii=False), time.time(),
            ),
        ).fetchone()  # fmt: skip
        db.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (c.id, row, number, c.start, c.end, c.page, c.heading, c.tokens, key)
                for number, (c, key) in enumerate(zip(entry.chunks, entry.keys, strict=True))
            ],
        )
        db.executemany(
            "INSERT INTO lexicon (rowid, terms) VALUES (?, ?)",
            [
                (c.id, " ".join(terms(text, language_code(d.meta))))
                for c, text in zip(entry.chunks, entry.searched, strict=True)
            ],
        )


def open_read_only(file: Path) -> sqlite3.Connection:
    """A catalog for reading only, also in a folder that cannot be written to."""
    wal = file.with_name(f"{file.name}-wal")
    settled = not (wal.exists() and wal.stat().st_size)
    # In a closed folder SQLite cannot make the file in which readers share a WAL: without one it need not.
    closed = not os.access(file.parent, os.W_OK) and settled
    return _connect(file, "mode=ro&immutable=1" if closed else "mode=ro")


def _connect(file: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(file))}?{how}"
    return sqlite3.connect(
        uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False, factory=_Connection
    )


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly."""


def _columns(source: Source) -> tuple[str | None, int | None, int | None, str, str]:
    return source.path, source.size, source.mtime_ns, source.root, source.stamp
