"""Pages of PDFs as images, and where on them a quote stands. Draws pictures and finds boxes; knows no HTML.

The extracted text of a PDF is put in reading order, its running lines and hyphens taken out, so a quote is looked for
anew in the characters of the page itself: letters and digits only, and piece by piece where the order differs.
"""

from __future__ import annotations

import ctypes
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from index.errors import DocumentError
from ui.letters import letters

SCALE = 2.0
"""Pixels a point: sharp at twice the size at which a page is first shown, and some 300 kB."""

_LARGEST = 3000
"""Pixels of the longer side at most: a page may claim to be a wall."""

_SHORTEST = 6
"""Letters of a piece of a quote that is looked for alone; shorter ones stand everywhere."""

_PDFIUM = threading.Lock()  # the library is not safe for threads


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in shares of its width and height from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


def sheet_png(path: Path, number: int, password: str | None = None) -> bytes:
    """Page `number`, counted from 1, as a PNG. Raises DocumentError."""
    return _rendered(str(path), _stamp(path), number, password)


def quote_boxes(path: Path, number: int, quote: str, password: str | None = None) -> tuple[Box, ...]:
    """Where the quote stands on page `number`, a box a line; empty when it is not found. Raises DocumentError."""
    return _found(str(path), _stamp(path), number, quote, password)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise DocumentError(f"The file cannot be read: {error.strerror or error}.") from error


@lru_cache(maxsize=48)
def _rendered(path: str, stamp: int, number: int, password: str | None) -> bytes:
    with _page(path, number, password) as page:
        scale = min(SCALE, _LARGEST / max(*page.get_size(), 1.0))
        image = page.render(scale=scale).to_pil().convert("RGB")
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=4)
    return out.getvalue()


@lru_cache(maxsize=256)
def _found(path: str, stamp: int, number: int, quote: str, password: str | None) -> tuple[Box, ...]:
    with _page(path, number, password) as page, closing(page.get_textpage()) as textpage:
        text = textpage.get_text_range(errors="surrogatepass")
        held, places = letters(text)
        beyond = list(accumulate((char > "\uffff" for char in text), initial=0))  # pdfium counts in UTF-16 units
        at = [index + beyond[index] for start, end in _pieces(held, letters(quote)[0]) for index in places[start:end]]
        boxes = [box for index in dict.fromkeys(at) if (box := _char_box(page, textpage, index))]
    return tuple(_lines(boxes))


@contextmanager
def _page(path: str, number: int, password: str | None) -> Iterator[Any]:
    import pypdfium2

    with _PDFIUM:
        try:
            with closing(pypdfium2.PdfDocument(path, password=password)) as pdf, closing(pdf[number - 1]) as page:
                yield page
        except (pypdfium2.PdfiumError, IndexError, OSError, ValueError) as error:
            raise DocumentError(f"Page {number} cannot be drawn: {error}") from error


def _pieces(page: str, quote: str) -> list[tuple[int, int]]:
    """Spans of `page` that make up `quote`: the whole, else the longest pieces in turn, each nearest to the last."""
    at = page.find(quote) if quote else -1
    if at >= 0:
        return [(at, at + len(quote))]
    found: list[tuple[int, int]] = []
    near = begin = 0
    while begin + _SHORTEST <= len(quote):
        length = _longest(page, quote, begin)
        if length < _SHORTEST:
            begin += 1
            continue
        piece = quote[begin : begin + length]
        after, before = page.find(piece, near), page.rfind(piece, 0, near + length)
        start = after if before < 0 or (after >= 0 and after - near <= near - before) else before
        found.append((start, start + length))
        near = start + length
        begin += length
    # A few stray words are no sign that this is the place.
    return found if sum(end - start for start, end in found) * 2 >= len(quote) else []


def _longest(page: str, quote: str, begin: int) -> int:
    """How many letters from `begin` on stand in the page in a row."""
    low, high = 0, len(quote) - begin
    while low < high:
        middle = (low + high + 1) // 2
        if quote[begin : begin + middle] in page:
            low = middle
        else:
            high = middle - 1
    return low


def _char_box(page: Any, textpage: Any, index: int) -> Box | None:
    """The room of a character as the page is shown, turned and cut as it may be; `index` counts in its text."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, index)
    if count < 0:
        return None
    left, bottom, right, top = textpage.get_charbox(count, loose=True)
    if right <= left or top <= bottom:
        return None
    grain = 100_000
    corners = []
    for x, y in ((left, top), (right, bottom)):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, grain, grain, 0, x, y, across, down)
        corners.append((across.value / grain, down.value / grain))
    (x0, y0), (x1, y1) = corners
    return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


def _lines(boxes: Sequence[Box]) -> Iterator[Box]:
    """Boxes of characters that follow each other on a line, as one."""
    line: Box | None = None
    for box in boxes:
        if line is not None and _follows(line, box):
            top = min(line.top, box.top)
            bottom = max(line.top + line.height, box.top + box.height)
            left = min(line.left, box.left)
            right = max(line.left + line.width, box.left + box.width)
            line = Box(left, top, right - left, bottom - top)
            continue
        if line is not None:
            yield line
        line = box
    if line is not None:
        yield line


def _follows(line: Box, box: Box) -> bool:
    middle = box.top + box.height / 2
    beside = line.top - box.height / 2 <= middle <= line.top + line.height + box.height / 2
    return beside and -0.01 <= box.left - (line.left + line.width) <= 0.06
