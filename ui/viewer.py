"""The panel beside the chat: a document with the quoted words marked, as its text or as the pages of a PDF.

Of a long text only a window around the quote is drawn, of a paged one the page that holds it. Everything is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from index.catalog import DocumentInfo
from index.documents import Document
from index.errors import DocumentError, RagError
from index.sentences import blocks
from index.web import is_url
from rag.answer import Rag
from rag.display.prose import Layer, attributes, draw, emphasis, escape, names
from ui.opening import pdf_password, pdf_path
from ui.sheets import quote_boxes

WINDOW = 8000
"""Characters drawn before and after the place of interest: some six screens, quick to send and to lay out."""

LONG_QUOTE = 400
"""Characters from which a mark is drawn paler: a whole passage in full colour hides the text that it points at."""

LISTED = 500
"""Documents listed at most; a longer list is no longer something to read."""

# The kinds whose extracted text uses Markdown's signs for headings, lists and tables.
_LIGHT_MARKUP = {"md", "markdown", "html", "htm"}
_HEADING = re.compile(r"(#{1,6})[ \t]+")
_BULLET = re.compile(r"[-*+•][ \t]+")
_NUMBER = re.compile(r"\d{1,4}[.)][ \t]+")
_QUOTED = re.compile(r">[ \t]?")
_FENCE = re.compile(r"^(```|~~~)[^\n]*\n(.*?)(?:^\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What to show: text[start:end] marked, drawn around `at`; `look` is "page", "text" or nothing for the better."""

    doc: str
    start: int | None = None
    end: int | None = None
    at: int | None = None
    look: str = ""

    @classmethod
    def read(cls, values: Any) -> Place:
        """Out of what a browser sent, which may be anything at all."""
        listed = list(values) if isinstance(values, list | tuple) else [values]
        doc, start, end, at, look = [*listed, None, None, None, None, None][:5]
        name = str(doc or "").encode("utf-8", "replace").decode()  # half a surrogate pair is no name
        return cls(name, _whole(start), _whole(end), _whole(at), str(look or ""))


def opened(kb: Rag, values: Any) -> str:
    """The panel for what a click asked for: [doc, start, end, at, look] opens a document, anything empty the list.

    What makes no sense ends in a sentence that says so.
    """
    place = Place.read(values)
    try:
        if not place.doc:
            return shelf(kb.documents())
        return source(kb.document(place.doc), place, pdf_path(kb, place.doc), pdf_password(kb.settings))
    except RagError as error:
        return f'<header><div class="row">{_BACK}{_CLOSE}</div></header>{_note(str(error))}'


def _note(words: str) -> str:
    return f'<div class="paper empty"><p>{escape(words)}</p></div>'


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


_BACK = (
    '<button type="button" class="plain" data-library="" title="All documents" aria-label="All documents">☰</button>'
)
_CLOSE = '<button type="button" class="plain close" data-close="" aria-label="Close the source">✕</button>'


def shelf(documents: Sequence[DocumentInfo]) -> str:
    """The documents to read in, each a button that opens it."""
    count = f"{len(documents):,} document" + ("" if len(documents) == 1 else "s")
    if not documents:
        words = "Nothing is indexed yet. Add documents in the library, or in a terminal: rag sync FOLDER"
        return f'<header><div class="row"><h2>No documents</h2>{_CLOSE}</div></header>{_note(words)}'
    rows = "".join(
        f"<li><button{attributes({'type': 'button', 'class': 'doc', 'data-doc': info.doc})}>"
        f'<span class="title">{escape(names(info.doc, info.title)[0])}</span>{_facts(info)}</button></li>'
        for info in documents[:LISTED]
    )
    more = f'<p class="gap">and {len(documents) - LISTED:,} more</p>' if len(documents) > LISTED else ""
    return f'<header><div class="row"><h2>{count}</h2>{_CLOSE}</div></header><ul class="shelf">{rows}</ul>{more}'


