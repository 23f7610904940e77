"""What a PDF's pages look like becomes text in the order in which a person reads it. The files are made here."""

from collections.abc import Sequence

import pytest
from conftest import SHARED
from fpdf import FPDF

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.hyphens import undo_hyphens
from index.readers.page_ruler import HYPHEN, Line
from index.readers.pdf import read_pdf
from index.readers.running_lines import running_lines

LEFT = (
    "The lighthouse stands on the northern cliff and was finished in the spring of the year after long delays with "
    "the granite that came by boat from the mainland quarry each week of the summer until the harbour froze."
)
RIGHT = (
    "Meanwhile the harbour was deepened by a crew of forty men who slept in tents along the shore and were paid in "
    "silver at the end of every month by the clerk whose ledger still survives in the small museum."
)
THIRD = (
    "Nobody remembers why the weather station was built so far from the village but the keeper wrote that it had "
    "been the only place where the wind blew evenly from every side and the instruments could be trusted."
)


def wrap(text: str, width: float) -> list[str]:
    """Lines of 10-point Helvetica, as wide as they can be."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if blank().get_string_width(longer) <= width else [*lines, word]
    return lines


def blank() -> FPDF:
    pdf = FPDF(unit="pt", format="a4")
    pdf.set_font("Helvetica", size=10)
    return pdf


def page(pdf: FPDF, lines: Sequence[tuple[float, float, str]]) -> None:
    """One page with each text at (x, y) in points from its upper left corner, drawn in the order given."""
    pdf.add_page()
    for x, y, text in lines:
        pdf.text(x, y, text)


def read(pdf: FPDF, options: ReadOptions | None = None) -> Extract:
    return read_pdf(bytes(pdf.output()), options or ReadOptions())


def pages_of(extract: Extract) -> list[str]:
    return [extract.text[a:b] for a, b in extract.pages]


def row_by_row(columns: Sequence[Sequence[str]], width: float, top: float = 120) -> list[tuple[float, float, str]]:
    return [
        (50 + width * number, top + 14 * at, lines[at])
        for at in range(max(map(len, columns)))
        for number, lines in enumerate(columns)
        if at < len(lines)
    ]


@pytest.mark.parametrize("width", [170, 200])
def test_columns_that_were_drawn_row_by_row_are_read_one_by_one(width: int) -> None:
    pdf = blank()
    left, right = wrap(LEFT, width), wrap(RIGHT, width)
    title, foot = "A title over both of the columns of this page", "A caption under both of the columns of this page"
    page(pdf, [(120, 80, title), *row_by_row([left, right], 250), (120, 400, foot)])
    assert read(pdf).text.split("\n") == [title, *left, *right, foot]


def test_three_columns_are_read_one_by_one() -> None:
    pdf = blank()
    columns = [wrap(LEFT, 150), wrap(RIGHT, 150), wrap(THIRD, 150)]
    page(pdf, row_by_row(columns, 170))
    assert read(pdf).text.split("\n") == [line for column in columns for line in column]


def test_columns_on_other_baselines_are_columns_too() -> None:
    pdf = blank()
    left, right = wrap(LEFT, 200), wrap(RIGHT, 200)
    page(pdf, [(x, y + 6 * (x > 200), text) for x, y, text in row_by_row([left, right], 250)])
    assert read(pdf).text.split("\n") == [*left, *right]


def test_a_title_between_two_bands_of_columns_stays_between() -> None:
    pdf = blank()
    bands = [wrap(LEFT, 200), wrap(RIGHT, 200), wrap(THIRD, 200), wrap(LEFT, 200)]
    middle = "This title runs over both columns in the middle of the page"
    lines = [*row_by_row(bands[:2], 250), (100, 340, middle), *row_by_row(bands[2:], 250, top=380)]
    page(pdf, lines)
    assert read(pdf).text.split("\n") == [*bands[0], *bands[1], middle, *bands[2], *bands[3]]


def test_columns_that_were_drawn_one_by_one_stay_so() -> None:
    pdf = blank()
    left, right = wrap(LEFT, 200), wrap(RIGHT, 200)
    page(
        pdf, [(50, 100 + 14 * n, t) for n, t in enumerate(left)] + [(300, 100 + 14 * n, t) for n, t in enumerate(right)]
    )
    assert read(pdf).text.split("\n") == [*left, *right]


def test_a_table_is_read_row_by_row() -> None:
    pdf = blank()
    rows = [
        (f"Revenue of the {name} region", f"{n},{n}{n}0", f"({n}7)")
        for n, name in enumerate("north south east west inner outer".split(), 1)
    ]
    page(
        pdf,
        [(x, 100 + 14 * n, cell) for n, row in enumerate(rows) for x, cell in zip((50, 330, 450), row, strict=True)],
    )
    assert read(pdf).text.split("\n") == [" ".join(row) for row in rows]


def test_a_table_of_words_is_no_pair_of_columns() -> None:
    pdf = blank()
    names = ["Anna Berg", "Ewan Brough", "Priya Menon", "Tomas Eklund", "Agnes Thorburn", "Ida Moe"] * 2
    offices = [
        "Chief Financial Officer",
        "Head of Research",
        "Treasurer of the Trust",
        "Director",
        "Keeper",
        "Guide",
    ] * 2
    rows = list(zip(names, offices, strict=True))
    page(pdf, row_by_row(list(zip(*rows, strict=True)), 250))
    assert read(pdf).text.split("\n") == [" ".join(row) for row in rows]


def test_figures_a_little_lower_than_their_label_stand_on_its_line() -> None:
    pdf = blank()
    page(
        pdf,
        [
            (50, 100, "Cost of goods sold"),
            (50, 114, "Proceeds from sale of businesses"),
            (300, 118, "846"),
            (360, 118, "1,065"),
            (50, 132, "Other"),
        ],
    )
    assert read(pdf).text == "Cost of goods sold\nProceeds from sale of businesses 846 1,065\nOther"


def test_the_lines_of_a_cell_stand_on_the_line_of_its_row() -> None:
    pdf = blank()
    page(pdf, [(50, 60, "A line over the whole width of the page so that the cells below are narrow."),
               (300, 100, "December 2,"), (310, 111, "2022"), (400, 100, "December 3,"), (410, 111, "2021"),
               (50, 130, "Net income"), (310, 130, "4,756"), (410, 130, "4,822")])  # fmt: skip
    assert read(pdf).text.split("\n")[1:] == ["December 2, 2022 December 3, 2021", "Net income 4,756 4,822"]


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_table_is_read_row_by_row(angle: int) -> None:
    pdf = blank()
    pdf.add_page()
    with pdf.rotation(angle, 300, 400):
        for n, (label, value) in enumerate([("Sales", "12"), ("Costs", "34"), ("Profit", "56")]):
            pdf.text(250, 400 + 14 * n, label)
            pdf.text(400, 403 + 14 * n, value)
    assert read(pdf).text == "Sales 12\nCosts 34\nProfit 56"


def report(number: int, count: int, header: str, footer: str, body: str = "") -> list[tuple[float, float, str]]:
    body = body or f"What page {number} of the report has to say is found nowhere else, not even the word w{number}x."
    return [(50, 40, header), (50, 200, body), (50, 214, "The same last line of text."), (280, 800, footer)]


def test_headers_footers_and_page_numbers_go_but_the_first() -> None:
    pdf = blank()
    for number in range(1, 7):
        page(pdf, report(number, 6, "Holm Hill Annual Report", f"Page {number} of 6"))
    texts = pages_of(read(pdf))
    assert [text.count("Holm Hill Annual Report") for text in texts] == [1, 0, 0, 0, 0, 0]
    assert not any("of 6" in text for text in texts)
    assert all(f"w{number}x" in text for number, text in enumerate(texts, 1))


def test_headers_of_left_and_right_pages_go() -> None:
    pdf = blank()
    for number in range(1, 13):
        header = f"{number} Holm Hill" if number % 2 else f"The Keepers' Years {number}"
        page(pdf, report(number, 12, header, ""))
    texts = pages_of(read(pdf))
    assert texts[0].startswith("1 Holm Hill")
    assert texts[1].startswith("The Keepers' Years 2")
    assert all(text.startswith("What page") for text in texts[2:])


def test_roman_numbers_and_numbers_between_dashes_count_up_with_the_pages() -> None:
    pdf = blank()
    for number, footer in enumerate(["iii", "iv", "v", "vi", "- 1 -", "- 2 -", "- 3 -"], 1):
        page(pdf, [(50, 200, f"Text of page w{number}x."), (280, 800, footer)])
    assert pages_of(read(pdf)) == [f"Text of page w{number}x." for number in range(1, 8)]


def test_lone_numbers_that_do_not_count_up_with_the_pages_stay() -> None:
    pdf = blank()
    for number, footer in enumerate(["12", "7", "40", "3"], 1):
        page(pdf, [(50, 200, f"Text of page w{number}x."), (280, 800, footer)])
    assert [text.split("\n")[-1] for text in pages_of(read(pdf))] == ["12", "7", "40", "3"]


def test_years_over_pages_of_figures_are_no_page_numbers() -> None:
    pdf = blank()
    for year in (2019, 2020, 2021):
        page(pdf, [(50, 40, str(year)), (50, 200, f"Rain of {year}: {year % 7} mm")])
    assert [text.split("\n")[0] for text in pages_of(read(pdf))] == ["2019", "2020", "2021"]


def test_in_two_pages_nothing_is_a_header_except_page_1_of_2() -> None:
    pdf = blank()
    for number in (1, 2):
        page(pdf, report(number, 2, "Holm Hill Annual Report", f"Page {number} of 2"))
    texts = pages_of(read(pdf))
    assert all(text.startswith("Holm Hill Annual Report\n") for text in texts)
    assert not any("of 2" in text for text in texts)


def test_a_line_that_occurs_once_stays() -> None:
    pdf = blank()
    page(pdf, [(50, 40, "Page 1 of 1"), (50, 200, "Only page.")])
    assert read(pdf).text == "Page 1 of 1\nOnly page."


def test_a_table_header_in_the_middle_of_every_page_stays() -> None:
    pdf = blank()
    for number in range(1, 6):
        lines = [
            (50, 40, f"Section w{number}x"),
            (50, 60, "Intro"),
            (50, 80, "Month Rain Sun"),
            (50, 94, f"May {number * 3} {number * 5}"),
        ]
        page(pdf, [*lines, *((50, 400 + 14 * n, f"Tail w{number}x{n}") for n in range(5))])
    assert all("Month Rain Sun" in text for text in pages_of(read(pdf)))


def test_numbers_that_mean_something_keep_lines_apart() -> None:
    heads = ["Case 4711", "Case 17", "Case 903", *(f"Invoice {number}" for number in range(1004, 1010))]
    lines = [[Line(head, 50, 100, 800, 10), Line(f"Text of {head}", 50, 100, 400, 10)] for head in heads]
    assert running_lines(lines) == [set()] * 9


@pytest.mark.parametrize(
    ("page", "whole"),
    [
        (f"the light{HYPHEN}\nhouse stands. A lighthouse.", "the lighthouse\nstands. A lighthouse."),
        (f"a well{HYPHEN}\nknown rock, as well-known as any", "a well-known\nrock, as well-known as any"),
        (f"COVID{HYPHEN}\n19 came", "COVID-19\ncame"),
        (f"a state-of-the{HYPHEN}\nart lamp", "a state-of-the-art\nlamp"),
        ("the kee-\nper left", "the keeper\nleft"),
        ("Net sales -\nCost 4-\n5", "Net sales -\nCost 4-\n5"),
        (f"ends{HYPHEN}", "ends-"),
    ],
)
def test_words_broken_at_line_ends_are_made_whole(page: str, whole: str) -> None:
    assert undo_hyphens([page]) == [whole]


def test_what_is_known_of_a_word_comes_from_all_pages() -> None:
    assert undo_hyphens(["a deep-\nsea cable", "the deep-sea cable"]) == ["a deep-sea\ncable", "the deep-sea cable"]


def test_hyphens_of_a_file_are_undone() -> None:
    pdf = blank()
    page(pdf, [(50, 100, "The keeper of the old light-"), (50, 114, "house left. Nobody runs the lighthouse.")])
    assert read(pdf).text == "The keeper of the old lighthouse\nleft. Nobody runs the lighthouse."


def test_ligatures_soft_hyphens_and_odd_spaces_become_plain() -> None:
    from index.readers.pdf import _tidy

    assert (
        _tidy("ﬁnal oﬃce\u00a0ﬂoor \u2009 a\u00adb \u200bc\0d\n \n e ²½ \ud83d\ude00")
        == "final office floor ab cd\ne ²½ 😀"
    )


def encrypted(**passwords: str) -> FPDF:
    pdf = blank()
    page(pdf, [(50, 100, "Secret words")])
    pdf.set_encryption(**passwords)
    return pdf


def test_an_encrypted_file_asks_for_its_password() -> None:
    pdf = encrypted(owner_password="o", user_password="u")
    with pytest.raises(DocumentError, match=r"the PDF is encrypted; set pdf_password .*RAG_PDF_PASSWORD"):
        read(pdf)
    with pytest.raises(DocumentError, match="the password that is set does not open it"):
        read(encrypted(owner_password="o", user_password="u"), ReadOptions(password="wrong"))
    assert read(encrypted(owner_password="o", user_password="u"), ReadOptions(password="u")).text == "Secret words"


def test_a_password_that_only_guards_editing_is_not_asked_for() -> None:
    assert read(encrypted(owner_password="o")).text == "Secret words"
    assert read(encrypted(owner_password="o"), ReadOptions(password="another")).text == "Secret words"


def test_pages_without_text_are_counted_and_all_empty_is_an_error() -> None:
    pdf = blank()
    page(pdf, [(50, 100, "Words")])
    page(pdf, [])
    extract = read(pdf)
    assert (extract.meta["pages"], extract.meta["pages_without_text"]) == (2, 1)
    assert pages_of(extract) == ["Words", ""]
    scan = blank()
    for _ in range(12):
        scan.add_page()
        scan.rect(50, 50, 200, 200, style="F")
    with pytest.raises(
        DocumentError, match=r"^12 pages hold no text; run OCR \(for example ocrmypdf\) and sync again$"
    ):
        read(scan)


def test_numbers_stamped_on_scans_are_no_text() -> None:
    pdf = blank()
    for number in range(1, 5):
        page(pdf, [(280, 800, str(number))])
    with pytest.raises(DocumentError, match="4 pages hold no text"):
        read(pdf)


def test_title_author_and_date_are_those_of_the_file() -> None:
    import datetime

    pdf = blank()
    page(pdf, [(50, 100, "Words")])
    pdf.set_title("The Keepers of Holm Hill")
    pdf.set_author("Agnes Thorburn")
    pdf.set_creation_date(datetime.datetime(2023, 4, 5, tzinfo=datetime.UTC))
    extract = read(pdf)
    assert extract.title == "The Keepers of Holm Hill"
    assert extract.meta == {"pages": 1, "author": "Agnes Thorburn", "date": "2023-04-05"}


@pytest.mark.parametrize(
    ("raw", "iso"),
    [("D:20230117185754Z", "2023-01-17"), ("D:2021", "2021"), ("D:20211340", ""), ("soon", ""), ("", "")],
)
def test_dates_are_iso_as_precise_as_known(raw: str, iso: str) -> None:
    from index.readers.pdf import _iso_date

    assert _iso_date(raw) == iso


def test_tool_made_titles_are_dropped() -> None:
    pdf = blank()
    page(pdf, [(50, 100, "Words")])
    pdf.set_title("0001018724-18-000005")
    assert read(pdf).title == ""


def raw_pdf(*objects: str) -> bytes:
    """A file with these objects, numbered from 1, the first being the catalog; no cross-reference table."""
    body = "".join(f"{number} 0 obj {content} endobj\n" for number, content in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer << /Root 1 0 R /Size {len(objects) + 1} >>\n".encode()


CONTENT = "<< /Length 44 >> stream\nBT /F 12 Tf 72 700 Td (Words) Tj ET           \nendstream"
FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox {} /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>"


@pytest.mark.parametrize("box", ["[0 0 612 792]", "[0 0 1e38 1e38]", "[0 0 0 0]", "[9 9 -9 (x)]"])
def test_a_page_of_any_size_in_a_file_without_cross_references_is_read(box: str) -> None:
    data = raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        PAGE.format(box),
        CONTENT,
        FONT,
    )
    assert read_pdf(data, ReadOptions()).text == "Words"


def test_claimed_pages_that_are_not_there_are_not_counted() -> None:
    data = raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 100000 >>",
        PAGE.format("[0 0 9 9]"),
        CONTENT,
        FONT,
    )
    extract = read_pdf(data, ReadOptions())
    assert (extract.text, extract.pages) == ("Words", ((0, 5),))


@pytest.mark.parametrize("kids", ["[2 0 R]", "[1 0 R]", "[]", "[99 0 R]"])
def test_a_page_tree_that_bites_its_tail_is_an_error(kids: str) -> None:
    data = raw_pdf("<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids {kids} /Count 3 >>")
    with pytest.raises(DocumentError):
        read_pdf(data, ReadOptions())


def test_a_damaged_file_gives_text_or_a_document_error() -> None:
    import random

    pdf = blank()
    for number in range(1, 4):
        page(pdf, report(number, 3, "Holm Hill Annual Report", f"Page {number} of 3"))
    whole = bytes(pdf.output())
    dice = random.Random(7)
    outcomes = {"text": 0, "error": 0}
    for _ in range(150):
        data = bytearray(whole[: dice.choice([len(whole), dice.randrange(len(whole))])])
        for _ in range(dice.randrange(40)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            extract = read_pdf(bytes(data), ReadOptions())
        except DocumentError:
            outcomes["error"] += 1
        else:
            outcomes["text"] += 1
            assert all(0 <= a <= b <= len(extract.text) for a, b in extract.pages)
    assert min(outcomes.values()) > 5


@pytest.mark.skipif(not (SHARED / "financebench").is_dir(), reason="needs the shared financial filings")
@pytest.mark.parametrize(
    ("name", "number", "rows"),
    [
        ("3M_2018_10K.pdf", 60, ["Proceeds from sale of businesses, net of cash sold 846 1,065 142"]),
        (
            "ADOBE_2022_10K.pdf",
            54,
            ["December 2, 2022 December 3, 2021 November 27, 2020", "Total revenue 17,606 15,785 12,868"],
        ),
        (
            "BLOCK_2020_10K.pdf",
            86,
            ["Gain on sale of asset group — (373,445) —", "Interest expense, net 56,943 21,516 17,982"],
        ),
    ],
)
def test_rows_of_real_filings_are_lines(name: str, number: int, rows: list[str]) -> None:
    lines = pages_of(read_pdf((SHARED / "financebench" / "docs" / name).read_bytes(), ReadOptions()))[number - 1].split(
        "\n"
    )
    assert [row for row in rows if row not in lines] == []


def test_characters_beyond_the_basic_plane_do_not_shift_what_follows() -> None:
    cmap = "/CMapName /X def 1 begincodespacerange <00> <FF> endcodespacerange 1 beginbfchar <57> <D83DDE00> endbfchar"
    data = raw_pdf(
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        PAGE.format("[0 0 612 792]"),
        "<< /Length 99 >> stream\nBT /F 12 Tf 72 700 Td (WWW WW) Tj 200 0 Td (12) Tj -200 -20 Td (B) Tj ET\nendstream",
        FONT.replace(">>", "/ToUnicode 6 0 R >>"),
        f"<< /Length {len(cmap)} >> stream\n{cmap}\nendstream",
    )
    assert read_pdf(data, ReadOptions()).text == "😀😀😀 😀😀 12\nB"
