"""The lines of a PDF page and where they stand, in the order in which the file draws them. Not how they are read."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

HYPHEN = "\ufffe"
"""What pdfium puts for a hyphen at the end of a line."""


@dataclass(slots=True)
class Line:
    """Text on one baseline, in points: `left` and `right` run with the text, `base` grows upwards, `size` is the font's
    height. `at` is where pdfium's text of the page has it. Not `upright`: it runs across the page's other text."""

    text: str
    left: float
    right: float
    base: float
    size: float
    at: int = 0
    upright: bool = True

    def level(self, other: Line) -> bool:
        """Whether both are on one baseline; super- and subscripts are."""
        return abs(self.base - other.base) <= max(self.size, other.size) / 2

    def beside(self, other: Line) -> bool:
        """Whether `other` goes on where this line ends."""
        apart = other.left - self.right >= -max(self.size, other.size) / 4
        return apart and self.level(other) and self.upright and other.upright


class Ruler:
    """Measures stretches of a page's text, the page turned so that its prevailing direction of writing is upright."""

    def __init__(self, textpage: Any) -> None:
        """Of an open pypdfium2.PdfTextPage. Raises pypdfium2.PdfiumError for a damaged page."""
        import pypdfium2.raw as pdfium

        text = textpage.get_text_range(errors="surrogatepass")
        if not text.isascii() and max(text) > "\uffff":  # pdfium counts in UTF-16 units, and so must we
            text = re.sub("[\U00010000-\U0010ffff]", lambda char: "".join(map(chr, _units(char[0]))), text)
        self.text = text
        self._pdfium = pdfium
        self._page = textpage.raw
        self._mapped = textpage.count_chars() != len(text)
        self._x, self._y, self._box = ctypes.c_double(), ctypes.c_double(), pdfium.FS_RECTF()
        self._turn = 0
        starts = [found.start() for found in re.finditer(r"(?m)^\S", text)]
        turns = [self._quarters(start) for start in starts[:: len(starts) // 9 + 1]]
        self._turn = max(set(turns), key=turns.count, default=0)

    def lines(self) -> list[Line]:
        """The lines of the page that hold more than white space, in the order in which they are drawn."""
        return [
            line for found in re.finditer("[^\r\n\ufffe]+\ufffe?", self.text) for line in self._lines(*found.span())
        ]

    def _lines(self, start: int, end: int) -> Iterator[Line]:
        """The line text[start:end], cut where it moves to another baseline; nothing for white space."""
        text = self.text[start:end].rstrip()
        start, end = start + len(text) - len(text.lstrip()), start + len(text)
        if start >= end:
            return
        line = self._line(start, end)
        step = line.size / 2
        if abs(self._base(end - 1 - (text[-1] == HYPHEN and end - start > 1)) - line.base) <= step:
            yield line
            return
        words = _words(text.lstrip(), start)
        bases = [self._base(word) for word, _ in words]
        yield from self._cut(words, [n for n in range(1, len(words)) if abs(bases[n] - bases[n - 1]) > step])

    def pieces(self, line: Line) -> Iterator[Line]:
        """The line, cut where the gap between two words is as wide as a letter is high."""
        words = _words(line.text, line.at)
        gaps = (self._edges(word)[0] - self._edges(end - 1)[2] for (_, end), (word, _) in pairwise(words))
        yield from self._cut(words, [n for n, gap in enumerate(gaps, 1) if gap > line.size])

    def _cut(self, words: list[tuple[int, int]], cuts: list[int]) -> Iterator[Line]:
        for first, last in pairwise([0, *cuts, len(words)]):
            yield self._line(words[first][0], words[last - 1][1])

    def _line(self, start: int, end: int) -> Line:
        """The line text[start:end], which begins and ends with a character that is no white space."""
        left, low, _, high = self._edges(start)
        # A hyphen that pdfium replaced may have lost its place.
        _, _, right, _ = self._edges(end - 2 if self.text[end - 1] == HYPHEN and end - start > 1 else end - 1)
        upright = self._quarters(start) == self._turn
        return Line(
            self.text[start:end], left, max(left, right), self._base(start), max(high - low, 1.0), start, upright
        )

    def _index(self, at: int) -> int:
        index: int = self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, at) if self._mapped else at
        return index

    def _quarters(self, at: int) -> int:
        angle: float = self._pdfium.FPDFText_GetCharAngle(self._page, self._index(at))
        return round(angle / (math.pi / 2)) % 4 if 0 <= angle < 7 else 0

    def _base(self, at: int) -> float:
        self._pdfium.FPDFText_GetCharOrigin(self._page, self._index(at), self._x, self._y)
        x, y = self._x.value, self._y.value
        return (y, x, -y, -x)[self._turn]

    def _edges(self, at: int) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the room that a character takes."""
        self._pdfium.FPDFText_GetLooseCharBox(self._page, self._index(at), self._box)
        left, bottom, right, top = self._box.left, self._box.bottom, self._box.right, self._box.top
        if self._turn == 0:
            return left, bottom, right, top
        if self._turn == 1:
            return -top, left, -bottom, right
        return (-right, -top, -left, -bottom) if self._turn == 2 else (bottom, -right, top, -left)


def _units(char: str) -> Sequence[int]:
    return memoryview(char.encode("utf-16-le")).cast("H")


def _words(text: str, at: int) -> list[tuple[int, int]]:
    return [(at + word.start(), at + word.end()) for word in re.finditer(r"\S+", text)]
