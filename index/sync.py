"""The execution of a plan: documents read, cut, embedded and written in batches; what a sync reports.

Order makes it crash-safe: vectors go to Chroma first, then one SQLite transaction shows the new version and hides the
old one, then Chroma drops what is dead. What a crash leaves behind is invisible and swept by the next sync.
"""

from __future__ import annotations

import hashlib
import html
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from index.catalog import Catalog, Entry, FileState, Source
from index.chunks import Chunk, chunk_spans, context_of
from index.documents import Document, readable_name
from index.embed import Embedder
from index.errors import DocumentError
from index.frames import frame
from index.health import check_parts
from index.plan import Plan, Task
from index.readers import ReadOptions
from index.reading import Outcome, read_all
from index.settings import IndexSettings
from index.vectors import PART, ChromaVectors, Record

if TYPE_CHECKING:
    from index.web import Web

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, items done, items in all)."""

# Texts embedded between two commits: large enough to fill batches, small enough that little is lost by a kill.
_BATCH_TEXTS = 512
_BATCH_RECORDS = 2000


@dataclass(frozen=True, slots=True, repr=False)
class SyncReport:
    """What a sync did: names of documents, (name, reason) of failures, counts of chunks, seconds.

    `chunks` counts those written for added and changed documents, `embedded` the texts the model had to read.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    chunks: int = 0
    embedded: int = 0
    seconds: float = 0.0
    moved: tuple[tuple[str, str], ...] = ()
    """(old name, new name) of renamed files, which are in no other list."""
    warnings: tuple[str, ...] = ()
    """What a person should know although nothing failed, such as pages that hold no text."""

    def __str__(self) -> str:
        names = ("added", "changed", "moved", "removed", "unchanged", "failed")
        parts = [f"{len(getattr(self, name))} {name}" for name in names if name != "moved" or self.moved]
        return f"{', '.join(parts)}; {self.chunks} chunks, {self.embedded} embedded in {self.seconds:.1f} s"

    def __repr__(self) -> str:
        return f"<SyncReport: {self}>"

    def _repr_html_(self) -> str:
        rows = [f"<li>{html.escape(doc)}: {html.escape(reason)}</li>" for doc, reason in self.failed]
        rows += [f"<li>{html.escape(warning)}</li>" for warning in self.warnings]
        return f"<p>{html.escape(str(self))}</p>" + (f"<ul>{''.join(rows)}</ul>" if rows else "")

    def to_pandas(self) -> Any:
        """A pandas frame, a row a document: doc, state (added, changed, ...), and why where it failed."""
        named = {name: getattr(self, name) for name in ("added", "changed", "removed", "unchanged")}
        rows = [(doc, state, "") for state, docs in named.items() for doc in docs]
        rows += [(new, "moved", f"from {old}") for old, new in self.moved]
        rows += [(doc, "failed", reason) for doc, reason in self.failed]
        columns = ("doc", "state", "detail")
        return frame([dict(zip(columns, row, strict=True)) for row in rows], columns)


@dataclass(slots=True)
class _Batch:
    """Documents on their way in: cut, and handed to the embedder or about to be."""

    entries: list[Entry] = field(default_factory=list)
    vectors: dict[bytes, np.ndarray] = field(default_factory=dict)
    missing: dict[bytes, str] = field(default_factory=dict)
    embedding: Future[None] | None = None

    @property
    def chunks(self) -> int:
        return sum(len(entry.chunks) for entry in self.entries)


