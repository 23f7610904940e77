"""The files behind indexed documents, as a page may hand them out: only those, as downloads or as plain text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from index.errors import DocumentError, RagError
from index.settings import IndexSettings
from index.sync import read_options
from index.web import is_url
from rag.answer import Rag
from ui.sheets import sheet_png

_TEXT = {".txt", ".md", ".markdown", ".rst", ".csv", ".json", ".jsonl"}


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file to send: `inline` ones are plain text and safe to show, the others are for keeping."""

    path: Path
    name: str
    inline: bool

    @property
    def media_type(self) -> str:
        """Never a kind that a browser would run."""
        return "text/plain; charset=utf-8" if self.inline else "application/octet-stream"


def source_path(kb: Rag, doc: str) -> str | None:
    """Where an indexed document came from, a file or an address; None for text from memory. Raises DocumentError."""
    return kb.index.source(doc).path


def opened_file(kb: Rag, doc: str) -> OpenedFile:
    """The file of a document. Raises DocumentError when it is none of ours, or has gone."""
    source = source_path(kb, doc)
    if source is None or is_url(source):
        raise DocumentError(f"{doc!r:.200} is no file on this machine.")
    path = Path(source)
    if not path.is_file():
        raise DocumentError(f"The file of {doc!r:.200} is no longer there; the text that was indexed still is.")
    return OpenedFile(path, PurePosixPath(doc).name, path.suffix.lower() in _TEXT)


def sheet(kb: Rag, doc: str, number: int) -> bytes:
    """A page of an indexed PDF as a PNG. Raises DocumentError."""
    found = opened_file(kb, doc)
    if found.path.suffix.lower() != ".pdf" or number < 1:
        raise DocumentError(f"{doc!r:.200} has no such page.")
    return sheet_png(found.path, number, pdf_password(kb.settings))


def pdf_path(kb: Rag, doc: str) -> Path | None:
    """The file of a document whose pages can be drawn, else None."""
    try:
        path = opened_file(kb, doc).path
    except RagError:
        return None
    return path if path.suffix.lower() == ".pdf" else None


def pdf_password(settings: IndexSettings) -> str | None:
    """What opens encrypted PDFs."""
    return read_options(settings).password
