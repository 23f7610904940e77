from pathlib import Path

import pytest
from conftest import SAMPLE

from index.documents import plain_document, read_document
from index.errors import DocumentError
from index.readers.text import decode


def read(tmp_path: Path, name: str, data: bytes) -> str:
    (tmp_path / name).write_bytes(data)
    return read_document(tmp_path / name, name, 1_000_000).text


def test_text_is_the_file_newlines_untouched(tmp_path: Path) -> None:
    assert read(tmp_path, "a.txt", "Zeile\r\nzwei ü\n".encode()) == "Zeile\r\nzwei ü\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-32", "cp1252"])
def test_other_encodings_are_understood(tmp_path: Path, codec: str) -> None:
    text = "Das Café liegt an der Brücke über den Fluß; es öffnet früh und schließt spät. " * 5
    assert read(tmp_path, "a.txt", text.encode(codec)) == text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n ", "empty"),
        ("a.txt", b"\x00\x01\x02\x03" * 100, "binary"),
        ("a.txt", b"--- ***", "no text"),
        ("a.pdf", b"%PDF-1.4 broken", "broken PDF"),
        ("a.xyz", b"text", "no reader"),
        ("a.txt", b"x" * 1_000_001, "left out"),
        ("a.html", b"<html><script>var x</script></html>", "no text"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(tmp_path, name, data)


def test_an_encrypted_pdf_says_so(tmp_path: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica")
    pdf.cell(text="Secret words")
    pdf.set_encryption(owner_password="o", user_password="u")
    with pytest.raises(DocumentError, match="encrypted"):
        read(tmp_path, "a.pdf", bytes(pdf.output()))


def test_a_pdf_without_text_asks_for_ocr(tmp_path: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    with pytest.raises(DocumentError, match="run OCR"):
        read(tmp_path, "a.pdf", bytes(pdf.output()))


def test_a_pdf_keeps_its_pages() -> None:
    document = read_document(SAMPLE / "holm-hill-report-2023.pdf", "r.pdf", 10**8)
    assert len(document.pages) == 3
    first = document.text[slice(*document.pages[0])]
    assert "97 clear nights" in first
    assert "\r" not in document.text


def test_a_web_page_is_its_article(tmp_path: Path) -> None:
    document = read_document(SAMPLE / "museum-news-fog-siren.html", "m.html", 10**8)
    assert "The siren was switched off in 1991" in document.text
    assert "cookie" not in document.text.lower()
    assert "<" not in document.text
    assert document.title == "The Old Bull sounds again"


def test_a_short_page_is_read_whole(tmp_path: Path) -> None:
    page = b"<html><title>T</title><body><script>evil()</script><p>Only a few words.</p></body></html>"
    assert read(tmp_path, "a.html", page) == "Only a few words."


def test_a_vanished_file_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="vanished"):
        read_document(tmp_path / "gone.txt", "gone.txt", 10)


def test_titles_come_from_headings_then_first_lines_then_names() -> None:
    assert plain_document("# The Tower\n\nText.", "a.md").title == "The Tower"
    assert plain_document("The Tower\n\nText.", "a.txt").title == "The Tower"
    assert plain_document("Text runs on.\nAnd on.", "annual_report-2023.txt").title == "annual report 2023"


def test_what_a_database_cannot_hold_is_replaced_one_for_one() -> None:
    assert plain_document("a\x00b\ud800c", "a.txt").text == "a\ufffdb\ufffdc"


def test_a_byte_order_mark_stays_so_that_offsets_are_those_of_the_file() -> None:
    assert decode(b"\xef\xbb\xbfhello") == "\ufeffhello"
