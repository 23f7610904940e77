"""Readers: the bytes of a file of one kind to text, pages, title and metadata. Not where files are or how text is cut.

A reader is `read(data, options) -> Extract`. What has structure comes out as Markdown: headings behind #, list items
behind a dash, table rows between bars with the header row first, so that one rule for structure serves every kind.
Nothing here is imported before a file of its kind is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import PurePath

Meta = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader gets out of a file: text, half-open span of each page (if it has pages), title, flat metadata.

    Metadata that many kinds have goes by these names: `author`, `date` (ISO 8601, as precise as known), `language`.
    """

    text: str
    pages: tuple[tuple[int, int], ...] = ()
    title: str = ""
    meta: Meta = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What readers may need to know from the settings."""

    password: str | None = None
    """Opens encrypted files."""


Reader = Callable[[bytes, ReadOptions], Extract]

READERS: Mapping[str, str] = {
    ".txt": "text:read_text",
    ".text": "text:read_text",
    ".md": "text:read_text",
    ".markdown": "text:read_text",
    ".rst": "text:read_text",
    ".html": "html:read_html",
    ".htm": "html:read_html",
    ".pdf": "pdf:read_pdf",
}
"""Ending to module:function below this package."""


def reader_of(path: PurePath) -> Reader | None:
    """The reader for a file by its ending, imported now, or None."""
    found = READERS.get(path.suffix.lower())
    if found is None:
        return None
    module, _, function = found.partition(":")
    reader: Reader = getattr(import_module(f"index.readers.{module}"), function)
    return reader
