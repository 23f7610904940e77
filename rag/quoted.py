"""Quotes as running text: white space squeezed, table rows told as their cells. The quotes stay as they are."""

from __future__ import annotations

import re

from index.chunks import header_row


def readable(text: str) -> str:
    """A quote in a sentence of the answer; the source's own [3] is written so that it is not taken for ours."""
    return re.sub(r"\[(\d+)\]", r"［\1］", " ".join(text.split()))


def row_of(document: str, start: int, row: str) -> str:
    """A table row with the column's heading before each cell ("Kittiwake; 2014: 1,015; 2024: 742"); other text as
    `readable` gives it. `start` is where the row begins in `document`."""
    if not is_row(row):
        return readable(row)
    cells, heads = cells_of(row), cells_of(header_row(document, start))
    if len(heads) != len(cells):
        heads = [""] * len(cells)
    told = [cells[0]] if cells and (cells[0] or not heads[0]) else []
    for head, cell in list(zip(heads, cells, strict=True))[len(told) :]:
        if cell.strip("-–— "):
            told.append(f"{head}: {cell}" if head and head.casefold() != cell.casefold() else cell)
    return readable("; ".join(filter(None, told)))


def cells_of(row: str) -> list[str]:
    """The cells of a row between bars, without the marks of Markdown."""
    bare = row.strip().removeprefix("|").removesuffix("|")
    return [" ".join(cell.replace("**", "").split()) for cell in re.split(r"(?<!\\)\|", bare)] if bare else []


def is_row(text: str) -> bool:
    """Whether a quote is a row of a table between bars."""
    return text.startswith("|") and text.endswith("|") and "\n" not in text and len(text) > 1
