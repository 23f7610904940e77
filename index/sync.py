"""A folder against the catalog: first a plan (added, changed, removed, unchanged, failed), then its execution.

Order makes it crash-safe: vectors go to Chroma first, then one SQLite transaction shows the new version and hides the
old one, then Chroma drops what is dead. What a crash leaves behind is invisible and swept by the next sync.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from index.catalog import Catalog, Entry, FileState
from index.chunks import Chunk, chunk_spans, context_line
from index.documents import Document, read_document
from index.embed import Embedder
from index.errors import DocumentError, RagError
from index.readers import READERS
from index.settings import IndexSettings
from index.vectors import ChromaVectors, Record

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, items done, items in all)."""

_SKIPPED_FOLDERS = {"node_modules", "__pycache__", "venv", "site-packages"}
# Texts embedded between two commits: large enough to fill batches, small enough that little is lost by a kill.
_BATCH_TEXTS = 512


@dataclass(frozen=True, slots=True)
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

    def __str__(self) -> str:
        parts = [
            f"{len(getattr(self, name))} {name}" for name in ("added", "changed", "removed", "unchanged", "failed")
        ]
        return f"{', '.join(parts)}; {self.chunks} chunks, {self.embedded} embedded in {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Task:
    """A file to read: its name in the index, and what the catalog knew of it (None: new)."""

    doc: str
    path: Path
    size: int
    mtime_ns: int
    known: FileState | None


@dataclass(slots=True)
class Plan:
    """What a sync would do. `tasks` may turn out unchanged once read: only content decides."""

    tasks: list[Task] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def find_files(target: Path, failed: list[tuple[str, str]], root: Path | None = None) -> Iterator[Path]:
    """Files below `target` in name order; hidden names are skipped, symbolic links never lead out of it."""
    root = root or target
    if target.is_file():
        yield target
        return
    try:
        entries = sorted(os.scandir(target), key=lambda entry: entry.name)
    except OSError as error:
        failed.append((target.relative_to(root).as_posix(), f"cannot be opened: {error.strerror or error}"))
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name in _SKIPPED_FOLDERS:
            continue
        reason = _link_reason(path, root) if entry.is_symlink() else None
        if reason:
            failed.append((path.relative_to(root).as_posix(), reason))
        elif entry.is_dir():
            if not (path / "catalog.sqlite3").exists():  # an index is not a document
                yield from find_files(path, failed, root)
        elif entry.is_file():
            yield path


def _link_reason(path: Path, root: Path) -> str | None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "symbolic link that leads nowhere or to itself"
    if target.is_dir():
        return "symbolic link to a folder; such links are not followed"
    return None if target.is_relative_to(root.resolve()) else "symbolic link that leads out of the folder"


