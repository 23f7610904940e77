"""HTML elements to Markdown blocks, for every kind that holds HTML. Not which part of a page is worth reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from index.errors import DocumentError

# Structure below this depth is flattened to its text; pages that people write stay under 50.
_DEEPEST = 100
# libxml2 gives up at 2048 and would lose the rest of the page without a word.
_TOO_DEEP = 2000
_MOST_TAGS = 1_500_000

_BLOCKS = frozenset(
    "address article aside body blockquote center dd details dialog div dl dt fieldset figcaption figure footer form "
    "header hgroup html legend li main menu nav p search section summary tbody td tfoot th thead tr caption".split()
)
_UNREAD = frozenset(
    "script style noscript template head svg iframe object embed canvas audio video select textarea button input "
    "map rp rt datalist".split()
)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def parse(markup: str) -> Any:
    """The root element, never nested deeper than some hundred levels, or None when there is no element at all.

    Raises DocumentError for markup that no page of text has: thousands of levels, millions of tags.
    """
    from lxml import etree, html

    if markup.count("<") > _MOST_TAGS:
        raise DocumentError(f"over {_MOST_TAGS:,} tags; split the page")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = html.document_fromstring(_CONTROLS.sub("", markup).encode("utf-8"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError):
        return None
    _flatten_depths(root)
    return root


def _flatten_depths(root: Any) -> None:
    from lxml import etree

    depth, deep = 0, []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > _TOO_DEEP:
            raise DocumentError(f"HTML nested over {_TOO_DEEP:,} elements deep")
        if event == "start" and depth == _DEEPEST and len(element):
            deep.append(element)
    for element in deep:
        text = " ".join(element.itertext())
        for child in list(element):
            element.remove(child)
        element.text = text


def markdown(element: Any) -> list[str]:
    """The blocks of an element: paragraphs, headings behind #, lists, tables between bars, fenced code."""
    writer = _Writer()
    writer.children(element)
    writer.flush()
    return writer.blocks


def plain(element: Any) -> str:
    """All the text of an element on one line."""
    return " ".join(" ".join(markdown(element)).split())


def fenced(text: str, language: str = "") -> str:
    """A block of code behind a fence that the code itself does not hold."""
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text}\n{fence}"


