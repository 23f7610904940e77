"""Finding a quote again in the text it came from."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from evals.quotes import locate, locate_body, occurrences

TEXT = "First line.\n\nThe “café” on\nthe corner sells co-\nffee. The end. The end."


def test_an_exact_quote_is_found_where_it_stands():
    start, end = locate("the corner", TEXT)
    assert TEXT[start:end] == "the corner"


def test_white_space_may_differ():
    start, end = locate("café”  on the corner", TEXT)
    assert TEXT[start:end] == "café” on\nthe corner"


def test_a_decomposed_accent_is_the_composed_one():
    start, end = locate(unicodedata.normalize("NFD", "“café” on the"), TEXT)
    assert TEXT[start:end] == "“café” on\nthe"


def test_ligatures_and_full_width_letters_are_their_plain_ones():
    assert locate("office", "the oﬃce") == (4, 8)


def test_letters_and_digits_decide_at_last():
    start, end = locate('The "Cafe" on the corner sells coffee', TEXT)
    assert TEXT[start:end] == "The “café” on\nthe corner sells co-\nffee"


def test_of_several_places_the_nearest_to_the_old_offset_wins():
    first, second = TEXT.index("The end."), TEXT.rindex("The end.")
    assert locate("The end.", TEXT) == (first, first + 8)
    assert locate("The end.", TEXT, near=second + 2) == (second, second + 8)


def test_what_is_not_there_is_not_found():
    assert locate("the cornea", TEXT) is None
    assert locate("  ", TEXT) is None
    assert locate("…!", "plain words") is None


def test_occurrences_do_not_overlap():
    assert occurrences("aa", "aaaa") == [(0, 2), (2, 4)]


@given(st.text(min_size=1, max_size=40), st.data())
def test_any_piece_of_a_text_is_found_and_reads_the_same(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    quote = text[start:end]
    found = locate(quote, text, near=start)
    if quote.strip():
        assert found is not None
        assert text[found[0] : found[1]] == quote


@given(st.text(alphabet="abcé ﬁ\n-", min_size=1, max_size=30), st.text(alphabet="abcé ﬁ\n-", max_size=10))
def test_a_quote_with_other_white_space_covers_the_same_letters(quote, after):
    spaced = "\n ".join(quote.split())
    found = locate(spaced, f"xyz {quote} {after}")
    if any(map(str.isalnum, spaced)):
        assert found is not None
        start, end = found
        held = "".join(char for char in f"xyz {quote} {after}"[start:end] if char.isalnum())
        assert unicodedata.normalize("NFKD", held) == unicodedata.normalize(
            "NFKD", "".join(char for char in spaced if char.isalnum())
        )


TABLE = "Sales 1,577\nCosts 1,204\nProfit before tax 373\nIncome tax expense 74\nNet income of the year 299"


def test_a_quote_may_lack_the_lines_of_a_pages_frame():
    page = f"Consolidated income\n{TABLE}\n"
    quote = f"Annual report\n{TABLE}\n60"
    assert locate(quote, page) is None
    assert locate_body(quote, page) == (20, 20 + len(TABLE))


def test_the_longest_part_is_taken_and_little_may_be_missing():
    assert locate_body(f"Annual report\nConsolidated income\n{TABLE}", f"Consolidated income\n{TABLE}") == (
        0, 20 + len(TABLE),
    )  # fmt: skip
    assert locate_body(f"A header that is nearly as long as the table below it, or longer\n{TABLE}", TABLE) is None
    assert locate_body("Sales 1,577", TABLE.replace("Sales", "Income")) is None