def _facts(info: DocumentInfo) -> str:
    _, file = names(info.doc, info.title)
    size = f"{info.pages} page" + ("" if info.pages == 1 else "s") if info.pages else f"{info.characters:,} characters"
    named = f'<span class="file">{escape(file)}</span> · ' if file else ""
    date = f" · {escape(str(info.meta['date'])[:10])}" if info.meta.get("date") else ""
    return f'<span class="facts">{named}{size}{date}</span>'


def source(document: Document, place: Place, pdf: Path | None = None, password: str | None = None) -> str:
    """A document with the place marked: a page of `pdf` as an image with the quote in boxes, or the text."""
    length = len(document.text)
    start = min(max(place.start or 0, 0), length)
    end = min(max(place.end or start, start), length)
    at = start if place.at is None else min(max(place.at, 0), length)
    shown = _page_span(document, at) if document.pages else _window(document.text, at)
    quote = (start, end)
    drawn = bool(pdf and document.pages and place.look != "text")
    paper = _sheet(document, quote, at, pdf, password) if drawn and pdf else _paper(document, quote, shown)
    return f"{_head(document, quote, at, shown, _looks(document, quote, at, drawn, bool(pdf)))}{paper}"


def _paper(document: Document, quote: Span, shown: Span) -> str:
    first, last = shown
    body = "".join(_blocks(document, first, last, quote)) or '<p class="gap">This page holds no text.</p>'
    before = _gap(first, "before") if not document.pages else ""
    after = _gap(len(document.text) - last, "after") if not document.pages else ""
    return (
        f'<div class="paper" tabindex="0" role="region" aria-label="Source text" dir="auto">{before}{body}{after}</div>'
    )


def _sheet(document: Document, quote: Span, at: int, pdf: Path, password: str | None) -> str:
    """The page as an image; what of the quote lies on it is boxed."""
    number = _page(document, at)
    first, last = document.pages[number - 1]
    words = document.text[max(quote[0], first) : min(quote[1], last)]
    try:
        boxes = quote_boxes(pdf, number, words, password) if words.strip() else ()
    except DocumentError as error:
        return _note(str(error))
    marks = "".join(
        f'<span class="box" style="left:{b.left:.2%};top:{b.top:.2%};width:{b.width:.2%};height:{b.height:.2%}"></span>'
        for b in boxes
    )
    src = f"sheet?doc={quote_plus(document.doc)}&page={number}&v={document.sha256[:12]}"
    picture = {"src": src, "alt": f"Page {number} of {document.title}", "loading": "eager", "draggable": "false"}
    lost = words.strip() and not boxes
    note = '<p class="gap">The quoted words were not found on the image; “Text” shows them.</p>' if lost else ""
    read = f'<p class="unseen">Quoted on this page: {escape(words)}</p>' if words.strip() else ""
    return (
        f'<div class="paper sheets" tabindex="0" role="region" aria-label="Source page">{note}{read}'
        f'<div class="sheet"><img{attributes(picture)}>{marks}</div></div>'
    )


def _head(document: Document, quote: Span, at: int, shown: Span, looks: str) -> str:
    """Name and file, then what turns pages, steps through the citations, and changes the look."""
    title, file = names(document.doc, document.title)
    named = f'<span class="file">{escape(file)}</span>' if file else ""
    name = f'<h2><span class="title">{escape(title)}</span>{named}</h2>'
    marked = shown[0] < quote[1] and quote[0] < shown[1]
    own = {"data-shown": document.doc}
    return (
        f'<header{attributes(own)}><div class="row">{_BACK}{name}{_origin(document)}{_CLOSE}</div>'
        f'<div class="row bar">{_STEPS}{_turning(document, quote, shown, marked)}{looks}</div></header>'
    )


_STEPS = (
    '<span class="walk" hidden><button type="button" class="plain" data-walk="-1" aria-label="Previous citation">‹'
    '</button><span class="count"></span><button type="button" class="plain" data-walk="1" aria-label="Next citation">›'
    "</button></span>"
)


