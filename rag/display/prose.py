"""Text of documents and models as HTML in which nothing of theirs is markup. Knows no answers.

Everything passes through `escape`. Of Markdown only emphasis, code and the bars of a table row are drawn, for the eye;
images, links and HTML stay the characters that they are, so that no text can make the page load or run anything.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from index.documents import readable_name

# What a browser would keep in an attribute or a text but a reader cannot see: controls, and marks that turn the writing
# direction around and so could make a quote read differently than it is stored.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_EMPHASIS = re.compile(
    r"(?P<strong>\*\*)(?=\S)(?P<s>[^*\n]+?)(?<=\S)\*\*"
    r"|(?<![\w*])(?P<em>\*)(?=[^\s*])(?P<e>[^*\n]+?)(?<=[^\s*])\*(?![\w*])"
    r"|(?P<code>`)(?P<c>[^`\n]+)`"
)
_ROW = re.compile(r"\s*\|.*\|\s*")


def escape(text: Any) -> str:
    """Text for an element or a quoted attribute."""
    return html.escape(_UNSEEN.sub(" ", str(text)), quote=True)


def attributes(values: Mapping[str, Any]) -> str:
    """` name="value"` for each value that is not None."""
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items() if value is not None)


def excerpt(text: str, limit: int) -> str:
    """The beginning of a passage for reading, without headings and the signs of Markdown."""
    lines = [line.strip().strip("|").strip() for line in text.splitlines() if not line.startswith("#")]
    plain = " ".join(re.sub(r"[ \t]*\|[ \t]*", " · ", line) for line in lines if line.strip("-|: "))
    return shortened(plain.replace("**", "").replace("*", "") or text, limit)


def shortened(text: str, limit: int) -> str:
    """On one line, cut at a word after about `limit` characters."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[:limit].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def names(doc: str, title: str) -> tuple[str, str]:
    """What to call a document, and its file name beside it; empty where the title only repeats the file's name."""
    return (doc, "") if title in ("", doc, readable_name(doc)) else (title, doc)


@dataclass(frozen=True, slots=True)
class Layer:
    """text[start:end] is drawn inside `<tag attributes>`; with an empty tag it is left out, `instead` in its place."""

    start: int
    end: int
    tag: str = ""
    attributes: str = ""
    instead: str = ""


def emphasis(text: str, start: int, end: int) -> list[Layer]:
    """Layers for Markdown's bold, italics and code in text[start:end], and for the bars of a table row."""
    layers: list[Layer] = []
    for found in _EMPHASIS.finditer(text, start, end):
        kind = found.lastgroup or ""
        tag, inner = {"s": ("strong", "s"), "e": ("em", "e"), "c": ("code", "c")}[kind]
        inside = found.span(inner)
        layers += [Layer(found.start(), inside[0]), Layer(*inside, tag), Layer(inside[1], found.end())]
    if _ROW.fullmatch(text, start, end):
        bars = [at for at in range(start, end) if text[at] == "|"]
        dot = '<span class="bar"> · </span>'
        layers += [Layer(at, at + 1, instead="" if at in (bars[0], bars[-1]) else dot) for at in bars]
    return layers


def draw(text: str, start: int, end: int, layers: Sequence[Layer]) -> str:
    """text[start:end] escaped, under its layers. Layers may overlap in any way: each run closes what it opens."""
    return "".join(_run(text, begin, stop, layers) for begin, stop in _runs(start, end, layers))


def _runs(start: int, end: int, layers: Sequence[Layer]) -> Iterator[tuple[int, int]]:
    cuts = {at for layer in layers for at in (layer.start, layer.end) if start < at < end}
    edges = [start, *sorted(cuts), end]
    return ((begin, stop) for begin, stop in pairwise(edges) if begin < stop)


def _run(text: str, start: int, end: int, layers: Sequence[Layer]) -> str:
    over = [layer for layer in layers if layer.start <= start and end <= layer.end]
    for layer in over:
        if not layer.tag:
            return layer.instead if start == layer.start else ""
    out = escape(text[start:end])
    for layer in over:
        out = f"<{layer.tag}{layer.attributes}>{out}</{layer.tag}>"
    return out
