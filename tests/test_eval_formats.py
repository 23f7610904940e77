"""Gold of other projects, there and back: what a format can hold comes back equal, what it cannot is named."""

import json

import pytest

from evals import SuiteError, load_suite
from evals.formats import read, save, write

TOWER = "The tower was lit in 1868.\n\nIt is 44 metres high. Duncan Rae kept it.\n"
FERRY = "The ferry sails at noon; it takes two hours.\n"
ROWS = [
    {"id": "lit", "question": "When was the tower lit?", "answers": ["1868"], "answerable": True,
     "evidence": [{"doc": "tower.txt", "quote": "The tower was lit in 1868.", "start": 0, "end": 26, "page": None}]},
    {"id": "noon", "question": "When does the ferry sail?", "answers": ["at noon"], "answerable": True,
     "evidence": [{"doc": "ferry.txt", "quote": "at noon", "start": 16, "end": 23, "page": None}]},
    {"id": "paint", "question": "What colour is the paint?", "answers": [], "answerable": False, "evidence": []},
]  # fmt: skip


@pytest.fixture
def suite(tmp_path):
    folder = tmp_path / "suite"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "tower.txt").write_text(TOWER, newline="")
    (folder / "docs" / "ferry.txt").write_text(FERRY, newline="")
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return load_suite(folder)


def there_and_back(format, suite, tmp_path):
    """The suite written, read and loaded again, and the remarks on what was lost."""
    lost = write(format, suite, tmp_path / "foreign")
    save(read(format, tmp_path / "foreign"), tmp_path / "back")
    return load_suite(tmp_path / "back", extract=True), " ".join(lost)


def asked(suite):
    return {(case.question, case.answerable) for case in suite.cases}


def test_beir_keeps_documents_questions_and_judgements(suite, tmp_path):
    back, lost = there_and_back("beir", suite, tmp_path)
    assert asked(back) == asked(suite)
    assert {c.id: [e.doc for e in c.evidence] for c in back.cases} == {
        "lit": ["tower.txt"], "noon": ["ferry.txt"], "paint": [],
    }  # fmt: skip
    assert (back.documents / "tower.txt").read_bytes().decode() == TOWER
    assert "answers" in lost
    assert "spans" in lost


def test_beir_keeps_grades_and_a_second_trip_changes_nothing(suite, tmp_path):
    write("beir", suite, tmp_path / "one")
    qrels = tmp_path / "one" / "qrels" / "test.tsv"
    qrels.write_text(qrels.read_text().replace("lit\ttower\t1", "lit\ttower\t2"))
    save(read("beir", tmp_path / "one"), tmp_path / "suite2")
    assert load_suite(tmp_path / "suite2").cases[0].evidence[0].grade == 2.0
    assert write("beir", load_suite(tmp_path / "suite2"), tmp_path / "two") == []
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        assert (tmp_path / "one" / file).read_text() == (tmp_path / "two" / file).read_text()


def test_squad_keeps_answers_at_their_places(suite, tmp_path):
    back, lost = there_and_back("squad", suite, tmp_path)
    assert asked(back) == asked(suite)
    assert back.cases[0].answers == ("at noon",)  # articles stand in the order of their files
    spans = {c.id: [e.span for e in c.evidence] for c in back.cases}
    assert spans == {"lit": [("tower.txt", 21, 25)], "noon": [("ferry.txt", 16, 23)], "paint": []}
    assert lost == ""


def test_squad_moves_answers_by_their_paragraph(tmp_path):
    qas = [
        {
            "id": "q",
            "question": "What?",
            "answers": [{"text": "two", "answer_start": 8}, {"text": "two", "answer_start": 8}],
        }
    ]
    paragraphs = [{"context": "First.", "qas": []}, {"context": "This is two.", "qas": qas}]
    (tmp_path / "dev.json").write_text(
        json.dumps({"version": "1.1", "data": [{"title": "A/B", "paragraphs": paragraphs}]})
    )
    bundle = read("squad", tmp_path / "dev.json")
    assert bundle.texts == {"A-B.txt": "First.\n\nThis is two."}
    assert bundle.rows[0]["evidence"] == [{"doc": "A-B.txt", "quote": "two", "start": 16, "end": 19, "page": None}]
    assert bundle.rows[0]["answers"] == ["two"]


@pytest.mark.parametrize("format", ["ragas", "llamaindex"])
def test_formats_of_bare_texts_keep_questions_answers_and_quotes(format, suite, tmp_path):
    back, lost = there_and_back(format, suite, tmp_path)
    assert asked(back) == asked(suite)
    assert [case.answers for case in back.cases] == [case.answers for case in suite.cases]
    assert [[e.quote for e in case.evidence] for case in back.cases] == [
        [e.quote for e in case.evidence] for case in suite.cases
    ]
    assert "documents and offsets: not held by this format, 2 questions have it" in lost


