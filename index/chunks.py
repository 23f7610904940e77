"""A Document becomes chunks: spans cut where it hurts least, never larger than asked, exact to the character.

Chunks never overlap and lie on one page. Knows structure (pages, headings, paragraphs, lines, sentences), not meaning.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from index.documents import Document, readable_name
from index.metadata import front_matter
from index.sentences import blocks, split_line
from index.tokens import count_each


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document. `id` is given by the catalog (0 before), `heading` is the path "A > B", `tokens` cl100k."""

    id: int
    doc: str
    start: int
    end: int
    page: int | None
    heading: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """A sentence, heading or part of a row: what is not cut if it fits. `gap` is the boundary before it."""

    start: int
    end: int
    gap: int
    section: int
    heading: bool = False


# The boundary before a unit, from weak to strong.
_ROW, _SENTENCE, _LINE, _PARAGRAPH, _SECTION, _HARD = range(6)
# What it costs to cut at a boundary, and to leave one inside a chunk. In the unit of a chunk's fill: 1 = a chunk that
# is left empty. Chosen on two corpora (benchmarks/LOG.md); the order matters, the digits hardly. A table row is cut
# inside, at the end of a sentence, only where it would not fit a chunk: every other way costs less.
_CUT = (9.0, 0.35, 0.2, 0.05, 0.0, 0.0)
_KEEP = (0.0, 0.0, 0.0, 0.02, 0.5, 1e9)
_AFTER_HEADING = 1.0

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*$")
HEADING_LINE = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_FENCE = re.compile(r"[ \t]{0,3}(```|~~~)")
# Kinds whose readers write Markdown, and those in which every list item is a row or a record.
HEADED_KINDS = frozenset(
    "md markdown html htm xhtml epub eml ipynb docx pptx xlsx xlsm csv tsv json jsonl ndjson".split()
)
_FRONTED = frozenset({"md", "markdown"})
_ROW_KINDS = frozenset("xlsx xlsm csv tsv json jsonl ndjson".split())
_BARS = re.compile(r"[ \t]*\|.*\|[ \t\r]*")
# How far above a chunk the header of its table is looked for, in characters and rows.
_LOOK_BACK, _LOOK_BACK_ROWS = 50_000, 400
# Lines that web pages put between paragraphs: they say nothing about the article and only separate its parts.
_CLUTTER = re.compile(
    r"(?:advertisements?|sponsored(?: content)?|also read|read more|read also|recommended stories|related (?:stories|"
    r"articles|posts|news)|share(?: this)?(?: article| story| page)?|repost|follow us|sign up|subscribe(?: now)?|"
    r"(?:accept|manage) (?:all )?cookies|skip to (?:main )?content|list of \d+ items?(?:end of list)?|"
    r"loading\W*|comments?)\W*",
    re.IGNORECASE,
)


def chunk_spans(document: Document, token_starts: Sequence[int] | np.ndarray, limit: int) -> list[Chunk]:
    """Cut a document into chunks of at most `limit` tokens.

    `token_starts` are the code-point offsets at which the embedder's tokens begin, ascending. Only a single token
    longer than the limit allows could exceed it, which cannot happen for `limit` >= 1.
    """
    starts = _measured(np.asarray(token_starts, np.int64), len(document.text))
    headings, units = _units(document)
    units = [piece for unit in units for piece in _fit(unit, document.text, starts, limit)]
    spans = _pack(units, starts, limit)
    tokens = count_each([document.text[a:b] for a, b, _ in spans])
    page_ends = [end for _, end in document.pages]
    return [
        Chunk(0, document.doc, a, b, bisect_left(page_ends, b) + 1 if page_ends else None, headings[section], count)
        for (a, b, section), count in zip(spans, tokens, strict=True)
    ]


