from conftest import WordHash
from hypothesis import given, settings
from hypothesis import strategies as st

from index.chunks import chunk_spans, context_line, header_row
from index.documents import Document, plain_document


def cut(document: Document, limit: int = 30) -> list[str]:
    chunks = chunk_spans(document, WordHash().token_starts(document.text), limit)
    return [document.text[chunk.start : chunk.end] for chunk in chunks]


def test_chunks_end_at_sentence_ends() -> None:
    text = " ".join(f"Sentence number {n} has exactly eight words here." for n in range(20))
    assert all(piece.endswith("here.") for piece in cut(plain_document(text, "a.txt")))


def test_a_heading_stays_with_its_text_and_names_it() -> None:
    document = plain_document("# Tower\n\nBuilt in 1868.\n\n## Keepers\n\nThe last one left.\n", "a.md")
    chunks = chunk_spans(document, WordHash().token_starts(document.text), 10)
    assert [chunk.heading for chunk in chunks] == ["Tower", "Tower > Keepers"]
    assert document.text[chunks[1].start :].startswith("## Keepers\n\nThe last")


def test_a_hash_in_a_code_block_is_no_heading() -> None:
    document = plain_document("# Title\n\n```\n# a comment\n```\n\nText after it.\n", "a.md")
    chunks = chunk_spans(document, WordHash().token_starts(document.text), 100)
    assert {chunk.heading for chunk in chunks} == {"Title"}


def test_a_chunk_lies_on_one_page() -> None:
    document = Document("a.pdf", "One one.\n\nTwo two.", ((0, 8), (10, 18)), "A", "", {})
    chunks = chunk_spans(document, WordHash().token_starts(document.text), 100)
    assert [(chunk.page, chunk.start, chunk.end) for chunk in chunks] == [(1, 0, 8), (2, 10, 18)]


def test_web_clutter_becomes_no_chunk() -> None:
    pieces = cut(plain_document("The story begins here today.\n\nadvertisement\n\nAlso read\n\nIt ends here.", "a.txt"))
    assert pieces == ["The story begins here today.", "It ends here."]


def test_a_line_without_spaces_is_cut_too() -> None:
    pieces = cut(plain_document("x" * 5 + ";" * 500, "a.txt"), limit=50)
    assert len(pieces) > 5
    assert "".join(pieces) == "x" * 5 + ";" * 500


def test_a_word_that_the_model_takes_for_one_token_is_cut_too() -> None:
    document = plain_document("A blob: " + "x" * 10_000 + " ends here.", "a.txt")
    pieces = [document.text[c.start : c.end] for c in chunk_spans(document, [0, 2, 6, 8, 10_009, 10_014, 10_018], 50)]
    assert max(map(len, pieces)) <= 250


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("abc de.\n#|-1,。!"), min_size=1, max_size=600), st.integers(3, 40))
def test_chunks_are_ordered_within_the_limit_and_lose_no_letter(text: str, limit: int) -> None:
    if not any(map(str.isalnum, text)):
        return
    document = plain_document(text, "a.md")
    starts = WordHash().token_starts(text)
    end, letters = 0, 0
    for chunk in chunk_spans(document, starts, limit):
        assert end <= chunk.start < chunk.end
        assert ((starts >= chunk.start) & (starts < chunk.end)).sum() <= limit
        letters += sum(map(str.isalnum, text[chunk.start : chunk.end]))
        end = chunk.end
    assert letters == sum(map(str.isalnum, text))


def test_the_context_names_file_title_and_headings_once() -> None:
    assert context_line("reports/3M_2018_10K.pdf", "Annual report", "Sales > Asia") == (
        "reports — 3M 2018 10K — Annual report — Sales > Asia"
    )
    assert context_line("tower.md", "Tower", "Tower") == "tower"


TABLE = "# Ports\n\n| Port | Note |\n|---|---|\n" + "".join(f"| P{n} | It is old. It is small. |\n" for n in range(12))


def test_a_table_row_is_not_cut_inside() -> None:
    pieces = cut(plain_document(TABLE, "a.md"), limit=30)
    assert len(pieces) > 3
    assert all(piece.endswith("|") for piece in pieces)
    assert all(piece.startswith(("|", "#")) for piece in pieces)


def test_a_row_larger_than_a_chunk_is_cut_at_its_sentences() -> None:
    row = "| Port | " + " ".join(f"Sentence {n} says a few words." for n in range(20)) + " |"
    assert all(piece.endswith((".", "|")) for piece in cut(plain_document(row, "a.md"), limit=30))


def test_a_record_is_not_cut_inside_where_list_items_are_rows() -> None:
    text = "\n".join(f"- Port: P{n}; Note: It is old. It is small." for n in range(12))
    document = Document("a.csv", text, (), "A", "", {"kind": "csv"})
    assert all(piece.startswith("- Port") and piece.endswith("small.") for piece in cut(document, limit=40))


def test_a_chunk_inside_a_table_finds_the_header() -> None:
    header = "| Port | Note |"
    assert header_row(TABLE, TABLE.index("| P7")) == header
    assert header_row(TABLE, TABLE.index("| P0")) == header
    assert header_row(TABLE, TABLE.index("| P7") + 8) == header  # a chunk may begin inside a long row
    assert header_row(TABLE, TABLE.index("| Port")) == ""
    assert header_row(TABLE, 0) == ""
    assert header_row("Prose.\n\n| a | b |", 3) == ""
    assert header_row("| x | y |\n\nProse | here.", 12) == ""
    assert header_row("| a | b |\r\n| 1 | 2 |\r\n", 11) == "| a | b |"


def test_the_header_of_a_very_long_table_is_not_looked_for_for_ever() -> None:
    def table(rows: int, width: int) -> str:
        return "| Port | Note |\n" + f"| {'x' * width} | y |\n" * rows

    for text in (table(500, 5), table(300, 300)):
        assert header_row(text, text.rindex("\n| ") + 1) == ""
    text = table(390, 5)
    assert header_row(text, text.rindex("\n| ") + 1) == "| Port | Note |"


def test_slides_are_headed_by_their_own_titles_only() -> None:
    pages = ["# Plan\n\nText one.", "Text two.", "## Costs\n\nText three."]
    text = "\n\n".join(pages)
    starts = [text.index(page) for page in pages]
    spans = tuple((start, start + len(page)) for start, page in zip(starts, pages, strict=True))
    document = Document("a.pptx", text, spans, "A", "", {"kind": "pptx"})
    chunks = chunk_spans(document, WordHash().token_starts(text), 100)
    assert [(chunk.page, chunk.heading) for chunk in chunks] == [(1, "Plan"), (2, ""), (3, "Costs")]
