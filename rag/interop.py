"""Between this library and LlamaIndex: its readers' documents in. No import of it is needed for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    several = loaded if isinstance(loaded, Iterable) and not hasattr(loaded, "get_content") else [loaded]
    parts: dict[str, list[Any]] = {}
    for one in several:
        if not hasattr(one, "get_content"):
            raise DocumentError(f"{type(one).__name__} is neither text nor a LlamaIndex document.")
        parts.setdefault(doc or _name(one), []).append(one)
    return [_joined(name, found, meta or {}) for name, found in parts.items()]


def _name(loaded: Any) -> str:
    metadata: Mapping[str, Any] = loaded.metadata or {}
    for key in ("file_path", "filename", "file_name", "url", "URL", "source", "title"):
        if metadata.get(key):
            found = str(metadata[key])
            # A path of this machine would say who its owner is in every citation.
            return PurePath(found).name if PurePath(found).is_absolute() else found
    return str(getattr(loaded, "id_", None) or getattr(loaded, "doc_id", ""))


def _joined(name: str, parts: list[Any], meta: Meta) -> Document:
    texts = [str(part.get_content()) for part in parts]
    said = {key: value for key, value in (parts[0].metadata or {}).items() if key.lower() not in _OF_A_PART}
    document = plain_document(_JOIN.join(texts), name, {**said, **meta})
    if len(parts) == 1:
        return document
    pages, start = [], 0
    for text in texts:
        pages.append((start, start + len(text)))
        start += len(text) + len(_JOIN)
    return Document(document.doc, document.text, tuple(pages), document.title, document.sha256, document.meta)


_OF_A_PART = RESERVED | {"page_label", "file_path", "filename", "file_name", "file_size", "last_accessed_date"}