def _origin(document: Document) -> str:
    """A way to the file itself, or to the page of the web that was read."""
    url = str(document.meta.get("url", ""))
    if is_url(url):
        away = {"href": url, "target": "_blank", "rel": "noopener noreferrer", "title": url}
        return f'<a class="plain"{attributes(away)}>Open page ↗</a>'
    if document.meta.get("kind") == "text":
        return ""
    to = {"href": f"file?doc={quote_plus(document.doc)}", "target": "_blank", "rel": "noopener"}
    return f'<a class="plain"{attributes(to)}>Open file</a>'


def _looks(document: Document, quote: Span, at: int, drawn: bool, pdf: bool) -> str:
    """For a PDF: page or text, and the zoom of the page."""
    if not pdf or not document.pages:
        return ""
    to = {"data-doc": document.doc, "data-start": quote[0], "data-end": quote[1], "data-at": at}
    other = {"type": "button", "class": "plain", **to, "data-look": "text" if drawn else "page"}
    switch = f"<button{attributes(other)}>{'Text' if drawn else 'Page'}</button>"
    if not drawn:
        return f'<span class="looks">{switch}</span>'
    zoom = "".join(
        f'<button type="button" class="plain" data-zoom="{step}" aria-label="{words}">{sign}</button>'
        for step, sign, words in (("-1", "−", "Smaller"), ("1", "+", "Larger"))
    )
    return f'<span class="looks">{zoom}{switch}</span>'


