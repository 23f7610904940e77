"""The numbering of citations, and the text that carries their markers. Finds labels with `rag.labels`; judges nothing.

Markers have one place, wherever the model put its labels: after the last word, before the full stop, as in
"The tower is 30 m [1]. It is old [2][3]." A label after the full stop belongs to the sentence before it; a label at the
start of a line belongs to the sentence that follows it, or, alone on its line, to the one before. What the model itself
writes as [12] is a number of somebody else: it is shown as ［12］, so that only our markers look like ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from index.sentences import split_line
from rag.context import Context, Source
from rag.labels import Cite, LabelParser, bare_labels
from rag.values import Citation, CitationEvent, TextDelta

__all__ = ["Cite", "CitedText", "Footnotes", "LabelParser"]

_TERMINAL = ".!?…。！？"
_STOPS = _TERMINAL + ",;，；、"
_WIDE_STOPS = ("。", "！", "？", "，", "；", "、")  # no space follows them
_CLOSERS = "\"'”’»)]）】*_"
_ITEM = re.compile(r"\s*(?:(?:[-*•–>]|#{1,6}|\(?\d{1,3}[.)])\s+)?")
_LAST_AND = re.compile(r"\s(?:and|or|&)(?=\W*\Z)")
_EMPHASIS = str.maketrans("*_`", '"""')  # to the splitter of sentences they are closing quotes
_NO_CLAIM = re.compile(
    r"\W*(?:sources?|references?|citations?|quellen?|fuentes?|sources? utilisées?)?\W*", re.IGNORECASE
)
_HEADING = re.compile(r"#{1,6}\s.*|\*\*[^*]+\*\*:?|```.*")