def make_plan(catalog: Catalog, target: Path) -> Plan:
    """Compare a folder or file with the catalog. Raises RagError when it does not exist."""
    target = Path(os.path.abspath(target))
    if not target.exists():
        raise RagError(f"There is no file or folder {target}. Nothing was changed.")
    plan = Plan()
    known = {state.path: state for state in catalog.files() if state.path is not None}
    names = {state.doc: state for state in catalog.files()}
    roots = [Path(root) for root in catalog.roots()]
    root = next((root for root in roots if target.is_relative_to(root)), target if target.is_dir() else target.parent)
    seen: set[str] = set()
    for path in find_files(target, plan.failed):
        state = known.get(str(path))
        doc = state.doc if state else _name(path, root, names)
        seen.add(doc)
        if path.suffix.lower() not in READERS:
            plan.failed.append((doc, f"no reader for {path.suffix or 'files without an ending'}"))
            seen.discard(doc)
            continue
        try:
            stat = path.stat()
        except OSError:
            plan.failed.append((doc, "vanished while the folder was being listed"))
            continue
        state = state or names.get(doc)
        # A file written within the clock's grain of the last reading may have changed unseen: read it again.
        settled = state is not None and state.mtime_ns is not None and state.mtime_ns / 1e9 < state.indexed - 2
        if (
            state
            and settled
            and state.path == str(path)
            and (state.size, state.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        ):
            plan.unchanged.append(doc)
        else:
            plan.tasks.append(Task(doc, path, stat.st_size, stat.st_mtime_ns, state))
            names[doc] = state or FileState(0, doc, str(path), None, None, "", 0.0)
    plan.removed = [
        state.doc for path, state in known.items() if Path(path).is_relative_to(target) and state.doc not in seen
    ]
    return plan


def _name(path: Path, root: Path, names: dict[str, FileState]) -> str:
    """The path below the root; with the root's name before it only where another file already has that name."""
    inside = path.relative_to(root).as_posix()
    for doc in (inside, f"{root.name}/{inside}", path.as_posix().lstrip("/")):
        holder = names.get(doc)
        if holder is None or holder.path == str(path):
            return doc
        # Text added from memory keeps its name; a file that no longer exists has moved here.
        if holder.path is not None and not Path(holder.path).exists():
            return doc
    return path.as_posix().lstrip("/")


@dataclass(slots=True)
class Writer:
    """Brings documents into the index in batches; the caller holds the index's lock."""

    catalog: Catalog
    chroma: ChromaVectors
    embedder: Embedder
    settings: IndexSettings
    progress: Progress = lambda what, done, total: None
    chunks: int = 0
    embedded: int = 0

    def run(self, plan: Plan) -> SyncReport:
        """Carry out a plan. A document that cannot be read keeps the version that is stored, if any."""
        self.sweep()
        added: list[str] = []
        changed: list[str] = []
        unchanged = list(plan.unchanged)
        failed = list(plan.failed)
        touched: list[FileState] = []
        batch: list[Entry] = []
        for number, task in enumerate(plan.tasks):
            self.progress("Reading", number, len(plan.tasks))
            try:
                document = read_document(task.path, task.doc, self.settings.max_file_mb * 1_000_000)
            except DocumentError as error:
                kept = "; the version indexed before stays" if task.known else ""
                failed.append((task.doc, f"{error}{kept}"))
                continue
            if task.known and document.sha256 == task.known.sha256:
                touched.append(replace(task.known, path=str(task.path), size=task.size, mtime_ns=task.mtime_ns))
                unchanged.append(task.doc)
                continue
            batch.append(self.entry(document, path=str(task.path), size=task.size, mtime_ns=task.mtime_ns))
            (changed if task.known else added).append(task.doc)
            if sum(len(entry.chunks) for entry in batch) >= _BATCH_TEXTS:
                self.write(batch)
                batch = []
        # Batches commit as they fill; removals come last, with the rest.
        self.write(batch, plan.removed)
        if touched:
            self.catalog.touch(touched)
        self.progress("Reading", len(plan.tasks), len(plan.tasks))
        return SyncReport(
            tuple(added),
            tuple(changed),
            tuple(plan.removed),
            tuple(unchanged),
            tuple(failed),
            self.chunks,
            self.embedded,
        )

    def entry(
        self, document: Document, path: str | None = None, size: int | None = None, mtime_ns: int | None = None
    ) -> Entry:
        """Cut a document and name the vector of each chunk by what the embedder will read."""
        limit = min(self.settings.chunk_tokens, self.embedder.window)
        starts = self.embedder.token_starts(document.text)
        chunks = chunk_spans(document, starts, limit)
        searched = [self._searched(document, chunk) for chunk in chunks]
        keys = [hashlib.sha256(f"{self.embedder.fingerprint}\n{text}".encode()).digest()[:16] for text in searched]
        return Entry(document, chunks, keys, searched, path, size, mtime_ns)

    def _searched(self, document: Document, chunk: Chunk) -> str:
        """The chunk under its context line, which gives way where both would not fit the embedder's window."""
        text = document.text[chunk.start : chunk.end]
        context = context_line(document.doc, document.title, chunk.heading)
        if not context:
            return text
        size = len(self.embedder.token_starts(text))
        room = self.embedder.window - size - 1
        starts = self.embedder.token_starts(context)
        if len(starts) > room:
            context = context[: int(starts[room])] if room > 0 else ""
        return f"{context}\n{text}" if context else text

    def write(self, entries: Sequence[Entry], gone: Sequence[str] = ()) -> None:
        """Embed what is new, hand it to Chroma, then make it visible in one transaction."""
        if not entries and not gone:
            return
        vectors = self._vectors(entries)
        entries = self._with_ids(entries)
        records = [
            record for entry in entries for record in _records(entry.document, entry.chunks, entry.keys, vectors)
        ]
        self.chroma.upsert(records)
        dead = self.catalog.replace(entries, vectors, gone)
        self.chroma.delete(dead)
        self.catalog.settle()
        self.chunks += len(records)

    def _vectors(self, entries: Sequence[Entry]) -> dict[bytes, np.ndarray]:
        texts = {key: text for entry in entries for key, text in zip(entry.keys, entry.searched, strict=True)}
        vectors = self.catalog.known_vectors(texts)
        missing = [key for key in texts if key not in vectors]
        # In slices, so that progress can be shown; large enough to fill the model's batches.
        for at in range(0, len(missing), _BATCH_TEXTS):
            self.progress("Embedding", at, len(missing))
            part = missing[at : at + _BATCH_TEXTS]
            found = self.embedder.encode([texts[key] for key in part])
            vectors.update(zip(part, found, strict=True))
        self.embedded += len(missing)
        return vectors

    def _with_ids(self, entries: Sequence[Entry]) -> list[Entry]:
        """A chunk whose vector stays keeps its id, so that Chroma overwrites it in place; others get unused ids."""
        next_id = self.catalog.reserve_ids(sum(len(entry.chunks) for entry in entries))
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

    def sweep(self) -> None:
        """After a crash: remove from Chroma what the catalog does not know, add what it lacks."""
        if self.catalog.unsettled():
            settle(self.catalog, self.chroma)


def settle(catalog: Catalog, chroma: ChromaVectors) -> tuple[int, int]:
    """Make Chroma hold exactly the catalog's chunks, without embedding. Returns (removed, added) record counts."""
    have, want = chroma.ids(), catalog.chunk_ids()
    chroma.delete(have - want)
    missing = want - have
    for info in catalog.documents() if missing else ():
        document = catalog.document(info.doc)
        pairs = [(chunk, key) for chunk, key in catalog.chunks(info.doc) if chunk.id in missing]
        if document is None or not pairs:
            continue
        chunks, keys = zip(*pairs, strict=True)
        chroma.upsert(_records(document, chunks, keys, catalog.known_vectors(keys)))
    catalog.settle()
    return len(have - want), len(missing)


def _records(
    document: Document, chunks: Sequence[Chunk], keys: Sequence[bytes], vectors: Mapping[bytes, np.ndarray]
) -> list[Record]:
    return [
        Record(chunk.id, vectors[key], document.text[chunk.start : chunk.end], _metadata(document, chunk))
        for chunk, key in zip(chunks, keys, strict=True)
    ]


def _metadata(document: Document, chunk: Chunk) -> dict[str, str | int | float | bool]:
    """What any Chroma client can filter on. Chroma takes no None."""
    found: dict[str, str | int | float | bool] = {
        **document.meta,
        "doc": document.doc,
        "title": document.title,
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading,
    }
    if chunk.page is not None:
        found["page"] = chunk.page
    return found
