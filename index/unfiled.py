"""Texts that were added from memory. No file brings them back, so they are set aside while an index is made anew."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from index.catalog import Catalog
from index.documents import Document
from index.errors import RagError

_FILE = "unfiled.jsonl"


def unfiled(catalog: Catalog) -> dict[str, Document | None]:
    """The documents of `catalog` that have no file by name, None for those that cannot be read.

    Raises sqlite3.DatabaseError when the catalog does not even name them.
    """
    found: dict[str, Document | None] = {}
    for doc in catalog.unfiled():
        try:
            found[doc] = catalog.document(doc)
        except (sqlite3.DatabaseError, ValueError, TypeError):
            found[doc] = None
    return found


def set_aside(folder: Path, found: Mapping[str, Document | None]) -> None:
    """Write documents into `folder`, and the names of those that could not be read. What is there stays, the newer of a
    name in its place. Raises RagError when it cannot be written."""
    if not found:
        return
    kept, lost = waiting(folder)
    before: dict[str, Document | None] = {**dict.fromkeys(lost), **{document.doc: document for document in kept}}
    part = folder / f"{_FILE}.part"
    try:
        with part.open("w", encoding="utf-8") as out:
            for doc, document in (before | dict(found)).items():
                out.write(json.dumps([doc, document and asdict(document)], ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, folder / _FILE)
    except OSError as error:
        reason = error.strerror or error
        raise RagError(f"{folder / _FILE} cannot be written ({reason}). Nothing was removed.") from error


def waiting(folder: Path) -> tuple[list[Document], list[str]]:
    """Documents that were set aside, and names of those that could not be read. Raises RagError for another file."""
    file = folder / _FILE
    try:
        # Not splitlines: a text may hold line separators that JSON leaves as they are.
        pairs = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
        kept = [Document(**{**d, "pages": tuple(tuple(page) for page in d["pages"])}) for _, d in pairs if d]
    except FileNotFoundError:
        return [], []
    except (OSError, ValueError, TypeError, KeyError) as error:
        told = "It holds texts that were added from memory; to go on without them, move it away."
        raise RagError(f"{file} cannot be read ({error}). {told}") from error
    return kept, [doc for doc, document in pairs if not document]


def settle(folder: Path) -> None:
    """They are in the index again."""
    (folder / _FILE).unlink(missing_ok=True)
