"""Loading suites: what is accepted, what is mended, and that every complaint names its line."""

import json

import pytest

from evals import SuiteError, load_suite
from evals.suite import BUNDLED, place
from index.documents import Document

TOWER = "The tower was lit in 1868.\n\nIt is 44 metres high. Duncan Rae kept it.\n"


@pytest.fixture
def write(tmp_path):
    """Write a suite's folder: its gold rows, perhaps its toml; returns the folder."""
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "tower.txt").write_text(TOWER, newline="")
    (tmp_path / "docs" / "deep" / "page.html").write_text("<p>The siren fell silent in 1988.</p>")

    def write(*rows, toml=None):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "gold.jsonl").write_text("\n".join(lines) + "\n")
        if toml is not None:
            (tmp_path / "suite.toml").write_text(toml)
        return tmp_path

    return write


def row(id="q1", **rest):
    return {"id": id, "question": "When was the tower lit?", **rest}


def evidence(quote, start=None, end=None, doc="tower.txt", **rest):
    return {"doc": doc, "quote": quote, "start": start, "end": end, **rest}


def test_a_folder_with_docs_and_gold_is_a_suite(write):
    suite = load_suite(write(row(answers=["1868"], evidence=[evidence("lit in 1868", 14, 25)])))
    assert suite.budgets == (500, 1000, 2000)
    assert suite.cases[0].evidence[0].span == ("tower.txt", 14, 25)
    assert list(suite.files) == ["deep/page.html", "tower.txt"]
    assert suite.warnings == ()


def test_a_quote_without_offsets_gets_them(write):
    suite = load_suite(write(row(evidence=[evidence("It is 44 metres high.")])))
    assert suite.cases[0].evidence[0].span == ("tower.txt", 28, 49)


def test_drifted_offsets_are_mended_with_a_warning(write):
    suite = load_suite(write(row(evidence=[evidence("lit in 1868", 10, 21)])))
    assert suite.cases[0].evidence[0].span == ("tower.txt", 14, 25)
    assert "gold.jsonl:1" in suite.warnings[0]
    assert "stands at 14-25 of tower.txt, not at 10-21" in suite.warnings[0]


def test_a_quote_that_is_nowhere_is_an_error_with_its_line(write):
    folder = write(row(answers=["1868"]), row("q2", evidence=[evidence("lit in 1869")]))
    with pytest.raises(SuiteError, match=r'gold.jsonl:2: the quote "lit in 1869" is not in tower.txt'):
        load_suite(folder)


def test_all_faults_are_named_at_once(write):
    folder = write(
        '{"id": "q1", ',
        row("q2"),
        row("q3", answers="1868"),
        row("q4", evidence=[{"doc": "tower.txt"}]),
        {"id": "q5", "answers": ["x"]},
        row("q6", answers=["x"]),
        row("q6", answers=["x"]),
    )
    with pytest.raises(SuiteError) as error:
        load_suite(folder)
    message = str(error.value)
    assert "6 faults" in message
    for line, part in [(1, "Expecting"), (2, "one of 'answers'"), (3, "list of texts"), (4, "'doc' and a 'quote'"),
                       (5, "'question'"), (7, "'q6' stands in line 6 too")]:  # fmt: skip
        assert any(f"gold.jsonl:{line}:" in found and part in found for found in message.splitlines()), line


def test_an_unknown_document_is_an_error_that_offers_the_nearest_name(write):
    with pytest.raises(SuiteError, match=r"gold.jsonl:1: there is no document 'towr.txt'.*did you mean 'tower.txt'"):
        load_suite(write(row(evidence=[evidence("lit", doc="towr.txt")])))


def test_a_misspelt_key_is_a_warning(write):
    suite = load_suite(write(row(answerable=False, answer=["1868"])))
    assert suite.warnings == ("gold.jsonl:1: 'answer' is not read; did you mean 'answers'?",)


def test_quotes_of_html_are_placed_when_extracted(write):
    folder = write(row(evidence=[evidence("fell silent in 1988", doc="deep/page.html")]))
    assert load_suite(folder).cases[0].evidence[0].span is None
    span = load_suite(folder, extract=True).cases[0].evidence[0].span
    assert span is not None
    assert span[2] - span[1] == len("fell silent in 1988")


def test_a_quote_is_looked_for_on_its_page_only(write):
    suite = load_suite(write(row(evidence=[evidence("same words", doc="deep/page.html", page=2)])))
    report = Document("deep/page.html", "same words\n\nsame words", ((0, 10), (12, 22)), "", "")
    assert place(suite, {"deep/page.html": report}.get).cases[0].evidence[0].span == ("deep/page.html", 12, 22)


def test_a_page_stands_where_its_quote_cannot_be_found(write):
    suite = load_suite(write(row(evidence=[evidence("other words", doc="deep/page.html", page=2)])))
    report = Document("deep/page.html", "same words\n\nsame words", ((0, 10), (12, 22)), "", "")
    placed = place(suite, {"deep/page.html": report}.get)
    assert placed.cases[0].evidence[0].span is None
    assert placed.cases[0].pages == {("deep/page.html", 2)}
    assert "only its page is scored" in placed.warnings[0]


def test_the_cluster_is_the_document_unless_named(write):
    suite = load_suite(
        write(
            row("q1", evidence=[evidence("lit in 1868")]),
            row("q2", evidence=[evidence("lit in 1868")], cluster="towers"),
            row("q3", answerable=False),
        )
    )
    assert [case.cluster for case in suite.cases] == ["tower.txt", "towers", "question q3"]


def test_the_toml_head_names_the_rest(write):
    folder = write(
        row(answers=["1868"]),
        toml="name = 'towers'\nlicence = 'MIT'\n"
        "[settings]\ntokens = 800\n[metrics]\nbudgets = [300]\ngate = ['recall']",
    )
    suite = load_suite(folder)
    assert (suite.name, suite.licence, suite.budgets, suite.gate) == ("towers", "MIT", (300,), ("recall",))
    assert suite.settings == {"tokens": 800}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("nme = 'x'", "no key 'nme'; did you mean 'name'"),
        ("[metrics]\nbudgets = ['a']", "expected token counts"),
        ("[metrics]\ngate = ['recal']", "no metric 'recal'"),
        ("documents = 'elsewhere'", "which is no folder"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_faulty_head_is_explained(write, toml, message):
    with pytest.raises(SuiteError, match=message):
        load_suite(write(row(answers=["1868"]), toml=toml))


@pytest.mark.parametrize("history", ["earlier", [["a", "b", "c"]], [3], [[None, "b"]]])
def test_a_history_is_of_questions_or_pairs(write, history):
    with pytest.raises(SuiteError, match=r"gold.jsonl:1: 'history' is"):
        load_suite(write(row(answers=["x"], history=history)))


def test_no_suite_at_all_lists_the_bundled_ones(tmp_path):
    with pytest.raises(SuiteError, match=r"bundled suites are: .*sample"):
        load_suite(tmp_path / "nothing")


def test_line_separators_inside_a_row_do_not_break_it(write):
    assert load_suite(write('{"id": "q1", "question": "a\u2028b?", "answers": ["x"]}')).cases[0].question == "a\u2028b?"


@pytest.mark.parametrize("name", sorted(entry.parent.name for entry in BUNDLED.glob("*/suite.toml")))
def test_every_quote_of_a_bundled_suite_is_found(name):
    suite = load_suite(name, extract=True)
    assert suite.warnings == ()
    assert all(evidence.span for case in suite.cases for evidence in case.evidence)
