"""Texts that were added from memory. No file brings them back, so they are set aside while an index is made anew."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import asdict
from pathlib import Path

from index.catalog import Catalog
from index.documents import Document

_FILE = "unfiled.jsonl"


def set_aside(folder: Path, catalog: Catalog) -> None:
    """Write the documents of `catalog` that have no file into `folder`, and the names of those that cannot be read.

    What an earlier call left there stays. Raises OSError when it cannot be written, sqlite3.DatabaseError when the
    catalog does not even name them.
    """
    lines: dict[str, object] = {document.doc: asdict(document) for document in waiting(folder)[0]}
    for doc in catalog.unfiled():
        try:
            document = catalog.document(doc)
            lines[doc] = asdict(document) if document else None
        except (sqlite3.DatabaseError, ValueError, TypeError):
            lines[doc] = None
    if lines:
        part = folder / f"{_FILE}.part"
        with part.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in lines.items())
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, folder / _FILE)


def waiting(folder: Path) -> tuple[list[Document], list[str]]:
    """Documents that were set aside, and the names of those that could not be read."""
    try:
        lines = (folder / _FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return [], []
    pairs = [json.loads(line) for line in lines]
    kept = [Document(**{**d, "pages": tuple(tuple(page) for page in d["pages"])}) for _, d in pairs if d]
    return kept, [doc for doc, document in pairs if not document]


def settle(folder: Path) -> None:
    """They are in the index again."""
    (folder / _FILE).unlink(missing_ok=True)
