import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.sentences import sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S. acted on Jan. 3, 2026. It ended.", ["The U.S. acted on Jan. 3, 2026.", "It ended."]),
        (
            "A U.S. State Department official spoke in the U.S. Then he left.",
            ["A U.S. State Department official spoke in the U.S.", "Then he left."],
        ),
        (
            "Acme Inc. Chief Anna Voss founded Borg Ltd. Its sales rose.",
            ["Acme Inc. Chief Anna Voss founded Borg Ltd.", "Its sales rose."],
        ),
        (
            "In the U.S. 12 people came at 5 p.m. Police were there.",
            ["In the U.S. 12 people came at 5 p.m.", "Police were there."],
        ),
        ('Mr. Smith said "No." Then he left.', ['Mr. Smith said "No."', "Then he left."]),
        ("J. R. Smith paid $3.5 million. Why?", ["J. R. Smith paid $3.5 million.", "Why?"]),
        ("これは文です。次の文です！", ["これは文です。", "次の文です！"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("- one item\n- two items", ["one item", "two items"]),
        ("He waited ... and left. Good.", ["He waited ... and left.", "Good."]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_a_sentence_ends_where_a_reader_would_end_it(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_wrapped_lines_are_one_sentence() -> None:
    text = (
        "The keeper wrote in his journal every night for thirty years and\n"
        "never missed a single entry, not even when the great storm of the\n"
        "year 1881 broke the lantern. Then he stopped.\n"
    )
    assert len(split(text)) == 2


def test_rows_of_a_table_are_not_joined() -> None:
    assert len(split("Net sales 5,363 4,869\nCost 4,000 3,900\nProfit 1,363 969\n")) == 3


@given(st.text(alphabet=st.sampled_from("ab .!?\n\r\t。\"'(1I#-|\ufeff"), max_size=200))
def test_sentences_never_overlap_and_lose_only_space_and_marks(text: str) -> None:
    end = 0
    kept = ""
    for a, b in sentences(text):
        assert end <= a < b <= len(text)
        kept += text[a:b]
        end = b
    assert sum(map(str.isalnum, kept)) == sum(map(str.isalnum, text))
