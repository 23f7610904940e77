import pytest

from rag.quoted import cells_of, readable, row_of

TABLE = "| Bird | Nests | 2024 |\n|---|---|---|\n| Gull | 204 | 318 |\n"


def test_a_row_is_told_with_its_headings() -> None:
    row = "| Gull | 204 | 318 |"
    assert row_of(TABLE, TABLE.index(row), row) == "Gull; Nests: 204; 2024: 318"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("| Adult | £18.40 |", "Adult; £18.40"),
        ("| **Car** | - | £62.50 |", "Car; £62.50"),
        ("Plain words\nover two lines [3].", "Plain words over two lines ［3］."),
        ("|x|", "x"),
    ],
)
def test_other_quotes_stay_readable(text: str, told: str) -> None:
    assert row_of(text, 0, text) == told


def test_marks_of_the_source_are_not_ours() -> None:
    assert readable("as shown [12]") == "as shown ［12］"


def test_cells_keep_escaped_bars_together() -> None:
    assert cells_of(r"| a \| b | c |") == [r"a \| b", "c"]
