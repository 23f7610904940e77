"""The documents of a Chroma collection that LlamaIndex filled, put together from their chunks. Writes to no collection.

LlamaIndex keeps a chunk's text, its metadata, and as JSON under `_node_content` where the chunk began; never the whole.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.collection import open_folder
from index.documents import Document
from index.errors import DocumentError, RagError
from rag.adapters.documents import document_of, name_of

_PAGE = 1000
_SHORTEST_OVERLAP = 12
"""Characters: a shorter run at the end of one chunk and the start of the next is chance, not overlap."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One chunk: the document it came from, where it began there (None: not known), its text and metadata."""

    source: str
    start: int | None
    text: str
    meta: Mapping[str, Any]


def documents_in(path: Path, collection: str) -> tuple[list[Document], list[str]]:
    """The documents, and what a person should know about them. Raises RagError."""
    pieces: dict[str, list[_Piece]] = {}
    for piece in _pieces(path, collection):
        pieces.setdefault(piece.source, []).append(piece)
    parts: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    guessed = 0
    for source, found in pieces.items():
        text = placed(found)
        if text is None:
            guessed += 1
            text = joined([piece.text for piece in found])
        parts.setdefault(name_of(found[0].meta, source), []).append((text, found[0].meta))
    documents, empty = [], 0
    for name, pages in parts.items():
        try:
            documents.append(document_of(name, sorted(pages, key=_page_number), {}))
        except DocumentError:
            empty += 1
    if not documents:
        raise RagError(f"The collection {collection!r} in {path} holds no text; expected one that LlamaIndex filled.")
    notes = [
        f"{len(documents)} documents were put together from the chunks of {collection!r}: what LlamaIndex left out "
        "between chunks is lost, and offsets point into this text, not into the files. To cite the files, sync them."
    ]
    if guessed:
        notes.append(
            f"{guessed} texts have chunks that do not say where they began, or contradict each other; these were "
            "joined in the order in which they are stored."
        )
    if empty:
        notes.append(f"{empty} documents held no text and were left out.")
    return documents, notes


def _page_number(part: tuple[str, Mapping[str, Any]]) -> int:
    """LlamaIndex makes a document of each page, labelled; labels that are no numbers keep their order."""
    label = str(part[1].get("page_label", ""))
    return int(label) if label.isdecimal() else 0


def placed(pieces: Sequence[_Piece]) -> str | None:
    """The document with each chunk where it began; None when a chunk does not say so or two of them contradict."""
    text = ""
    for piece in sorted(pieces, key=lambda piece: -1 if piece.start is None else piece.start):
        if piece.start is None:
            return None
        # White space at the edges of chunks was stripped by LlamaIndex; a paragraph's end is the likeliest.
        text += "\n" * (piece.start - len(text))
        known = text[piece.start :]
        if not (piece.text.startswith(known) or known.startswith(piece.text)):
            return None
        text += piece.text[len(known) :]
    return text


def joined(texts: Sequence[str]) -> str:
    """Chunks one after the other, what the end of one repeats at the start of the next taken once."""
    out = ""
    for text in texts:
        most = min(len(out), len(text))
        overlap = next((n for n in range(most, _SHORTEST_OVERLAP - 1, -1) if out.endswith(text[:n])), 0)
        out += text[overlap:] if overlap else f"\n\n{text}" if out else text
    return out


def _pieces(path: Path, collection: str) -> Iterator[_Piece]:
    if not (path / "chroma.sqlite3").is_file():
        raise RagError(f"{path} is no Chroma folder: there is no chroma.sqlite3 in it.")
    # Opening a folder of Chroma migrates it to the newest layout, for good: another program may still need the old one.
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(path, copy, dirs_exist_ok=True)
        yield from _read(Path(copy), path, collection)


def _read(copy: Path, path: Path, collection: str) -> Iterator[_Piece]:
    with open_folder(copy) as client:
        names = [found.name for found in client.list_collections()]
        if collection not in names:
            raise RagError(f"There is no collection {collection!r} in {path}; there are: {', '.join(names) or 'none'}.")
        chunks = client.get_collection(collection, embedding_function=None)
        for offset in range(0, chunks.count(), _PAGE):
            found = chunks.get(limit=_PAGE, offset=offset, include=["documents", "metadatas"])
            for id_, text, meta in zip(found["ids"], found["documents"], found["metadatas"], strict=True):
                yield _piece(id_, text or "", meta or {})


def _piece(id_: str, text: str, meta: Mapping[str, Any]) -> _Piece:
    try:
        node = json.loads(str(meta.get("_node_content", "{}")))
    except ValueError:
        node = {}
    start = node.get("start_char_idx")
    source = str(meta.get("ref_doc_id") or meta.get("document_id") or id_)
    own = {**meta, **node.get("metadata", {})}
    kept = {key: value for key, value in own.items() if key not in _OF_LLAMA_INDEX and not key.startswith("_")}
    return _Piece(source, start if isinstance(start, int) else None, text or str(node.get("text", "")), kept)


_OF_LLAMA_INDEX = {"document_id", "doc_id", "ref_doc_id"}
