"""Where a gold quote stands in a document's text, though extraction or typing changed its look. No fuzzy matching.

Three readings, the strictest first: character by character; compatibility-decomposed (NFKD, so that e + accent is é)
with white space squeezed; letters and digits only, without accents or case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

Range = tuple[int, int]


def locate(quote: str, text: str, near: int | None = None) -> Range | None:
    """The half-open range of `text` that holds `quote`, or None. Of several, the nearest to `near`, else the first.

    `text[start:end]` may differ from the quote in what the reading that found it ignores.
    """
    found = occurrences(quote, text)
    if not found:
        return None
    return min(found, key=lambda place: abs(place[0] - near)) if near is not None else found[0]


def locate_body(quote: str, page: str, lines: int = 5, least: float = 0.8) -> Range | None:
    """The range of the longest part of a quote that a page holds once some of its outer lines are left out, or None.

    A reader that drops the running header and footer of a page takes them out of quotes that begin or end with them. At
    most `lines` at either end may go, and `least` of the quote's characters must stay.
    """
    rows = quote.strip().splitlines()
    parts = [
        "\n".join(rows[first : len(rows) - last])
        for first in range(min(lines, len(rows)) + 1)
        for last in range(min(lines, len(rows) - first) + 1)
    ]
    for part in sorted(parts, key=len, reverse=True):
        if len(part) < least * len(quote.strip()):
            return None
        if found := locate(part, page):
            return found
    return None


def occurrences(quote: str, text: str) -> list[Range]:
    """All places of the quote under the strictest reading that finds any, in order and without overlaps."""
    if not quote.strip():
        return []
    exact = _find(quote, text)
    if exact:
        return [(start, start + len(quote)) for start in exact]
    for reading in (_squeezed, _alphanumeric):
        wanted = reading(quote)[0].strip()
        if not wanted:
            return []
        body, origins = reading(text)
        starts = _find(wanted, body)
        if starts:
            return [(origins[start], origins[start + len(wanted) - 1] + 1) for start in starts]
    return []


def _find(needle: str, text: str) -> list[int]:
    starts = []
    start = text.find(needle)
    while start >= 0:
        starts.append(start)
        start = text.find(needle, start + len(needle))
    return starts


@lru_cache(maxsize=4)
def _squeezed(text: str) -> tuple[str, tuple[int, ...]]:
    return _read(text, lambda chars: " " if chars.isspace() else chars, squeeze=True)


@lru_cache(maxsize=4)
def _alphanumeric(text: str) -> tuple[str, tuple[int, ...]]:
    return _read(text, lambda chars: "".join(char for char in chars.casefold() if char.isalnum()), squeeze=False)


def _read(text: str, keep: Callable[[str], str], squeeze: bool) -> tuple[str, tuple[int, ...]]:
    """The text as one reading sees it, and for each of its characters the index in `text` that it came from.

    Decomposition works on single characters, unlike composition: that is what keeps the indices exact.
    """
    body: list[str] = []
    origins: list[int] = []
    for index, char in enumerate(text):
        for kept in keep(unicodedata.normalize("NFKD", char)):
            if squeeze and kept == " " and body and body[-1] == " ":
                continue
            body.append(kept)
            origins.append(index)
    return "".join(body), tuple(origins)
