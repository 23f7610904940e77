"""Files become `Document`s: extracted text, pages, title. Knows how to read, not where files are or how text is cut.

For .txt and .md the extracted text is the decoded file, newlines untouched, so that every offset is an offset into the
file. For .html and .pdf it is the text that a person would read, and offsets point into that text.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from index.errors import DocumentError
from index.files import read_bytes, sidecar_of
from index.metadata import flat, front_matter, language_of, read_sidecar
from index.readers import Extract, Meta, ReadOptions, reader_of

MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class Document:
    """A document's text and what is known about it.

    `doc` is its name in the index (a POSIX path), `pages` the half-open span of each page (empty when the kind has no
    pages), `sha256` that of the file's bytes, `meta` flat and filterable.
    """

    doc: str
    text: str
    pages: tuple[tuple[int, int], ...]
    title: str
    sha256: str
    meta: Meta = field(default_factory=dict)


def read_document(path: Path, doc: str, max_bytes: int, options: ReadOptions | None = None) -> Document:
    """Read one file and its sidecar. Raises DocumentError with the reason when it cannot become a document."""
    sidecar = sidecar_of(path)
    said = read_sidecar(read_bytes(sidecar, 1_000_000), sidecar.name) if sidecar else {}
    return document_of(read_bytes(path, max_bytes), doc, path.suffix, options, said)


def document_of(
    data: bytes, doc: str, suffix: str, options: ReadOptions | None = None, meta: Meta | None = None
) -> Document:
    """A document out of a file's bytes, read as the kind that `suffix` names; `meta` overrides what the file says.

    Raises DocumentError.
    """
    suffix = suffix.lower()
    read = reader_of(PurePosixPath(f"_{suffix}"))
    if read is None:
        raise DocumentError(f"no reader for {suffix or 'files without an ending'}")
    if not data.strip():
        raise DocumentError("the file is empty")
    extract = read(data, options or ReadOptions())
    return _document(extract, doc, suffix.lstrip("."), hashlib.sha256(data).hexdigest(), meta or {})


def plain_document(text: str, doc: str, meta: Meta | None = None) -> Document:
    """A document out of a string. Raises DocumentError when it holds no text."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return _document(Extract(text), doc, "text", digest, flat(meta or {}))


def _document(extract: Extract, doc: str, kind: str, sha256: str, meta: Meta) -> Document:
    if not any(char.isalnum() for char in extract.text):
        raise DocumentError("holds no text")
    text = re.sub("[\0\ud800-\udfff]", "\ufffd", extract.text)  # what no database stores, one for one
    suffix = PurePosixPath(doc).suffix.lower()
    front = front_matter(text)[0] if suffix in MARKDOWN else {}
    known = {"kind": kind, **extract.meta, **front, **meta}
    title = known.pop("title", "") or extract.title
    title = " ".join(str(title).split()) or _first_heading(text, kind, suffix) or readable_name(doc)
    if "language" not in known and (language := language_of(text)):
        known["language"] = language
    return Document(doc, text, extract.pages, title[:200], sha256, known)


def readable_name(doc: str) -> str:
    """`reports/3M_2018-10K.pdf` -> `3M 2018 10K`."""
    return re.sub(r"[_\-.]+", " ", PurePosixPath(doc).stem).strip()


def _first_heading(text: str, kind: str, suffix: str) -> str:
    if suffix in MARKDOWN:
        found = re.search(r"^#{1,2}[ \t]+(.+?)[ \t]*#*$", text[:20_000], re.MULTILINE)
        return found.group(1) if found else ""
    if suffix == ".rst":
        found = re.search(r"^(\S.*)\n([=\-~#*^])\2{2,}[ \t]*$", text[:20_000], re.MULTILINE)
        return found.group(1) if found else ""
    # A text's title is a short first line that stands alone, does not end like a sentence and is no list or table.
    if kind not in {"txt", "text", "pdf"}:
        return ""
    first = re.match(r"\s*([^\n]{3,100}?)[ \t]*\r?\n[ \t]*\r?\n", text)
    return first.group(1) if first and not re.search(r"^[#|-]|[.,;:!?|]$", first.group(1)) else ""
