"""The source panel: the quoted words are marked, whatever they lie in, and nothing of the document is markup."""

import html as html_entities
import re
import shutil
from pathlib import Path

import pytest
from conftest import SAMPLE, WordHash

from index.documents import Document, plain_document, read_document
from index.sentences import sentences
from rag import Rag
from ui.viewer import WINDOW, Place, opened, shelf, source


def marked(html: str) -> str:
    """The words inside <mark>, letters and digits only: drawing leaves out signs and joins lines."""
    return letters("".join(re.findall(r"<mark[^>]*>(.*?)</mark>", html, re.DOTALL)))


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, html_entities.unescape(re.sub(r"<[^>]+>", "", text))))


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", embedder=words)
    kb.sync(folder)
    return kb


@pytest.mark.parametrize("path", sorted(SAMPLE.iterdir()), ids=lambda path: path.name)
def test_every_sentence_of_the_sample_documents_can_be_marked(path: Path) -> None:
    document = read_document(path, path.name, 10**7)
    for start, end in sentences(document.text):
        quote = document.text[start:end]
        if any(map(str.isalnum, quote)):
            assert marked(source(document, Place("", start, end))) == letters(quote)


def test_the_text_is_escaped_and_its_markdown_links_and_images_stay_text() -> None:
    text = (
        "<script>alert(1)</script>\n\n![x](http://evil.example) <img src=x onerror=alert(1)> [a](javascript:b) & \"'\n"
    )
    page = source(plain_document(text, "evil<b>.md"), Place("", 3, 12))
    assert set(re.findall(r"<([a-z0-9]+)", page)) <= {"header", "button", "h2", "span", "div", "p", "mark"}
    assert "![x](http://evil.example) &lt;img src=x onerror=alert(1)&gt; [a](javascript:b)" in page


def test_headings_lists_and_tables_of_markdown_are_drawn() -> None:
    text = "# Fares\n\n- a *dog*\n- a cat\n\n| who | price |\n|-----|-------|\n| car | £62 |\n"
    page = source(plain_document(text, "fares.md"), Place("", text.index("car"), text.index("car") + 9))
    for part in ('<h3 class="level-1">Fares</h3>', "<li>a <em>dog</em></li>", "<td> who </td>", "<mark>car </mark>"):
        assert part in page
    assert "---" not in page


def test_code_numbers_and_quotations_of_markdown_are_drawn_and_marked() -> None:
    text = "1. First <b>\n2. Second\n\n> Said *so*.\n\n```python\nx = 1 < 2\n\n  y = **z**\n```\nAfter.\n"
    page = source(plain_document(text, "a.md"), Place("", text.index("y ="), text.index("y =") + 9))
    for part in (
        '<ul class="numbers"><li>1. First &lt;b&gt;</li><li>2. Second</li></ul>',
        "<blockquote><p>Said <em>so</em>.</p></blockquote>",
        "<pre>x = 1 &lt; 2\n\n  <mark>y = **z**</mark>\n</pre>",
        "<p>After.</p>",
    ):
        assert part in page


def test_a_pdf_is_shown_as_its_page_with_the_quote_in_a_box(kb: Rag, folder: Path) -> None:
    shutil.copy(SAMPLE / "holm-hill-report-2023.pdf", folder)
    kb.sync(folder)
    document = kb.document("holm-hill-report-2023.pdf")
    start, end = sentences(document.text[slice(*document.pages[1])])[0]
    start, end = start + document.pages[1][0], end + document.pages[1][0]
    page = opened(kb, [document.doc, str(start), str(end), ""])
    assert 'src="sheet?doc=holm-hill-report-2023.pdf&amp;page=2&amp;v=' in page
    assert page.count('class="box"') >= 1
    assert "Quoted on this page: " in page
    assert 'href="file?doc=holm-hill-report-2023.pdf"' in page
    turned = opened(kb, [document.doc, str(start), str(end), str(document.pages[0][0])])
    assert "page=1&amp;" in turned
    assert 'class="box"' not in turned
    text = opened(kb, [document.doc, str(start), str(end), "", "text"])
    assert marked(text) == letters(document.text[start:end])
    assert 'data-look="page"' in text


def test_without_its_file_a_pdf_is_shown_as_text(kb: Rag, folder: Path) -> None:
    shutil.copy(SAMPLE / "holm-hill-report-2023.pdf", folder)
    kb.sync(folder)
    (folder / "holm-hill-report-2023.pdf").unlink()
    assert "<img" not in opened(kb, ["holm-hill-report-2023.pdf", "0", "30", ""])


