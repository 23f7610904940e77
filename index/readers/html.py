"""HTML to the text a person would read, through trafilatura. Navigation, scripts and cookie lines do not become text.

Headings come out as Markdown headings, list items with a dash, table rows as cells between bars, so that one rule for
headings serves both kinds of file.
"""

from __future__ import annotations

from typing import Any

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.text import decode


def read_html(data: bytes, options: ReadOptions) -> Extract:
    """The main text of a page, else all of its visible text. Raises DocumentError when there is none."""
    import trafilatura

    markup = decode(data)
    page = trafilatura.bare_extraction(
        markup,
        include_comments=False,
        include_tables=True,
        include_formatting=True,
        favor_recall=True,
        with_metadata=True,
    )
    if page is not None and page.body is not None:
        text = "\n\n".join(block for block in _blocks(page.body) if block)
        meta = {key: value for key in ("author", "date") if (value := getattr(page, key, None))}
        title = page.title or ""
    else:
        text, title, meta = "", "", {}
    whole, whole_title = _all_text(markup)
    if len(text) < min(200, len(whole)):  # short pages defeat the main-text heuristics
        text, title = whole, title or whole_title
    if not text:
        raise DocumentError("holds no text")
    return Extract(text, title=title, meta=meta)


def _blocks(body: Any) -> list[str]:
    """The block elements of trafilatura's tree, each as its text."""
    out: list[str] = []
    for element in body:
        match element.tag:
            case "head":
                level = str(element.get("rend") or "h2")[-1]
                out.append("#" * (int(level) if level in "123456" else 2) + " " + _flat(element))
            case "list":
                out.append("\n".join(f"- {_flat(item)}" for item in element.iter("item") if _flat(item)))
            case "table":
                out.append("\n".join(_row(row) for row in element.iter("row")))
            case "div" | "quote" if len(element) and any(child.tag in _BLOCKS for child in element):
                out.extend(_blocks(element))
            case "code":
                out.append("".join(element.itertext()).strip("\n"))
            case "graphic":
                pass
            case _:
                out.append(_flat(element))
        if element.tail and element.tail.strip():
            out.append(" ".join(element.tail.split()))
    return out


_BLOCKS = {"p", "head", "list", "table", "div", "quote", "code"}


def _row(row: Any) -> str:
    return "| " + " | ".join(_flat(cell) for cell in row.iter("cell")) + " |"


def _flat(element: Any) -> str:
    return " ".join("".join(" " if part is None else part for part in _texts(element)).split())


def _texts(element: Any) -> list[str | None]:
    """Text of an element in order, None where a line break stands."""
    out: list[str | None] = [element.text or ""]
    for child in element:
        out += [None] if child.tag == "lb" else _texts(child)
        out.append(child.tail or "")
    return out


def _all_text(markup: str) -> tuple[str, str]:
    from lxml import etree
    from lxml import html as lxml_html

    try:
        root = lxml_html.document_fromstring(markup.encode("utf-8", "replace"), parser=_parser())
    except (etree.ParserError, ValueError, AssertionError):
        return "", ""
    title = root.findtext(".//title") or ""
    for unread in root.xpath("//script|//style|//noscript|//template|//head|//nav|//footer|//form|//svg|//iframe"):
        unread.drop_tree()
    for block in root.iter("p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article"):
        block.tail = "\n" + (block.tail or "")
    lines = (" ".join(line.split()) for line in root.text_content().split("\n"))
    return "\n\n".join(line for line in lines if line), title


def _parser() -> Any:
    from lxml import html as lxml_html

    return lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
