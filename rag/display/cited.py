"""The text of an answer as HTML: markers drawn as links, a sign for each verdict. Knows no page that they lead to.

Everything is escaped (see `rag.display.prose`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from rag.display.prose import Layer, attributes, draw, emphasis, names
from rag.values import Answer, Citation, Sentence

_MARKER = re.compile(r"\[(\d{1,4})\]")
MARKERS_BEHIND = re.compile(r"(?:[ \t]*\[\d{1,4}\])*")
_ITEM = re.compile(r"[ \t]*[-*•][ \t]+")
_HEADING = re.compile(r"#{1,6}[ \t]+")

_GLUE = "\u2060"  # a word joiner: no line break here

SIGNS: Mapping[str, tuple[str, str]] = {
    "supported": ("✓", "Supported: the cited words say this."),
    "partial": ("◐", "Partly supported: the cited words say only some of this."),
    "unsupported": ("✕", "Not supported: the cited words do not say this."),
    "uncited": ("○", "No source: nothing was cited for this."),
}


def cited_text(
    text: str,
    citations: Iterable[Citation],
    sentences: Sequence[Sentence],
    reference: Callable[[Citation], str],
) -> str:
    """Paragraphs of `text`: its markers drawn by `reference` (as HTML), each judged sentence ends with its sign."""
    numbered = {citation.number: citation for citation in citations}
    placed, literal = place(text, sentences)
    layers = [Layer(at, end, "span", f' class="{s.verdict}"') for at, end, s in placed if s.verdict != "supported"]
    for found in _MARKER.finditer(text):
        citation = numbered.get(int(found.group(1)))
        if citation is not None and found.start() not in literal:
            # The space before a marker goes: a footnote number stands close to its sentence, also at a line's end.
            start = len(text[: found.start()].rstrip(" "))
            layers.append(Layer(start, found.end(), instead=f"{_GLUE}<sup>{reference(citation)}</sup>"))
    signs = {MARKERS_BEHIND.match(text, end).end(): sign(s) for _, end, s in placed}  # type: ignore[union-attr]
    return "".join(_paragraphs(text, layers, signs))


def place(text: str, sentences: Sequence[Sentence]) -> tuple[list[tuple[int, int, Sentence]], set[int]]:
    """Where each sentence stands in the marked text, and which "[3]" are words of a document, not markers.

    White space may differ and markers may stand inside a sentence. A sentence that is not found is left out.
    """
    placed: list[tuple[int, int, Sentence]] = []
    literal: set[int] = set()
    at = 0
    for sentence in sentences:
        wanted = sentence.text.strip()
        # A sentence begins where no word goes on.
        for start in re.compile(r"(?<!\w)" + re.escape(wanted[:1])).finditer(text, at) if wanted else ():
            end, own = _match(text, start.start(), wanted)
            if end is not None:
                placed.append((start.start(), end, sentence))
                literal |= own
                at = end
                break
    return placed, literal


def _match(text: str, start: int, wanted: str) -> tuple[int | None, set[int]]:
    literal: set[int] = set()
    p, q = start, 0
    while q < len(wanted):
        if wanted[q].isspace():
            q += 1
            continue
        marker = _MARKER.match(text, p)
        if marker and not wanted.startswith(marker.group(), q):
            p = marker.end()
        elif p >= len(text):
            return None, literal
        elif text[p].isspace():
            p += 1
        elif text[p] == wanted[q]:
            if marker:
                literal.add(p)
            p, q = p + 1, q + 1
        else:
            return None, literal
    return p, literal


def _paragraphs(text: str, layers: Sequence[Layer], signs: Mapping[int, str]) -> Iterable[str]:
    lines = [(found.start(), found.end()) for found in re.finditer(r"[^\n]+", text) if found.group().strip()]
    for listed, group in groupby(lines, key=lambda line: bool(_ITEM.match(text, *line))):
        if listed:
            items = [_line(text, _ITEM.match(text, *line), line, layers, signs) for line in group]
            yield f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
            continue
        for line in group:
            heading = _HEADING.match(text, *line)
            named = ' class="heading"' if heading else ""
            yield f"<p{named}>{_line(text, heading, line, layers, signs)}</p>"


def _line(
    text: str, lead: re.Match[str] | None, line: tuple[int, int], layers: Sequence[Layer], signs: Mapping[int, str]
) -> str:
    """One line after its bullet or heading sign, with the signs of the sentences that end in it."""
    start, end = (lead.end() if lead else line[0]), line[1]
    over = [layer for layer in layers if layer.start < end and start < layer.end]
    out = ""
    for stop in sorted({*(at for at in signs if start < at <= end), end}):
        out += draw(text, start, stop, [*over, *emphasis(text, start, stop)]) + signs.get(stop, "")
        start = stop
    return out


def sign(sentence: Sentence) -> str:
    """The mark of a verdict: quiet when supported, with words for the hover and for screen readers."""
    mark, words = SIGNS[sentence.verdict]
    score = "" if sentence.verdict == "uncited" else f" (support {sentence.support:.2f})"
    named = {"class": f"verdict {sentence.verdict}", "role": "img", "title": words + score, "aria-label": words}
    return f"{_GLUE}<span{attributes(named)}>{mark}</span>"


def without_notice(answer: Answer) -> str:
    """The text of an answer up to its last judged sentence: a view that draws disagreements does not say them twice."""
    placed, _ = place(answer.text, answer.sentences)
    if not placed or not answer.conflicts:
        return answer.text
    behind = MARKERS_BEHIND.match(answer.text, placed[-1][1])
    return answer.text[: behind.end()] if behind else answer.text


def where(citation: Citation, titles: Mapping[str, str] | None = None) -> str:
    """Title and page, as a hover or a screen reader says them."""
    name, _ = names(citation.doc, (titles or {}).get(citation.doc, ""))
    return f"{name}, page {citation.page}" if citation.page else name
