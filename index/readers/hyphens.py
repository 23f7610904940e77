"""Words broken over two lines of a printed page made whole again. No dictionary: the document is its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from index.readers.page_ruler import HYPHEN

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LONG = 60  # letters that a line's last word may have; what is longer is none
_Halves = tuple[str, str]


def undo_hyphens(pages: Sequence[str]) -> list[str]:
    """The pages with the second half of each broken word drawn up to the first.

    The hyphen goes where the document has the word in one piece elsewhere, and stays where it has the compound. With
    neither, it stays if the document breaks nothing but compounds, or if both halves are words of their own.
    """
    broken = {halves for page in pages for _, halves in _broken(page.split("\n"))}
    if not broken:
        return [page.replace(HYPHEN, "-") for page in pages]
    known = Counter(word for page in pages for word in _WORD.findall(_whole(page)))
    told = {halves: _told(*halves, known) for halves in broken}
    counts = list(told.values())
    compounds = counts.count("-") > counts.count("")

    def hyphen(halves: _Halves) -> str:
        words = all(known[half.casefold()] for half in halves)
        likely = "-" if compounds or words else ""
        sure = told[halves]
        return likely if sure is None else sure

    hyphens = {halves: hyphen(halves) for halves in broken}
    return [_mended(page, hyphens) for page in pages]


def _broken(lines: Sequence[str]) -> Iterator[tuple[int, _Halves]]:
    """Where a line ends in half a word, and both halves of that word."""
    for number, (line, after) in enumerate(pairwise(lines)):
        if not line.endswith((HYPHEN, "-", "‐")):
            continue
        first = re.search(r"\w[\w-]*\Z", line[-_LONG:-1].rpartition(" ")[2])
        second = re.match(r"\w+", after)
        # pdfium is sure; a plain hyphen may be a dash or a minus, but not between small letters.
        if first and second and (line.endswith(HYPHEN) or (first[0][-1].islower() and second[0][0].islower())):
            yield number, (first[0], second[0])


def _whole(page: str) -> str:
    """The text of a page in small letters without the words that are broken."""
    lines = page.split("\n")
    for number, (first, second) in list(_broken(lines)):
        lines[number] = lines[number][: -len(first) - 1]
        lines[number + 1] = lines[number + 1][len(second) :]
    return "\n".join(lines).casefold()


def _told(first: str, second: str, known: Counter[str]) -> str | None:
    """The hyphen between the halves, or none, as far as the document or the letters tell."""
    whole, compound = known[(first + second).casefold()], known[f"{first}-{second}".casefold()]
    if (whole or compound) and len(first) > 1:
        return "" if whole >= compound else "-"
    capital = not second[0].islower() and not (first.isupper() and second.isupper())
    return "-" if capital or "-" in first or len(first) == 1 else None  # COVID-19, non-GAAP, state-of-the-art, e-mail


def _mended(page: str, hyphens: Mapping[_Halves, str]) -> str:
    """The page with what is broken drawn up; the rest of the second line stays a line."""
    lines = page.split("\n")
    for number, halves in list(_broken(lines)):
        tail, _, rest = lines[number + 1].partition(" ")
        lines[number] = lines[number][:-1] + hyphens[halves] + tail
        lines[number + 1] = rest
    return "\n".join(line for line in lines if line).replace(HYPHEN, "-")
