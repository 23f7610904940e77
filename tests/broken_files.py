"""Small good files of every kind, and what can be wrong with them. Made, not stored: nobody has to trust a blob."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache

Members = Mapping[str, str | bytes]

PROSE = "The tower was built in 1868. It is 34 metres high, and a keeper lived in it until 1994."
BIG = 5_000_000


def zip_of(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


_CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def epub_of(
    chapters: Mapping[str, str | bytes], metadata: str = "<dc:title>The Tower</dc:title>", extra: Members | None = None
) -> bytes:
    """An EPUB whose spine is `chapters` (file name to markup); a name with `nav` in it is the table of contents."""
    items = "".join(
        f'<item id="i{number}" href="{name}" media-type="application/xhtml+xml" '
        f"properties='{'nav' if 'nav' in name else ''}'/>"
        for number, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{number}"/>' for number in range(len(chapters)))
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    members = {f"OEBPS/{name}": markup for name, markup in chapters.items()}
    return zip_of(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": _CONTAINER, "OEBPS/book.opf": package}
        | members
        | dict(extra or {})
    )


def _epub() -> bytes:
    chapter = (
        f"<html><head><title/></head><body><h1>One</h1><p>{PROSE}</p><ul><li>a<ul><li>b</li></ul></li></ul></body>"
    )
    return epub_of({"one.xhtml": chapter, "two.xhtml": f"<html><body><p>{PROSE}</p></body></html>"})


def _docx() -> bytes:
    import docx

    document = docx.Document()
    document.add_heading("The tower", 1)
    document.add_paragraph(PROSE)
    table = document.add_table(2, 2)
    for number, cell in enumerate(table._cells):
        cell.text = f"cell {number}"
    return _saved(document)


def _pptx() -> bytes:
    import pptx

    slides = pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text = "The tower"
    slide.placeholders[1].text = PROSE
    return _saved(slides)


def _xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["Year", "Height"])
    book.active.append([1868, 34])
    return _saved(book)


def _saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def _pdf() -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    for _ in range(2):
        pdf.add_page()
        pdf.set_font("Helvetica")
        pdf.multi_cell(0, text=PROSE)
    return bytes(pdf.output())


def _notebook() -> bytes:
    cells = [
        {"cell_type": "markdown", "source": ["# The tower\n", PROSE], "metadata": {}},
        {"cell_type": "code", "source": "print(34)", "outputs": [{"output_type": "stream", "text": ["34\n"]}]},
    ]
    return json.dumps({"nbformat": 4, "cells": cells, "metadata": {"kernelspec": {"language": "python"}}}).encode()


_HTML = (
    f"<!doctype html><html lang=en><head><title>T</title></head><body><h1>The tower</h1><p>{PROSE}</p><table><tr><th>a"
    "<th>b<tr><td rowspan=2>1<td>2</table><pre>code</pre><dl><dt>x<dd>y</dl></body></html>"
)
_MAIL = (
    "Subject: =?utf-8?Q?The_tower?=\nFrom: Ada <a@example.org>\nDate: Tue, 05 Mar 2024 10:20:00 +0100\n"
    "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=X\n\n--X\nContent-Type: text/plain\n\n"
    f"{PROSE}\n--X\nContent-Type: text/html\n\n<p>{PROSE}</p>\n--X--\n"
)
_RTF = r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\f0 " + PROSE + r"\par \u8364? and \'e9.\par}"
_JSON = json.dumps([{"name": "tower", "built": 1868, "notes": PROSE}])

_MAKERS: Mapping[str, Callable[[], bytes]] = {
    ".epub": _epub,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".xlsm": _xlsx,
    ".pdf": _pdf,
    ".ipynb": _notebook,
    **dict.fromkeys((".html", ".htm", ".xhtml"), _HTML.encode),
    ".eml": _MAIL.encode,
    ".rtf": _RTF.encode,
    ".json": _JSON.encode,
    ".ndjson": lambda: _JSON[1:-1].encode() + b"\n",
    ".jsonl": lambda: _JSON[1:-1].encode() + b"\n",
    ".csv": lambda: b"Year,Height,Note\n1868,34,high\n1994,34,\n",
    ".tsv": lambda: b"Year\tHeight\n1868\t34\n1994\t34\n",
}


@cache
def good(ending: str) -> bytes:
    """A small file of that kind that reads without complaint; text for all kinds that are text."""
    make = _MAKERS.get(ending)
    return make() if make else f"The tower\n\n{PROSE}\n\nclass Tower:\n    def height(self): ...\n".encode()


def broken(ending: str) -> Iterator[tuple[str, bytes]]:
    """Files that are wrong in one way each; small, so that each can be tried under every ending."""
    fine, noise = good(ending), random.Random(ending).randbytes(3000)
    yield "empty", b""
    yield from (("one byte", bytes([byte])) for byte in (0, 10, 65, 255))
    yield "noise", noise
    yield "beginning and noise", fine[:16] + noise
    yield from ((f"first {share:.0%}", fine[: int(len(fine) * share)]) for share in (0.1, 0.5, 0.9, 0.99))
    for seed in range(4):
        yield f"flipped bytes {seed}", flipped(fine, seed)
    yield "twice", fine + fine
    yield "white space", b" \t\r\n\x0b\x0c" * 100
    yield "punctuation", b"... --- ,,, | | |\n" * 50
    for name, mark in (("utf-8", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-32", b"\xff\xfe\0\0")):
        yield f"{name} mark alone", mark
        yield f"{name} mark and noise", mark + noise
        yield f"{name} mark and a good file", mark + fine
    yield "utf-16", ("\ufeff" + PROSE).encode("utf-16-le")
    yield "lone surrogates", b"\xff\xfe" + "\ud800a\udc00b".encode("utf-16-le", "surrogatepass") * 50
    yield "cesu surrogates", b"word \xed\xa0\x80 word"
    yield "nul", PROSE.replace(" ", "\0").encode()
    yield "nul far in", (PROSE * 1000 + "\0").encode()
    yield from ((f"a {other} file", good(other)) for other in _MAKERS if other != ending)


def flipped(data: bytes, seed: int) -> bytes:
    """The file with one byte in five hundred changed, and one at least."""
    rng, out = random.Random(seed), bytearray(data)
    for _ in range(len(data) // 500 + 1):
        out[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(out)


def hostile(ending: str) -> Iterator[tuple[str, bytes]]:
    """Files made to exhaust whoever reads them: time, memory or the stack."""
    yield "one line", b"word " * (BIG // 5)
    yield "one word", b"x" * BIG
    yield "brackets", b"[" * 100_000
    yield "braces", b'{"a":' * 100_000
    yield "elements", b"<div>" * 50_000 + PROSE.encode()
    yield "a few hundred elements", b"<div><b><ul><li>" * 120 + PROSE.encode()
    yield "open tags", b"<a b='" * 100_000
    yield "quotes", b"> " * 100_000 + b"a"
    yield "stars", b"*" * 100_000 + b"a" + b"*_" * 100_000
    yield "many lines", b"a\n\n" * 10_000
    if ending in (".html", ".htm", ".xhtml"):
        yield "entities", _entities() + b"<html><body><p>&lol9; text</p></body></html>"
        yield "spans", b"<table><tr>" + b"<td rowspan=9999 colspan=9999>text text" * 2000 + b"<tr>" * 5000
        yield "paragraphs", f"<p>{PROSE}</p>".encode() * 3_000
    if ending == ".eml":
        yield "parts in parts", _nested_parts(300)
        yield "parts", b"Subject: s\nContent-Type: multipart/mixed; boundary=X\n\n" + b"--X\n\na\n" * 5000
        yield "a long header", b"From: " + b"(" * 50_000 + b"\nTo: " + b"a@b," * 50_000 + b"\n\nbody"
    if ending == ".ipynb":
        yield "cells in cells", b'{"cells":[{"source":' + b"[" * 50_000 + b"]" * 50_000 + b"}]}"
        yield (
            "cells of no kind",
            json.dumps({"cells": [1, None, [], {"source": 1}, {"cell_type": "code", "outputs": {}}]}).encode(),
        )
    if ending == ".rtf":
        yield "groups", rb"{\rtf1 " + b"{" * 100_000
    if zipfile.is_zipfile(io.BytesIO(good(ending))):
        yield from _zip_bombs(ending)


def _entities() -> bytes:
    lines = ['<!ENTITY lol0 "lol">', *(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))]
    return f"<!DOCTYPE html [{''.join(lines)}]>".encode()


def _nested_parts(depth: int) -> bytes:
    heads = (f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    return b"Subject: s\n" + "".join(heads).encode() + b"\ntext"


def _zip_bombs(ending: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(good(ending))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    markup = [name for name in members if name.endswith((".xml", ".xhtml", ".opf"))]
    yield "a bomb beside", zip_of({**members, "bomb.xml": b"a" * 60_000_000})
    yield (
        "a bomb that lies about its size",
        _lying(zip_of({**members, markup[-1]: members[markup[-1]] + b" " * 3_000_000})),
    )
    yield "no members", zip_of({})
    yield "too many members", zip_of({f"{number}.xml": b"" for number in range(21_000)}, zipfile.ZIP_STORED)
    for name in markup:
        yield f"no {name}", zip_of({key: value for key, value in members.items() if key != name})
        yield f"{name} cut", zip_of({**members, name: members[name][: len(members[name]) // 2]})
        yield f"{name} empty", zip_of({**members, name: b""})
        yield f"{name} of entities", zip_of({**members, name: _entities() + b"<html>&lol9;</html>"})
    last = markup[-1]
    yield "markup in markup", zip_of({**members, last: b"<a>" * 100_000})
    damaged = bytearray(zip_of(members))
    where = damaged.find(b"PK\x01\x02") - 40
    damaged[where : where + 8] = b"\0" * 8
    yield "a damaged member", bytes(damaged)


def _lying(data: bytes) -> bytes:
    """The same container, whose directory says that every member unpacks to 100 bytes."""
    out = bytearray(data)
    at = out.find(b"PK\x01\x02")
    while at >= 0:
        out[at + 24 : at + 28] = (100).to_bytes(4, "little")
        at = out.find(b"PK\x01\x02", at + 4)
    return bytes(out)