def _measured(starts: np.ndarray, length: int) -> np.ndarray:
    """Token starts, with one more every four characters where none is for long: word pieces make a single unknown token
    of an unbroken word over 100 characters, however long it is."""
    ends = np.append(starts[1:], length) if len(starts) else np.array([length])
    begins = starts if len(starts) else np.array([0])
    more = [np.arange(a + 4, b, 4) for a, b in zip(begins, ends, strict=True) if b - a > 100]
    return np.sort(np.concatenate([starts, *more])) if more else starts


def context_line(doc: str, title: str, heading: str) -> str:
    """What a chunk cannot say of itself: the file's name, the title, the headings above it. Searched, never cited."""
    name = readable_name(doc)
    folder = " ".join(readable_name(part) for part in PurePosixPath(doc).parts[:-1][-1:])
    # Digests and serial numbers name files without saying anything.
    parts = [part for part in (folder, name) if part and not re.search(r"[0-9a-f]{12}|\d{8}", part)]
    for part in (title, heading):
        if part and part.casefold() not in " ".join(parts).casefold():
            parts.append(part)
    return " — ".join(parts)


def context_of(text: str, start: int, doc: str, title: str, heading: str) -> str:
    """All that a chunk beginning at `start` cannot say of itself: its context line, the header row of its table."""
    return "\n".join(filter(None, (context_line(doc, title, heading), header_row(text, start))))


def header_row(text: str, start: int) -> str:
    """The header of the table between bars in which a chunk that starts at `start` begins: the table's first row.

    "" where the chunk begins elsewhere or holds the header itself, and where the table begins too far above.
    """
    furthest = max(0, start - _LOOK_BACK)
    above = text[furthest:start].rsplit("\n", _LOOK_BACK_ROWS)
    cut = furthest > 0 or len(above) > _LOOK_BACK_ROWS  # then the first line is none, or not a whole one
    end = text.find("\n", start, start + _LOOK_BACK)
    if not _BARS.fullmatch(above.pop() + text[start : end if end >= 0 else start + _LOOK_BACK]):
        return ""
    header = ""
    while above:
        if cut and len(above) == 1:
            return ""
        row = above.pop()
        if not _BARS.fullmatch(row):
            break
        if any(map(str.isalnum, row)):  # |---| divides
            header = row.strip()
    return header


def _units(document: Document) -> tuple[list[str], list[_Unit]]:
    kind = document.meta.get("kind")
    headed = kind in HEADED_KINDS or document.doc.lower().endswith((".md", ".markdown"))
    headings: list[str] = [""]
    path: list[tuple[int, str]] = []
    units: list[_Unit] = []
    text = document.text
    rows = kind in _ROW_KINDS
    begins = front_matter(text)[1] if kind in _FRONTED or document.doc.endswith(".md") else 0
    defined = deque(_definitions(document))
    running = frozenset[str]() if headed else _running_lines(document)
    for page_start, page_end in document.pages or ((begins, len(text)),):
        gap, fenced = _HARD, False
        if document.pages:
            headings.append("" if headed else _page_heading(text[page_start:page_end], running))
            path = []
        for block in blocks(text, page_start, page_end):
            gap = max(gap, _PARAGRAPH)
            for start, end in block.lines:
                line = text[start:end]
                if _FENCE.match(line):
                    fenced = not fenced
                if not any(map(str.isalnum, line)):
                    continue
                if len(line) < 60 and _CLUTTER.fullmatch(line):
                    gap = _HARD
                    continue
                found = _HEADING.fullmatch(line) if headed and not fenced else None
                named = [(len(found.group(1)), found.group(2))] if found else []
                while defined and defined[0][0] < end:
                    named.append(defined.popleft()[1:])
                for level, name in named:
                    path = [*(item for item in path if item[0] < level), *([(level, name)] if name else [])]
                    headings.append(" > ".join(title for _, title in path))
                    gap = max(gap, _SECTION)
                pieces = [(start, end)] if found or fenced else split_line(text, start, end, whole_rows=False)
                inside = _ROW if _BARS.fullmatch(line) or (rows and line.startswith("- ")) else _SENTENCE
                for number, (a, b) in enumerate(pieces):
                    units.append(
                        _Unit(a if number else start, b, inside if number else gap, len(headings) - 1, bool(named))
                    )
                gap = _LINE
    return headings, units


