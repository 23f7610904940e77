"""Books, mails and notebooks: what is read of them, in which order, and what they say of themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from broken_files import PROSE, epub_of

from index.documents import Document, document_of
from index.errors import DocumentError


def book(chapters: dict[str, str | bytes], metadata: str = "", **extra: Any) -> Document:
    return document_of(epub_of(chapters, metadata, **extra), "b.epub", ".epub")


def mail(text: str | bytes) -> Document:
    return document_of(text.encode() if isinstance(text, str) else text, "m.eml", ".eml")


def notebook(*cells: dict[str, Any], **more: Any) -> Document:
    return document_of(json.dumps({"nbformat": 4, "cells": cells, **more}).encode(), "n.ipynb", ".ipynb")


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs}


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    document = book(
        {
            "cover.xhtml": "<html><body><img src='c.jpg' alt='Cover of the book'/></body></html>",
            "nav.xhtml": "<body><nav><ol><li><a href='a%20two.xhtml#x'>Chapter Two</a></li></ol></nav></body>",
            "z.xhtml": "<html><head><title/><script/></head><body><h1>Chapter One</h1><p><a id='p'/>First.</p></body>",
            "a two.xhtml": "<html><body><p>Second.</p><table><tr><th>a</th><th>b</th></tr></table></body></html>",
        },
        "<dc:title>The Tower</dc:title><dc:creator>Ada Quill</dc:creator><dc:creator>B. Holt</dc:creator>"
        "<dc:date>0101-01-01</dc:date><dc:date>2019-05-01T00:00:00Z</dc:date><dc:language>en</dc:language>",
    )
    assert document.text == "# Chapter One\n\nFirst.\n\n# Chapter Two\n\nSecond.\n\n| a | b |"
    assert document.title == "The Tower"
    assert document.meta.items() >= {
        "author": "Ada Quill, B. Holt", "date": "2019-05-01", "language": "en", "chapters": 3, "kind": "epub",
    }.items()  # fmt: skip


def test_a_chapter_that_is_missing_does_not_cost_the_others() -> None:
    data = epub_of({"a.xhtml": f"<p>{PROSE}</p>", "b.xhtml": "<p>gone</p>"}).replace(b"OEBPS/b.xhtml", b"OEBPS/c.xhtml")
    document = document_of(data, "b.epub", ".epub")
    assert document.text == PROSE
    assert document.meta["chapters_unreadable"] == 1


def _encryption(path: str) -> dict[str, dict[str, str]]:
    reference = f"<e><EncryptedData><CipherData><CipherReference URI='{path}'/></CipherData></EncryptedData></e>"
    return {"extra": {"META-INF/encryption.xml": reference}}


def test_a_protected_book_says_so_and_a_scrambled_font_does_no_harm() -> None:
    with pytest.raises(DocumentError, match="DRM"):
        book({"a.xhtml": f"<p>{PROSE}</p>"}, **_encryption("OEBPS/a.xhtml"))
    assert book({"a.xhtml": f"<p>{PROSE}</p>"}, **_encryption("OEBPS/font.otf")).text == PROSE


def test_a_zip_that_is_no_book_says_so() -> None:
    from broken_files import zip_of

    with pytest.raises(DocumentError, match=r"container\.xml"):
        document_of(zip_of({"a.txt": "x"}), "b.epub", ".epub")


def test_a_mail_is_its_headers_and_its_plain_text() -> None:
    document = mail(
        b"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nFrom: =?utf-8?Q?J=C3=BCrgen?= <j@x.de>\r\nTo: a@b.c\r\n"
        b"Date: Tue, 05 Mar 2024 10:20:00 +0100\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
        b"Das Caf\xe9 ist zu.\r\n\r\n> Ist es offen?\r\n"
    )
    assert document.title == "Grüße"
    assert document.text.endswith("Das Café ist zu.\n\n> Ist es offen?")
    assert document.text.startswith("Subject: Grüße\nFrom: Jürgen <j@x.de>\nTo: a@b.c\nDate: Tue, 05 Mar 2024")
    assert document.meta.items() >= {
        "author": "Jürgen <j@x.de>", "to": "a@b.c", "date": "2024-03-05T10:20:00+01:00", "kind": "eml",
    }.items()  # fmt: skip


def test_the_html_of_a_mail_is_read_when_its_plain_text_is_empty_and_attachments_are_named() -> None:
    document = mail(
        "Subject: s\nContent-Type: multipart/mixed; boundary=X\n\n"
        "--X\nContent-Type: multipart/alternative; boundary=Y\n\n"
        "--Y\nContent-Type: text/plain\n\n \n--Y\nContent-Type: text/html\n\n<h1>Hi</h1><p>body</p>\n--Y--\n"
        "--X\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=report.pdf\n\nAAAA\n"
        "--X\nContent-Type: message/rfc822\n\nSubject: inner\n\nunread\n--X\nContent-Type: text/plain\n\ntail\n--X--\n"
    )
    assert document.text == "Subject: s\n\n# Hi\n\nbody\n\ntail\n\nAttachment: report.pdf\nAttachment: inner"
    assert document.meta["attachments"] == 2


@pytest.mark.parametrize("head", ["Content-Type: ;;;", "Content-Type: text/plain; charset=zlib", "Date: Mon, 99 Foo"])
def test_a_mail_with_broken_headers_is_still_read(head: str) -> None:
    assert mail(f"Subject: s\n{head}\n\nbody").text.endswith("body")


def test_text_that_is_no_mail_says_so() -> None:
    with pytest.raises(DocumentError, match="not a mail"):
        mail(PROSE)


def test_a_mail_of_parts_within_parts_is_refused() -> None:
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(100))
    with pytest.raises(DocumentError, match="too many parts"):
        mail(f"Subject: s\n{parts}\ntext")


def test_a_notebook_is_prose_code_and_output() -> None:
    document = notebook(
        {"cell_type": "markdown", "source": ["# Flow\n", "Of ![x](data:image/png;base64,iVBORw0KGgo=) water."]},
        code("print(1)\n1 / 0", {"output_type": "stream", "text": ["10%\r20%\n", "\x1b[31m1\x1b[0m\n"]},
             {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "by zero", "traceback": ["secret"]}),
        code("plot()", {"output_type": "display_data", "data": {"image/png": "iVBO", "text/plain": "<Figure 1x1>"}}),
        metadata={"language_info": {"name": "python"}},
    )  # fmt: skip
    assert document.text == (
        "# Flow\nOf ![x](data:) water.\n\n```python\nprint(1)\n1 / 0\n```\n\n```\n20%\n1\n"
        "ZeroDivisionError: by zero\n```\n\n"
        "```python\nplot()\n```"
    )
    assert document.title == "Flow"
    assert document.meta["code"] == "python"


def test_a_long_output_is_cut_and_says_so() -> None:
    text = notebook(code("go()", {"output_type": "stream", "text": "line\n" * 1000})).text
    assert "3,500 more characters of output" in text
    assert len(text) < 1700


def test_a_notebook_of_version_3() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {"cell_type": "code", "input": "x", "language": "python"},
    ]
    document = document_of(json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode(), "n.ipynb", ".ipynb")
    assert document.text == "## Old\n\n```python\nx\n```"


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"cells": 1}', b"[" * 100_000])
def test_what_is_no_notebook_says_so(data: bytes) -> None:
    with pytest.raises(DocumentError, match="notebook"):
        document_of(data, "n.ipynb", ".ipynb")