class _Writer:
    """Gathers inline text until a block begins or ends."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._line: list[str] = []

    def flush(self) -> None:
        lines = (" ".join(line.split()) for line in "".join(self._line).split("\v"))
        if text := "\n".join(line for line in lines if line):
            self.blocks.append(text)
        self._line.clear()

    def children(self, element: Any) -> None:
        self._line.append(element.text or "")
        for child in element:
            if isinstance(child.tag, str):  # not a comment or an entity
                self._visit(child)
            self._line.append(child.tail or "")

    def _visit(self, element: Any) -> None:
        tag = element.tag
        if tag in _UNREAD:
            return
        if tag in _INLINE:
            self._line.append(_INLINE[tag](element))
        elif tag in _WHOLE:
            self.flush()
            self.blocks += _WHOLE[tag](element)
        elif tag in _BLOCKS:
            self.flush()
            self.children(element)
            self.flush()
        else:
            self.children(element)


def _raised(element: Any) -> str:
    """A superscript must not run into the number before it: a note becomes [3], a power ^6, the th of 5th stays."""
    text = "".join(element.itertext()).strip()
    if not text[:1].isdigit():
        return text if text[:1] != "[" else f" {text}"
    return f" [{text}]" if element.find(".//a") is not None or element.getparent().tag == "a" else f"^{text}"


def _picture(element: Any) -> str:
    """What a picture shows, when somebody took the trouble to say it and no caption says it already."""
    alt = " ".join((element.get("alt") or "").split())
    figure = next(element.iterancestors("figure"), None)
    told = figure is not None and figure.find(".//figcaption") is not None
    worth = len(alt.split()) > 2 and not re.search(r"\.(?:jpe?g|png|gif|webp|svg)$", alt, re.IGNORECASE)
    return f"\v[Image: {alt}]\v" if worth and not told else " "


def _formula(element: Any) -> str:
    """The formula as it was typed, when the page carries that, else its symbols."""
    return element.get("alttext") or element.findtext(".//annotation") or "".join(element.itertext())


def _heading(element: Any) -> list[str]:
    text = plain(element)
    return [f"{'#' * int(element.tag[1])} {text}"] if text else []


def _code(element: Any) -> list[str]:
    text = "".join("\n" if part is None else part for part in _verbatim(element)).strip("\n")
    if not text.strip():
        return []
    inner = element.find("code")
    classes = f"{element.get('class', '')} {inner.get('class', '') if inner is not None else ''}"
    language = re.search(r"\b(?:language|lang|highlight|brush)[-:] ?(?:source-)?([\w+#]+)", classes)
    return [fenced(text, language.group(1) if language else "")]


def _verbatim(element: Any) -> Iterator[str | None]:
    """Texts of an element, None for a line break."""
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield None
        else:
            yield from _verbatim(child)
        yield child.tail or ""


def _list(element: Any) -> list[str]:
    """One block for the list, its lists indented in it; an item that is a small page of its own stays that."""
    out: list[str] = []
    items: list[str] = []
    found = (item for item in element if isinstance(item.tag, str) and item.tag not in _UNREAD)
    for number, item in enumerate(found, start=_number(element, "start", 10**6)):
        blocks = markdown(item) if item.tag not in _WHOLE else _WHOLE[item.tag](item)
        if any(block.startswith(("#", "| ", "```")) for block in blocks):
            out += ["\n".join(items)] * bool(items) + blocks
            items = []
        elif blocks and item.tag in _WHOLE:  # a list that is a child of a list, as old pages have it
            items.append(re.sub("^", "  ", "\n".join(blocks), flags=re.MULTILINE))
        elif blocks:
            mark = f"{number}. " if element.tag == "ol" else "- "
            items.append(mark + "\n".join(blocks).replace("\n", "\n  "))
    return out + ["\n".join(items)] * bool(items)


def _definitions(element: Any) -> list[str]:
    """`- term: what it means`; where the meaning is longer than a paragraph, the term stands above it."""
    out: list[str] = []
    terms: list[str] = []
    for part in _parts(element):
        if part.tag == "dt":
            terms.append(plain(part))
            continue
        blocks, term = markdown(part), ", ".join(filter(None, terms))
        if len(blocks) == 1 and "\n" not in blocks[0]:
            out.append(f"- {term}: {blocks[0]}" if term else f"- {blocks[0]}")
        else:
            out += [term, *blocks] if term else blocks
        terms = []
    out += [term for term in terms if term]
    return ["\n".join(out)] if all(line.startswith("- ") and "\n" not in line for line in out) and out else out


def _parts(definitions: Any) -> Iterator[Any]:
    """The terms and meanings of a list of definitions; pages may wrap each pair in a div."""
    for child in definitions.iterchildren("dt", "dd", "div"):
        yield from child.iterchildren("dt", "dd") if child.tag == "div" else [child]


def _table(element: Any) -> list[str]:
    """A caption, then rows between bars, the header row first; a table that only lays out a page is no table."""
    caption = [plain(found) for found in element.iterchildren("caption")]
    rows = _rows(element)
    cells = [cell for row in rows for cell in row.iterchildren("td", "th")]
    held = sum(map(text_length, cells)) + sum(map(text_length, element.iterchildren("caption")))
    nested = element.find(".//table") is not None
    wide = max((sum(1 for _ in row.iterchildren("td", "th")) for row in rows), default=0)
    if wide < 2 or nested or element.get("role") == "presentation" or held < text_length(element):
        return markdown(element)
    lines = [f"| {' | '.join(row)} |" for row in _grid(rows) if any(row)]
    return [*filter(None, caption), *(["\n".join(lines)] if lines else [])]


def text_length(element: Any) -> int:
    """Characters of text in an element, white space at the borders of its pieces left out."""
    return sum(len(text.strip()) for text in element.itertext())


def _rows(table: Any) -> list[Any]:
    """The table's own rows, those of its head first."""
    out: list[Any] = [row for head in table.iterchildren("thead") for row in head.iterchildren("tr")]
    for child in table.iterchildren("tr", "tbody", "tfoot"):
        out += [child] if child.tag == "tr" else list(child.iterchildren("tr"))
    return out


def _grid(rows: list[Any]) -> Iterator[list[str]]:
    """Texts of the cells; one that spans rows is said again in each, so that every row can be read alone."""
    texts = [[(plain(cell), cell) for cell in row.iterchildren("td", "th")] for row in rows]
    spare = _REPEATS + 2 * sum(len(text) for row in texts for text, _ in row)  # a few spans must not make a gigabyte
    above: dict[int, tuple[int, str]] = {}  # column: rows still to fill, text
    for row in texts:
        line: list[str] = []
        below: dict[int, tuple[int, str]] = {}
        for text, cell in [*row, ("", None)]:
            while len(line) in above and spare > 0:
                left, again = above[len(line)]
                if left > 1:
                    below[len(line)] = (left - 1, again)
                spare -= len(again) + 3
                line.append(again)
            if cell is None:
                break
            if (down := _number(cell, "rowspan", 10_000)) > 1:
                below[len(line)] = (down - 1, text)
            wide = _number(cell, "colspan", max(1, min(100, spare)))
            spare -= 3 * (wide - 1)
            line += [text, *[""] * (wide - 1)]
        above = below
        yield line


_REPEATS = 1000


def _number(element: Any, name: str, most: int) -> int:
    value = element.get(name) or ""
    return min(int(value), most) if re.fullmatch("[0-9]{1,6}", value) else 1


_INLINE: dict[str, Callable[[Any], str]] = {
    "br": lambda _: "\v",
    "sup": _raised,
    "img": _picture,
    "math": _formula,
    "hr": lambda _: "\v",
}
_WHOLE: dict[str, Callable[[Any], list[str]]] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), _heading),
    **dict.fromkeys(("ul", "ol", "menu"), _list),
    "pre": _code,
    "listing": _code,
    "dl": _definitions,
    "table": _table,
}
