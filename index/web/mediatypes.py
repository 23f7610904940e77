"""What a Content-Type header says: the kind of file, as the ending `index.readers` knows it by, and the charset."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from index.errors import DocumentError
from index.readers import READERS

if TYPE_CHECKING:
    from email.message import Message

_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/x-rst": ".rst",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/json": ".json",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "message/rfc822": ".eml",
    "application/epub+zip": ".epub",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}

_TEXTS = {".txt", ".text", ".md", ".markdown", ".rst", ".html", ".htm", ".csv", ".tsv"}

_CHARSETS = re.compile(r"iso8859|cp\d|koi8|mac|shift_jis|euc_|gb|big5|johab|tis_620|kz1048|ptcp154")
"""The names of character sets for text among the codecs that Python has."""


def suffix_of(content_type: str, path: str) -> str:
    """The ending for a file: that of its type, else, where the type says little, that of its path.

    Raises DocumentError when there is no reader for it.
    """
    kind = _parsed(content_type).get_content_type() if content_type.strip() else ""
    suffix, ending = _SUFFIXES.get(kind, ""), PurePosixPath(path).suffix.lower()
    if suffix in READERS:
        return suffix
    if not suffix and ending in READERS and not kind.startswith(("image/", "audio/", "video/")):
        return ending
    if kind == "text/plain":
        return ".txt"
    found = f"the server says it is {kind[:80]}" if kind else "the server does not say what it is"
    raise DocumentError(f"{found}, and there is no reader for that; known: {' '.join(READERS)}")


def in_utf8(data: bytes, content_type: str, suffix: str) -> bytes:
    """Text in the charset that the header names, as UTF-8; what is UTF-8, or not what the header says, as it is.

    The header is all there is to tell the single-byte charsets apart for sure, and it is gone once the file is read.
    """
    charset = _parsed(content_type).get_content_charset("")
    if suffix not in _TEXTS or not charset:
        return data
    try:
        data.decode("utf-8")
        return data
    except UnicodeDecodeError:
        pass
    try:
        name = codecs.lookup(charset).name
        name = "cp1252" if name == "iso8859-1" else name  # as browsers take it
        return data.decode(name).encode("utf-8") if _CHARSETS.match(name) else data
    except (LookupError, ValueError):
        return data


def _parsed(content_type: str) -> Message:
    from email.message import Message

    header = Message()
    header["Content-Type"] = content_type[:500]
    return header