class Writer:
    """Brings documents into the index in batches; the caller holds the index's lock.

    While one batch is embedded in a thread, this thread writes the one before it and reads and cuts the one after.
    """

    def __init__(self, catalog: Catalog, chroma: ChromaVectors, embedder: Embedder, settings: IndexSettings) -> None:
        self.catalog, self.chroma, self.embedder, self.settings = catalog, chroma, embedder, settings
        self.progress: Progress = lambda what, done, total: None
        self.chunks = self.embedded = 0
        self.warnings: list[str] = []
        self._asked = 0
        self._stop = threading.Event()

    def run(self, plan: Plan, web: Web | None = None) -> SyncReport:
        """Carry out a plan. A document that cannot be read keeps the version that is stored, if any."""
        self.sweep()
        added: list[str] = []
        changed: list[str] = []
        unchanged = [*plan.unchanged, *(state.doc for state in plan.touched)]
        failed = list(plan.failed)
        warnings = list(web.notes if web else ())
        touched = list(plan.touched)
        self._move(plan.moved)
        tasks = [*plan.added, *plan.changed]

        def entries() -> Iterator[Entry]:
            for number, (task, outcome) in enumerate(self._read(tasks, web)):
                self.progress("Reading", number, len(tasks))
                if isinstance(outcome, DocumentError):
                    kept = "; the version indexed before stays" if task.known else ""
                    failed.append((task.doc, f"{outcome}{kept}"))
                elif outcome is None or (task.known and _same(task, outcome)):
                    assert task.known is not None
                    touched.append(replace(task.known, source=task.source))
                    unchanged.append(task.doc)
                else:
                    (changed if task.known else added).append(task.doc)
                    warnings.extend(_warnings(outcome))
                    yield self.entry(outcome, task.source)

        self._write_all(entries())
        self.progress("Reading", len(tasks), len(tasks))
        # Batches commit as they fill; removals come last.
        self.write([], plan.removed)
        if touched:
            self.catalog.touch(touched)
        self.catalog.note_failures(plan.target, failed)
        self.renew(self.chroma.worn())
        return SyncReport(
            added=tuple(added),
            changed=tuple(changed),
            removed=tuple(plan.removed),
            unchanged=tuple(unchanged),
            failed=tuple(failed),
            chunks=self.chunks,
            embedded=self.embedded,
            moved=tuple((state.doc, task.doc) for state, task in plan.moved),
            warnings=(*self.warnings, *warnings),
        )

    def _read(self, tasks: Sequence[Task], web: Web | None) -> Iterator[tuple[Task, Outcome]]:
        limits = self.settings.max_file_mb * 1_000_000, read_options(self.settings), self.settings.read_seconds
        if web is None:
            yield from read_all(((task, task.path) for task in tasks), *limits)
            return
        with tempfile.TemporaryDirectory() as folder:
            for task, outcome in read_all(fetched(web, tasks, Path(folder)), *limits):
                if isinstance(outcome, Document):
                    yield task, replace(outcome, meta={"url": task.doc, **outcome.meta})
                else:
                    yield task, outcome

    def _write_all(self, entries: Iterator[Entry]) -> None:
        self._stop.clear()
        before, batch = _Batch(), _Batch()
        with ThreadPoolExecutor(1, "embed") as thread:
            try:
                for entry in entries:
                    batch.entries.append(entry)
                    if batch.chunks >= _BATCH_TEXTS:
                        self._start(batch, before, thread)
                        self._finish(before)
                        before, batch = batch, _Batch()
                self._start(batch, before, thread)
                self._finish(before)
                self._finish(batch)
            finally:
                self._stop.set()  # after an error or Ctrl-C the thread must not read on to the end of its batch

    def _start(self, batch: _Batch, before: _Batch, thread: ThreadPoolExecutor) -> None:
        """Hand over to the embedder what neither the catalog has nor the batch that is being embedded."""
        texts = {key: text for entry in batch.entries for key, text in zip(entry.keys, entry.searched, strict=True)}
        batch.vectors = self.catalog.known_vectors(texts)
        batch.missing = {
            key: text for key, text in texts.items() if key not in batch.vectors and key not in before.missing
        }
        self._asked += len(batch.missing)
        batch.embedding = thread.submit(self._embed, batch)

    def _embed(self, batch: _Batch) -> None:
        keys = list(batch.missing)
        # In slices, so that progress can be shown; large enough to fill the model's batches.
        for at in range(0, len(keys), _BATCH_TEXTS):
            if self._stop.is_set():
                return
            part = keys[at : at + _BATCH_TEXTS]
            batch.vectors.update(zip(part, self.embedder.encode([batch.missing[key] for key in part]), strict=True))
            self.embedded += len(part)

    def _finish(self, batch: _Batch) -> None:
        """Wait for a batch's vectors, hand it to Chroma, then make it visible in one transaction."""
        while batch.embedding is not None and not batch.embedding.done():
            wait([batch.embedding], timeout=0.2)
            self.progress("Embedding", self.embedded, self._asked)
        if batch.embedding is not None:
            batch.embedding.result()
        keys = {key for entry in batch.entries for key in entry.keys}
        batch.vectors.update(self.catalog.known_vectors(keys - batch.vectors.keys()))
        self._commit(batch.entries, batch.vectors)
        self.progress("Embedding", self.embedded, self._asked)

    def _move(self, moved: Sequence[tuple[FileState, Task]]) -> None:
        """New names for the same content. Vectors stay, although the old name was embedded with them; the lexical index
        knows the new name at once. Names that the title was made of change with it."""
        entries: list[Entry] = []
        for state, task in moved:
            old = self.catalog.document(state.doc)
            assert old is not None
            title = readable_name(task.doc) if old.title == readable_name(old.doc) else old.title
            document = replace(old, doc=task.doc, title=title)
            pairs = self.catalog.chunks(state.doc)
            chunks = [replace(chunk, doc=task.doc) for chunk, _ in pairs]
            searched = [self._searched(document, chunk) for chunk in chunks]
            entries.append(Entry(document, chunks, [key for _, key in pairs], searched, task.source))
        if entries:
            vectors = self.catalog.known_vectors({key for entry in entries for key in entry.keys})
            self._commit(entries, vectors, renamed=[(state.doc, task.doc) for state, task in moved])

    def entry(self, document: Document, source: Source | None = None) -> Entry:
        """Cut a document and name the vector of each chunk by what the embedder will read."""
        limit = min(self.settings.chunk_tokens, self.embedder.window)
        starts = self.embedder.token_starts(document.text)
        chunks = chunk_spans(document, starts, limit)
        searched = [self._searched(document, chunk) for chunk in chunks]
        keys = [hashlib.sha256(f"{self.embedder.fingerprint}\n{text}".encode()).digest()[:16] for text in searched]
        return Entry(document, chunks, keys, searched, source or Source())

    def _searched(self, document: Document, chunk: Chunk) -> str:
        """The chunk under its context line, which gives way where both would not fit the embedder's window."""
        text = document.text[chunk.start : chunk.end]
        context = context_of(document.text, chunk.start, document.doc, document.title, chunk.heading)
        if not context:
            return text
        size = len(self.embedder.token_starts(text))
        room = self.embedder.window - size - 1
        starts = self.embedder.token_starts(context)
        if len(starts) > room:
            context = context[: int(starts[room])] if room > 0 else ""
        return f"{context}\n{text}" if context else text

    def write(self, entries: Sequence[Entry], gone: Sequence[str] = ()) -> None:
        """Embed what is new and write it; take `gone` out."""
        if entries:
            self._write_all(iter(entries))
        if gone:
            self._commit([], {}, gone)

    def _commit(
        self,
        entries: Sequence[Entry],
        vectors: Mapping[bytes, np.ndarray],
        gone: Sequence[str] = (),
        renamed: Sequence[tuple[str, str]] = (),
    ) -> None:
        """To Chroma first; then one transaction of the catalog shows the new and hides the old."""
        if not entries and not gone:
            return
        first = self.catalog.reserve_ids(0 if renamed else sum(len(entry.chunks) for entry in entries))
        entries = entries if renamed else self._with_ids(entries, first)
        records = chain.from_iterable(
            _records(entry.document, entry.chunks, entry.keys, vectors, first) for entry in entries
        )
        while some := list(islice(records, _BATCH_RECORDS)):  # one large file must not stand in memory twice
            self.chroma.upsert(some)
        dead = self.catalog.replace(entries, vectors, gone, renamed)
        self.chroma.delete(dead)
        self.catalog.settle(self.chroma.url or "")
        self.chunks += 0 if renamed else sum(len(entry.chunks) for entry in entries)

    def _with_ids(self, entries: Sequence[Entry], next_id: int) -> list[Entry]:
        """A chunk whose vector stays keeps its id, so that Chroma overwrites it in place; others get unused ids."""
        out: list[Entry] = []
        for entry in entries:
            free: dict[bytes, list[int]] = {}
            for chunk, key in self.catalog.chunks(entry.document.doc):
                free.setdefault(key, []).append(chunk.id)
            chunks: list[Chunk] = []
            for chunk, key in zip(entry.chunks, entry.keys, strict=True):
                if free.get(key):
                    chunks.append(replace(chunk, id=free[key].pop(0)))
                else:
                    chunks.append(replace(chunk, id=next_id))
                    next_id += 1
            out.append(replace(entry, chunks=chunks))
        return out

    def renew(self, parts: Sequence[int] | None = None) -> int:
        """Make Chroma, or some of its parts, anew from the catalog, embedding nothing; returns how many records."""
        if parts is not None and not parts:
            return 0
        self.catalog.reserve_ids(0)  # a crash in between leaves the note that Chroma is to be settled
        if parts is None:
            self.chroma.reset()
        for part in parts or ():
            self.chroma.part(part).reset()
        _, added = settle(self.catalog, self.chroma, parts)
        return added

    def sweep(self) -> None:
        """Before anything is written: make damaged parts of Chroma anew; after a crash, remove from it what the catalog
        does not know and add what it lacks.

        Chroma can kill the process that opens a damaged folder. So a part whose files are not as they were left is
        looked at by another process first.
        """
        interrupted = self.catalog.unsettled(self.chroma.url or "")
        local = self.chroma.url is None
        there = {*self.chroma.parts(), *self.catalog.chunk_ranges(PART)} if local or interrupted else set()
        parts = [part for part in sorted(there) if not local or not self.chroma.part(part).as_left()]
        ids = None if interrupted else {part: sorted(self.catalog.chunk_ids(*_span(part))) for part in parts}
        self.chroma.close()  # the other process opens it
        bad: dict[int, str] = {}
        for part, check in check_parts(
            self.chroma.folder, self.chroma.url, parts, ids, interrupted=interrupted
        ).items():
            if check.ok:
                self.chroma.part(part).vouch()
            else:
                bad[part] = check.found.rstrip(".")
        if bad:
            self.warnings.append(
                f"{len(bad)} of Chroma's {len(there)} parts were not sound ({next(iter(bad.values()))}) and were made"
                " anew from the catalog; rag doctor looks at the rest of the index"
            )
        self.renew(list(bad))
        if interrupted:
            settle(self.catalog, self.chroma)


