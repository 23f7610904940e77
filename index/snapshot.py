"""One version of the whole index as arrays: what a search reads. Never written to; a new generation is a new snapshot.

Chunks stand in reading order, document after document, so that the neighbours of chunk i are i - 1 and i + 1. Dense
search is exact over all vectors: at 100,000 chunks the product takes 3 to 6 ms, and fusion needs the cosine of every
chunk, which an approximate search does not give (`index.vectors` has one; see benchmarks/RESULTS.md for when it pays).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np

from index.chunks import HEADED_KINDS, HEADING_LINE, context_line
from index.errors import IndexDamagedError
from index.filters import ALIASES, CHUNK_FIELDS, Where, check_fields, condition, folders_of
from index.terms import STEMMERS, language_code, terms

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

# Okapi BM25 as SQLite's FTS5 has it.
_K1, _B = 1.2, 0.75
# What is kept between searches, the oldest dropped first: characters of texts (4 bytes at most each), postings
# (8 bytes each: the hundreds of common words that most questions share), chunks read sentence by sentence.
_KEPT_CHARACTERS, _KEPT_POSTINGS, _KEPT_CHUNKS, _KEPT_NAMES = 50_000_000, 8_000_000, 4_000, 20_000
# Metadata longer than this describes a document's content, not which document it is.
_LONG_VALUE = 200
# Vectors converted at a time while loading.
_BLOCK = 4096


class Snapshot:
    """Arrays of n chunks: `ids`, `starts`, `ends`, `tokens`, `pages` (0: none), `documents` (rows of `docs`)."""

    def __init__(self, db: sqlite3.Connection, generation: int) -> None:
        self.generation = generation
        self.on(db)
        listed = db.execute("SELECT id, doc, title, meta FROM documents ORDER BY doc").fetchall()
        self.docs: list[str] = [doc for _, doc, _, _ in listed]
        self.titles: list[str] = [title for _, _, title, _ in listed]
        self.meta: list[Mapping[str, Any]] = [json.loads(meta) for _, _, _, meta in listed]
        said = Counter(map(language_code, self.meta))
        self.languages = [code for code, _ in said.most_common(5) if code in STEMMERS and code != "en"]
        row_of = {id: row for row, (id, _, _, _) in enumerate(listed)}
        rows = db.execute("SELECT id, document, ordinal, start, end, page, heading, tokens FROM chunks").fetchall()
        rows.sort(key=lambda row: (row_of[row[1]], row[2]))
        self.ids = np.array([row[0] for row in rows], np.int64)
        self.documents = np.array([row_of[row[1]] for row in rows], np.int32)
        self.starts = np.array([row[3] for row in rows], np.int64)
        self.ends = np.array([row[4] for row in rows], np.int64)
        self.pages = np.array([row[5] or 0 for row in rows], np.int32)
        self.headings: list[str] = [row[6] for row in rows]
        self.tokens = np.array([row[7] for row in rows], np.int32)
        self._order = np.argsort(self.ids)
        self._vectors: np.ndarray | None = None
        self._lengths: np.ndarray | None = None
        self._headed: list[tuple[str, ...]] | None = None
        self._texts: _Kept[int, str] = _Kept(_KEPT_CHARACTERS, len)
        self._postings: _Kept[str, tuple[np.ndarray, np.ndarray]] = _Kept(_KEPT_POSTINGS, lambda kept: len(kept[0]))
        self._names: _Kept[int, tuple[frozenset[str], frozenset[str]]] = _Kept(_KEPT_NAMES, lambda kept: 1)
        self._read: _Kept[int, Any] = _Kept(_KEPT_CHUNKS, lambda kept: 1)

    def __len__(self) -> int:
        return len(self.ids)

    def on(self, db: sqlite3.Connection) -> Snapshot:
        """The same snapshot read through this connection, which must see the same generation."""
        self._db = db
        db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.postings USING fts5vocab(main, lexicon, instance)")
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
        """(n, d) float32, unit length, loaded at first use. Stored by column: a product with one vector is then twice
        as fast."""
        if self._vectors is None:
            self._vectors = self._loaded()
        return self._vectors

    def _loaded(self) -> np.ndarray:
        # In the order of the keys, in which both tables are read from front to back; then into reading order.
        found = self._db.execute("SELECT c.id, v.vector FROM chunks c JOIN vectors v ON v.key = c.vector")
        ids: list[int] = []
        parts: list[np.ndarray] = []
        while block := found.fetchmany(_BLOCK):
            ids += [id for id, _ in block]
            parts.append(np.frombuffer(b"".join(vector for _, vector in block), np.float16).reshape(len(block), -1))
        if len(ids) != len(self):
            raise IndexDamagedError(f"{len(self) - len(ids)} chunks have no vector. Type: rag sync --rebuild FOLDER")
        if not parts:
            return np.empty((0, 0), np.float32)
        stored = np.concatenate(parts)
        del parts
        place = np.empty(len(self), np.int64)
        place[self.rows_of(ids)] = np.arange(len(ids))
        vectors = np.empty((len(self), stored.shape[1]), np.float32, order="F")
        for at in range(0, len(self), _BLOCK):
            vectors[at : at + _BLOCK] = stored[place[at : at + _BLOCK]]
        return vectors

    def lexical(self, terms: Sequence[str], limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and BM25 scores (higher is better) of the best `limit` chunks that hold any of the terms, by row.

        Scores are those of SQLite's FTS5: Okapi BM25 with k1 = 1.2 and b = 0.75.
        """
        scores = np.zeros(len(self))
        for term in terms:
            rows, values = self.postings(term)
            scores[rows] += values
        hits = np.flatnonzero(scores)
        if len(hits) > limit:
            hits = np.sort(hits[np.argpartition(-scores[hits], limit - 1)[:limit]])
        return hits, scores[hits]

    def postings(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the chunks that hold a term, and what it adds to the BM25 score of each. Kept: the words that fill
        long lists are the words that questions share."""
        return self._postings.get(term, self._posted)

    def _posted(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        found = self._db.execute("SELECT doc FROM temp.postings WHERE term = ?", (term,))
        said = np.sort(np.fromiter((id for (id,) in found), np.int64))
        first = np.flatnonzero(np.diff(said, prepend=-1))
        ids, counts = said[first], np.diff(first, append=len(said))
        rows = self.rows_of(ids).astype(np.int32)
        if not len(rows):
            return rows, np.empty(0, np.float32)
        if self._lengths is None:
            self._lengths = self._sizes()
        idf = max(np.log((len(self) - len(rows) + 0.5) / (len(rows) + 0.5)), 1e-6)
        size = self._lengths[rows] / self._lengths.mean()
        return rows, (idf * counts * (_K1 + 1) / (counts + _K1 * (1 - _B + _B * size))).astype(np.float32)

    def _sizes(self) -> np.ndarray:
        """Terms of each chunk, (n,), from the lexical index."""
        found = self._db.execute("SELECT id, sz FROM lexicon_docsize").fetchall()
        sizes = np.zeros(len(self), np.float32)
        sizes[self.rows_of([id for id, _ in found])] = [_varint(size) for _, size in found]
        return sizes

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many chunks each term occurs."""
        query = "SELECT doc FROM vocabulary WHERE term = ?"
        rows = {term: self._db.execute(query, (term,)).fetchone() for term in terms}
        return {term: int(row[0]) if row else 0 for term, row in rows.items()}

    def document_text(self, document: int) -> str:
        """The extracted text of a document (a row of `docs`)."""
        return self._texts.get(document, self._text_of)

    def _text_of(self, document: int) -> str:
        (text,) = self._db.execute("SELECT text FROM documents WHERE doc = ?", (self.docs[document],)).fetchone()
        return cast(str, text)

    def name_terms(self, document: int) -> tuple[frozenset[str], frozenset[str]]:
        """The terms of a document's name and title, and those of its metadata, whatever their field."""
        return self._names.get(document, self._named)

    def _named(self, document: int) -> tuple[frozenset[str], frozenset[str]]:
        meta = self.meta[document]
        language = language_code(meta)
        said = "\n".join(value for value in meta.values() if isinstance(value, str) and len(value) < _LONG_VALUE)
        name = context_line(self.docs[document], self.titles[document], "")
        return frozenset(terms(name, language)), frozenset(terms(said, language))

    def text(self, row: int) -> str:
        """The text of a chunk."""
        return self.document_text(int(self.documents[row]))[int(self.starts[row]) : int(self.ends[row])]

    def read(self, row: int, make: Callable[[int], T]) -> T:
        """What `make` finds in a chunk, made once for as long as it is among the latest; one `make` a snapshot."""
        return cast(T, self._read.get(row, make))

    def mask(self, where: Where | None) -> np.ndarray | None:
        """Which chunks a filter allows, (n,) bool; None for no filter. `index.filters` says what a filter is.

        Fields are `doc`, `title`, `folder`, `type` (or `kind`), `heading`, `page` and every key of a document's
        metadata. Raises QueryError for a field that no document has.
        """
        if not where:
            return None
        check_fields(where, self.meta)
        allowed = np.ones(len(self), bool)
        for field, wanted in where.items():
            allowed &= self._fits(field, wanted)
        return allowed

    def _fits(self, field: str, wanted: Any) -> np.ndarray:
        values = self._values(field)
        fits: dict[Any, bool] = {}
        test = condition(field, wanted)
        for value in values:
            if value not in fits:
                fits[value] = test(value)
        found = np.array([fits[value] for value in values], bool)
        return found if field in CHUNK_FIELDS else found[self.documents]

    def _sections(self) -> list[tuple[str, ...]]:
        """Of each chunk the path of headings above it and, where it holds short sections whole, their headings."""
        if self._headed is None:
            found: list[list[str]] = [[heading] for heading in self.headings]
            first = np.searchsorted(self.documents, np.arange(len(self.docs) + 1))
            for document, meta in enumerate(self.meta):
                if meta.get("kind") not in HEADED_KINDS or first[document] == first[document + 1]:
                    continue
                starts = self.starts[first[document] : first[document + 1]]
                for line in HEADING_LINE.finditer(self._text_of(document)):
                    row = int(np.searchsorted(starts, line.start(), side="right")) - 1
                    if row >= 0:
                        found[first[document] + row].append(line.group(1))
            self._headed = [tuple(dict.fromkeys(headings)) for headings in found]
        return self._headed

    def _values(self, field: str) -> list[Any]:
        """The values of a field, one a chunk for the fields of chunks, else one a document."""
        match field:
            case "doc":
                return list(self.docs)
            case "title":
                return list(self.titles)
            case "folder":
                return [folders_of(doc) for doc in self.docs]
            case "heading":
                return self._sections()
            case "page":
                return [page or None for page in self.pages.tolist()]
        found = [meta.get(ALIASES.get(field, field)) for meta in self.meta]
        return [tuple(value) if isinstance(value, list) else value for value in found]


class _Kept(Generic[K, V]):
    """The latest values of a costly function, as many as fit a limit on their sizes in sum; the oldest go first."""

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit, self._size, self._held = limit, size, 0
        self._values: dict[K, V] = {}

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """The value of a key, made if it is not among the latest."""
        if key in self._values:
            value = self._values.pop(key)
        else:
            value = make(key)
            self._held += self._size(value)
        self._values[key] = value
        while self._held > self._limit and len(self._values) > 1:
            self._held -= self._size(self._values.pop(next(iter(self._values))))
        return value


def _varint(data: bytes) -> int:
    """The first number of SQLite's variable-length format: seven bits a byte, the high bit says that more follow."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 127
        if byte < 128:
            break
    return value
