"""The Index: one folder that holds a catalog, Chroma, a manifest and a lock; open, sync, remove, read, verify.

Knows nothing of questions, prompts or answers. Opening creates nothing; the first write does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.catalog import SCHEMA, Catalog, DocumentInfo, Source
from index.documents import Document, plain_document
from index.embed import Embedder, open_embedder
from index.errors import (
    DocumentError,
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    RagError,
)
from index.health import Check, rebuild_advice, verify
from index.lock import write_lock
from index.plan import Plan, plan_files, plan_pages
from index.readers import Meta
from index.settings import IndexSettings
from index.snapshot import Snapshot
from index.sync import Progress, SyncReport, Writer
from index.unfiled import set_aside, settle, unfiled, waiting
from index.vectors import ChromaVectors, discard

if TYPE_CHECKING:
    from index.web import Web

__all__ = ["Check", "Index", "forget"]

# The manifest first: without it the rest is no index, should this be interrupted.
_FILES = ("manifest.json", "catalog.sqlite3", "catalog.sqlite3-wal", "catalog.sqlite3-shm")


class Index:
    """An index in `folder`. Several threads may read; writes take a lock that also holds other processes off."""

    def __init__(self, folder: Path, settings: IndexSettings | None = None, embedder: object | None = None) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.settings = settings or IndexSettings()
        self._given = embedder
        self._embedder: Embedder | None = None
        self._catalog: Catalog | None = None
        self._chroma = ChromaVectors(self.folder / "chroma", self.settings.chroma_url)
        self._snapshot: Snapshot | None = None
        self._reads = threading.RLock()
        self._writes = threading.RLock()  # apart from reads: a search must not wait for a sync
        if self.exists():
            self._check_manifest()

    # Opening

    @property
    def embedder(self) -> Embedder:
        """The model that turns text into vectors; its weights are loaded at first use."""
        if self._embedder is None:
            self._embedder = open_embedder(self._given or self.settings.embedder)
        return self._embedder

    def exists(self) -> bool:
        """Whether the folder holds an index."""
        return (self.folder / "manifest.json").exists()

    @property
    def catalog(self) -> Catalog:
        """The catalog; raises IndexMissingError when nothing was indexed yet."""
        self._drop_replaced()
        if self._catalog is None:
            if not self.exists():
                raise IndexMissingError(f"There is no index at {self.folder}. Make one: rag sync FOLDER")
            self._catalog = Catalog(self.folder / "catalog.sqlite3")
        return self._catalog

    def _drop_replaced(self) -> None:
        """Another process has made the index anew: what is open here is a file that is no longer there."""
        if self._catalog is not None and self._catalog.replaced():
            with self._reads:  # not closed: other threads may be reading it
                self._catalog = self._snapshot = None
                if self.exists():
                    self._check_manifest()

    def close(self) -> None:
        """Let go of every file."""
        with self._reads:
            if self._catalog is not None:
                self._catalog.close()
            self._catalog = self._snapshot = None
            self._chroma.close()

    def _check_manifest(self) -> None:
        file = self.folder / "manifest.json"
        try:
            manifest = dict(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise IndexDamagedError(f"{file} cannot be read ({error}). Type: {rebuild_advice(file)}") from error
        if manifest.get("schema") != SCHEMA and self._catalog is None:  # nothing is open yet
            from index.migrations import migrate

            manifest = migrate(self.folder, manifest)
        wanted = self._manifest()
        for key in ("schema", "embedder", "chunk_tokens"):
            if manifest.get(key) != wanted[key]:
                raise IndexMismatchError(
                    f"The index at {self.folder} was made with {key} {manifest.get(key)!r}, but {wanted[key]!r} is set."
                    f" Set it back, or make the index anew: {rebuild_advice(file)}"
                )

    def _manifest(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "embedder": self.embedder.fingerprint,
            "chunk_tokens": self.settings.chunk_tokens,
        }

    # Writing

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Writer]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RagError(f"{self.folder} cannot be made: {error.strerror}.") from error
        with write_lock(self.folder):
            try:
                self._drop_replaced()
                self._catalog = self._catalog or self._made()
                self._check_manifest()
                yield Writer(self._catalog, self._chroma, self.embedder, self.settings)
            except (OSError, sqlite3.DatabaseError) as error:
                raise self._readable(error) from error
            finally:
                # Another process may search or sync next: it must find Chroma's folder closed.
                self._chroma.close()

    def _made(self) -> Catalog:
        """The catalog, made now if there is no index. Half an index is damage, not a reason to begin a new one."""
        manifest, file = self.folder / "manifest.json", self.folder / "catalog.sqlite3"
        there = file.exists() and file.stat().st_size > 0
        if self.exists() and not there:
            raise IndexDamagedError(f"{file} is missing or empty. Type: {rebuild_advice(manifest)}")
        if not there and self.settings.chroma_url is None:
            self._chroma.reset()  # what a lost index left there
        catalog = Catalog(file, create=True)
        if not self.exists():
            if catalog.files():
                raise IndexDamagedError(f"{manifest} is missing. Type: {rebuild_advice(manifest)}")
            made = {**self._manifest(), "made": time.strftime("%Y-%m-%dT%H:%M:%S"), "chroma": version("chromadb")}
            _write_whole(manifest, json.dumps(made, indent=2))
        return catalog

    def _readable(self, error: OSError | sqlite3.DatabaseError) -> Exception:
        """The error of a disk that is full, or of a catalog that is damaged, as a sentence; any other as it is."""
        if getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in str(error):
            return RagError(
                f"There is no room left on the disk of {self.folder}. What was committed is safe; make room, then type:"
                " rag sync"
            )
        if isinstance(error, sqlite3.DatabaseError):
            return IndexDamagedError(f"{self.folder}/catalog.sqlite3 cannot be used ({error}). Type: rag doctor")
        return error

    def plan(self, targets: Sequence[Path | str] = ()) -> list[Plan]:
        """What `sync` would do, one plan a target; nothing is written. Sitemaps are fetched, their pages are not."""
        if not self.exists() and targets:
            with tempfile.TemporaryDirectory() as folder:
                nothing = Catalog(Path(folder) / "catalog.sqlite3", create=True)
                try:
                    return [self._plan(nothing, target, None) for target in self._targets(targets)]
                finally:
                    nothing.close()
        return [self._plan(self.catalog, target, None) for target in self._targets(targets)]

    def _plan(self, catalog: Catalog, target: Path | str, web: Web | None) -> Plan:
        if not isinstance(target, str):
            return plan_files(catalog, target)
        from index.web import normalised

        with contextlib.ExitStack() as stack:
            web = web or stack.enter_context(self._web())
            listed = web.addresses(target)
            plan = plan_pages(catalog, normalised(target), listed)
            if web.notes:  # part of the sitemap could not be read this time: what it listed is not gone
                plan.removed.clear()
            return plan

    def _web(self) -> Web:
        from index.web import Web, WebLimits

        limits = self.settings
        return Web(WebLimits(limits.max_file_mb * 1_000_000, limits.web_seconds, limits.web_pages, limits.web_private))

    def _targets(self, targets: Sequence[Path | str]) -> list[Path | str]:
        """What was asked for, addresses as text; nothing means everything that was synced before."""
        from index.web import is_url

        asked = map(str, targets) if targets else self.catalog.roots()
        return [target if is_url(target) else Path(target) for target in asked]

    def sync(
        self,
        targets: Sequence[Path | str] = (),
        progress: Progress | None = None,
        confirm: Callable[[Plan], bool] | None = None,
        planned: Callable[[Plan], object] | None = None,
    ) -> SyncReport:
        """Bring the index in step with folders, files or web addresses; without any, with all that were synced before.

        `planned` is told of each target's plan before it is carried out. `confirm` is asked before more than half of
        the documents of a target are removed; when it says no, RagError is raised and nothing was changed below that
        target. Without it they are removed.
        """
        began = time.perf_counter()
        if not targets and not self.exists() and not any(waiting(self.folder)):
            raise IndexMissingError(f"There is no index at {self.folder}. Make one: rag sync FOLDER")
        for target in self._targets(targets) if targets else ():
            if not isinstance(target, str) and not target.exists():  # before anything is created
                raise RagError(f"There is no file or folder {target}. Nothing was changed.")
        with self._writes, self._writing() as writer:
            writer.progress = progress or writer.progress
            report = self._taken_over(writer)
            for target in self._targets(targets):
                report = _joined(report, self._sync(writer, target, confirm, planned))
        return replace(report, seconds=time.perf_counter() - began)

    def _taken_over(self, writer: Writer) -> SyncReport:
        """What was added from memory to the index that this one takes the place of; see `forget`."""
        kept, lost = waiting(self.folder)
        if not (kept or lost):
            return SyncReport()
        there = set(self.catalog.unfiled())
        new = [document for document in kept if document.doc not in there]
        writer.write([writer.entry(document) for document in new])
        settle(self.folder)
        names = ", ".join(lost)
        warning = f"added from memory, and not readable in the index before: {names}; add them again"
        return SyncReport(
            added=tuple(document.doc for document in new),
            chunks=writer.chunks,
            embedded=writer.embedded,
            warnings=(warning,) if lost else (),
        )

    def _sync(
        self,
        writer: Writer,
        target: Path | str,
        confirm: Callable[[Plan], bool] | None,
        planned: Callable[[Plan], object] | None,
    ) -> SyncReport:
        with contextlib.ExitStack() as stack:
            web = stack.enter_context(self._web()) if isinstance(target, str) else None
            plan = self._plan(self.catalog, target, web)
            if plan.removed and plan.loses_most and confirm is not None and not confirm(plan):
                raise RagError(f"{len(plan.removed)} documents of {plan.target} would have gone. Nothing was removed.")
            if planned is not None:
                planned(plan)
            done = writer.run(plan, web)
        if isinstance(target, str) or target.is_dir():
            self.catalog.add_root(plan.target)
        return done

    def add(self, text: str, doc: str, meta: Meta | None = None) -> SyncReport:
        """Index a string under a name. Raises DocumentError when it holds no text."""
        return self.add_documents([plain_document(text, doc, meta)])

    def add_documents(self, documents: Sequence[Document]) -> SyncReport:
        """Index documents that are no files, in one go; those already there with this content are left alone."""
        began = time.perf_counter()
        with self._writes, self._writing() as writer:
            writer.sweep()
            known = {document.doc: self.catalog.document(document.doc) for document in documents}
            new = [document for document in documents if not _equal(known[document.doc], document)]
            writer.write([writer.entry(document) for document in new])
        return SyncReport(
            added=tuple(document.doc for document in new if known[document.doc] is None),
            changed=tuple(document.doc for document in new if known[document.doc] is not None),
            unchanged=tuple(document.doc for document in documents if document not in new),
            chunks=writer.chunks,
            embedded=writer.embedded,
            seconds=time.perf_counter() - began,
            warnings=tuple(writer.warnings),
        )

    def remove(self, docs: Sequence[str]) -> SyncReport:
        """Take documents out of the index (not off the disk). Raises DocumentError for a name it does not have."""
        began = time.perf_counter()
        known = {info.doc for info in self.documents()}
        for doc in docs:
            if doc not in known:
                raise DocumentError(f"There is no document {doc!r} in the index; rag status lists them.")
        with self._writes, self._writing() as writer:
            writer.sweep()
            writer.write([], list(docs))
        warnings = tuple(writer.warnings)
        return SyncReport(removed=tuple(docs), seconds=time.perf_counter() - began, warnings=warnings)

    def put_back(self, document: Document, source: Source) -> None:
        """Take in a document that was removed, as it was; neither its file nor its page is read anew.

        Raises DocumentError when something is indexed under its name, or from its place, by now.
        """
        with self._writes, self._writing() as writer:
            if any(document.doc == s.doc or (s.path and s.path == source.path) for s in self.catalog.files()):
                raise DocumentError(f"{document.doc} is in the index again; nothing was changed.")
            writer.sweep()
            writer.write([writer.entry(document, source)])

    def rebuild_vectors(self) -> int:
        """Make Chroma anew from the catalog, embedding nothing. Returns the number of records."""
        with self._writes, self._writing() as writer:
            return writer.renew()

    # Reading

    @contextlib.contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """One version of everything for as long as the block runs, however often others write meanwhile."""
        try:
            with self._reads, (catalog := self.catalog).read() as db:
                generation = catalog.generation()
                if self._snapshot is None or self._snapshot.generation != generation:
                    self._snapshot = Snapshot(db, generation)
                yield self._snapshot.on(db)
        except sqlite3.DatabaseError as error:
            raise self._readable(error) from error

    def documents(self) -> list[DocumentInfo]:
        """Every document, by name; none when there is no index yet."""
        return self.catalog.documents() if self.exists() else []

    def document(self, doc: str) -> Document:
        """A document with its text. Raises DocumentError when the index has no such name."""
        found = self.catalog.document(doc)
        if found is None:
            raise DocumentError(f"There is no document {doc!r} in the index; rag status lists them.")
        return found

    def source(self, doc: str) -> Source:
        """Where a document came from. Raises DocumentError when the index has no such name."""
        found = self.catalog.source(doc)
        if found is None:
            raise DocumentError(f"There is no document {doc!r} in the index; rag status lists them.")
        return found

    def verify(self) -> list[Check]:
        """Look at the folder, the catalog, at Chroma and at whether they agree; see `index.health`."""
        with self._writes:
            self._chroma.close()  # a child process opens it
            return verify(self.folder, self._chroma)


def forget(folder: Path) -> list[str]:
    """Delete an index, sound or not, while holding its lock; returns what was synced into it.

    Only the files that an index consists of are touched. Texts that were added from memory are set aside; the next sync
    into the folder puts them back.
    """
    if not (folder / "lock").exists() and not (folder / "manifest.json").exists():
        return []
    with write_lock(folder):
        roots: list[str] = []
        texts: dict[str, Document | None] = {}
        unreadable = contextlib.suppress(RagError, sqlite3.DatabaseError)
        with unreadable, contextlib.closing(Catalog(folder / "catalog.sqlite3")) as catalog:
            with contextlib.suppress(sqlite3.DatabaseError):
                texts = unfiled(catalog)
            roots = catalog.roots()
        set_aside(folder, texts)  # before anything goes
        discard(folder / "chroma")
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
    return roots


def _equal(known: Document | None, document: Document) -> bool:
    return known is not None and known.sha256 == document.sha256 and dict(known.meta) == dict(document.meta)


def _joined(one: SyncReport, two: SyncReport) -> SyncReport:
    """Names of both; the writer counts chunks on over several targets, so that the later count is the whole."""
    names = ("added", "changed", "moved", "removed", "unchanged", "failed", "warnings")
    return replace(two, **{name: getattr(one, name) + getattr(two, name) for name in names})


def _write_whole(file: Path, text: str) -> None:
    """All of the file or the one before, never half."""
    part = file.with_suffix(".part")
    part.write_text(text, "utf-8")
    os.replace(part, file)