def test_examples_that_a_model_wrote_are_told_apart(tmp_path):
    example = {"query": "When?", "query_by": {"model_name": "m", "type": "ai"}, "reference_answer": "1868"}
    (tmp_path / "d.json").write_text(json.dumps({"examples": [example]}))
    bundle = read("llamaindex", tmp_path / "d.json")
    assert bundle.rows[0]["source"] == "llm"
    assert "written by a model" in bundle.lost[0]


def test_financebench_counts_pages_from_nought(tmp_path):
    row = {"financebench_id": "fb1", "doc_name": "X_2018_10K", "question": "Capex?", "answer": "$1577.00",
           "question_type": "metrics-generated", "question_reasoning": "Information extraction",
           "evidence": [{"evidence_text": "Purchases (1,577)", "doc_name": "X_2018_10K",
                         "evidence_page_num": 59}]}  # fmt: skip
    (tmp_path / "fb.jsonl").write_text(json.dumps(row) + "\n")
    bundle = read("financebench", tmp_path / "fb.jsonl")
    assert bundle.rows[0]["evidence"][0] == {
        "doc": "X_2018_10K.pdf", "quote": "Purchases (1,577)", "start": None, "end": None, "page": 60,
    }  # fmt: skip
    save(bundle, tmp_path / "suite")
    assert write("financebench", load_suite(tmp_path / "suite"), tmp_path / "back.jsonl") == []
    assert json.loads((tmp_path / "back.jsonl").read_text()) == row


def test_csv_keeps_everything_but_offsets(suite, tmp_path):
    write("csv", suite, tmp_path / "gold.csv")
    bundle = read("csv", tmp_path / "gold.csv")
    bundle.texts = {"tower.txt": TOWER, "ferry.txt": FERRY}
    save(bundle, tmp_path / "back")
    back = load_suite(tmp_path / "back")
    assert [(c.id, c.question, c.answers, c.answerable, c.evidence) for c in back.cases] == [
        (c.id, c.question, c.answers, c.answerable, c.evidence) for c in suite.cases
    ]


def test_csv_rows_of_one_id_are_one_question(tmp_path):
    (tmp_path / "g.csv").write_text('id;question;answers;doc;quote\nq;When?;"1868\nin 1868";a.txt;x\nq;;;b.txt;y\n')
    (row,) = read("csv", tmp_path / "g.csv").rows
    assert row["answers"] == ["1868", "in 1868"]
    assert [entry["doc"] for entry in row["evidence"]] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("format", "name", "text", "said"),
    [
        ("ragas", "x.jsonl", '{"user_input": "a"}\n{"reference": "b"}\n', "x.jsonl:2: 'user_input' is None"),
        ("ragas", "x.jsonl", "{}\n[1]\n", "x.jsonl:1: 'user_input'"),
        ("ragas", "x.jsonl", '\n{"user_input":\n', "x.jsonl:2: not JSON"),
        ("csv", "x.csv", "question,answers\nWhen?,1868\n,1869\n", "x.csv:3: the question is empty"),
        ("csv", "x.csv", "question,anwers\nWhen?,1868\n", "x.csv:1: the columns are"),
        ("csv", "x.csv", "question,quote\nWhen?,x\n", "x.csv:2: evidence needs both"),
        ("financebench", "x.jsonl", '{"financebench_id": "a"}\n', "x.jsonl:1: 'doc_name' is None"),
        ("squad", "x.json", '{"data": [{"paragraphs": [{"context": "abc", "qas": [{"id": "q", "question": "?", '
         '"answers": [{"text": "x", "answer_start": 0}]}]}]}]}', "'x' does not stand at 0"),
        ("llamaindex", "x.json", '{"examples": [{"query": 1}]}', "example 1: 'query' is 1; expected str"),
        ("ragas", "none.jsonl", None, "There is no file"),
    ],
)  # fmt: skip
def test_every_complaint_names_file_and_line(format, name, text, said, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SuiteError) as error:
        read(format, tmp_path / name)
    assert said in str(error.value)


def test_qrels_that_name_no_document_are_refused_with_their_line(suite, tmp_path):
    write("beir", suite, tmp_path / "b")
    with (tmp_path / "b" / "qrels" / "test.tsv").open("a") as qrels:
        qrels.write("lit\tnowhere\t1\n")
    with pytest.raises(SuiteError, match=r"test\.tsv:5: there is no document 'nowhere'"):
        read("beir", tmp_path / "b")


def test_a_document_cannot_be_written_outside_the_suite(tmp_path):
    from evals.formats import Bundle

    with pytest.raises(SuiteError, match="leads out"):
        save(Bundle([{"id": "q", "question": "?", "answers": ["x"]}], {"../../evil.txt": "x"}), tmp_path / "s")