def _window(text: str, at: int) -> Span:
    """About WINDOW characters to either side, cut at line ends where there are any near."""
    first = max(0, at - WINDOW)
    if first:
        line = text.find("\n", first, first + WINDOW // 2)
        first = line + 1 if line >= 0 else first
    last = min(len(text), at + WINDOW)
    if last < len(text):
        line = text.rfind("\n", max(last - WINDOW // 2, 0), last)
        last = line if line >= 0 else last
    return first, last


def _page_span(document: Document, at: int) -> Span:
    return document.pages[_page(document, at) - 1]


def _page(document: Document, at: int) -> int:
    """The number of the page on which `at` lies."""
    return max((number for number, (start, _) in enumerate(document.pages, 1) if start <= at), default=1)


def _gap(characters: int, where: str) -> str:
    return f'<p class="gap">… {characters:,} characters {where}</p>' if characters > 0 else ""


def _turning(document: Document, quote: Span, shown: Span, marked: bool) -> str:
    """Buttons to the neighbouring pages or windows, and back to the quote when it is out of sight."""
    if document.pages:
        number = _page(document, shown[0])
        before = document.pages[number - 2][0] if number > 1 else None
        after = document.pages[number][0] if number < len(document.pages) else None
        words = f"page {number} of {len(document.pages)}"
        label = f'<span title="{words}" role="img" aria-label="{words}">{number} / {len(document.pages)}</span>'
    else:
        before = max(0, shown[0] - WINDOW // 2) if shown[0] else None
        after = min(len(document.text), shown[1] + WINDOW // 2) if shown[1] < len(document.text) else None
        label = ""
    if before is None and after is None:
        return f'<span class="pages">{label}</span>' if label else ""
    back = ""
    if quote[0] < quote[1] and not marked:
        back = _turn_button("to the quote", "To the quote", document, quote, quote[0])
    return (
        f'<span class="pages">{back}{_turn_button("‹", "Earlier", document, quote, before)}'
        f"{label}{_turn_button('›', 'Later', document, quote, after)}</span>"
    )


def _turn_button(sign: str, words: str, document: Document, quote: Span, at: int | None) -> str:
    to = {"data-doc": document.doc, "data-start": quote[0], "data-end": quote[1], "data-at": at}
    disabled = "" if at is not None else " disabled"
    return f'<button type="button" class="plain" aria-label="{words}"{attributes(to)}{disabled}>{sign}</button>'


def _blocks(document: Document, first: int, last: int, quote: Span) -> list[str]:
    """The text in [first, last) as paragraphs, headings, lists, tables and code, the quote marked in all of them."""
    text = document.text
    long = ' class="long"' if quote[1] - quote[0] > LONG_QUOTE else ""
    mark = [Layer(*quote, "mark", long)] if quote[0] < quote[1] else []
    light = str(document.meta.get("kind", "")) in _LIGHT_MARKUP or document.doc.lower().endswith((".md", ".markdown"))
    if not light:
        return [_lines(text, block.lines, mark) for block in blocks(text, first, last)]
    out: list[str] = []
    for code in _FENCE.finditer(text, first, last):
        out += _groups(text, first, code.start(), mark)
        out.append(f"<pre>{draw(text, *code.span(2), mark)}</pre>")
        first = code.end()
    return out + _groups(text, first, last, mark)


def _lines(text: str, lines: Sequence[Span], mark: list[Layer]) -> str:
    return f'<div class="lines">{"".join(f"<p>{draw(text, *line, mark)}</p>" for line in lines)}</div>'


def _groups(text: str, first: int, last: int, mark: list[Layer]) -> list[str]:
    return [
        _group(text, kind, list(lines), mark)
        for block in blocks(text, first, last)
        for kind, lines in groupby(block.lines, key=lambda line: _kind(text, line))
    ]


def _kind(text: str, line: Span) -> str:
    if text[line[0]] == "|" and text[line[1] - 1] == "|":
        return "table"
    if _is_rule(text, line):
        return "rule"
    if _HEADING.match(text, *line):
        return "heading"
    for kind, sign in (("list", _BULLET), ("numbers", _NUMBER), ("quoted", _QUOTED)):
        if sign.match(text, *line):
            return kind
    return "text"


def _is_rule(text: str, line: Span) -> bool:
    """The line under a table's head, or a thematic break."""
    return "---" in text[slice(*line)] and not set(text[slice(*line)]) - set("|:- \t")


def _group(text: str, kind: str, lines: list[Span], mark: list[Layer]) -> str:
    def drawn(start: int, end: int) -> str:
        return draw(text, start, end, [*mark, *emphasis(text, start, end)])

    if kind == "table":
        rows = [_cells(text, line) for line in lines if not _is_rule(text, line)]
        return f"<table>{''.join(f'<tr>{_row(cells, drawn)}</tr>' for cells in rows)}</table>"
    if kind == "list":
        items = [drawn(m.end() if (m := _BULLET.match(text, *line)) else line[0], line[1]) for line in lines]
        return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
    if kind == "numbers":
        # The number stays a part of the text: a quote may begin with it.
        return f'<ul class="numbers">{"".join(f"<li>{drawn(*line)}</li>" for line in lines)}</ul>'
    if kind == "quoted":
        said = "".join(f"<p>{drawn(m.end(), line[1])}</p>" for line in lines if (m := _QUOTED.match(text, *line)))
        return f"<blockquote>{said}</blockquote>"
    if kind == "heading":
        heads = [_HEADING.match(text, *line) for line in lines]
        return "".join(
            f'<h3 class="level-{len(head.group(1))}">{drawn(head.end(), line[1])}</h3>'
            for head, line in zip(heads, lines, strict=True)
            if head
        )
    if kind == "rule":
        return "<hr>"
    return "".join(f"<p>{drawn(*line)}</p>" for line in lines)


def _cells(text: str, line: Span) -> list[Span]:
    bars = [at for at in range(*line) if text[at] == "|" and text[at - 1 : at] != "\\"]
    return [(left + 1, right) for left, right in pairwise(bars)]


def _row(cells: list[Span], drawn: Any) -> str:
    return "".join(f"<td>{drawn(*cell)}</td>" for cell in cells)
