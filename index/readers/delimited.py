"""CSV and TSV to one line a row, each with the names of its columns. Finds encoding, delimiter and header itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.tables import Row, bounded, find_header, usual, write
from index.readers.text import decode

_DELIMITERS = ",;\t|"
_SNIFFED_CHARS, _SNIFFED_ROWS = 200_000, 200
# Lines of one record, and lines split as they stand before quotes are no longer believed in.
_MOST_LINES, _MOST_DOUBTS = 1000, 100
_LONGEST_LINE = 1_000_000


def read_csv(data: bytes, options: ReadOptions) -> Extract:
    """The rows of a .csv or .tsv file. Raises DocumentError for binary data and for more text than is read."""
    text = decode(data).lstrip("\ufeff")
    named = re.match(r"sep=(.)\r?\n", text)  # Excel's own way to say it
    if named:
        text = text[named.end() :]
    delimiter = named[1] if named else _delimiter(text)
    rows = _rows(text, delimiter)
    first = list(islice(rows, 100))
    header = find_header(first)
    lines = write(chain(first[header.rows if header else 0 :], rows), header)
    above = ["; ".join(row.values()) for row in first[: header.rows - 1 if header else 0]]
    body = "\n".join(bounded(lines))
    return Extract("\n\n".join([*above, body]))


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    for row in _records(text, delimiter):
        cells = {column: cell for column, value in enumerate(row) if (cell := " ".join(value.split()))}
        if cells:
            yield cells


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """csv.reader, except where a quote is opened and never closed: that line is split as it stands, reading goes on."""
    lines = list(io.StringIO(text, newline=""))
    longest = max(map(len, lines), default=0)
    if longest > _LONGEST_LINE:
        raise DocumentError(f"a line has {longest:,} characters; rows of at most {_LONGEST_LINE:,} are read")
    at = doubts = 0
    while at < len(lines):
        reader = csv.reader((lines[n] for n in range(at, len(lines))), delimiter=delimiter)
        begun = at
        try:
            for row in reader if doubts < _MOST_DOUBTS else ():
                record = lines[begun : at + reader.line_num]
                swallowed = at + reader.line_num == len(lines) and "".join(record).count('"') % 2
                if len(record) > 1 and (swallowed or len(record) > _MOST_LINES):
                    break
                yield row
                begun = at + reader.line_num
        except csv.Error:
            pass  # a field of more than 131,072 characters
        if begun < len(lines):
            yield lines[begun].rstrip("\r\n").split(delimiter)
        at, doubts = begun + 1, doubts + 1


def _delimiter(text: str) -> str:
    """The character by which the rows fall into equally many fields, and into most of them."""
    sample = text[:_SNIFFED_CHARS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = (len(row) for row in islice(_records(sample, delimiter), _SNIFFED_ROWS) if row)
        width, share = usual(widths)
        return (round(share, 1), width) if width > 1 else (0.0, 0)

    return max(_DELIMITERS, key=evenness)
