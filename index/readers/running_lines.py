"""Which lines at the edges of pages are headers, footers and page numbers. Only what recurs is; nothing is guessed.

A line is compared with those at the same edge of other pages, as it stands and with one of its numbers taken relative
to the page it is on: "Page 3 of 12" and "Page 4 of 12" one page later are equal, "Exhibit 31" and "Exhibit 32" three
pages later are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from index.readers.page_ruler import Line

_DEPTH = 4  # lines looked at from either edge
_FEW = 3  # pages on which a line recurs before it is more than a coincidence
# Where a line that says more than a page number has one: at either end, or behind the word.
_NUMBER = re.compile(r"^\W*(?P<first>\d{1,6})(?=\s)|\b(?:page|p\.) ?(?P<named>\d{1,6})\b|\s(?P<last>\d{1,6})\W*$")
_PAGE_NUMBER = re.compile(
    r"\W*(?:(?:page|pg?\.?|seite|s\.|página|pagina)\s*)?(?:(?P<page>\d{1,6})|(?P<roman>[ivxlc]{1,9}))"
    r"(?:\s*(?:of|/|von|sur|de|di|van)\s*(?P<pages>\d{1,6}))?\W*"
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(slots=True)
class _Edge:
    """A line near the edge of a page: its index there, what it says, and what it says relative to the page's number.

    `page` and `pages` are those that it names if it is nothing but a page number, else 0.
    """

    at: int
    says: str
    relative: tuple[str, ...]
    page: int
    pages: int


def running_lines(pages: Sequence[Sequence[Line]]) -> list[set[int]]:
    """For each page the indices of its lines that are running headers, footers or page numbers.

    A line must recur on a third of the pages that hold text and on three at least, on six if only a page number in it
    changes; where it is seen first it stays, so that no word is lost to the document. What is nothing but a page number
    must count up with the pages on three of them, or say which page of how many it is and be right. A line counts only
    if no line that stays stands between it and the edge of its page.
    """
    count = len(pages)
    edges = [[list(_edges(page, number, count, top)) for top in (True, False)] for number, page in enumerate(pages, 1)]
    seen_on = Counter(key for page in edges for key in {k for s in page for e in s for k in (e.says, *e.relative)})
    third = sum(map(bool, pages)) / 3

    def is_page_number(edge: _Edge, number: int) -> bool:
        if edge.page == number and edge.pages == count > 1:
            return True
        # Beyond the number of pages it may be a year, as in one page of figures for each.
        needed = _FEW if edge.page <= count else max(2 * _FEW, third)
        return edge.page > 0 and any(seen_on[key] >= needed for key in edge.relative)

    kept: set[str] = set()
    dropped: list[set[int]] = [set() for _ in pages]
    for (number, page), drop in zip(enumerate(edges, 1), dropped, strict=True):
        for side in page:
            for edge in side:
                recurring = {key for key in edge.relative if seen_on[key] >= max(2 * _FEW, third)}
                recurring |= {edge.says} if seen_on[edge.says] >= max(_FEW, third) else set()
                if is_page_number(edge, number) or recurring & kept:
                    drop.add(edge.at)
                elif not recurring:
                    break
                kept |= recurring
    return dropped


def _edges(page: Sequence[Line], number: int, count: int, top: bool) -> Iterator[_Edge]:
    """The lines at the head or the foot of a page, from the edge inwards."""
    order = sorted((at for at, line in enumerate(page) if line.upright), key=lambda at: page[at].base, reverse=top)
    side = "top" if top else "foot"
    for at in order[:_DEPTH]:
        text = " ".join(page[at].text.split()).casefold()
        alone = _PAGE_NUMBER.fullmatch(text)
        if alone:
            kind = "page" if alone["page"] else "roman"
            value = int(alone["page"]) if alone["page"] else _roman(alone["roman"])
            numbers = [(*alone.span(kind), value)]
        else:
            named = [(found, found.lastgroup or "") for found in _NUMBER.finditer(text)]
            numbers = [(*found.span(group), int(found[group])) for found, group in named if int(found[group]) <= count]
        relative = (f"{side} {text[:start]}\0{value - number}\0{text[end:]}" for start, end, value in numbers)
        yield _Edge(
            at, f"{side} {text}", tuple(relative), value if alone else 0, int(alone["pages"] or 0) if alone else 0
        )


def _roman(letters: str) -> int:
    values = [_ROMAN[letter] for letter in letters]
    return sum(-a if a < b else a for a, b in pairwise([*values, 0]))
