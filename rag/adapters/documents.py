"""What LlamaIndex readers return, as documents of ours. Needs no import of LlamaIndex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from index.documents import Document, plain_document
from index.errors import DocumentError
from index.metadata import RESERVED
from index.readers import Meta

_JOIN = "\n\n"


def documents_of(loaded: object, doc: str | None = None, meta: Meta | None = None) -> list[Document]:
    """LlamaIndex documents as ours; those of one file (a reader often makes one a page) become its pages.

    The name is `doc`, else the file's path or name, the address or the title that the metadata has, else the id.
    Raises DocumentError for what is no document and for documents without text.
    """
    several: Iterable[Any] = loaded if isinstance(loaded, Iterable) and not hasattr(loaded, "get_content") else [loaded]
    parts: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for one in several:
        if not hasattr(one, "get_content"):
            raise DocumentError(f"{type(one).__name__} is neither text nor a LlamaIndex document.")
        name = doc or name_of(one.metadata or {}, str(getattr(one, "id_", None) or getattr(one, "doc_id", "")))
        parts.setdefault(name, []).append((str(one.get_content()), one.metadata or {}))
    return [document_of(name, found, meta or {}) for name, found in parts.items()]


def name_of(metadata: Mapping[str, Any], otherwise: str) -> str:
    """What to call a document by what LlamaIndex noted of it."""
    for key in ("file_path", "filename", "file_name", "url", "URL", "source", "title"):
        if metadata.get(key):
            found = str(metadata[key])
            # A path of this machine would say who its owner is in every citation.
            return PurePath(found).name if PurePath(found).is_absolute() else found
    return otherwise


def document_of(name: str, parts: Sequence[tuple[str, Mapping[str, Any]]], meta: Meta) -> Document:
    """One document of (text, metadata) pairs; several are its pages. Raises DocumentError without text."""
    texts = [text for text, _ in parts]
    said = {key: value for key, value in parts[0][1].items() if key.lower() not in _OF_A_PART}
    document = plain_document(_JOIN.join(texts), name, {**said, **meta})
    if len(parts) == 1:
        return document
    pages, start = [], 0
    for text in texts:
        pages.append((start, start + len(text)))
        start += len(text) + len(_JOIN)
    return replace(document, pages=tuple(pages))


_OF_A_PART = RESERVED | {"page_label", "file_path", "filename", "file_name", "file_size", "last_accessed_date"}
