"""Zip containers (.docx, .pptx, .xlsx, .epub) opened with care, and the border that no parser's exception crosses.

Sizes are checked before anything is parsed. Knows nothing of what the members mean.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from index.errors import DocumentError, MissingExtraError

# What a container may unpack to. Pictures are only passed over; markup becomes a tree of some hundred bytes a tag.
_MOST_MB, _MOST_MARKUP_MB, _MOST_TAGS, _MOST_MEMBERS = 400, 120, 6_000_000, 20_000
# Office markup shrinks ten- to fiftyfold; of what has some size, only a bomb shrinks further.
_RATIO, _RATIO_FROM_MB = 200, 30
_MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx", ".svg", ".vml")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


def open_zip(data: bytes, suffix: str = ".zip") -> zipfile.ZipFile:
    """The container, safe to unpack: its declared sizes, which zipfile never exceeds, and its tags are within bounds.

    `suffix` names the expected kind in messages. Raises DocumentError for what is no zip, is encrypted, or is a bomb.
    """
    if data.startswith(_OLE):
        raise DocumentError(f"encrypted or in the old Office format; save it as {suffix} without a password")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _BROKEN as error:
        raise DocumentError(f"broken {suffix} file: not a zip container, or cut short ({error})") from error
    members = archive.infolist()
    markup = [member for member in members if member.filename.lower().endswith(_MARKUP)]
    size = sum(member.file_size for member in members)
    if any(member.flag_bits & 1 for member in members):
        raise DocumentError(f"the {suffix} file is encrypted; save a copy without a password")
    if len(members) > _MOST_MEMBERS:
        raise DocumentError(f"holds {len(members)} files; at most {_MOST_MEMBERS} are read")
    _bound("MB of data", size // 1_000_000, _MOST_MB)
    _bound("MB of markup", sum(member.file_size for member in markup) // 1_000_000, _MOST_MARKUP_MB)
    if size > _RATIO_FROM_MB * 1_000_000 and size > _RATIO * len(data):
        raise DocumentError(f"unpacks to {size // len(data)} times its size, as only a zip bomb does")
    _bound("tags", count_in(archive, markup, b"<", suffix), _MOST_TAGS)
    return archive


def count_in(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], mark: bytes, suffix: str) -> int:
    """How often `mark` occurs in the members, read as a stream. Raises DocumentError for a damaged one."""
    count = 0
    try:
        for member in members:
            with archive.open(member) as stream:
                while block := stream.read(1 << 20):
                    count += block.count(mark)
    except _BROKEN as error:
        raise DocumentError(f"broken {suffix} file: {error}") from error
    return count


def _bound(what: str, found: int, most: int) -> None:
    if found > most:
        raise DocumentError(f"unpacks to {found:,} {what}; at most {most:,} are read. Split the file")


@contextmanager
def border(suffix: str, extra: str) -> Iterator[None]:
    """Turns whatever a parser raises over a hostile file, or for want of itself, into a DocumentError.

    `extra` is the optional dependency that brings the parser.
    """
    try:
        yield
    except DocumentError:
        raise
    except ImportError as error:
        raise DocumentError(str(MissingExtraError(f"reading {suffix} files", extra))) from error
    except Exception as error:  # parsers raise KeyError, AttributeError, XMLSyntaxError ... over broken parts
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DocumentError(f"broken {suffix} file: {reason}") from error
