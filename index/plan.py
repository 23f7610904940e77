"""A folder, file or web address against the catalog: what a sync would add, change, move, remove. Writes nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from index.catalog import Catalog, FileState, Source
from index.errors import RagError
from index.files import list_files, sidecar_of
from index.readers import READERS


@dataclass(frozen=True, slots=True)
class Task:
    """A document to read: its name in the index, where it comes from, and what the catalog knew of it (None: new)."""

    doc: str
    source: Source
    known: FileState | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.source.path or "")


@dataclass(slots=True)
class Plan:
    """What a sync of `target` would do. `touched` are unchanged in content but not in time or place."""

    target: str
    added: list[Task] = field(default_factory=list)
    changed: list[Task] = field(default_factory=list)
    moved: list[tuple[FileState, Task]] = field(default_factory=list)
    touched: list[FileState] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def loses_most(self) -> bool:
        """Whether more than half of what was known of the target would go: an unmounted disk looks like that."""
        kept = len(self.unchanged) + len(self.touched) + len(self.changed) + len(self.moved)
        return len(self.removed) > kept

    def __str__(self) -> str:
        lines = [f"would {verb} {name}" for verb, names in self._verbs() for name in names]
        left = f"{len(self.unchanged) + len(self.touched)} unchanged, {len(self.failed)} cannot be read"
        return "\n".join([*lines, left])

    def _verbs(self) -> list[tuple[str, Sequence[str]]]:
        return [
            ("add", [task.doc for task in self.added]),
            ("read again", [task.doc for task in self.changed]),
            ("move", [f"{state.doc} -> {task.doc}" for state, task in self.moved]),
            ("remove", self.removed),
        ]


def plan_files(catalog: Catalog, target: Path) -> Plan:
    """Compare a folder or file with the catalog. Raises RagError when it does not exist.

    Only content decides: a file whose size or time differs is hashed; one as it was at its last reading is not opened.
    """
    target = Path(os.path.abspath(target))
    if not target.exists():
        raise RagError(f"There is no file or folder {target}. Nothing was changed.")
    root = _root(catalog, target)
    plan = Plan(str(target))
    listing = list_files(target, root)
    plan.failed = listing.failed
    states = catalog.files()
    known = {state.path: state for state in states if state.path is not None}
    names = {state.doc: state for state in states}
    seen: set[str] = set()
    for path in listing.files:
        state = known.get(str(path))
        doc = state.doc if state else _name(path, root, names)
        if path.suffix.lower() not in READERS:
            plan.failed.append((doc, f"no reader for {path.suffix or 'files without an ending'}"))
            continue
        seen.add(doc)
        try:
            stat = path.stat()
            sidecar = sidecar_of(path)
            stamp = hashlib.sha256(sidecar.read_bytes()).hexdigest()[:16] if sidecar else ""
        except OSError:
            plan.failed.append((doc, "vanished or closed while the folder was being listed"))
            continue
        source = Source(str(path), stat.st_size, stat.st_mtime_ns, str(root), stamp)
        _place(plan, Task(doc, source, state or names.get(doc)))
        names.setdefault(doc, FileState(0, doc, source, "", 0.0))
    plan.removed = [
        state.doc
        for path, state in known.items()
        if _below(path, target)
        and state.doc not in seen
        and not any(_below(path, shut) for shut in listing.closed)
        and not _of_another_root(catalog, target, path)
    ]
    _find_moves(plan, names)
    return plan


def plan_pages(catalog: Catalog, target: str, addresses: Sequence[str]) -> Plan:
    """Compare a page or sitemap with the catalog; whether a page changed is known when its server has been asked."""
    plan = Plan(target)
    known = {state.path: state for state in catalog.files() if state.path is not None}
    for address in addresses:
        state = known.get(address)
        task = Task(address, Source(address, root=target, stamp=state.source.stamp if state else ""), state)
        (plan.changed if state else plan.added).append(task)
    listed = set(addresses)
    plan.removed = [state.doc for path, state in known.items() if state.source.root == target and path not in listed]
    return plan


def _root(catalog: Catalog, target: Path) -> Path:
    roots = [Path(root) for root in catalog.roots()]
    own = target if target.is_dir() else target.parent
    return next((root for root in roots if target.is_relative_to(root) and _listed_from(root, target)), own)


def _listed_from(root: Path, target: Path) -> bool:
    """Whether a sync of the root would come upon the target: not in hidden folders, nor inside an index."""
    parts = target.relative_to(root).parts
    folders = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return not any(folder.name.startswith(".") or (folder / "catalog.sqlite3").exists() for folder in folders)


def _of_another_root(catalog: Catalog, target: Path, path: str) -> bool:
    """Whether a file is there, but only the sync of a folder inside the target would see it."""
    inner = [Path(root) for root in catalog.roots() if root != str(target) and _below(root, target)]
    return any(_below(path, root) and not _listed_from(target, root) for root in inner) and Path(path).exists()


def _below(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


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


def _place(plan: Plan, task: Task) -> None:
    """Into the list of the plan where a file belongs that exists."""
    state, now = task.known, task.source
    if state is None:
        plan.added.append(task)
        return
    was = state.source
    # A file written within the clock's grain of the last reading may have changed unseen: look at its content.
    settled = was.mtime_ns is not None and was.mtime_ns / 1e9 < state.indexed - 2
    if settled and (was.path, was.size, was.mtime_ns, was.stamp) == (now.path, now.size, now.mtime_ns, now.stamp):
        plan.unchanged.append(task.doc)
    elif was.size == now.size and was.stamp == now.stamp and state.sha256 == _digest(task.path):
        plan.touched.append(replace(state, source=now))
    else:
        plan.changed.append(task)


def _find_moves(plan: Plan, names: dict[str, FileState]) -> None:
    """A new file with the content of one that has gone is that file under a new name."""
    gone: dict[tuple[int | None, str, str], list[FileState]] = {}
    for doc in plan.removed:
        state = names[doc]
        gone.setdefault((state.source.size, state.source.stamp, Path(doc).suffix), []).append(state)
    added: list[Task] = []
    for task in plan.added:
        same = gone.get((task.source.size, task.source.stamp, Path(task.doc).suffix), [])
        digest = _digest(task.path) if same else ""
        found = next((state for state in same if state.sha256 == digest), None)
        if found is None:
            added.append(task)
        else:
            same.remove(found)
            plan.removed.remove(found.doc)
            plan.moved.append((found, task))
    plan.added = added


def _digest(path: Path) -> str:
    """SHA-256 of a file's bytes; "" when it cannot be read, which equals no digest."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
