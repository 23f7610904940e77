"""Word, PowerPoint and Excel files, written by the libraries that people's scripts use, and hostile ones."""

import datetime
import io
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from openpyxl.styles import Font
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from index.documents import document_of
from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.archive import open_zip
from index.readers.formats import shown
from index.readers.sheets import read_xlsx
from index.readers.slides import read_pptx
from index.readers.word import read_docx

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
READ = {".docx": read_docx, ".pptx": read_pptx, ".xlsx": read_xlsx}


def saved(file: Any) -> bytes:
    out = io.BytesIO()
    file.save(out)
    return out.getvalue()


def word(file: Any) -> Extract:
    return read_docx(saved(file), ReadOptions())


def append(document: Any, xml: str) -> None:
    """A paragraph or table in raw WordprocessingML before the section's end."""
    document.element.body.insert_element_before(parse_xml(xml.replace(">", f" {W}>", 1)), "w:sectPr")


def rezipped(data: bytes, change: Callable[[str, bytes], bytes | None], add: dict[str, bytes] | None = None) -> bytes:
    """A copy of a container with its members changed, left out (None) or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed is not None:
                new.writestr(name, changed)
        for name, content in (add or {}).items():
            new.writestr(name, content)
    return out.getvalue()


def sample(suffix: str) -> bytes:
    if suffix == ".docx":
        document = docx.Document()
        document.add_paragraph("Some words.")
        return saved(document)
    if suffix == ".pptx":
        deck = pptx.Presentation()
        deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "Some words"
        return saved(deck)
    book = openpyxl.Workbook()
    book.active["A1"] = "Some words"
    return saved(book)


# Word


def test_a_report_keeps_its_structure_in_order() -> None:
    file = docx.Document()
    file.core_properties.title, file.core_properties.author = "Harbour report 2023", "Ada Byron"
    file.core_properties.modified = datetime.datetime(2024, 3, 1, 12)
    file.add_heading("Harbour report", 0)
    file.add_heading("Results", 1)
    paragraph = file.add_paragraph("Revenue grew by ")
    paragraph.add_run("12%").bold = True
    paragraph.add_run(" to €4.2 million.")
    file.add_paragraph("Berths", style="List Bullet")
    file.add_paragraph("Cranes", style="List Bullet")
    file.add_paragraph("Dredge", style="List Number")
    file.add_paragraph("Build", style="List Number")
    table = file.add_table(rows=2, cols=3)
    for row, texts in zip(table.rows, (("Berth", "2022", "2023"), ("A | B", "1.1", "1.4")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    file.add_heading("Outlook", 2)
    file.add_paragraph("We expect more.")
    extract = word(file)
    assert extract.text == (
        "# Harbour report\n\n# Results\n\nRevenue grew by 12% to €4.2 million.\n\n"
        "- Berths\n- Cranes\n1. Dredge\n2. Build\n\n"
        "- Berth: A | B; 2022: 1.1; 2023: 1.4\n\n## Outlook\n\nWe expect more."
    )
    assert (extract.title, extract.meta) == ("Harbour report 2023", {"author": "Ada Byron", "date": "2024-03-01"})


def test_headings_are_known_by_their_outline_level_in_any_language() -> None:
    file = docx.Document()
    own = file.styles.add_style("Kapitel", 1)
    own.base_style = file.styles["Heading 2"]
    file.add_paragraph("Ergebnisse", style="Kapitel")
    append(file, '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Umsatz</w:t></w:r></w:p>')
    assert word(file).text == "## Ergebnisse\n\n### Umsatz"
    assert word(file).title == "Ergebnisse"


def test_what_nobody_sees_is_left_out_and_what_stands_in_a_box_or_link_is_not() -> None:
    file = docx.Document()
    file.sections[0].header.paragraphs[0].text = "Page header"
    append(
        file,
        '<w:p><w:r><w:t xml:space="preserve">Due in </w:t></w:r><w:del><w:r><w:delText>May</w:delText></w:r></w:del>'
        "<w:ins><w:r><w:t>June</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>SECRET</w:t></w:r>"
        '<w:hyperlink><w:r><w:t xml:space="preserve"> at the quay</w:t></w:r></w:hyperlink>'
        "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>",
    )
    assert word(file).text == "Due in June at the quay\n\nIn a box."


def test_numbers_of_headings_and_lists_are_counted_as_word_counts() -> None:
    file = docx.Document()
    numbering = file.part.numbering_part.element
    levels = "".join(
        f'<w:lvl w:ilvl="{at}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for at, (form, text) in enumerate((("decimal", "%1"), ("decimal", "%1.%2"), ("lowerLetter", "%3)")))
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {W} w:abstractNumId="77">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {W} w:numId="99"><w:abstractNumId w:val="77"/></w:num>'))
    for style, depth, text in (("Heading1", 0, "Scope"), ("Heading2", 1, "Aim"), ("Heading2", 1, "Limits"),
                               ("Normal", 2, "cost"), ("Normal", 2, "time"), ("Heading1", 0, "Method")):  # fmt: skip
        append(
            file,
            f'<w:p><w:pPr><w:pStyle w:val="{style}"/><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="99"/></w:numPr>'
            f"</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>",
        )
    assert word(file).text == "# 1 Scope\n\n## 1.1 Aim\n\n## 1.2 Limits\n\n    a) cost\n    b) time\n\n# 2 Method"


def test_rows_of_a_table_name_their_columns_only_where_a_header_is_sure() -> None:
    def rows(texts: tuple[tuple[str, ...], ...], bold: bool = False) -> str:
        file = docx.Document()
        table = file.add_table(rows=len(texts), cols=len(texts[0]))
        for row, line in zip(table.rows, texts, strict=True):
            for cell, text in zip(row.cells, line, strict=True):
                cell.paragraphs[0].add_run(text).bold = bold and line is texts[0]
        return word(file).text

    pairs = (("Client", "Acme Ltd"), ("Project", "North pier"))
    assert rows(pairs) == "| Client | Acme Ltd |\n| Project | North pier |"
    assert rows((("Item", "Budget (EUR)"), ("Pumps", "18,400"))) == "- Item: Pumps; Budget (EUR): 18,400"
    posts = (("Post", "Name"), ("chair", "Jane Roe"), ("clerk", "Per Dahl"))
    assert rows(posts).startswith("| Post | Name |\n")
    assert rows(posts, bold=True) == "- Post: chair; Name: Jane Roe\n- Post: clerk; Name: Per Dahl"


def test_merged_and_nested_cells_leave_readable_rows() -> None:
    file = docx.Document()
    table = file.add_table(rows=3, cols=2)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "North"
    table.cell(0, 1).text = "Oslo"
    inner = table.cell(1, 1).add_table(2, 2)
    for at, text in enumerate(("depth", "12 m", "length", "90 m")):
        inner.cell(at // 2, at % 2).text = text
    table.cell(2, 0).merge(table.cell(2, 1)).text = "All of it"
    assert word(file).text == "| North | Oslo |\n| North | depth: 12 m; length: 90 m |\n| All of it |  |"


def test_a_table_that_only_lays_out_a_page_is_no_table() -> None:
    file = docx.Document()
    cell = file.add_table(rows=1, cols=1).cell(0, 0)
    cell.text = "First paragraph."
    cell.add_paragraph("Second paragraph.")
    assert word(file).text == "First paragraph.\n\nSecond paragraph."


def test_a_note_follows_the_paragraph_that_refers_to_it() -> None:
    file = docx.Document()
    append(file, '<w:p><w:r><w:t>It grew.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>')
    file.add_paragraph("Then it shrank.")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    # The second note refers to itself, as only a hostile file does.
    notes = (
        f'<w:footnotes {W}><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote><w:footnote w:id="2"><w:p><w:r>'
        '<w:t>Without tax.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p></w:footnote></w:footnotes>'
    ).encode()

    def relate(name: str, content: bytes) -> bytes:
        if name == "word/_rels/document.xml.rels":
            link = f'<Relationship Id="rId900" Type="{kind}" Target="footnotes.xml"/></Relationships>'
            return content.replace(b"</Relationships>", link.encode())
        return content

    data = rezipped(saved(file), relate, {"word/footnotes.xml": notes})
    assert read_docx(data, ReadOptions()).text == "It grew.\n\nNote 1: Without tax.\n\nThen it shrank."


def test_code_keeps_its_lines_and_indents() -> None:
    file = docx.Document()
    file.styles.add_style("Source Code", 1)
    file.add_paragraph("Type this:")
    for line in ("for x in y:", "    # show", "    print(x)"):
        file.add_paragraph(line, style="Source Code")
    assert word(file).text == "Type this:\n\n```\nfor x in y:\n    # show\n    print(x)\n```"


def test_a_file_without_core_properties_claims_no_date() -> None:
    def bare(name: str, content: bytes) -> bytes | None:
        return None if name == "docProps/core.xml" else re.sub(rb"<Relationship [^>]*core-prop[^>]*/>", b"", content)

    extract = read_docx(rezipped(sample(".docx"), bare), ReadOptions())
    assert (extract.text, extract.title, extract.meta) == ("Some words.", "", {})


# PowerPoint


def test_a_deck_is_a_page_a_slide() -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "Harbour plan", "Board meeting"
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text = "Where we stand"
    frame = second.placeholders[1].text_frame
    frame.text = "Dredging is late"
    deeper = frame.add_paragraph()
    deeper.text, deeper.level = "By two weeks", 1
    second.notes_slide.notes_text_frame.text = "Mention the storm."
    extract = read_pptx(saved(deck), ReadOptions())
    assert [extract.text[a:b] for a, b in extract.pages] == [
        "# Harbour plan\n\nBoard meeting",
        "# Where we stand\n\n- Dredging is late\n  - By two weeks\n\nNotes: Mention the storm.",
    ]
    assert (extract.title, extract.meta["pages"]) == ("Harbour plan", 2)


def test_shapes_are_read_from_top_to_bottom_and_left_to_right() -> None:
    deck = pptx.Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes

    def box(to: Any, x: float, y: float, text: str) -> None:
        to.add_textbox(Inches(x), Inches(y), Inches(2), Inches(1)).text_frame.text = text

    box(shapes, 1, 6, "bottom")
    box(shapes, 5, 1, "right")
    box(shapes, 1, 1.05, "left")  # a little lower, yet in the same line
    group = shapes.add_group_shape()
    box(group.shapes, 3, 3, "group right")
    box(group.shapes, 1, 3, "group left")
    assert read_pptx(saved(deck), ReadOptions()).text.split("\n\n") == [
        "left", "right", "group left", "group right", "bottom",
    ]  # fmt: skip


def test_tables_and_charts_become_rows() -> None:
    deck = pptx.Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    table = shapes.add_table(3, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for at, text in enumerate(("Berth", "Ship", "A", "Fulmar", "A", "Tern")):
        table.cell(at // 2, at % 2).text = text
    table.cell(2, 0).text = ""
    table.cell(1, 0).merge(table.cell(2, 0))
    data = CategoryChartData()
    data.categories = ["2022", "2023"]
    data.add_series("Ships", (10, 20.1))
    shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(4), Inches(5), Inches(3), data)
    assert read_pptx(saved(deck), ReadOptions()).text == (
        "| Berth | Ship |\n| A | Fulmar |\n| A | Tern |\n\n- 2022; Ships: 10\n- 2023; Ships: 20.1"
    )


# Excel


def sheet_text(fill: Callable[[Any], None]) -> str:
    book = openpyxl.Workbook()
    book.active.title = "S"
    fill(book.active)
    return read_xlsx(saved(book), ReadOptions()).text.removeprefix("# S\n\n")


def test_each_row_says_the_names_of_its_columns() -> None:
    def fill(sheet: Any) -> None:
        for row in (("Population of Europe",), (), ("Country", "Capital", "People", "Share", "Since"),
                    ("France", "Paris", 68_000_000, 0.255, datetime.date(1958, 10, 4)),
                    ("Nordics",),
                    ("Norway", None, 5_400_000, 0.02, datetime.datetime(1914, 5, 17, 10, 30))):  # fmt: skip
            sheet.append(row)
        for row in (4, 6):
            sheet.cell(row, 3).number_format, sheet.cell(row, 4).number_format = "#,##0", "0%"

    assert sheet_text(fill) == (
        "## Population of Europe\n\n"
        "- Country: France; Capital: Paris; People: 68,000,000; Share: 26%; Since: 1958-10-04\n\n### Nordics\n\n"
        "- Country: Norway; People: 5,400,000; Share: 2%; Since: 1914-05-17 10:30"
    )


def test_merged_names_stand_before_the_names_below_and_merged_rows_are_said_again() -> None:
    def fill(sheet: Any) -> None:
        for row in ((None, "2022", None, "2023", None), ("Region", "H1", "H2", "H1", "H2"),
                    ("North", 1, 2, 3, 4), (None, 5, 6, 7, 8)):  # fmt: skip
            sheet.append(row)
        for cells in ("B1:C1", "D1:E1", "A3:A4"):
            sheet.merge_cells(cells)

    assert sheet_text(fill) == (
        "- Region: North; 2022 H1: 1; 2022 H2: 2; 2023 H1: 3; 2023 H2: 4\n"
        "- Region: North; 2022 H1: 5; 2022 H2: 6; 2023 H1: 7; 2023 H2: 8"
    )


def test_a_sheet_of_facts_has_no_header_unless_it_is_marked() -> None:
    rows = [("Company", "Acme Ltd"), ("Chair", "Jane Roe"), ("Town", "Skarn")]

    def plain(sheet: Any) -> None:
        for row in rows:
            sheet.append(row)

    def bold(sheet: Any) -> None:
        plain(sheet)
        for cell in sheet[1]:
            cell.font = Font(bold=True)

    assert sheet_text(plain) == "| Company | Acme Ltd |\n| Chair | Jane Roe |\n| Town | Skarn |"
    assert sheet_text(bold) == "- Company: Chair; Acme Ltd: Jane Roe\n- Company: Town; Acme Ltd: Skarn"


def test_hidden_sheets_are_left_out_and_formulas_show_what_excel_computed() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Item", "Price"])
    book.active.append(["Rope", "=1+1"])
    hidden = book.create_sheet("Secrets")
    hidden.append(["password"])
    hidden.sheet_state = "hidden"

    def computed(name: str, content: bytes) -> bytes:
        return re.sub(rb"<f>1\+1</f><v ?/?>(</v>)?", b"<f>1+1</f><v>2</v>", content)

    extract = read_xlsx(rezipped(saved(book), computed), ReadOptions())
    assert extract.text == "# Sheet\n\n- Item: Rope; Price: 2"
    assert extract.meta["sheets"] == 1


def test_two_cells_at_the_far_ends_of_a_sheet_are_two_rows() -> None:
    def fill(sheet: Any) -> None:
        sheet["A1"] = "first"
        sheet["XFD1048576"] = "last"

    assert sheet_text(fill) == "## first\n\n## last"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.25, "0%", "25%"),
        (0.285, "0.0%", "28.5%"),
        (1234567.5, "#,##0.00", "1,234,567.50"),
        (-99, "#,##0.00;(#,##0.00)", "(99.00)"),
        (-3.2, "0.0", "-3.2"),
        (12.5, '"USD" 0.00', "USD 12.50"),
        (12.5, "[$€-407] #,##0.00", "€ 12.50"),
        (2_500_000, '0.0,,"M"', "2.5M"),
        (0, '0;-0;"none"', "none"),
        (7, "000", "007"),
        (0.1 + 0.2, "General", "0.3"),
        (3.0, "General", "3"),
        (12345.678, "0.00E+00", "1.23E+04"),
        (1.5, "# ?/?", "1.5"),
        (True, "General", "TRUE"),
        (datetime.datetime(2024, 3, 1), "mmm yyyy", "2024-03"),
        (datetime.datetime(2024, 3, 1, 9, 5), "dd.mm.yyyy hh:mm", "2024-03-01 09:05"),
        (datetime.time(9, 5), "hh:mm", "09:05"),
        (datetime.timedelta(hours=30), "[h]:mm", "30:00:00"),
    ],
)
def test_numbers_and_dates_are_written_as_seen(value: Any, form: str, text: str) -> None:
    assert shown(value, form) == text


# Hostile files


@pytest.mark.parametrize("suffix", READ)
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted or in the old Office format"),
        (b"just words", "not a zip"),
        (b"PK\x03\x04" + bytes(200), "not a zip"),
    ],
)
def test_other_content_under_an_office_ending_says_so(suffix: str, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        READ[suffix](data, ReadOptions())


@pytest.mark.parametrize("suffix", READ)
def test_a_file_cut_short_anywhere_is_one_plain_failure(suffix: str) -> None:
    data = sample(suffix)
    for share in range(1, 10):
        with pytest.raises(DocumentError):
            READ[suffix](data[: len(data) * share // 10], ReadOptions())


@pytest.mark.parametrize("suffix", READ)
def test_any_part_missing_or_damaged_is_a_plain_failure_or_none(suffix: str) -> None:
    data = sample(suffix)
    read = 0
    for part in zipfile.ZipFile(io.BytesIO(data)).namelist():
        for damage in (None, b"", b"<a/>", b"\xff\xfe<", b"<a>" * 1000):
            broken = rezipped(data, lambda name, content, part=part, damage=damage: damage if name == part else content)
            try:
                READ[suffix](broken, ReadOptions())
                read += 1
            except DocumentError:
                pass
    assert read  # parts that hold no text may be damaged


@pytest.mark.parametrize("suffix", READ)
def test_one_kind_under_the_ending_of_another_is_a_plain_failure(suffix: str) -> None:
    for other in READ.keys() - {suffix}:
        with pytest.raises(DocumentError, match=f"broken {suffix} file"):
            READ[suffix](sample(other), ReadOptions())


@pytest.mark.parametrize(("suffix", "part"), [(".docx", "word/document.xml"), (".pptx", "ppt/slides/slide1.xml"),
                                              (".xlsx", "xl/worksheets/sheet1.xml")])  # fmt: skip
def test_entities_neither_expand_nor_open_files(suffix: str, part: str, tmp_path: Any) -> None:
    (tmp_path / "secret.txt").write_text("the secret", "utf-8")
    steps = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    entities = f'<!ENTITY a0 "lol">{steps}<!ENTITY file SYSTEM "file://{tmp_path}/secret.txt">'

    def attacked(name: str, content: bytes) -> bytes:
        if name not in (part, "xl/sharedStrings.xml"):
            return content
        body = re.sub(rb"<\?xml[^>]*\?>", b"", content).replace(b"Some words", b"Some &a9; &file; words")
        return f'<?xml version="1.0"?><!DOCTYPE x [{entities}]>'.encode() + body

    try:
        text = READ[suffix](rezipped(sample(suffix), attacked), ReadOptions()).text
    except DocumentError:
        return
    assert "secret" not in text
    assert len(text) < 1000


@pytest.mark.parametrize("suffix", READ)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(suffix: str) -> None:
    bomb = rezipped(sample(suffix), lambda name, content: content, {"word/media/a.bin": bytes(60_000_000)})
    with pytest.raises(DocumentError, match="zip bomb"):
        READ[suffix](bomb, ReadOptions())


def test_declared_sizes_count_even_when_the_members_are_small() -> None:
    data = bytearray(sample(".docx"))
    at = data.index(b"PK\x01\x02")  # the first entry of the directory, its uncompressed size
    data[at + 24 : at + 28] = struct.pack("<I", 2_000_000_000)
    with pytest.raises(DocumentError, match=r"2,000 MB of data; at most 400"):
        open_zip(bytes(data), ".docx")


def test_a_row_of_millions_of_cells_is_refused() -> None:
    def widened(name: str, content: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return content
        return content.replace(b"</row>", b"<c/>" * 3_100_000 + b"</row>")

    with pytest.raises(DocumentError, match="cells; at most"):
        read_xlsx(rezipped(sample(".xlsx"), widened), ReadOptions())


def test_a_row_far_below_the_last_line_of_any_sheet_does_not_loop() -> None:
    def moved(name: str, content: bytes) -> bytes:
        return content.replace(b'<row r="1"', b'<row r="999999999999"') if name.startswith("xl/worksheets") else content

    assert read_xlsx(rezipped(sample(".xlsx"), moved), ReadOptions()).text.endswith("Some words")


@pytest.mark.parametrize(("suffix", "package"), [(".docx", "docx"), (".pptx", "pptx"), (".xlsx", "openpyxl")])
def test_a_missing_package_is_a_failure_of_the_document_with_the_line_to_type(
    suffix: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DocumentError, match=re.escape("Type: pip install 'footnote-rag[office]'")):
        READ[suffix](sample(suffix), ReadOptions())


@pytest.mark.parametrize("suffix", READ)
def test_a_sync_reads_them_by_their_ending(suffix: str) -> None:
    document = document_of(sample(suffix), f"a{suffix}", suffix)
    assert "Some words" in document.text
    assert document.meta["kind"] == suffix[1:]
