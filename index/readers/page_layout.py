"""The characters of one PDF page to its lines, in the order they are read. Not headers, not words: only where ink lies.

pdfium gives text in the order in which the file draws it and breaks it into lines. That order is nearly always the
right one, so it stands unless the page contradicts it: a line that goes on further down (pdfium dropped a break),
neighbours on one baseline (the cells of a row), columns of prose that are drawn row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from index.readers.page_columns import by_column
from index.readers.page_ruler import HYPHEN, Line, Ruler

_FEW = 4  # lines of a cell; more are a column


def page_lines(textpage: Any) -> list[Line]:
    """The lines of a page that hold more than white space. Raises pypdfium2.PdfiumError for a damaged page.

    Text may hold lone surrogates, HYPHEN at its end and whatever white space the file has.
    """
    ruler = Ruler(textpage)
    return _rows(_cells(by_column(ruler.lines(), ruler)))


def _cells(lines: list[Line]) -> list[Line]:
    """Narrow cells of a few lines become one line each, where the next cell is drawn up and to the right of them."""
    if not lines:
        return lines
    narrow = (max(line.right for line in lines) - min(line.left for line in lines)) / 4
    runs: list[list[Line]] = []
    for line in lines:
        if runs and _goes_on_below(runs[-1][-1], line) and max(line.right, runs[-1][0].right) - line.left < narrow:
            runs[-1].append(line)
        else:
            runs.append([line])
    rises = [False, *(_rises(before, after[0]) for before, after in pairwise(runs)), False]
    cells: list[Line] = []
    for run, from_before, to_after in zip(runs, rises, rises[1:], strict=False):
        broken = any(line.text.endswith(HYPHEN) for line in run)
        if (from_before or to_after) and 1 < len(run) <= _FEW and not broken:
            left, right = min(line.left for line in run), max(line.right for line in run)
            cells.append(replace(run[0], text=" ".join(line.text for line in run), left=left, right=right))
        else:
            cells += run
    return cells


def _goes_on_below(line: Line, below: Line) -> bool:
    overlap = below.left < line.right and line.left < below.right
    return overlap and line.size / 2 < line.base - below.base <= 1.25 * line.size and line.upright and below.upright


def _rises(run: list[Line], line: Line) -> bool:
    """Whether `line` goes back up from the end of the run, to the right of it, about as far as its beginning."""
    low, high = run[-1].base + line.size / 2, run[0].base + 1.25 * line.size
    return low < line.base <= high and line.left >= max(part.right for part in run) - line.size / 4


def _rows(lines: Iterable[Line]) -> list[Line]:
    """Neighbours on one baseline become one line: the label of a row and its figures."""
    rows: list[Line] = []
    for line in lines:
        if rows and rows[-1].beside(line):
            row = rows[-1]
            tall = max(row, line, key=lambda part: part.size)
            space = " " if line.left - row.right > tall.size / 8 else ""
            start = row.text[:-1] + "-" if row.text.endswith(HYPHEN) else row.text + space
            rows[-1] = Line(start + line.text, row.left, line.right, tall.base, tall.size, row.at)
        else:
            rows.append(line)
    return rows
