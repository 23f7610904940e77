"""The labels that a model may write, found in its text while it streams. Knows their grammar, not what they point to.

A label is `b3.2` (sentence 2 of passage 3) or `b3` (the whole passage). Models write them as they please, so these
all count: `[b1.2]`, `[b1.2, b3.1]`, `[b1.2; b1.3]`, `[b1.2-b1.4]`, `[b1.2-4]`, `[b1.2, 4]`, `[B1.2]`, `[[b1.2]]`,
`([b1.2])`, `(b1.2)`, `（b1.2）`, `【b1.2】`, `[source b1.2]`, `(see b1.2)`, `[^b1.2]`, `**[b1.2]**`, `{b1.2}`,
`<sup>b1.2</sup>`, `[b1.2](#link)`, the same in back-ticks, and the bare lower-case `b1.2`. A whole passage needs square
brackets or a word such as "see", since "(B12)" and "(b1)" are what documents say themselves; `a[b3]c` is code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

HOLD = 160
"""Longest group of labels in characters: nothing longer is ever held back."""


@dataclass(frozen=True, slots=True)
class Group:
    """Labels as they were written. `raw` is the text, `names` the labels in lower case, ranges as (first, last).

    `bare`: without brackets, as a word of the sentence. `soft`: so written that it is a label only if it exists.
    """

    raw: str
    names: tuple[str | tuple[str, str], ...]
    bare: bool = False
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Cite:
    """A place where the model cites: the known labels in the order written, each once; empty if none was known."""

    labels: tuple[str, ...]
    bare: bool = False


_OPEN = "[(【（［〔{<"
_CLOSE = "])】）］〕}>"
_SUP, _END_SUP = "<sup>", "</sup>"
_ROUND = ("(", "（", "{", "<", _SUP)
# The target of a Markdown link whose text is a label.
_LINK = re.compile(r"\((?:\w+:|www\.|[#./]|[\w-]+\.\w)[^\s()]*\)")
_LINK_BEGINNING = re.compile(r"\((?:[\w#./-][^\s()]*)?\Z")
_WRAPS = "`*_"
_WORDS = (
    *("and", "or", "see", "also", "cf", "from", "in", "per", "via", "by", "as", "id", "ids", "ref", "refs", "cite"),
    *("source", "sources", "reference", "references", "passage", "passages", "sentence", "sentences", "citation"),
    *("citations", "cited", "label", "labels", "evidence", "doc", "docs", "src"),
)
_BEGINNINGS = frozenset(word[:n] for word in (*_WORDS, "to", "through") for n in range(1, len(word) + 1))
_TOKEN = re.compile(
    rf"(?P<close>{_END_SUP}|[{re.escape(_CLOSE)}])|(?P<open>{_SUP}|[{re.escape(_OPEN)}])"
    r"|(?P<label>b[0-9]{1,9}+(?:\.[0-9]{1,9}+){0,3}+(?![^\Wb]|b(?!\d)))|(?P<number>(?:[0-9]{1,9}\.)?[0-9]{1,9}(?!\w))"
    r"|(?P<dash>[-‐‑–—−~]+|(?:to|through)(?!\w))"
    rf"|(?P<word>(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?![^\W\d_b]|b(?!\d)))"
    r"|(?P<between>[\s,;:.#^@&+/|`*_§†\"'“”‘’，；：、]+)",
    re.IGNORECASE,
)
_LABEL_BEGINNING = re.compile(r"b(?:[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}[.b]?)?\Z", re.IGNORECASE)
_HALF = re.compile(r"b[0-9]*\.?[0-9]*\Z", re.IGNORECASE)
_BARE = re.compile(r"b[0-9]{1,9}\.[0-9]{1,9}")
_BARE_BEGINNING = re.compile(r"b(?:[0-9]{1,9}(?:\.[0-9]{0,9})?)?\Z")

_Text = int  # so many characters are text
_Verdict = _Text | Group | None  # None: more must be read


class Labels:
    """Splits streamed text into text and `Group`s. What it gives depends on the characters, not on how they were cut.

    It reads one character at a time, so feeding a text whole or in pieces is the same by construction. Text that can
    be no label is given at once; text that may become one is held back, at most `HOLD` characters of it.
    """

    def __init__(self) -> None:
        self._held = ""
        self._last = ""

    def feed(self, delta: str) -> Iterator[str | Group]:
        """Text and groups that are certain after `delta`."""
        return _joined(self._read(delta, final=False))

    def close(self) -> Iterator[str | Group]:
        """What was still held back."""
        return _joined(self._read("", final=True))

    def _read(self, delta: str, final: bool) -> Iterator[str | Group]:
        waiting = list(reversed(delta))
        while waiting or (final and self._held):
            if waiting:
                self._held += waiting.pop()
            ended = final and not waiting
            verdict = _verdict(self._held, self._last, ended)
            if verdict is None:
                if not ended and len(self._held) <= HOLD:
                    continue
                verdict = 1
            size = verdict if isinstance(verdict, int) else len(verdict.raw)
            raw, rest = self._held[:size], self._held[size:]
            # The rest is read again from its first character, as if it had just come.
            waiting.extend(reversed(rest))
            self._held, self._last = "", raw[-1]
            yield raw if isinstance(verdict, int) else verdict


def _joined(pieces: Iterator[str | Group]) -> Iterator[str | Group]:
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            yield text
        text = ""
        yield piece
    if text:
        yield text


def _verdict(held: str, last: str, ended: bool) -> _Verdict:
    """What `held`, which follows the character `last`, begins with."""
    wrap = len(held) - len(held.lstrip(_WRAPS))
    if wrap > 3:
        return 1
    if wrap == len(held):
        return wrap if ended else None
    if held[wrap] in _OPEN:
        return _bracketed(held, wrap, last, ended)
    if held[wrap] == "b":
        return _bare(held, wrap, last, ended)
    return wrap or 1


def _bare(held: str, wrap: int, last: str, ended: bool) -> _Verdict:
    before = held[wrap - 1] if wrap else last
    if before and (before.isalnum() or before in "_.·/"):
        return wrap + 1
    found = _BARE.match(held, wrap)
    if found is None or (found.end() == len(held) and not ended):
        undecided = not ended and (found or _BARE_BEGINNING.match(held, wrap))
        return None if undecided else wrap + 1
    after = held[found.end() : found.end() + 1]
    if after.isalnum() or (after and after in "_/·"):
        return wrap + 1
    if after == ".":  # a full stop, or the version number b1.2.3?
        beyond = held[found.end() + 1 : found.end() + 2]
        if not beyond and not ended:
            return None
        if beyond.isdigit():
            return wrap + 1
    return _wrapped(Group(found[0], (found[0],), bare=True), held, wrap, ended)


def _bracketed(held: str, wrap: int, last: str, ended: bool) -> _Verdict:
    inside = _Inside()
    at, depth = wrap, 0
    while at < len(held):
        if held[at] == "<" and not ended and _half_tag(held[at:].lower()):
            return None
        token = _TOKEN.match(held, at)
        if token is None or not inside.take(token.lastgroup or "", token[0]):
            tail = held[at:]
            if inside.square and ended and _HALF.match(tail):
                return inside.group(held, wrap, len(held))
            undecided = not ended and (_LABEL_BEGINNING.match(tail) or tail.lower() in _BEGINNINGS)
            return None if undecided else wrap + 1
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        at = token.end()
        if depth == 0:
            return _closed(held, (wrap, at), inside, last, ended)
        if depth > 3:
            return wrap + 1
    return _unfinished(held, wrap, inside) if ended else None


def _half_tag(tail: str) -> bool:
    return any(tag.startswith(tail) and tag != tail for tag in (_SUP, _END_SUP))


def _unfinished(held: str, wrap: int, inside: _Inside) -> _Verdict:
    """The reply broke off inside the brackets. A label at the very end may be half of another one: it goes unseen."""
    if not inside.names or not (inside.square or inside.dotted):
        return wrap + 1
    if inside.open_end:
        inside.names.pop()
    return inside.group(held, wrap, len(held))


def _closed(held: str, span: tuple[int, int], inside: _Inside, last: str, ended: bool) -> _Verdict:
    start, end = span
    if not inside.is_citation:
        return start + 1
    if not inside.dotted and last.isalnum() and not start:  # a[b3]c
        if end == len(held) and not ended:
            return None
        if held[end : end + 1].isalnum():
            return start + 1
    if inside.square:
        rest = held[end:]
        link = _LINK.match(rest)
        if link:
            end += link.end()
        elif not ended and len(held) < HOLD and (not rest or _LINK_BEGINNING.match(rest)):
            return None
    return _wrapped(inside.group(held, start, end), held, start, ended)


class _Inside:
    """What was read inside brackets so far."""

    def __init__(self) -> None:
        self.names: list[str | tuple[str, str]] = []
        self.dotted = self.square = self.open_end = False
        self._worded = self._lower = self._dash = False

    @property
    def is_citation(self) -> bool:
        return bool(self.names) and (self.dotted or self.square or (self._worded and self._lower))

    def group(self, held: str, start: int, end: int) -> Group:
        return Group(held[start:end], tuple(self.names), soft=bool(self.names) and not self.dotted and not self._lower)

    def take(self, kind: str, text: str) -> bool:
        """Take in the next token; False if it has no place among labels."""
        if kind == "number" and not self.names:
            return False
        self.open_end = kind in ("label", "number") or (self.open_end and text == ".")
        if kind == "label":
            self.dotted |= "." in text
            self._lower |= text[0] == "b"
            self._append(text.lower())
        elif kind == "number":
            self._append(_same_passage(self.names[-1], text))
        elif kind == "open":
            self.square |= text not in _ROUND
        elif kind == "word":
            self._worded = True
        elif kind == "dash":
            self._dash = True
        return True

    def _append(self, name: str) -> None:
        last = self.names[-1] if self.names else ()
        if self._dash and isinstance(last, str):
            self.names[-1] = (last, name)
        else:
            self.names.append(name)
        self._dash = False


def _same_passage(last: str | tuple[str, str], number: str) -> str:
    """`4` after `b1.2` is b1.4; `3.1` after it is b3.1; `4` after `b1` is b4."""
    name = last if isinstance(last, str) else last[1]
    if "." in number or "." not in name:
        return f"b{number}"
    return f"{name.split('.')[0]}.{number}"


def _wrapped(group: Group, held: str, wrap: int, ended: bool) -> _Verdict:
    """The group with the back-ticks or asterisks around it; without their closing twin they are text before it."""
    if not wrap:
        return group
    twin = held[:wrap][::-1]
    after = held[wrap + len(group.raw) :][:wrap]
    if after == twin:
        return Group(held[:wrap] + group.raw + after, group.names, group.bare, group.soft)
    return None if not ended and twin.startswith(after) else wrap


class LabelParser:
    """Turns streamed text into text and `Cite`s. Labels that do not exist never come out; `dropped` keeps their order.

    `labels` are those that exist. `[b3]` is the passage's own label if `labels` has it, else all its sentences; a range
    is its sentences that exist, and an end of it that does not exist counts as dropped. `literal` are bare words that
    the question itself uses ("what changed in b2.1?"): they are left alone where they stand without brackets.
    """

    def __init__(self, labels: Collection[str], literal: Collection[str] = ()) -> None:
        self.dropped: list[str] = []
        self._labels = frozenset(labels)
        self._literal = frozenset(literal)
        self._reader = Labels()
        self._sentences: dict[str, list[str]] = {}
        for label in sorted((x for x in self._labels if "." in x), key=_position):
            self._sentences.setdefault(label.split(".")[0], []).append(label)

    def feed(self, delta: str) -> list[str | Cite]:
        """Text and citations that are certain after `delta`, in order."""
        return self._resolved(self._reader.feed(delta))

    def close(self) -> list[str | Cite]:
        """The rest, once the model has ended."""
        return self._resolved(self._reader.close())

    def _resolved(self, pieces: Iterator[str | Group]) -> list[str | Cite]:
        out: list[str | Cite] = []
        for piece in pieces:
            item = piece if isinstance(piece, str) else self._cite(piece)
            if isinstance(item, str) and out and isinstance(out[-1], str):
                out[-1] += item
            else:
                out.append(item)
        return out

    def _cite(self, group: Group) -> str | Cite:
        if group.bare and group.names[0] in self._literal:
            return group.raw
        known: list[str] = []
        unknown: list[str] = []
        for name in group.names:
            first, last = (name, name) if isinstance(name, str) else name
            ends = [self._expanded(end) for end in ((first,) if first == last else (first, last))]
            unknown += [end for end, found in zip((first, last), ends, strict=False) if not found]
            known += self._between(first, last) if len(ends) == 2 else ends[0]
        if group.soft and not known:
            return group.raw
        self.dropped += unknown
        return Cite(tuple(dict.fromkeys(known)), group.bare)

    def _expanded(self, name: str) -> list[str]:
        return [name] if name in self._labels else self._sentences.get(name, []) if "." not in name else []

    def _between(self, first: str, last: str) -> list[str]:
        low, high = sorted((_position(first), _position(last)))
        if low[0] != high[0] or "." not in first or "." not in last:  # two passages: nobody means all that lies between
            return [*self._expanded(first), *self._expanded(last)]
        return [x for x in self._sentences.get(f"b{low[0]}", []) if low <= _position(x) <= high]


def _position(label: str) -> tuple[int, int]:
    passage, sentence, *_ = [*label[1:].split("."), "0"]
    return int(passage), int(sentence)


def bare_labels(text: str) -> frozenset[str]:
    """The words of `text` (a question, say) that would be read as labels without brackets."""
    return frozenset(_BARE.findall(text))


def defused(text: str) -> str:
    """`text` with a middle dot in everything that would be read as a label, so that it is none: b3·2, [b·3]."""
    reader = Labels()
    pieces = [*reader.feed(text), *reader.close()]
    return "".join(p if isinstance(p, str) else _broken(p.raw) for p in pieces)


def _broken(raw: str) -> str:
    dotted = re.sub(r"(b\d+)\.(?=\d)", r"\1·", raw, flags=re.IGNORECASE)
    return re.sub(r"\b(b)(?=\d+(?![\d·]))", r"\1·", dotted, flags=re.IGNORECASE)