def _definitions(document: Document) -> list[tuple[int, int, str]]:
    if "code" not in document.meta or document.meta.get("kind") == "ipynb":
        return []
    from index.readers.code import definitions

    return definitions(document.text, str(document.meta["kind"]))


def _running_lines(document: Document) -> frozenset[str]:
    """First lines that a fifth of the pages share, such as "Table of Contents": they name no page."""
    firsts = Counter(line for a, b in document.pages for line in set(_first_lines(document.text[a:b])))
    return frozenset(line for line, count in firsts.items() if count > max(2, len(document.pages) / 5))


def _first_lines(page: str) -> list[str]:
    lines = (" ".join(line.split()) for line in page[:1000].split("\n"))
    return [line for line in lines if line][:4]


def _page_heading(page: str, running: frozenset[str]) -> str:
    """The short lines that a page opens with, up to the first that reads like text or a row of figures."""
    title: list[str] = []
    for line in _first_lines(page):
        if line in running or re.fullmatch(r"[\W\d]*", line):
            continue
        digits = sum(map(str.isdigit, line))
        if len(line) > 90 or line.endswith((".", ",", ";")) or digits > len(line) / 4:
            break
        title.append(line)
    return " > ".join(title)


def _fit(unit: _Unit, text: str, starts: np.ndarray, limit: int) -> Iterator[_Unit]:
    """Cut a unit that is larger than a chunk at token starts, at white space where there is some in the last half."""
    first, last = (int(i) for i in np.searchsorted(starts, (unit.start, unit.end)))
    if last - first <= limit:
        yield unit
        return
    begin, gap = unit.start, unit.gap
    while last - first > limit:
        cut = first + limit
        while cut > first + limit // 2 and not text[int(starts[cut]) - 1].isspace():
            cut -= 1
        if cut == first + limit // 2:
            cut = first + limit
        # Several tokens may begin in one character; a cut must still move on.
        while cut < last and int(starts[cut]) <= begin:
            cut += 1
        stop = int(starts[cut]) if cut < last else unit.end
        tail = len(text[begin:stop].rstrip())
        yield _Unit(begin, begin + max(tail, 1), gap, unit.section)
        first, begin, gap = cut, stop, _SENTENCE
    if begin < unit.end:
        yield _Unit(begin, unit.end, gap, unit.section)


def _pack(units: Sequence[_Unit], starts: np.ndarray, limit: int) -> list[tuple[int, int, int]]:
    """The cheapest way to group consecutive units into chunks, by dynamic programming over the last cut.

    Cost of a chunk: the square of the share it leaves empty, what its first boundary costs to cut, and what the
    boundaries inside it cost to keep. Returns (start, end, section) of each chunk.
    """
    begins = np.searchsorted(starts, [unit.start for unit in units])
    ends = np.searchsorted(starts, [unit.end for unit in units])
    best = [0.0] + [float("inf")] * len(units)
    came = [0] * (len(units) + 1)
    for j in range(1, len(units) + 1):
        inside = 0.0
        for i in range(j - 1, -1, -1):
            size = int(ends[j - 1] - begins[i])
            if size > limit and i < j - 1:
                break
            cut = _AFTER_HEADING if i and units[i - 1].heading else _CUT[units[i].gap]
            cost = best[i] + (1 - min(size / limit, 1)) ** 2 + cut + inside
            if cost < best[j]:
                best[j], came[j] = cost, i
            if units[i].gap == _HARD:
                break
            inside += _KEEP[units[i].gap]
    spans: list[tuple[int, int, int]] = []
    j = len(units)
    while j:
        i = came[j]
        spans.append((units[i].start, units[j - 1].end, units[i].section))
        j = i
    return spans[::-1]