class Footnotes:
    """Gives each distinct span one number, from 1, in the order of first citation."""

    def __init__(self) -> None:
        self._numbered: dict[tuple[str, int, int], Citation] = {}

    def cite(self, source: Source) -> tuple[Citation, bool]:
        """The citation of `source`, and whether it is new."""
        span = (source.doc, source.start, source.end)
        known = self._numbered.get(span)
        if known is not None:
            return known, False
        number = len(self._numbered) + 1
        new = Citation(number, source.doc, source.start, source.end, source.page, source.quote)
        self._numbered[span] = new
        return new, True

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All of them, by number."""
        return tuple(self._numbered.values())


@dataclass(slots=True)
class _Lead:
    """Labels that stand before a sentence or after one: what comes next decides."""

    citations: list[Citation]
    bare: bool
    opens_line: bool


class CitedText:
    """A model's text, streamed in, with its labels turned into markers; what it gave piece by piece is `text`.

    `question` only tells which label-like words the user brought along ("what changed in b2.1?"). `mend` is asked for
    the sources of a sentence that ended without a label; what it gives is cited, and counted in `mended`.
    """

    def __init__(
        self, context: Context, question: str = "", mend: Callable[[str], Sequence[Source]] | None = None
    ) -> None:
        self.mended = 0
        self._mend = mend
        self.footnotes = Footnotes()
        self._sources = {**context.passages, **context.sources}
        self._parser = LabelParser(self._sources, bare_labels(question))
        self._shown: list[str] = []  # every piece given, markers included
        self._plain = ""  # the same without markers
        self._marks: list[tuple[int, Citation, bool]] = []  # place in _plain, citation, whether its sentence follows
        self._events: list[TextDelta | CitationEvent] = []
        self._delta = ""
        self._tail = ""  # punctuation that a marker may still have to precede
        self._space = ""  # white space after it
        self._owed = ""  # white space that stood before a label
        self._cluster: list[int] = []  # numbers of the markers that were set last, with only `_tail` behind them
        self._lead: _Lead | None = None
        self._deferred: list[Citation] = []  # labels that stood before the sentence now being written
        self._foreign = ""  # the beginning of a [12] of the model's own
        self._ticks = 0

    def feed(self, delta: str) -> list[TextDelta | CitationEvent]:
        """The events that `delta` makes certain; a citation comes before the text with its marker."""
        self._take(self._parser.feed(delta))
        return self._given()

    def close(self) -> list[TextDelta | CitationEvent]:
        """The rest, once the model has ended. Trailing white space is left out."""
        self._take(self._parser.close())
        self._take_foreign("")
        if self._lead:
            self._settle("\n")
        self._space = self._owed = ""
        self._flush("")
        return self._given()

    @property
    def text(self) -> str:
        """What was given so far, markers included."""
        return "".join(self._shown)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The footnotes so far, by number."""
        return self.footnotes.citations

    @property
    def dropped(self) -> tuple[str, ...]:
        """Labels of the model that do not exist, in order."""
        return tuple(self._parser.dropped)

    @property
    def sentences(self) -> tuple[tuple[str, tuple[Citation, ...]], ...]:
        """The sentences without markers, each with its citations; uncited headings and lists of sources are not any."""
        spans: list[tuple[int, int]] = []
        headings: set[tuple[int, int]] = set()
        for begin, end in _lines(self._plain):
            found = _sentences(self._plain[begin:end])
            spans += [(begin + s, begin + e) for s, e in found]
            if _HEADING.fullmatch(self._plain[begin:end].strip()):
                headings.update((begin + s, begin + e) for s, e in found)
        cited: list[dict[int, Citation]] = [{} for _ in spans]
        for place, citation, follows in self._marks:
            after = [i for i, (_, end) in enumerate(spans) if end > place]
            before = [i for i, (start, _) in enumerate(spans) if start < place]
            for i in after[:1] if follows or not before else before[-1:]:
                cited[i][citation.number] = citation
        out: list[tuple[str, tuple[Citation, ...]]] = []
        for span, citations in zip(spans, cited, strict=True):
            text = self._plain[slice(*span)]
            if _NO_CLAIM.fullmatch(text) or (span in headings and not citations):
                continue
            # "..., [b1.1] and [b2.1]." leaves an "and" behind
            out.append((_LAST_AND.sub("", text) if len(citations) > 1 else text, tuple(citations.values())))
        return tuple(out)

    def _given(self) -> list[TextDelta | CitationEvent]:
        self._end_delta()
        events, self._events = self._events, []
        return events

    def _end_delta(self) -> None:
        if self._delta:
            self._events.append(TextDelta(self._delta))
            self._shown.append(self._delta)
        self._delta = ""

    def _take(self, pieces: Iterable[str | Cite]) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                for char in piece:
                    self._take_foreign(char)
            else:
                self._take_foreign("")
                self._cite(piece)

    def _take_foreign(self, char: str) -> None:
        """Pass characters on, [12] as ［12］ unless it is the index of a[12] in code."""
        if self._foreign and char.isdigit() and len(self._foreign) < 5:
            self._foreign += char
            return
        held, self._foreign = self._foreign, ""
        if char == "]" and len(held) > 1:
            held, char = f"［{held[1:]}", "］"
        for each in held:
            self._char(each)
        if char == "[" and not (self._ticks % 2 and self._indexes):
            self._foreign = char
        elif char:
            self._char(char)

    def _char(self, char: str) -> None:
        self._ticks += char == "`"
        if self._lead and self._lead.opens_line and char in ":：–-":  # "[b1.1]: The tower ..."
            return
        if self._lead and not (char.isspace() and char != "\n"):
            self._settle(char)
        if char.isspace():
            if not self._lead and (self._plain or self._tail):
                self._space += char
            return
        if not self._space:
            if self._tail and self._owed and self._cluster and char == self._tail[-1]:
                return  # "30 m. [b1.1]." has one full stop too many
            if char in _STOPS and (not self._tail or self._tail[-1] in _STOPS):
                self._tail += char
                return
            if self._tail and char in _CLOSERS:
                self._tail += char
                return
        self._flush(char)
        if char in _STOPS and self._plain:
            self._tail = char
        else:
            self._emit(char)

    def _cite(self, cite: Cite) -> None:
        line = "" if "\n" in self._space else self._line + self._tail + " "
        opens_line = bool(_ITEM.fullmatch(line))
        citations = [self._number(label) for label in cite.labels]
        if not citations:
            if not opens_line:
                self._owed, self._space = self._owed or self._space, ""
            elif self._plain and not self._lead:
                self._lead = _Lead([], False, True)  # so that the space after it goes too
            return
        ended = any(char in _TERMINAL for char in self._tail) and bool(self._space)
        if self._lead:
            self._lead.citations += citations
        elif opens_line or (ended and (cite.bare or self._deferred)):
            self._lead = _Lead(citations, cite.bare, opens_line)
        else:
            self._place_before_tail(citations)

    def _number(self, label: str) -> Citation:
        return self._number_of(self._sources[label])

    def _number_of(self, source: Source) -> Citation:
        citation, new = self.footnotes.cite(source)
        if new:
            self._end_delta()
            self._events.append(CitationEvent(citation))
        return citation

    def _settle(self, char: str) -> None:
        """Decide what the labels before `char` belong to."""
        lead, self._lead = self._lead, None
        if lead is None:
            return
        if char == "\n" or not (lead.opens_line or self._deferred or (lead.bare and char.islower())):
            self._place_before_tail(lead.citations)
            return
        self._flush(char)
        if lead.bare and char.islower():  # "b1.2 says that ...": the label is a word of the sentence
            self._place(lead.citations, follows=True)
            self._space = " "
        else:
            self._deferred += lead.citations

    def _place_before_tail(self, citations: list[Citation]) -> None:
        if self._cluster and self._tail and not set(self._tail) - set(",;，；、"):
            self._tail = ""  # the comma between two labels
        self._place(citations)
        self._owed, self._space = self._owed or self._space, ""

    def _place(self, citations: list[Citation], follows: bool = False) -> None:
        for citation in citations:
            if citation.number in self._cluster:
                continue
            apart = self._plain and not self._cluster and self._plain[-1] not in " \n([（【“\"'"
            self._delta += f"{' ' if apart else ''}[{citation.number}]"
            self._marks.append((len(self._plain), citation, follows))
            self._cluster.append(citation.number)

    def _flush(self, char: str) -> None:
        """Write the held punctuation and white space before `char`; an ended sentence gets the labels it began with."""
        if self._deferred and self._sentence_ended(char):
            self._place(self._deferred)
            self._deferred = []
        elif self._mend and self._plain and self._sentence_ended(char):
            self._place_mended(self._mend)
        if self._owed.count("\n") > self._space.count("\n"):
            self._space = self._owed
        if not self._space and char.isalnum():
            glued = self._cluster and self._tail[-1:] not in _WIDE_STOPS
            self._space = self._owed or (" " if glued else "")
        held = self._tail + self._space
        self._tail = self._space = self._owed = ""
        self._emit(held)

    def _place_mended(self, mend: Callable[[str], Sequence[Source]]) -> None:
        line = self._line
        spans = _sentences(line + self._tail)
        if not spans or not line.strip() or _HEADING.fullmatch((line + self._tail).strip()):
            return
        begin = len(self._plain) - len(line) + spans[-1][0]
        said = (line + self._tail)[slice(*spans[-1])]
        if _NO_CLAIM.fullmatch(said) or any(place >= begin for place, _, _ in self._marks):
            return
        sources = mend(said)
        self.mended += bool(sources)
        self._place([self._number_of(source) for source in sources])

    def _sentence_ended(self, char: str) -> bool:
        if not char or "\n" in self._space:
            return True
        line = self._line + self._tail + self._space + char
        return bool(self._tail) and _sentences(line)[-1:] == [(len(line) - 1, len(line))]

    @property
    def _indexes(self) -> bool:
        before = "" if self._space else (self._plain + self._tail)[-1:]
        return before.isalnum() or before in ("_", ")", "]")

    @property
    def _line(self) -> str:
        return self._plain.rpartition("\n")[2]

    def _emit(self, text: str) -> None:
        if text:
            self._cluster = []
            self._plain += text
            self._delta += text


def _lines(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for line in text.splitlines(keepends=True):
        yield at, at + len(line)
        at += len(line)


def _sentences(line: str) -> list[tuple[int, int]]:
    """The sentences of one line of Markdown, its bullet or number left out."""
    item = _ITEM.match(line)
    return split_line(line.translate(_EMPHASIS), item.end() if item else 0, len(line))
