"""Excel workbooks to Markdown, through openpyxl: a heading a sheet, a self-describing line a row. Not how it looks.

Values are those that Excel last computed, written as their number format shows them. Hidden sheets are left out.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.archive import border, count_in, open_zip
from index.readers.formats import shown
from index.readers.office import core_properties
from index.readers.tables import Header, bound_text, bounded, find_header, is_value, write

_MOST_CELLS = 3_000_000
_MOST_FILLED = 200_000  # cells that merged ranges may add
_LONGEST_HEADING = 120


def read_xlsx(data: bytes, options: ReadOptions) -> Extract:
    """The visible sheets of a workbook. Raises DocumentError for what is broken, encrypted or too large."""
    archive = open_zip(data, ".xlsx")
    _bound_cells(archive)
    with border(".xlsx", "office"), warnings.catch_warnings():
        import openpyxl

        warnings.simplefilter("ignore")  # of extensions that it does not know
        title, meta = core_properties(archive)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        blocks: list[str] = []
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            found = list(bounded(_sheet(_grid(book, sheet))))
            blocks += [f"# {' '.join(sheet.title.split())}", *found] if found else []
        return Extract("\n\n".join(blocks), title=title, meta={**meta, "sheets": len(sheets)})


def _bound_cells(archive: zipfile.ZipFile) -> None:
    """A row is held whole while it is read, and a cell takes four bytes in the file but hundreds in memory."""
    cells = count_in(archive, [m for m in archive.infolist() if "/worksheets/" in m.filename], b"<c", ".xlsx")
    if cells > _MOST_CELLS:
        raise DocumentError(f"holds about {cells:,} cells; at most {_MOST_CELLS:,} are read. Split the file")


@dataclass(slots=True)
class _Grid:
    """The filled cells of a sheet by row and column, which of the rows are bold, which ranges are merged."""

    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    bold: set[int] = field(default_factory=set)
    wide: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """First and last column of the ranges that are merged within a row."""


def _grid(book: Any, sheet: Any) -> _Grid:
    # The parser below openpyxl's own read-only sheet: it gives the rows that are there, however large the sheet says it
    # is, and the merged ranges, which the read-only sheet drops.
    from openpyxl.cell.read_only import ReadOnlyCell
    from openpyxl.worksheet._reader import WorkSheetParser

    out = _Grid()
    looks: dict[int, tuple[str, bool]] = {}
    size = 0
    with book._archive.open(sheet._worksheet_path) as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for number, cells in parser.parse():
            row: dict[int, str] = {}
            heavy = 0
            for cell in cells:
                if cell["value"] is None or cell["data_type"] == "e":
                    continue
                style = cell["style_id"]
                if style not in looks:
                    styled = ReadOnlyCell(sheet, **cell)
                    looks[style] = styled.number_format, bool(styled.font and styled.font.b)
                form, bold = looks[style]
                if text := " ".join(shown(cell["value"], form).split()):
                    row[cell["column"]] = text
                    size += len(text)
                    bound_text(size)  # a million cells may share one long text
                    heavy += bold
            if row:
                out.rows[number] = row
                if heavy == len(row):
                    out.bold.add(number)
    _merge(out, parser.merged_cells.mergeCell if parser.merged_cells else ())
    return out


def _merge(grid: _Grid, ranges: Sequence[Any]) -> None:
    """A cell merged over rows is said again in each that has others, so that the row can be read alone."""
    numbers = sorted(grid.rows)
    filled = 0
    for merged in ranges:
        text = grid.rows.get(merged.min_row, {}).get(merged.min_col)
        if text is None:
            continue
        if merged.min_row == merged.max_row:
            grid.wide.setdefault(merged.min_row, []).append((merged.min_col, merged.max_col))
            continue
        for at in range(bisect_left(numbers, merged.min_row + 1), bisect_left(numbers, merged.max_row + 1)):
            grid.rows[numbers[at]].setdefault(merged.min_col, text)
            filled += 1
            if filled > _MOST_FILLED:
                return


def _sheet(grid: _Grid) -> Iterator[str]:
    """The tables of a sheet as blocks; an empty row ends a table, but its header holds until another one is found."""
    header: Header | None = None
    for numbers in _regions(grid):
        rows = [dict(sorted(grid.rows[number].items())) for number in numbers]
        lone = next((at for at, row in enumerate(rows) if len(row) > 1), len(rows))
        for row in rows[:lone]:
            yield _lone(next(iter(row.values())))
        rows = rows[lone:]
        if not rows:
            continue
        found = _header(grid, numbers[lone:], rows)
        if found is None and header and not all(row.keys() <= header.names.keys() for row in rows):
            header = None
        rows = rows[found.rows if found else 0 :]
        header = found or header
        yield from _body(rows, header)


def _regions(grid: _Grid) -> Iterator[list[int]]:
    region: list[int] = []
    for number in sorted(grid.rows):
        if region and number > region[-1] + 1:
            yield region
            region = []
        region.append(number)
    if region:
        yield region


def _lone(text: str) -> str:
    """A row of one cell: the title of what follows, or a remark."""
    title = len(text) <= _LONGEST_HEADING and not is_value(text) and not text.endswith((".", ":", ";"))
    return f"## {text}" if title else text


def _header(grid: _Grid, numbers: list[int], rows: list[dict[int, str]]) -> Header | None:
    """The header of a table; names that are merged over several columns stand before the names below them."""
    marked = numbers[0] in grid.bold and not set(numbers[1:]) <= grid.bold
    merged = grid.wide.get(numbers[0], ())
    if len(rows) > 2 and merged and not any(is_value(text) for text in rows[1].values()):
        upper = dict(rows[0])
        for first, last in merged:
            upper |= {column: rows[0][first] for column in rows[1] if first <= column <= last and first in rows[0]}
        both = {
            column: text if upper.get(column, text) == text else f"{upper[column]} {text}"
            for column, text in rows[1].items()
        }
        found = find_header([{**upper, **both}, *rows[2:]], marked)
        if found:
            return Header(found.names, found.rows + 1)
    return find_header(rows, marked)


def _body(rows: list[dict[int, str]], header: Header | None) -> Iterator[str]:
    """Rows as one block of lines; a lone cell in the first column of a wider table heads the rows below it."""
    heads = [at for at, row in enumerate(rows) if header and len(header.names) > 2 and _heads(row, header)]
    if len(heads) > len(rows) / 3:
        heads = []
    start = 0
    for at in [*heads, len(rows)]:
        lines = "\n".join(write(rows[start:at], header))
        if lines:
            yield lines
        if at < len(rows):
            yield f"### {next(iter(rows[at].values()))}"
        start = at + 1


def _heads(row: dict[int, str], header: Header) -> bool:
    text = next(iter(row.values()))
    return len(row) == 1 and min(header.names) >= min(row) and len(text) <= _LONGEST_HEADING and not is_value(text)
