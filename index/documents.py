"""Files become `Document`s: extracted text, pages, title. Knows how to read, not where files are or how text is cut.

For .txt and .md the extracted text is the decoded file, newlines untouched, so that every offset is an offset into the
file. For .html and .pdf it is the text that a person would read, and offsets point into that text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from index.errors import DocumentError

Meta = Mapping[str, str | int | float | bool]


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


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader gets out of a file's bytes."""

    text: str
    pages: tuple[tuple[int, int], ...] = ()
    title: str = ""
    meta: Meta = field(default_factory=dict)


def read_document(path: Path, doc: str, max_bytes: int) -> Document:
    """Read one file. Raises DocumentError with the reason when it cannot become a document."""
    read = reader_of(path)
    if read is None:
        raise DocumentError(f"no reader for {path.suffix or 'files without an ending'}; known: {' '.join(KINDS)}")
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DocumentError(f"{size / 1e6:.0f} MB; files over {max_bytes / 1e6:.0f} MB are left out (max_file_mb)")
        data = path.read_bytes()
    except FileNotFoundError:
        raise DocumentError("vanished while it was being read") from None
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise DocumentError("the file is empty")
    extract = read(data)
    if not any(char.isalnum() for char in extract.text):
        raise DocumentError("holds no text")
    text = re.sub("[\0\ud800-\udfff]", "\ufffd", extract.text)
    title = " ".join(extract.title.split()) or _first_heading(text, path.suffix.lower()) or readable_name(doc)
    kind = path.suffix.lower().lstrip(".")
    digest = hashlib.sha256(data).hexdigest()
    return Document(doc, text, extract.pages, title[:200], digest, {**extract.meta, "kind": kind})


def plain_document(text: str, doc: str, meta: Meta | None = None) -> Document:
    """A document out of a string. Raises DocumentError when it holds no text."""
    text = re.sub("[\0\ud800-\udfff]", "\ufffd", text)  # what no database stores, one for one
    if not any(char.isalnum() for char in text):
        raise DocumentError("holds no text")
    digest = hashlib.sha256(text.encode()).hexdigest()
    suffix = PurePosixPath(doc).suffix.lower()
    title = _first_heading(text, suffix) or readable_name(doc)
    return Document(doc, text, (), title, digest, {"kind": "text", **(meta or {})})


def readable_name(doc: str) -> str:
    """`reports/3M_2018-10K.pdf` -> `3M 2018 10K`."""
    return re.sub(r"[_\-.]+", " ", PurePosixPath(doc).stem).strip()


def decode(data: bytes) -> str:
    """Bytes to text: a byte order mark decides, then UTF-8, then the likeliest legacy encoding.

    Raises DocumentError for binary data and for bytes that no encoding explains.
    """
    for mark, codec in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
                        (b"\xfe\xff", "utf-16")):  # fmt: skip
        if data.startswith(mark):
            try:
                return data.decode(codec)
            except UnicodeDecodeError as error:
                raise DocumentError(f"starts with a {codec} mark but is not {codec}: {error.reason}") from error
    head = data[:65536]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    if b"\0" in head or controls > len(head) // 50:
        raise DocumentError("binary data, expected text")
    try:
        return data.decode("utf-8")  # a UTF-8 byte order mark stays: offsets count code points of the file
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    best = from_bytes(data[:200_000]).best()
    try:
        return data.decode(best.encoding if best else "cp1252")
    except UnicodeDecodeError as error:
        raise DocumentError(f"not text in any known encoding (tried UTF-8 and {error.encoding})") from error


def _first_heading(text: str, suffix: str) -> str:
    if suffix in (".md", ".markdown"):
        found = re.search(r"^#{1,2}[ \t]+(.+?)[ \t]*#*$", text[:20_000], re.MULTILINE)
        return found.group(1) if found else ""
    if suffix == ".rst":
        found = re.search(r"^(\S.*)\n([=\-~#*^])\2{2,}[ \t]*$", text[:20_000], re.MULTILINE)
        return found.group(1) if found else ""
    # A plain text's title is a short first line that stands alone and does not end like a sentence.
    first = re.match(r"\s*([^\n]{3,100}?)[ \t]*\r?\n[ \t]*\r?\n", text)
    return first.group(1) if first and not re.search(r"[.,;:!?|]$", first.group(1)) else ""


def _read_text(data: bytes) -> Extract:
    return Extract(decode(data))


def _read_html(data: bytes) -> Extract:
    from index.html import read_html

    return read_html(decode(data))


def _read_pdf(data: bytes) -> Extract:
    from index.pdf import read_pdf

    return read_pdf(data)


KINDS: Mapping[str, Callable[[bytes], Extract]] = {
    ".txt": _read_text,
    ".text": _read_text,
    ".md": _read_text,
    ".markdown": _read_text,
    ".rst": _read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".pdf": _read_pdf,
}


def reader_of(path: Path) -> Callable[[bytes], Extract] | None:
    """The reader for a file by its ending, or None."""
    return KINDS.get(path.suffix.lower())
