"""Word documents to Markdown, through python-docx: the body in its order as a person sees it. Not how pages break.

Tracked deletions, hidden text, tables of contents, headers and footers are left out; notes follow their paragraph.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from index.readers import Extract, ReadOptions
from index.readers.archive import border, open_zip
from index.readers.numbering import Numbering, W, numbering_of
from index.readers.office import core_properties
from index.readers.styles import Style, outline, styles_of, value_at
from index.readers.tables import bound_text, table_lines


def read_docx(data: bytes, options: ReadOptions) -> Extract:
    """The text of a .docx file. Raises DocumentError for what is broken, encrypted, oversized or no Word file."""
    archive = open_zip(data, ".docx")
    with border(".docx", "office"):
        import docx

        document: Any = docx.Document(io.BytesIO(data))
        title, meta = core_properties(archive)
        body = _Body(styles_of(document.styles.element), _numbering(document), _notes(document))
        blocks: list[_Block] = []
        size = 0
        for block in body.blocks(document.element.body):
            blocks.append(block)
            size += len(block.text)
            bound_text(size)
        return Extract(_joined(blocks), title=title or body.title, meta=meta)


@dataclass(frozen=True, slots=True)
class _Block:
    """A piece of text between blank lines; blocks of one `run` (a list, code) stand on lines below each other."""

    text: str
    run: str = ""


# Elements whose text nobody sees, or sees elsewhere.
_UNSEEN = frozenset(
    "del moveFrom instrText delText delInstrText fldData rPr pPr tblPr tblGrid trPr tcPr sectPr Fallback rt "
    "footnoteRef endnoteRef separator continuationSeparator annotationRef".split()
)
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_WIDEST = 63  # columns of a Word table
_REPEATED = 200  # characters of a cell that spans rows, said again in each


@dataclass(slots=True)
class _Body:
    """Walks the XML of the body, where python-docx leaves out text boxes, insertions, content controls and notes."""

    styles: Mapping[str, Style]
    numbering: Numbering
    notes: dict[tuple[str, str | None], Any]
    """By kind and id; each is read once, or notes in notes could go round for ever."""
    title: str = ""
    aside: list[Any] = field(default_factory=list)
    """Text boxes and notes met inside a paragraph; they follow it."""
    noted: int = 0

    def blocks(self, parent: Any) -> Iterator[_Block]:
        for element in parent:
            match _tag(element):
                case "p":
                    yield from self.paragraph(element)
                case "tbl":
                    yield from self.table(element)
                case "sdt" if _is_contents(element):
                    pass
                case name if name not in _UNSEEN:
                    yield from self.blocks(element)
            yield from self.asides()

    def paragraph(self, element: Any) -> Iterator[_Block]:
        style_id = value_at(element, f"{W}pPr/{W}pStyle") or ""
        style = self.styles.get(style_id) or self.styles.get("", Style())
        text = self.inline(element)
        number = self.number(element, style, style_id) if text.strip() else None
        if style.role == "contents":
            return
        if style.role == "code":
            yield _Block(text.rstrip(), "code")
            return
        text = "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)
        level = outline(element.find(f"{W}pPr"), style.level)
        if not text:
            return
        if style.role == "title" or level:
            text = " ".join(text.split())
            self.title = self.title or text
            label = f"{number[0]} " if number and number[0] not in ("-", "") else ""
            yield _Block(f"{'#' * min(level or 1, 6)} {label}{text}")
        elif number and number[0]:
            yield _Block(f"{'  ' * number[1]}{number[0]} {text}", "list")
        else:
            yield _Block(text)

    def number(self, element: Any, style: Style, style_id: str) -> tuple[str, int] | None:
        """Label and depth of a list paragraph."""
        own, depth_text = (value_at(element, f"{W}pPr/{W}numPr/{W}{name}") for name in ("numId", "ilvl"))
        listed, depth = style.list or ("0", None)
        listed = own or listed
        if depth_text and depth_text.isdecimal():
            depth = int(depth_text[:3])
        if listed == "0":
            return None
        depth = min(self.numbering.level_of(listed, style_id) if depth is None else depth, 8)
        label = self.numbering.label(listed, depth)
        return None if label is None else (label, depth)

    def inline(self, element: Any) -> str:
        """The text inside a paragraph in order. What stands apart from it on the page goes to `aside`."""
        out: list[str] = []
        for child in element:
            name = _tag(child)
            if name == "t":
                out.append(child.text or "")
            elif name == "r" and _hidden(child):
                continue
            elif name in _BREAKS:
                out.append(_BREAKS[name])
            elif name in ("footnoteReference", "endnoteReference"):
                self.aside.append(self.notes.pop((name[:-9], child.get(f"{W}id")), None))
            elif name == "txbxContent":
                self.aside.append(child)
            elif name not in _UNSEEN:
                out.append(self.inline(child))
        return "".join(out)

    def asides(self) -> Iterator[_Block]:
        found, self.aside = self.aside, []
        for element in found:
            if element is None:
                continue
            inner = list(self.blocks(element))
            if _tag(element) in ("footnote", "endnote") and inner:
                self.noted += 1
                inner[0] = _Block(f"Note {self.noted}: {inner[0].text}")
            yield from inner

    def table(self, element: Any) -> Iterator[_Block]:
        """Rows that name their columns, else between bars; one of one column or one row only arranges blocks."""
        rows = [list(_cells(row)) for row in _rows(element)]
        if max(map(len, rows), default=0) <= 1 or (len(rows) == 1 and _nested(element)):
            for row in rows:
                for cell, _, _ in row:
                    yield from self.blocks(cell)
            return
        grid: list[list[str]] = []
        above: list[str] = []
        for row in rows:
            texts: list[str] = []
            for cell, span, goes_on in row:
                at = len(texts)
                text = above[at] if goes_on and at < len(above) and len(above[at]) <= _REPEATED else self.flat(cell)
                texts += [text, *[""] * (span - 1)]
            above = texts
            grid += [texts] if any(texts) else []
        for line in table_lines(grid, marked=bool(rows) and _is_header(next(_rows(element)))):
            yield _Block(line, "table")

    def flat(self, cell: Any) -> str:
        """A cell on one line; the rows of a table inside it as `a: b; c: d`."""
        blocks = list(self.blocks(cell))
        parts = [block.text for block in blocks]
        for at, block in enumerate(blocks):
            if block.run == "table":
                row = block.text.removeprefix("- ").strip("| ").split(" | ")
                parts[at] = ": ".join(part.strip() for part in row) + ";"
            else:
                parts[at] = re.sub(r"^(?:#{1,6}|-) ", "", block.text.strip())
        return " ".join(parts).strip().removesuffix(";")


def _is_header(row: Any) -> bool:
    """Whether a row is repeated on every page, or all that is written in it is bold."""
    if row.find(f"{W}trPr/{W}tblHeader") is not None:
        return True
    runs = [run for run in row.iter(f"{W}r") if any((text.text or "").strip() for text in run.iter(f"{W}t"))]
    bold = [run.find(f"{W}rPr/{W}b") for run in runs]
    return bool(runs) and all(b is not None and b.get(f"{W}val", "true") not in {"false", "0"} for b in bold)


def _rows(table: Any) -> Iterator[Any]:
    for child in table:
        if _tag(child) == "tr":
            if child.find(f"{W}trPr/{W}del") is None:
                yield child
        elif _tag(child) in ("sdt", "sdtContent", "ins", "customXml"):
            yield from _rows(child)


def _cells(row: Any) -> Iterator[tuple[Any, int, bool]]:
    """Each cell with the columns it spans and whether it goes on with the cell above."""
    for child in row:
        if _tag(child) == "tc":
            span = value_at(child, f"{W}tcPr/{W}gridSpan") or "1"
            merge = child.find(f"{W}tcPr/{W}vMerge")
            goes_on = merge is not None and merge.get(f"{W}val", "continue") == "continue"
            yield child, min(int(span[:3]), _WIDEST) if span.isdecimal() else 1, goes_on
        elif _tag(child) in ("sdt", "sdtContent", "customXml"):
            yield from _cells(child)


def _nested(table: Any) -> bool:
    return table.find(f".//{W}tbl") is not None


def _joined(blocks: list[_Block]) -> str:
    """Blank lines between blocks, none within a list, a table or code; code behind fences."""
    out: list[str] = []
    for before, block in pairwise([_Block(""), *blocks, _Block("")]):
        same = before.run == block.run != ""
        if before.run == "code" and not same:
            out.append("\n```")
        if before.text or before.run:
            out.append("\n" if same else "\n\n")
        if block.run == "code" and not same:
            out.append("```\n")
        out.append(block.text)
    return "".join(out).strip()


def _tag(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "del"  # comments, entities: unseen


def _hidden(run: Any) -> bool:
    vanish = run.find(f"{W}rPr/{W}vanish")
    return vanish is not None and vanish.get(f"{W}val", "1") not in ("0", "false", "off")


def _is_contents(control: Any) -> bool:
    gallery = value_at(control, f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery == "Table of Contents"


def _numbering(document: Any) -> Numbering:
    for part in _parts(document, "numbering"):
        return numbering_of(part)
    return Numbering()


def _notes(document: Any) -> dict[tuple[str, str | None], Any]:
    """Foot- and endnotes by kind and id."""
    return {
        (kind, note.get(f"{W}id")): note
        for kind in ("footnote", "endnote")
        for root in _parts(document, f"{kind}s")
        for note in root.iterchildren(f"{W}{kind}")
        if note.get(f"{W}type") is None
    }


def _parts(document: Any, kind: str) -> Iterator[Any]:
    from docx.oxml import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            yield parse_xml(relation.target_part.blob)
