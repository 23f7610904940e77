"""The file of the page's own: conversations and what people said of answers, in SQLite. Knows rows, not what they mean.

It lies in the index's folder, yet is no part of the index: syncing, rebuilding and `rag doctor` leave it alone. It is
made by the first thing that is kept, not before. A file that cannot be used is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.errors import RagError

NAME = "chat.sqlite3"
SCHEMA = 1
_APPLICATION = 0x466F6F74  # "Foot": tells our file from another program's

_TABLES = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, title TEXT NOT NULL,
    named INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, changed REAL NOT NULL);
CREATE INDEX conversations_user ON conversations (user, changed);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY AUTOINCREMENT, conversation INTEGER NOT NULL
    REFERENCES conversations (number) ON DELETE CASCADE, question TEXT NOT NULL, answer TEXT NOT NULL,
    asked REAL NOT NULL);
CREATE INDEX turns_conversation ON turns (conversation, number);
CREATE VIRTUAL TABLE words USING fts5 (folded, tokenize = 'trigram');
CREATE TABLE verdicts (
    turn INTEGER NOT NULL REFERENCES turns (number) ON DELETE CASCADE, kind TEXT NOT NULL,
    citation INTEGER NOT NULL DEFAULT 0, span TEXT NOT NULL DEFAULT '', given REAL NOT NULL,
    PRIMARY KEY (turn, kind, citation, span)) WITHOUT ROWID;
"""


class ChatFileError(RagError):
    """The file of conversations cannot be used; questions and answers do not depend on it."""


class ChatFile:
    """One SQLite file in WAL mode. Threads take turns on one connection; other processes are waited for."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return self.file.exists()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """The database, None when nothing was ever kept. Raises ChatFileError."""
        with self._lock, self._readable():
            yield self._opened() if self.exists() else None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction: all of the block is kept, or nothing when it raises. Raises ChatFileError."""
        with self._lock, self._readable():
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise ChatFileError(self._sentence(error)) from error

    def _sentence(self, error: Exception) -> str:
        said = str(error)
        if "locked" in said:
            return f"{self.file} is in use by another process; try again in a moment."
        if "full" in said:
            return f"There is no room left on the disk of {self.file}: this is not kept."
        if "readonly" in said or "unable to open" in said or isinstance(error, OSError):
            return f"{self.file} cannot be written ({said}): conversations are not kept."
        return (
            f"{self.file} is damaged ({said}). It was left as it is; move it away to begin a new one. "
            "Documents and answers do not depend on it."
        )

    def _opened(self) -> sqlite3.Connection:
        if self._db is not None and self._identity != self._now():
            self.close()  # moved away or deleted while it was open: what is written now would be lost with it
        if self._db is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if not self.file.exists():
                # Conversations are private: nobody else on the machine reads them.
                os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
            db = sqlite3.connect(self.file, timeout=10, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db, self._identity = db, self._now()
        return self._db

    def _prepare(self, db: sqlite3.Connection) -> None:
        application, schema = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not empty and application != _APPLICATION:
            raise ChatFileError(f"{self.file} is another program's file. Move it away to keep conversations.")
        if schema > SCHEMA:
            raise ChatFileError(
                f"{self.file} was written by a newer version (schema {schema}, this one knows {SCHEMA}). It was left "
                "as it is: update footnote, or move the file away to begin a new one."
            )
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        if empty:
            marks = f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={SCHEMA};"
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES} {marks} COMMIT;")

    def _now(self) -> tuple[int, int] | None:
        try:
            stat = self.file.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino
