"""One version of the whole index as arrays: what a search reads. Never written to; a new generation is a new snapshot.

Chunks stand in reading order, document after document, so that the neighbours of chunk i are i - 1 and i + 1.
"""

from __future__ import annotations

import fnmatch
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from index.errors import QueryError

Where = Mapping[str, Any]


class Snapshot:
    """Arrays of n chunks: `ids`, `starts`, `ends`, `tokens`, `pages` (0: none), `documents` (rows of `docs`)."""

    def __init__(self, db: sqlite3.Connection, generation: int) -> None:
        self.generation = generation
        self._db = db
        listed = db.execute("SELECT id, doc, title, meta FROM documents ORDER BY doc").fetchall()
        self.docs: list[str] = [doc for _, doc, _, _ in listed]
        self.titles: list[str] = [title for _, _, title, _ in listed]
        self.meta: list[Mapping[str, Any]] = [json.loads(meta) for _, _, _, meta in listed]
        row_of = {id: row for row, (id, _, _, _) in enumerate(listed)}
        rows = db.execute("SELECT id, document, ordinal, start, end, page, heading, tokens FROM chunks").fetchall()
        rows.sort(key=lambda row: (row_of[row[1]], row[2]))
        self.ids = np.array([row[0] for row in rows], np.int64)
        self.documents = np.array([row_of[row[1]] for row in rows], np.int32)
        self.starts = np.array([row[3] for row in rows], np.int64)
        self.ends = np.array([row[4] for row in rows], np.int64)
        self.pages = np.array([row[5] or 0 for row in rows], np.int32)
        self.headings = [row[6] for row in rows]
        self.tokens = np.array([row[7] for row in rows], np.int32)
        self._order = np.argsort(self.ids)
        self._vectors: np.ndarray | None = None
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, db: sqlite3.Connection) -> Snapshot:
        """The same snapshot read through this connection, which must see the same generation."""
        self._db = db
        return self

    def rows_of(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Positions of chunk ids; ids that this version does not have are left out."""
        if not len(self.ids) or not len(ids):
            return np.empty(0, np.int64)
        wanted = np.asarray(ids, np.int64)
        place = np.searchsorted(self.ids, wanted, sorter=self._order).clip(max=len(self.ids) - 1)
        rows = self._order[place]
        return np.asarray(rows[self.ids[rows] == wanted])

    @property
    def vectors(self) -> np.ndarray:
        """(n, d) float32, unit length, loaded at first use."""
        if self._vectors is None:
            blobs = dict(self._db.execute("SELECT c.id, v.vector FROM chunks c JOIN vectors v ON v.key = c.vector"))
            joined = b"".join(blobs[int(id)] for id in self.ids)
            self._vectors = np.frombuffer(joined, np.float16).reshape(len(self.ids), -1).astype(np.float32)
        return self._vectors

    def lexical(self, terms: Sequence[str], limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and BM25 scores (higher is better) of the best `limit` chunks that hold any of the terms.

        Scores are those of SQLite's FTS5: Okapi BM25 with k1 = 1.2 and b = 0.75.
        """
        if not terms:
            return np.empty(0, np.int64), np.empty(0)
        match = " OR ".join(f'"{term}"' for term in terms)
        found = self._db.execute(
            "SELECT rowid, -rank FROM lexicon WHERE lexicon MATCH ? ORDER BY rank LIMIT ?", (match, limit)
        ).fetchall()
        scores = dict(found)
        rows = self.rows_of(list(scores))
        return rows, np.array([scores[int(self.ids[row])] for row in rows])

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many chunks each term occurs."""
        query = "SELECT doc FROM vocabulary WHERE term = ?"
        rows = {term: self._db.execute(query, (term,)).fetchone() for term in terms}
        return {term: int(row[0]) if row else 0 for term, row in rows.items()}

    def document_text(self, document: int) -> str:
        """The extracted text of a document (a row of `docs`)."""
        if document not in self._texts:
            if sum(map(len, self._texts.values())) > 50_000_000:
                self._texts.clear()
            (text,) = self._db.execute("SELECT text FROM documents WHERE doc = ?", (self.docs[document],)).fetchone()
            self._texts[document] = text
        return self._texts[document]

    def text(self, row: int) -> str:
        """The text of a chunk."""
        return self.document_text(int(self.documents[row]))[int(self.starts[row]) : int(self.ends[row])]

    def mask(self, where: Where | None) -> np.ndarray | None:
        """Which chunks a filter allows, (n,) bool; None for no filter.

        Fields are `doc` (a name, a list of names or a pattern with *), `title`, and every key of a document's
        metadata; a list means any of. Raises QueryError for a field that no document has.
        """
        if not where:
            return None
        known = {"doc", "title"}.union(*self.meta)
        for field in where:
            if field not in known:
                raise QueryError(f"There is no field {field!r} to filter on; known: {', '.join(sorted(known))}.")
        values = [
            {**meta, "doc": doc, "title": title}
            for doc, title, meta in zip(self.docs, self.titles, self.meta, strict=True)
        ]
        allowed = np.array([all(_fits(value.get(k), v) for k, v in where.items()) for value in values], bool)
        return np.asarray(allowed[self.documents])


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list | tuple | set | frozenset):
        return any(_fits(value, one) for one in wanted)
    if isinstance(wanted, str) and isinstance(value, str) and "*" in wanted:
        return fnmatch.fnmatchcase(value, wanted)
    return bool(value == wanted)
