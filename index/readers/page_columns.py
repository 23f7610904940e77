"""Columns of prose on a page, where the file draws them row by row. Not tables: their rows stay rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from statistics import median

from index.readers.page_ruler import Line, Ruler

_ENOUGH = 5  # lines that make a column; fewer are as likely two cells or two captions side by side


def by_column(lines: list[Line], ruler: Ruler) -> list[Line]:
    """The lines column by column where columns of prose were drawn row by row, else as they are.

    Tables look the same to the eye of a program but for two things: their cells do not go on in the middle of a
    sentence on line after line, and cells of several lines are drawn one cell after another.
    """
    if not (_alternate(lines) or _share_gap(lines, ruler)):
        return lines
    cut = [(line, list(ruler.pieces(line))) for line in lines if line.upright]
    starts = _column_starts([piece for _, pieces in cut for piece in pieces if _is_prose(piece.text)])
    # More pieces than columns are the row of a table over all columns.
    pieces = [piece for line, pieces in cut for piece in (pieces if len(pieces) <= len(starts) else [line])]
    if not _are_columns(pieces, starts):
        return lines
    ordered: list[Line] = []
    columns: list[list[Line]] = [[] for _ in starts]
    for piece in _downwards(pieces):
        column = _column(piece, starts)
        if column is None:
            ordered += chain(*columns, [piece])
            columns = [[] for _ in starts]
        else:
            columns[column].append(piece)
    return [*ordered, *chain(*columns), *(line for line in lines if not line.upright)]


def _is_prose(text: str) -> bool:
    return " " in text and sum(map(str.isalpha, text)) > 0.6 * len(text)


def _alternate(lines: list[Line]) -> bool:
    """Whether lines of prose stand beside the one that was drawn before them, again and again."""
    beside = [
        (a, b)
        for a, b in pairwise(lines)
        if (a.right <= b.left or b.right <= a.left) and abs(a.base - b.base) <= 2 * a.size
    ]
    return len(beside) >= _ENOUGH and sum(_is_prose(a.text) and _is_prose(b.text) for a, b in beside) >= _ENOUGH


def _share_gap(lines: list[Line], ruler: Ruler) -> bool:
    """Whether most lines over the whole width have a gap at the same place. Some are looked at."""
    if len(lines) < _ENOUGH:
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    wide = [line for line in lines if line.right - line.left > 0.6 * width]
    sample = [line for line in wide[:: len(wide) // (2 * _ENOUGH) + 1] if _is_prose(line.text)]
    if len(sample) < _ENOUGH:
        return False
    starts: list[tuple[float, float]] = []
    for number, line in enumerate(sample, 1):
        starts += [(piece.left, line.size) for piece in list(ruler.pieces(line))[1:]]
        if number == _ENOUGH // 2 + 1 and not starts:
            return False
    shared = (sum(abs(x - other) <= size for other, _ in starts) for x, size in starts)
    return max(shared, default=0) > len(sample) / 2


def _column_starts(prose: list[Line]) -> list[float]:
    """Left edges that many lines share, that few lines run across and that enough lines end before."""
    starts: list[float] = []
    queue = sorted(prose, key=lambda line: line.left)
    edges = [line.left for line in queue]
    stop = 0
    while stop < len(queue):
        edge, size = queue[stop].left, queue[stop].size
        begin, stop = stop, max(bisect_right(edges, edge + size / 2), stop + 1)
        same = queue[begin:stop]
        if len(same) < _ENOUGH:
            continue
        if not starts:
            starts.append(edge)
            continue
        low, high = min(line.base for line in same) - size, max(line.base for line in same) + size
        before = [line for line in prose if line.left < edge - size and low <= line.base <= high]
        across = sum(line.right > edge + size for line in before)
        between = sum(line.left >= starts[-1] - size and line.right <= edge + size for line in before)
        if across <= len(same) / 5 and between >= _ENOUGH:
            starts.append(edge)
    return starts


def _column(piece: Line, starts: Sequence[float]) -> int | None:
    """The column that holds the whole piece; None where it lies across two."""
    column = max(bisect_right(starts, piece.left + piece.size) - 1, 0)
    return None if column + 1 < len(starts) and piece.right > starts[column + 1] else column


def _are_columns(pieces: list[Line], starts: Sequence[float]) -> bool:
    """Whether the columns are prose that was drawn row by row."""
    placed = [(_column(piece, starts), piece) for piece in pieces if _is_prose(piece.text)]
    inside = [(column, piece) for column, piece in placed if column is not None]
    if len(starts) < 2 or sum(a != b for (a, _), (b, _) in pairwise(inside)) < 0.6 * len(inside):
        return False
    for column, start in enumerate(starts):
        held = [piece for place, piece in inside if place == column]
        end = starts[column + 1] if column + 1 < len(starts) else max((piece.right for piece in held), default=start)
        if (
            len(held) < _ENOUGH
            or sum(piece.text[0].islower() for piece in held) < len(held) / 3
            or median(piece.right for piece in held) - start < (end - start) / 2
        ):
            return False
    return True


def _downwards(pieces: Iterable[Line]) -> Iterator[Line]:
    """From the top of the page to its foot, from left to right on one baseline."""
    row: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: -piece.base):
        if row and not row[0].level(piece):
            yield from sorted(row, key=lambda piece: piece.left)
            row = []
        row.append(piece)
    yield from sorted(row, key=lambda piece: piece.left)
