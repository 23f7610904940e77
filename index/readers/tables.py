"""Rows of cells to lines that can be read alone: `- Country: France; Capital: Paris`. Not where the cells come from.

A line is what a search finds and a citation quotes, so each row says the names of its columns itself. Where no row
names the columns, rows stand between bars.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from index.errors import DocumentError
from index.readers.office import bar_row

Row = Mapping[int, str]
"""The cells that are not empty, by column, as a person sees them."""

# Characters of one line. A longer row goes on in a next line that opens with the same first cell.
_LONGEST_LINE = 400
_LONGEST_NAME = 80
_LOOKED_AT = 60  # rows by which columns are judged
_WIDEST_BARS = 64
MOST_TEXT = 50_000_000
"""Characters that a file may have when written out."""

_VALUE = re.compile(
    r"[-+−(]?\s?[^\w\s]{0,2}\s?[-+−]?\d[\d.,:'’\u00a0\u202f/ -]*(?:e[-+]?\d+)?\s?(?:[%‰°)€$£¥]{1,2}|[a-z]{1,3})?\)?"
    r"|(?:true|false|yes|no|n/?a|-|–|—)",
    re.IGNORECASE,
)
_PERIOD = re.compile(
    r"(?:19|20)\d\d(?:[-/](?:\d\d|\d{4}))?(?:-\d\d)?|(?:q[1-4]|h[12])[ /-]?(?:\d\d){1,2}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, and how many rows of the table they and what stands above them take up."""

    names: Mapping[int, str]
    rows: int


def is_value(text: str) -> bool:
    """A number, amount, date or truth value: what stands in a column, not above it."""
    return len(text) <= 40 and _VALUE.fullmatch(text) is not None


def find_header(rows: Sequence[Row], marked: bool | None = None) -> Header | None:
    """The header among the first rows of a table, or None where the columns have no names.

    `marked` says whether the first full row looks different from the others (bold), None: nothing is known of looks,
    and then a row of distinct words above other words is believed to be a header.
    """
    wide = max((len(row) for row in rows[:_LOOKED_AT]), default=0)
    at = next((at for at, row in enumerate(rows[:10]) if len(row) >= max(2, wide / 2)), None)
    if at is None or at + 1 >= len(rows):
        return None
    names, below = rows[at], rows[at + 1 : at + 1 + _LOOKED_AT]
    distinct = len(set(names.values())) == len(names)
    if not distinct or not all(_is_name(name, column, below) for column, name in names.items()):
        return None
    differs = any(_values_below(column, below) >= 0.6 and not is_value(name) for column, name in names.items())
    periods = any(_PERIOD.fullmatch(name) for name in names.values())
    if len(names) == 2 and not marked and not (differs or periods or marked is None):
        return None
    if not (differs or periods or marked) and _repeats(names, below):
        return None
    return Header({column: name.rstrip(" :") for column, name in names.items()}, at + 1)


def _is_name(name: str, column: int, below: Sequence[Row]) -> bool:
    if len(name) > _LONGEST_NAME:
        return False
    if _PERIOD.fullmatch(name):  # years name columns, unless the column holds years
        return not any(_PERIOD.fullmatch(row.get(column, "")) for row in below[:10])
    return not is_value(name)


def _values_below(column: int, below: Sequence[Row]) -> float:
    found = [is_value(row[column]) for row in below if column in row]
    return sum(found) / len(found) if found else 0.0


def _repeats(names: Row, below: Sequence[Row]) -> bool:
    return any(row.get(column) == name for column, name in names.items() for row in below)


def write(rows: Iterable[Row], header: Header | None) -> Iterator[str]:
    """The rows after the header as lines; without a header all of them between bars."""
    rows = iter(rows)
    if header is None:
        first = list(islice(rows, _LOOKED_AT * 10))
        columns = sorted({column for row in first for column in row})
        for row in chain(first, rows):
            shown = columns if len(columns) <= _WIDEST_BARS and row.keys() <= set(columns) else sorted(row)
            if row:
                yield bar_row([row.get(column, "") for column in shown])
        return
    for row in rows:
        pairs = [(header.names.get(column, ""), " ".join(row[column].split())) for column in sorted(row)]
        yield from record_lines(pairs)


def table_lines(grid: Sequence[Sequence[str]], marked: bool) -> list[str]:
    """The rows of a table as a person laid it out; `marked`: its first row looks like a header."""
    rows = [{column: text for column, text in enumerate(texts) if text} for texts in grid]
    header = find_header(rows, marked)
    if header is None or header.rows > 1:  # a title above the header is for people to see in its place
        return [bar_row(texts) for texts in grid]
    return list(write(rows[header.rows :], header))


def record_lines(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """One record as a list item, `- name: value; name: value`; a long one as several that share their first cell."""
    parts = [f"{name}: {value}" if name else value for name, value in pairs if value]
    if not parts:
        return
    line, size = [parts[0]], len(parts[0])
    lead = parts[0] if len(parts[0]) <= _LONGEST_NAME * 2 else ""
    for part in parts[1:]:
        if size + len(part) > _LONGEST_LINE and len(line) > (1 if lead else 0):
            yield "- " + "; ".join(line)
            line, size = ([lead] if lead else []), len(lead)
        line.append(part)
        size += len(part) + 2
    yield "- " + "; ".join(line)


def bounded(lines: Iterable[str]) -> Iterator[str]:
    """The lines, as long as together they are not more than a file may have. Raises DocumentError."""
    size = 0
    for line in lines:
        size += len(line) + 1
        bound_text(size)
        yield line


def bound_text(size: int) -> None:
    """Raises DocumentError for more characters than a file may have when written out."""
    if size > MOST_TEXT:
        raise DocumentError(f"written out, it passes {MOST_TEXT // 1_000_000} million characters. Split the file")


def usual(values: Iterable[int]) -> tuple[int, float]:
    """The most frequent number and its share of all; (0, 0.0) of none."""
    counts = Counter(values)
    if not counts:
        return 0, 0.0
    value, count = counts.most_common(1)[0]
    return value, count / counts.total()
