"""CSV, TSV, JSON and JSON lines: what a row or record says when it is read alone."""

import csv
import io
import json
from typing import Any

import pytest

from index.errors import DocumentError
from index.readers import Extract, ReadOptions
from index.readers.delimited import read_csv
from index.readers.records import read_json, read_jsonl
from index.readers.tables import find_header, is_value, record_lines
from index.sentences import sentences


def table(text: str | bytes) -> str:
    return read_csv(text if isinstance(text, bytes) else text.encode(), ReadOptions()).text


def objects(value: Any) -> Extract:
    return read_json(json.dumps(value).encode(), ReadOptions())


# Delimited files


def test_each_row_says_the_names_of_its_columns() -> None:
    assert table("Country,Capital,People\nFrance,Paris,68\nSpain,,48\n") == (
        "- Country: France; Capital: Paris; People: 68\n- Country: Spain; People: 48"
    )


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_found_also_between_quoted_newlines_and_other_commas(delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows(
        [["Name", "Price", "Note"], ["Apple", "1,50", 'red,\n"sweet"; good|fine'], ["Pear", "2,00", "a,b"]]
    )
    assert table(out.getvalue()) == (
        '- Name: Apple; Price: 1,50; Note: red, "sweet"; good|fine\n- Name: Pear; Price: 2,00; Note: a,b'
    )


def test_excel_says_the_delimiter_itself() -> None:
    assert table("\ufeffsep=;\r\nCity;Mayor\r\nSkarn;Roe, Jane\r\n") == "- City: Skarn; Mayor: Roe, Jane"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_are_understood(codec: str) -> None:
    rows = "".join(f"Straße {n};Düsseldorf;größer\n" for n in range(30))
    assert table(("Straße;Ort;Fläche\n" + rows).encode(codec)).startswith("- Straße: Straße 0; Ort: Düsseldorf; Fläche")


def test_rows_without_names_stand_between_bars() -> None:
    assert table("1,2,3\n4,,6\n") == "| 1 | 2 | 3 |\n| 4 |  | 6 |"


def test_a_remark_above_the_header_stays_above_the_rows() -> None:
    assert table("Ships of Skarn\n\nName,Year\nFulmar,1881\n") == "Ships of Skarn\n\n- Name: Fulmar; Year: 1881"


def test_years_name_columns_but_not_the_column_of_years() -> None:
    assert table("Country,2019,2020\nFrance,67.1,67.3\n") == "- Country: France; 2019: 67.1; 2020: 67.3"
    assert table("2019,67.1\n2020,67.3\n") == "| 2019 | 67.1 |\n| 2020 | 67.3 |"


def test_a_quote_that_is_never_closed_swallows_no_rows() -> None:
    assert table('item,size\npipe,"5 inch\nrod,7\nbar,9\n') == (
        '- item: pipe; size: "5 inch\n- item: rod; size: 7\n- item: bar; size: 9'
    )
    many = 'item,size\npipe,"5 inch\n' + "rod,7\n" * 40_000
    assert table(many).count("- item: rod; size: 7") == 40_000


def test_quotes_opened_on_every_line_are_read_in_little_time() -> None:
    assert table("a,b\n" + 'x,"y\n' * 30_001).count("- a: x") >= 15_000


def test_a_long_row_goes_on_in_lines_that_open_with_its_first_cell() -> None:
    lines = list(record_lines([("Name", "Fulmar"), *((f"Column {n}", "v" * 60) for n in range(12))]))
    assert len(lines) > 1
    assert all(line.startswith("- Name: Fulmar; Column") and len(line) < 500 for line in lines)
    assert sum(line.count("Column") for line in lines) == 12


def test_a_row_is_one_sentence_whatever_its_width() -> None:
    text = table("name,town\n" + "".join(f"person number {n} of the long list,town {n}\n" for n in range(50)))
    assert len(sentences(text)) == 50


def test_a_name_repeated_a_million_times_does_not_fill_the_memory() -> None:
    header = ",".join(f"{'n' * 70}{at}" for at in range(60))
    with pytest.raises(DocumentError, match="million characters"):
        table(f"{header}\n" + (",".join("1" * 60) + "\n") * 30_000)


def test_binary_data_under_a_table_ending_is_refused() -> None:
    with pytest.raises(DocumentError, match="binary"):
        table(b"\x00\x01" * 100)


@pytest.mark.parametrize(
    "text", ["12", "-3.5", "1,234.50", "$12", "12 %", "€ 4.2", "(99.00)", "2024-03-01", "68 M", "yes"]
)
def test_amounts_and_dates_are_values(text: str) -> None:
    assert is_value(text)


@pytest.mark.parametrize("text", ["Country", "Q1", "Price (€)", "3 words here", "A1"])
def test_names_are_none(text: str) -> None:
    assert not is_value(text)


def test_words_that_come_again_below_name_no_column() -> None:
    rows = [{0: "red", 1: "big"}, {0: "blue", 1: "big"}, {0: "red", 1: "small"}]
    assert find_header(rows) is None


# JSON


def test_short_records_are_lines_and_numbers_stay_as_written() -> None:
    data = b'[{"name": "Fulmar", "crew": 12, "size": {"length": 31.50, "mast": true}, "ports": ["Skarn", "Holm"]}]'
    assert read_json(data, ReadOptions()).text == (
        "- name: Fulmar; crew: 12; size.length: 31.50; size.mast: true; ports: Skarn, Holm"
    )


def test_a_record_with_long_texts_is_a_section_under_its_name() -> None:
    body = "The siren was heard all night. " * 20
    text = objects([{"title": "The fog", "by": "Ewan", "text": body.strip()}, {"title": "b", "text": "short"}]).text
    assert text == f"# The fog\n\n- by: Ewan\n\ntext: {body.strip()}\n\n- title: b; text: short"


def test_nested_objects_become_headings() -> None:
    value = {"server": {"host": "a.example", "limits": {"cpu": {"soft": 1, "hard": 2}}}, "debug": False,
             "users": [{"id": 1}, {"id": 2}]}  # fmt: skip
    assert objects(value).text == (
        "- debug: false\n\n## server\n\n- host: a.example\n\n### limits\n\n- cpu.soft: 1\n- cpu.hard: 2\n\n"
        "## users\n\n- id: 1\n- id: 2"
    )


def test_a_top_level_object_may_say_title_author_and_date() -> None:
    extract = objects({"title": "The lens", "authors": ["Ada", "Ewan"], "published": "2021-03-04T10:00:00Z", "n": 1})
    assert extract.title == "The lens"
    assert extract.meta == {"author": "Ada, Ewan", "date": "2021-03-04"}


def test_json_lines_are_records() -> None:
    assert read_jsonl(b'{"a": 1}\r\n\n{"a": [2, 3]}\n', ReadOptions()).text == "- a: 1\n- a: 2, 3"


@pytest.mark.parametrize(
    ("read", "data", "reason"),
    [
        (read_json, b'{"a": 1,}', r"line 1, column \d+"),
        (read_json, b"", "line 1"),
        (read_jsonl, b'{"a": 1}\n{"a": \n', r"line 2: column"),
        (read_json, b"[" * 100_000, "nested too deeply"),
        (read_json, b'{"a":' * 100_000, "nested too deeply"),
        (read_json, b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (read_jsonl, b"[" * 100_000 + b"]" * 100_000, "line 1: JSON nested too deeply"),
        (read_json, b"[" + b"[]," * 4_000_000 + b"1]", "values; at most"),
        (read_json, b"\x00\x01" * 100, "binary"),
    ],
)
def test_what_is_no_json_says_where(read: Any, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read(data, ReadOptions())


def test_a_number_of_any_length_is_text() -> None:
    assert read_json(b'{"n": ' + b"1" * 10_000 + b"}", ReadOptions()).text == "n: " + "1" * 10_000


def test_deep_nesting_that_python_reads_is_read_in_little_time_with_short_keys() -> None:
    value: Any = {"leaf": "found", "many": list(range(50_000))}
    for _ in range(300):
        value = {"k" * 300: value}
    text = objects(value).text
    assert "found" in text
    assert max(map(len, text.split("leaf")[0].split("\n"))) < 5_000
