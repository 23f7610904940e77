"""PowerPoint decks to Markdown, through python-pptx: one page a slide, in reading order. Not the pictures on them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from index.readers import Extract, ReadOptions
from index.readers.archive import border, open_zip
from index.readers.office import core_properties
from index.readers.tables import record_lines, table_lines

_BREAK = "\n\n"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
# Shapes belong to one line of the slide if their tops differ by less than this share of its height.
_LINE = 0.04
_MOST_CATEGORIES = 500  # of a chart; what has more is a curve


def read_pptx(data: bytes, options: ReadOptions) -> Extract:
    """Titles, text, tables, charts and notes of every slide. Raises DocumentError for what cannot be read."""
    archive = open_zip(data, ".pptx")
    with border(".pptx", "office"):
        import pptx

        deck = pptx.Presentation(io.BytesIO(data))
        title, meta = core_properties(archive)
        slides = list(deck.slides)
        texts = [_BREAK.join(_blocks(slide, (deck.slide_height or 1) * _LINE)) for slide in slides]
        title = title or next(filter(None, map(_title, slides)), "")
    starts = accumulate((len(text) + len(_BREAK) for text in texts), initial=0)
    pages = tuple((start, start + len(text)) for start, text in zip(starts, texts, strict=False))
    return Extract(_BREAK.join(texts), pages, title, {**meta, "pages": len(texts)})


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _blocks(slide: Any, line: float) -> Iterator[str]:
    title = _title(slide)
    if title:
        yield f"# {title}"
    heading = slide.shapes.title.shape_id if title else None
    for shape in _in_order(slide.shapes, line):
        if shape.shape_id != heading:
            yield from filter(None, _shape(shape, slide.part))
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        notes = _paragraphs(frame, bullets=False) if frame is not None else ""
        if notes:
            yield f"Notes: {notes}"


def _in_order(shapes: Iterable[Any], line: float) -> Iterator[Any]:
    """Shapes from top to bottom, those side by side from left to right; a group is read where it stands."""
    seen = [shape for shape in shapes if shape._element.xpath(".//p:cNvPr[1]/@hidden")[:1] != ["1"]]
    row: list[Any] = []
    for shape in [*sorted(seen, key=lambda shape: shape.top or 0), None]:
        if row and (shape is None or (shape.top or 0) - (row[0].top or 0) > line):
            for one in sorted(row, key=lambda shape: shape.left or 0):
                if hasattr(one, "shapes"):
                    yield from _in_order(one.shapes, line)
                else:
                    yield one
            row = []
        row.append(shape)


def _shape(shape: Any, part: Any) -> Iterator[str]:
    if shape.is_placeholder and shape.placeholder_format.type in _furniture():
        return
    if getattr(shape, "has_table", False):
        yield _table(shape.table)
    elif getattr(shape, "has_chart", False):
        yield _chart(shape.chart_part.blob)
    elif shape.has_text_frame:
        yield _paragraphs(shape.text_frame, bullets=shape.is_placeholder and shape.placeholder_format.type in _bodies())
    else:
        yield _diagram(shape._element, part)


def _furniture() -> tuple[Any, ...]:
    from pptx.enum.shapes import PP_PLACEHOLDER as KIND

    return KIND.DATE, KIND.FOOTER, KIND.HEADER, KIND.SLIDE_NUMBER


def _bodies() -> tuple[Any, ...]:
    from pptx.enum.shapes import PP_PLACEHOLDER as KIND

    return KIND.BODY, KIND.OBJECT, KIND.VERTICAL_BODY, KIND.VERTICAL_OBJECT


def _paragraphs(frame: Any, bullets: bool) -> str:
    """The paragraphs of a text frame, items behind a dash; `bullets` says what they are unless they say it themselves.

    A lone paragraph is no list.
    """
    out: list[str] = []
    lines = [(paragraph, " ".join(paragraph.text.split())) for paragraph in frame.paragraphs]
    lines = [(paragraph, text) for paragraph, text in lines if text]
    for number, (paragraph, text) in enumerate(lines):
        properties = paragraph._p.find(f"{_A}pPr")
        item = bullets and len(lines) > 1
        if properties is not None:
            item = item and properties.find(f"{_A}buNone") is None
            item = item or any(properties.find(f"{_A}{name}") is not None for name in ("buChar", "buAutoNum", "buBlip"))
        if number:
            out.append("\n" if item else "\n\n")
        out.append(f"{'  ' * paragraph.level}- {text}" if item else text)
    return "".join(out)


def _table(table: Any) -> str:
    """Rows that name their columns, else between bars; a cell that spans rows is said again in each of them."""
    grid: list[list[str]] = []
    above: list[str] = []
    for row in table.rows:
        texts = [" ".join(cell.text.split()) for cell in row.cells]
        for at, cell in enumerate(row.cells):
            if cell._tc.vMerge and at < len(above) and len(above[at]) <= 200:
                texts[at] = above[at]
        above = texts
        if any(texts):
            grid.append(texts)
    # PowerPoint marks the first row of every table, also of one that only pairs names with values.
    return "\n".join(table_lines(grid, marked=bool(table.first_row) and len(table.columns) > 2))


def _chart(blob: bytes) -> str:
    """Title and numbers of a chart as a table: a row for each category, a column for each series."""
    root = _parsed(blob)
    names: list[str] = []
    columns: list[dict[str, str]] = []
    rows: dict[str, str] = {}
    for series in root.iter(f"{_C}ser"):
        names.append(" ".join(text for text in (v.text for v in series.iterfind(f"{_C}tx//{_C}v")) if text))
        keys = _points(series, "cat") or _points(series, "xVal")
        columns.append(_points(series, "val") or _points(series, "yVal"))
        rows |= {at: keys.get(at, rows.get(at, "")) for at in columns[-1]}
    title = root.find(f"{_C}chart/{_C}title")
    caption = "" if title is None else " ".join("".join(t.text or "" for t in title.iter(f"{_A}t")).split())
    if not 0 < len(rows) <= _MOST_CATEGORIES:
        return caption
    lines: list[str] = []
    for at, key in rows.items():
        values = [(name, column.get(at, "")) for name, column in zip(names, columns, strict=True)]
        lines += record_lines([("", key), *values])
    return "\n".join(lines) if not caption else f"{caption}\n\n" + "\n".join(lines)


def _points(series: Any, kind: str) -> dict[str, str]:
    """The points that the file keeps of a series, by their index; numbers without the noise of binary fractions."""
    out: dict[str, str] = {}
    for point in series.iterfind(f"{_C}{kind}//{_C}pt"):
        text = " ".join((point.findtext(f"{_C}v") or "").split())
        number = re.fullmatch(r"-?\d{1,15}\.\d+", text)
        out[point.get("idx", "")] = f"{float(text):.12g}" if number else text
    return out


def _diagram(element: Any, part: Any) -> str:
    """The texts of a SmartArt drawing, which are kept in a part of their own."""
    ids = next(element.iter(f"{_DIAGRAM}relIds"), None)
    key = None if ids is None else ids.get(f"{_R}dm")
    if key is None:
        return ""
    root = _parsed(part.related_part(key).blob)
    texts = [
        " ".join("".join(t.text or "" for t in paragraph.iter(f"{_A}t")).split())
        for point in root.iter(f"{_DIAGRAM}pt")
        if point.get("type", "node") in ("node", "asst")
        for paragraph in point.iter(f"{_A}p")
    ]
    return "\n".join(f"- {text}" for text in texts if text)


def _parsed(blob: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True))