def read_options(settings: IndexSettings) -> ReadOptions:
    """What readers need of the settings; the password may stand in RAG_PDF_PASSWORD instead."""
    return ReadOptions(password=settings.pdf_password or os.environ.get("RAG_PDF_PASSWORD"))


def fetched(web: Web, tasks: Sequence[Task], folder: Path) -> Iterator[tuple[Task, Path | DocumentError | None]]:
    """Pages as files in `folder`, the task's stamp brought up to date; None for a page that has not changed."""
    for number, task in enumerate(tasks):
        etag, _, modified = task.source.stamp.partition("\n") if task.known else ("", "", "")
        try:
            page = web.fetch(task.doc, etag, modified)
        except DocumentError as error:
            yield task, error
            continue
        if page is None:
            yield task, None
            continue
        file = folder / f"{number}{page.suffix}"
        file.write_bytes(page.data)
        source = replace(task.source, size=len(page.data), stamp=f"{page.etag}\n{page.modified}")
        yield replace(task, source=source), file


def _same(task: Task, document: Document) -> bool:
    known = task.known
    if known is None or known.sha256 != document.sha256:
        return False
    # A page's stamp is what its server says of it, a file's that of its sidecar, which counts as content.
    return task.source.mtime_ns is None or known.source.stamp == task.source.stamp


