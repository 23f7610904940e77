"""The addresses in a sitemap (sitemaps.org): XML of pages, XML of further sitemaps, or a text file. Fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from index.errors import DocumentError

_LONGEST = 8192
"""Characters of one address; the protocol allows 2048."""

_DEEPEST = 16
"""Elements inside each other; an address stands in the third."""

_PIECE = 1 << 20
"""Bytes between two chances to stop reading. Expat before 2.6 reads a long token anew with every piece."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address found in a sitemap, and whether it is that of another sitemap."""

    url: str
    is_sitemap: bool


def is_sitemap(data: bytes, path: str) -> bool:
    """Whether a file is a sitemap, going by its first bytes, for text files by its name."""
    head = data[:16384].removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.search(r"/sitemap[^/]*\.txt(\.gz)?$", path, re.IGNORECASE):
        return re.match(rb"https?://", head) is not None
    if not head.startswith(b"<") or re.match(rb"<(!doctype\s+)?html", head, re.IGNORECASE):
        return False
    return re.search(rb"<([\w.-]+:)?(urlset|sitemapindex)[\s>]", head) is not None


def entries(data: bytes) -> Iterator[Entry]:
    """What a sitemap lists, in its order, read as far as it is asked for. Raises DocumentError for a damaged one."""
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if data.startswith(b"<"):
        yield from _xml_entries(data)
    else:
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                yield Entry(line.strip(), is_sitemap=False)


@dataclass
class _Place:
    """Where the parser stands: names of the open elements, text of the open one, addresses not yet handed on."""

    open: list[str] = field(default_factory=list)
    text: str = ""
    found: list[Entry] = field(default_factory=list)

    def start(self, name: str, _attributes: object) -> None:
        if len(self.open) == _DEEPEST:
            raise DocumentError(f"a sitemap with more than {_DEEPEST} elements inside each other")
        self.open.append(name.rpartition(":")[2])  # prefixes are not looked up: many sitemaps forget to declare one
        self.text = ""

    def characters(self, text: str) -> None:
        if len(self.text) <= _LONGEST:
            self.text += text

    def end(self, _name: str) -> None:
        # Only these paths: <loc> also stands in the image and video extensions.
        is_page = self.open == ["urlset", "url", "loc"]
        if (is_page or self.open == ["sitemapindex", "sitemap", "loc"]) and len(self.text) <= _LONGEST:
            self.found.append(Entry(self.text.strip(), is_sitemap=not is_page))
        self.open.pop()


def _xml_entries(data: bytes) -> Iterator[Entry]:
    place = _Place()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = place.start
    parser.EndElementHandler = place.end
    parser.CharacterDataHandler = place.characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    for at in range(0, len(data), _PIECE):
        problem: Exception | None = None
        try:
            parser.Parse(data[at : at + _PIECE], at + _PIECE >= len(data))
        except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: an encoding that is none
            problem = error
        yield from place.found
        place.found.clear()
        if problem is not None:
            raise DocumentError(f"a sitemap that is not well-formed XML: {problem}") from problem


def _refuse_doctype(*_declaration: object) -> None:
    # Entities, which can be made to expand without end or to name local files, are declared nowhere else.
    raise DocumentError("a sitemap with a DOCTYPE, expected one without")