def test_a_broken_pdf_says_that_its_page_cannot_be_drawn(kb: Rag, folder: Path) -> None:
    shutil.copy(SAMPLE / "holm-hill-report-2023.pdf", folder)
    kb.sync(folder)
    (folder / "holm-hill-report-2023.pdf").write_bytes(b"%PDF-1.7 nothing")
    assert "cannot be drawn" in opened(kb, ["holm-hill-report-2023.pdf", "0", "30", ""])


def test_a_page_of_the_web_leads_to_its_address_and_to_no_other_kind() -> None:
    web = plain_document("Text.", "https://example.org/a", {"url": "https://example.org/a?b=1&c=2"})
    link = '<a class="plain" href="https://example.org/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer"'
    assert link in source(web, Place(""))
    evil = plain_document("Text.", "a.md", {"url": "javascript:alert(1)", "kind": "md"})
    assert "javascript" not in source(evil, Place(""))


def test_plain_text_keeps_its_signs() -> None:
    assert "# 1 *not* | markup" in source(plain_document("# 1 *not* | markup", "notes.txt"), Place(""))


def test_of_a_long_text_only_a_window_is_drawn_and_can_be_moved() -> None:
    text = "".join(f"Line {number} of the long book.\n\n" for number in range(10_000))
    start = text.index("Line 5000 ")
    page = source(plain_document(text, "book.txt"), Place("", start, start + 9))
    assert marked(page) == "Line5000"
    assert len(page) < 5 * WINDOW
    assert "characters before" in page
    assert "characters after" in page
    later = int(re.findall(r'aria-label="Later"[^>]*data-at="(\d+)"', page)[0])
    moved = source(plain_document(text, "book.txt"), Place("", start, start + 9, later))
    assert "<mark" not in moved
    assert f'aria-label="To the quote" data-doc="book.txt" data-start="{start}"' in moved


def test_a_paged_document_shows_the_page_of_the_quote_and_turns() -> None:
    text = "First page.\nSecond page.\nThird page."
    paged = Document("a.pdf", text, ((0, 11), (12, 24), (25, 36)), "A", "", {"kind": "pdf"})
    page = source(paged, Place("", 12, 24))
    assert marked(page) == "Secondpage"
    assert "First" not in page
    assert 'aria-label="page 2 of 3"' in page
    assert re.search(r'aria-label="Later"[^>]*data-at="25"', page)
    assert "Third page" in source(paged, Place("", 12, 24, 25))


def test_a_page_without_text_says_so() -> None:
    assert "holds no text" in source(
        Document("scan.pdf", "x", ((0, 0), (1, 1)), "Scan", "", {"kind": "pdf"}), Place("", 1, 1)
    )


def test_a_span_outside_the_text_marks_what_there_is() -> None:
    document = plain_document("Short.", "a.txt")
    assert marked(source(document, Place("", -5, 999))) == "Short"
    assert "<mark" not in source(document, Place("", 50, 60))
    assert "<mark" not in source(document, Place("", 4, 2))


def test_a_whole_passage_is_marked_paler() -> None:
    assert '<mark class="long">' in source(plain_document("word " * 200, "a.txt"), Place("", 0, 900))


def test_the_library_lists_documents_and_says_how_to_add_some(kb: Rag) -> None:
    page = shelf(kb.documents())
    assert "3 documents" in page
    assert 'data-doc="sub/birds.txt"' in page
    assert "The tower" in page
    assert "rag sync FOLDER" in shelf([])


def test_a_click_opens_the_span(kb: Rag) -> None:
    at = kb.document("tower.md").text.index("It is 34")
    assert marked(opened(kb, ["tower.md", str(at), str(at + 21), ""])) == "Itis34metreshigh"


@pytest.mark.parametrize("place", [["no.md"], ["\ud800"], [{"a": 1}], [7, 8], 3.5, True])
def test_a_place_that_does_not_exist_is_said_so(kb: Rag, place: object) -> None:
    assert "There is no document" in opened(kb, place)


@pytest.mark.parametrize("place", [[], [""], None, "", {}, [None, None]])
def test_an_empty_place_is_the_shelf(kb: Rag, place: object) -> None:
    assert "3 documents" in opened(kb, place)


@pytest.mark.parametrize("place", [["tower.md", "x", [], {}], ["tower.md", float("inf"), 1e400, -1], ["tower.md"] * 9])
def test_numbers_that_are_none_are_left_out(kb: Rag, place: object) -> None:
    assert "Ewan Brough" in opened(kb, place)
