"""An index of an earlier schema -> the schema of now: the catalog in one transaction, a copy kept until it succeeded.

Knows the tables, not what is in them; nothing is read or embedded again. Chroma holds the same in every schema so far.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from index.catalog import SCHEMA
from index.errors import IndexMismatchError, RagError
from index.lock import write_lock


def _to_2(db: sqlite3.Connection) -> None:
    """Where a document came from, and what could not be read."""
    db.execute("ALTER TABLE documents ADD COLUMN root TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE documents ADD COLUMN stamp TEXT NOT NULL DEFAULT ''")
    db.execute(
        "CREATE TABLE failures (doc TEXT PRIMARY KEY, root TEXT NOT NULL, reason TEXT NOT NULL, seen REAL NOT NULL)"
    )
    roots = [Path(path) for (path,) in db.execute("SELECT path FROM roots ORDER BY length(path) DESC")]
    for id, path in db.execute("SELECT id, path FROM documents WHERE path IS NOT NULL").fetchall():
        file = Path(path)
        root = next((root for root in roots if file.is_relative_to(root)), file.parent)
        db.execute("UPDATE documents SET root = ? WHERE id = ?", (str(root), id))


STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _to_2}
"""Each leads from its schema to the next."""


def migrate(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the index in `folder` up to SCHEMA; returns its new manifest, or the one given if there is nothing to do.

    Raises IndexMismatchError for a schema that no step leads from, RagError when the folder cannot be written to or a
    step fails, IndexLockedError while another process writes. Then nothing has changed.
    """
    made = manifest.get("schema")
    if made == SCHEMA or not isinstance(made, int):
        return dict(manifest)
    if made > SCHEMA:
        raise IndexMismatchError(
            f"The index at {folder} was made by a newer version (schema {made}; this one reads {SCHEMA}). "
            "Type: pip install --upgrade footnote-rag"
        )
    if made not in STEPS:
        raise IndexMismatchError(
            f"The index at {folder} has schema {made}, from which no way leads to {SCHEMA}. "
            "Type: rag sync --rebuild FOLDER"
        )
    if not os.access(folder, os.W_OK):
        raise RagError(
            f"The index at {folder} was made by an earlier version (schema {made}; this one reads {SCHEMA}) and cannot "
            "be brought up to date where it lies: the folder cannot be written to. Type there: rag doctor"
        )
    with write_lock(folder):
        return _migrated(folder)


def _migrated(folder: Path) -> dict[str, Any]:
    file = folder / "manifest.json"
    manifest: dict[str, Any] = json.loads(file.read_text("utf-8"))  # another process may have been quicker
    made = int(manifest["schema"])
    if made == SCHEMA:
        return manifest
    catalog = folder / "catalog.sqlite3"
    copy = folder / f"catalog.schema-{made}.sqlite3"
    try:
        with contextlib.closing(_open(catalog)) as db:
            _copy(db, copy)
            _run(db, made)
    except (sqlite3.Error, OSError) as error:
        raise RagError(
            f"The index at {folder} could not be brought from schema {made} to {SCHEMA} ({error}). Nothing was "
            f"changed; a copy of the catalog is {copy.name}. To make the index anew, type: rag sync --rebuild FOLDER"
        ) from error
    manifest["schema"] = SCHEMA
    part = file.with_suffix(".part")
    part.write_text(json.dumps(manifest, indent=2), "utf-8")
    os.replace(part, file)
    copy.unlink()
    return manifest


def _open(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise FileNotFoundError(f"{file.name} is missing")
    return sqlite3.connect(file, timeout=30, isolation_level=None)


def _copy(db: sqlite3.Connection, copy: Path) -> None:
    """A whole copy, or none."""
    part = copy.with_suffix(".part")
    part.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(part)) as target:
        db.backup(target)
    os.replace(part, copy)


def _run(db: sqlite3.Connection, made: int) -> None:
    """All steps or none. `user_version` says how far the tables are, should the manifest have been left behind."""
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        reached = max(made, int(db.execute("PRAGMA user_version").fetchone()[0]))
        for schema in range(reached, SCHEMA):
            STEPS[schema](db)
        db.execute(f"PRAGMA user_version = {SCHEMA}")
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(str(found))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