def _warnings(document: Document) -> Iterator[str]:
    empty, pages = document.meta.get("pages_without_text"), len(document.pages)
    if empty:
        yield f"{empty} of {pages} pages of {document.doc} hold no text; run OCR (for example ocrmypdf) and sync again"


def settle(catalog: Catalog, chroma: ChromaVectors, parts: Sequence[int] | None = None) -> tuple[int, int]:
    """Make Chroma, or some of its parts, hold exactly the catalog's chunks, without embedding. Returns (removed, added)
    record counts."""
    removed = added = 0
    for part in sorted({*chroma.parts(), *catalog.chunk_ranges(PART)} if parts is None else parts):
        want = catalog.chunk_ids(*_span(part))
        have = chroma.part(part).ids() if want or part in chroma.parts() else set()
        chroma.delete(have - want)
        _add(catalog, chroma, want - have, _span(part))
        removed, added = removed + len(have - want), added + len(want - have)
    catalog.settle(chroma.url or "")
    return removed, added


def _add(catalog: Catalog, chroma: ChromaVectors, missing: set[int], span: tuple[int, int]) -> None:
    records: list[Record] = []
    for doc in catalog.documents_with(*span) if missing else ():
        document = catalog.document(doc)
        pairs = [(chunk, key) for chunk, key in catalog.chunks(doc) if chunk.id in missing]
        if document is None or not pairs:
            continue
        chunks, keys = zip(*pairs, strict=True)
        records += _records(document, chunks, keys, catalog.known_vectors(keys), new=0)
        if len(records) >= _BATCH_RECORDS:
            chroma.upsert(records)
            records = []
    chroma.upsert(records)


def _span(part: int) -> tuple[int, int]:
    """First and last id of a part."""
    return part * PART, (part + 1) * PART - 1


def _records(
    document: Document, chunks: Sequence[Chunk], keys: Sequence[bytes], vectors: Mapping[bytes, np.ndarray], new: int
) -> Iterator[Record]:
    """Ids from `new` on were never used before."""
    for chunk, key in zip(chunks, keys, strict=True):
        text = document.text[chunk.start : chunk.end]
        yield Record(chunk.id, vectors[key], text, _metadata(document, chunk), chunk.id >= new)


def _metadata(document: Document, chunk: Chunk) -> dict[str, str | int | float | bool | list[str]]:
    """What any Chroma client can filter on. Chroma takes no None."""
    found: dict[str, str | int | float | bool | list[str]] = {
        **document.meta,
        "doc": document.doc,
        "folder": PurePosixPath(document.doc).parent.as_posix(),
        "title": document.title,
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading,
    }
    if chunk.page is not None:
        found["page"] = chunk.page
    return found
