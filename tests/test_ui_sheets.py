"""Pages of PDFs as images, and the boxes of a quote on them: the words under the boxes are the quoted words."""

import re
from pathlib import Path

import pytest
from conftest import SAMPLE

from index.documents import read_document
from index.errors import DocumentError
from index.sentences import sentences
from ui.letters import find_words, letters
from ui.sheets import Box, _pieces, quote_boxes, sheet_png

REPORT = SAMPLE / "holm-hill-report-2023.pdf"


def words_under(path: Path, number: int, boxes: tuple[Box, ...]) -> str:
    """What pdfium itself says stands in the boxes of a page."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as pdf:
        page = pdf[number - 1]
        width, height = page.get_size()
        text = page.get_textpage()
        return " ".join(
            text.get_text_bounded(
                left=box.left * width,
                right=(box.left + box.width) * width,
                top=height - box.top * height,
                bottom=height - (box.top + box.height) * height,
            )
            for box in boxes
        )


def test_the_boxes_of_every_sentence_hold_its_words() -> None:
    document = read_document(REPORT, REPORT.name, 10**7)
    checked = 0
    for number, (first, last) in enumerate(document.pages, 1):
        for start, end in sentences(document.text[first:last]):
            quote = document.text[first + start : first + end]
            if len(letters(quote)[0]) < 8:
                continue
            boxes = quote_boxes(REPORT, number, quote)
            assert all(0 <= b.left < b.left + b.width <= 1 and 0 <= b.top < b.top + b.height <= 1 for b in boxes)
            assert letters(quote)[0] in letters(words_under(REPORT, number, boxes))[0]
            checked += 1
    assert checked > 20


def test_a_line_of_text_is_one_box() -> None:
    document = read_document(REPORT, REPORT.name, 10**7)
    text = document.text[slice(*document.pages[0])]
    line = max(text.split("\n"), key=len)
    assert len(quote_boxes(REPORT, 1, line)) == 1


def test_words_that_the_page_does_not_hold_have_no_boxes() -> None:
    assert quote_boxes(REPORT, 1, "Nothing of the kind was ever written here.") == ()
    assert quote_boxes(REPORT, 1, "§ – …") == ()


def test_a_page_becomes_a_png() -> None:
    assert sheet_png(REPORT, 1).startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("number", [0, 99])
def test_a_page_that_does_not_exist_is_said_so(number: int) -> None:
    if number:
        with pytest.raises(DocumentError, match="cannot be drawn"):
            sheet_png(REPORT, number)
    with pytest.raises(DocumentError, match="cannot be read"):
        sheet_png(Path("nowhere.pdf"), 1)


def test_a_file_that_is_no_pdf_is_said_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    with pytest.raises(DocumentError, match="cannot be drawn"):
        sheet_png(broken, 1)


def test_a_quote_in_another_order_is_found_in_pieces_near_each_other() -> None:
    page = letters("Total 12 34. Cash and equivalents 5,012 4,877. Far below: cash and such.")[0]
    quote = letters("4,877 5,012 Cash and equivalents")[0]
    found = _pieces(page, quote)
    assert "".join(page[a:b] for a, b in found) == "cashandequivalents"
    assert _pieces(page, letters("Completely different words here")[0]) == []


@pytest.mark.parametrize(
    ("text", "words", "held"),
    [
        ("| **Range** | 24 miles |", "Range 24 miles", "Range** | 24 miles"),
        ("The ﬁrst\nkeeper", "the first keeper", "The ﬁrst\nkeeper"),
        ("STRASSE 5", "Straße 5", "STRASSE 5"),
        ("nothing", "else", None),
        ("nothing", "—", None),
    ],
)
def test_words_are_found_whatever_stands_between_them(text: str, words: str, held: str | None) -> None:
    span = find_words(text, words)
    assert (text[slice(*span)] if span else None) == held


def test_letters_keep_their_places() -> None:
    text = "A–b ﬁ 9"
    held, places = letters(text)
    assert held == "abfi9"
    assert [re.sub("ﬁ", "fi", text[at]).casefold() for at in places] == ["a", "b", "fi", "fi", "9"]
