"""Where sentences begin and end, as spans of the text. Not how they are packed into chunks.

A line break ends a sentence unless the line was merely wrapped; inside a paragraph a full stop ends one unless it
belongs to an abbreviation, an initial or a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines between blank lines: `lines` are the spans of its logical lines (wrapped lines joined)."""

    start: int
    end: int
    lines: tuple[Span, ...]


def blocks(text: str, start: int = 0, end: int | None = None) -> Iterator[Block]:
    """The blocks of text[start:end], white space at their borders left out."""
    lines: list[Span] = []
    for found in _LINE.finditer(text, start, len(text) if end is None else end):
        line = _trim(text, *found.span())
        if line[0] < line[1]:
            lines.append(line)
        elif lines:
            yield _block(text, lines)
            lines = []
    if lines:
        yield _block(text, lines)


def sentences(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """The sentences of text[start:end], in order, none empty, none overlapping."""
    return [span for block in blocks(text, start, end) for line in block.lines for span in split_line(text, *line)]


def split_line(text: str, start: int, end: int, *, whole_rows: bool = True) -> list[Span]:
    """The sentences of one logical line; a table row between bars is one, unless `whole_rows` is off."""
    if whole_rows and text.startswith("|", start, end) and text.endswith("|", start, end):
        return [(start, end)]
    out: list[Span] = []
    mark = _BULLET.match(text, start, end)
    begin = mark.end() if mark else start
    for stop in _STOP.finditer(text, start, end):
        if stop.end() < end and _ends_sentence(text, begin, stop, end):
            span = _trim(text, begin, stop.end())
            if span[0] < span[1]:
                out.append(span)
            begin = stop.end()
    span = _trim(text, begin, end)
    if span[0] < span[1]:
        out.append(span)
    return out


_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_STOP = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*")
_OPENS_LOWER = re.compile(r"\s+[\"'“‘«(\[]*[a-zà-öø-ÿа-я]")
_LAST_WORD = re.compile(r"([^\s(\[\"“‘']+)\.$")
_BULLET = re.compile(r"[-*•‣◦▪]\s+(?=\S)")
_ITEM = re.compile(r"([-*•‣◦▪–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\||#{1,6} |>|```)\s?")
_TERMINAL = re.compile(r"[.!?:;。！？…][\"'”’»)\]]*$")

# Words after which a full stop rarely ends a sentence; a name, a number or a part of one follows.
_BEFORE_NAME = frozenset(
    "mr mrs ms dr prof rev fr sr st mt ft gen col capt lt sgt maj cmdr adm gov sen rep pres hon messrs mme mlle "
    "dir supt no nos vol vols fig figs eq eqs sec ch chap p pp par art ed eds trans cf ca approx vs v viz al "
    "jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e".split()
)
# After these one may end, and a capital letter then decides that it does.
_MAY_END = frozenset("jr sr etc bros est dept a.m p.m b.c a.d ph.d m.d".split())
# After these too, but a name follows as often ("U.S. State Department", "Apple Inc. Chief Executive"): it takes a word
# with which sentences begin and names do not.
_BEFORE_EITHER = frozenset("inc ltd co corp u.s u.s.a u.k u.n e.u d.c".split())
_OPENERS = frozenset(
    "the a an this that these those it its he she they we i you his her their our my there here in on at by for from "
    "with without after before as when whenever while where if unless although though despite because since until "
    "during under over between among but and or nor so yet however moreover meanwhile instead still also then thus now "
    "today yesterday some many much most few all both each every no not none one two three several what who how why "
    "which whether according such other others another more once to into about only even".split()
)
_OPENING = re.compile(r"\s+[\"'“‘«(\[]*([^\W\d_]*)")


def _ends_sentence(text: str, begin: int, stop: re.Match[str], end: int) -> bool:
    mark = stop.group()
    if mark[0] in "。！？｡":
        return True
    if _OPENS_LOWER.match(text, stop.end(), end):
        return False
    if mark[0] != "." or mark.startswith(".."):
        return True
    if len(mark) > 1:  # a closing quote or bracket follows the full stop
        return True
    # No abbreviation is longer; without the limit a long unbroken word before the stop takes time by its square.
    word = _LAST_WORD.search(text, max(begin, stop.end() - 40), stop.end())
    if word is None:
        return True
    bare = word.group(1).lower()
    if bare in _BEFORE_NAME:
        return False
    if len(bare) == 1 and bare.isalpha() and word.group(1).isupper():
        return False  # an initial: splitting "J. Smith" harms more than joining "vitamin C. It"
    if re.fullmatch(r"\d{1,3}|[ivxlc]+", bare) and word.start(1) == begin:
        return False  # a list number: "1. First"
    if bare in _BEFORE_EITHER:
        opening = _OPENING.match(text, stop.end(), end)
        return opening is not None and opening[1].lower() in _OPENERS
    # An abbreviation such as "J.R.R." goes on; "U.S." or "p.m." may end a sentence.
    return bare in _MAY_END or not re.fullmatch(r"(?:[a-z]\.)+[a-z]", bare)


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and (text[start].isspace() or text[start] in "\ufeff\u200b"):
        start += 1
    while end > start and (text[end - 1].isspace() or text[end - 1] in "\ufeff\u200b"):
        end -= 1
    return start, end


def _block(text: str, lines: list[Span]) -> Block:
    """Join the lines that were only wrapped: the next word would not have fitted into the block's width."""
    width = max(end - start for start, end in lines)
    joined = [lines[0]]
    for before, line in pairwise(lines):
        if _WRAP_MIN <= width <= _WRAP_MAX and _wrapped(text, before, line, width):
            joined[-1] = (joined[-1][0], line[1])
        else:
            joined.append(line)
    return Block(lines[0][0], lines[-1][1], tuple(joined))


# Prose is wrapped at 60 to 130 columns; narrower blocks are verse, lists or tables, wider lines are whole paragraphs.
_WRAP_MIN, _WRAP_MAX = 44, 200
# Proportional fonts make printed lines uneven: a line counts as full from this share of the widest one on.
_FULL = 0.8


def _wrapped(text: str, before: Span, line: Span, width: int) -> bool:
    first_word = re.compile(r"\S+").match(text, *line)
    assert first_word is not None
    full = before[1] - before[0] + 1 + len(first_word.group()) > width * _FULL
    if not full or _ITEM.match(text, *line) or text[before[0] : before[0] + 1] in "|#":
        return False
    # After a full stop a new line may well be a new sentence: then a break costs nothing.
    return text[line[0]].islower() or not _TERMINAL.search(text, max(before[0], before[1] - 3), before[1])
