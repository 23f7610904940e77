"""Passages -> the labelled text that the model sees. Chooses no passage and knows no prompt.

    b1: The Tower (towers.pdf, page 3)
    [b1.1] The tower was built in 1900.
    [b1.2] It is 30 m high.

What a document says stays data. In the view each sentence is one line, so no document can begin a line of ours; what
would be read as one of our labels or delimiters, or as a special token of a chat template, is broken; characters that
nobody sees are gone. `Source.quote` is the text as it stands in the document, untouched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from index.sentences import sentences as sentences_of
from rag.labels import defused
from rag.values import Passage

LONGEST_SENTENCE = 1000
"""Characters shown of one sentence: a table or a log without a full stop must not fill the window."""

_LONGEST_NAME = 150
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u180b\u180c\u180d\u180f")
_UNSEEN_KINDS = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
# What chat templates and our own prompt use as marks. Of tags in general only those that stand by themselves, not the
# <String> of a program's List<String>.
_TAGS = re.compile(
    r"<(?=\s*[|｜])|(?<=[|｜])>"  # <|im_start|>, <｜User｜>
    r"|<(?=\s*/?\s*(?:sources?|question|think|tools?|bos|eos|s|\w+_(?:of_turn|of_image|call|calls|response|id_\d+))\s*>)"
    r"|(?:(?<!\w)<(?=[a-z]\w*>)|<(?=/[a-z]\w*>))|<(?=\s*/?\s*(?:sources?|question)\b)"
    r"|<(?=\s*<\s*/?\s*SYS\b)|\[(?=\s*/?\s*(?:INST|TOOL_\w+|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK)\s*\])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """What one label stands for: a sentence, or a whole passage. `quote` is `text[start:end]` of the document."""

    label: str
    doc: str
    start: int
    end: int
    page: int | None
    quote: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the model sees, and what its labels point to.

    `sources` holds the numbered sentences in reading order (`b1.1`, `b1.2`, ...), `passages` the whole passages (`b1`).
    """

    text: str
    sources: Mapping[str, Source]
    passages: Mapping[str, Source] = field(default_factory=dict)


def build_context(
    passages: Sequence[Passage],
    sentences: Callable[[Passage], Sequence[tuple[int, int]]],
    header: Callable[[Passage], str] = lambda passage: "",
) -> Context:
    """Number the passages from b1 and their sentences from b1.1, in the order given.

    `sentences(passage)` gives the half-open spans of its sentences in the document. What sticks out of the passage is
    cut, blank spans are left out; a passage without any is one sentence. `header(passage)` gives the header row of the
    table that a passage begins inside of: it is shown, without a label, since it is no part of the passage.
    """
    shown: list[str] = []
    sources: dict[str, Source] = {}
    wholes: dict[str, Source] = {}
    for i, passage in enumerate(passages, start=1):
        name = f"b{i}"
        lines = [_introduction(name, passage)]
        if columns := header(passage):
            lines.append(f"(columns of the table: {viewed(columns, LONGEST_SENTENCE)})")
        wholes[name] = _source(name, passage, passage.start, passage.end)
        spans = [span for span in _inside(passage, sentences(passage)) if _source(name, passage, *span).quote.strip()]
        for j, (start, end) in enumerate(spans or [(passage.start, passage.end)], start=1):
            source = _source(f"{name}.{j}", passage, start, end)
            sources[source.label] = source
            lines.append(f"[{source.label}] {viewed(source.quote, LONGEST_SENTENCE)}")
        shown.append("\n".join(lines))
    return Context("\n\n".join(shown), sources, wholes)


def sentence_spans(passage: Passage) -> list[tuple[int, int]]:
    """The sentences of a passage as spans of its document."""
    return [(passage.start + s, passage.start + e) for s, e in sentences_of(passage.text)]


def viewed(text: str, longest: int) -> str:
    """`text` as a model may see it: one line of at most `longest` characters, with nothing that could pass for ours."""
    seen = "".join(_seen(char) for char in text[: 4 * longest])
    line = _TAGS.sub(_look_alike, defused(" ".join(seen.split())))
    cut = len(line) > longest or len(text) > 4 * longest
    return line[:longest].rstrip() + "…" if cut else line


def harmless(text: str) -> str:
    """`text` of several lines (an answer of a turn before, which quotes documents): nothing in it passes for ours."""
    lines = ("".join(_seen(char) for char in line).rstrip() for line in text.splitlines())
    return _TAGS.sub(_look_alike, defused("\n".join(lines)))


def _seen(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if char.isspace():
        return " "
    kind = unicodedata.category(char)
    hidden = kind in _UNSEEN_KINDS or char in _UNSEEN or "\ufe00" <= char <= "\ufe0f" or char >= "\U000e0100"
    return "" if hidden else char


def _look_alike(found: re.Match[str]) -> str:
    return {"<": "‹", ">": "›", "[": "⁅"}[found[0]]


def _introduction(name: str, passage: Passage) -> str:
    place = viewed(passage.doc, _LONGEST_NAME) + ("" if passage.page is None else f", page {passage.page}")
    title = viewed(passage.title, _LONGEST_NAME)
    return f"{name}: {title} ({place})" if title else f"{name}: {place}"


def _inside(passage: Passage, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(max(s, passage.start), min(e, passage.end)) for s, e in spans if s < passage.end and e > passage.start]


def _source(label: str, passage: Passage, start: int, end: int) -> Source:
    quote = passage.text[start - passage.start : end - passage.start]
    return Source(label, passage.doc, start, end, passage.page, quote)
