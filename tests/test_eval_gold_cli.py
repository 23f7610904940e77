"""`rag eval check / import / export / new / review` as typed, and what they refuse."""

import json

import pytest
from click.testing import CliRunner
from test_eval_formats import FERRY, ROWS, TOWER, suite  # noqa: F401  (suite is a fixture)

from evals import SuiteError, load_suite, run
from evals.authoring import add_rows, feedback_rows, settle, typed_row
from evals.lint import doubts
from rag.cli import main


def rag(*words, typed=None):
    return CliRunner().invoke(main, ["eval", *map(str, words)], input=typed)


def found(folder, *more):
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, [*ROWS, *more])))
    loaded = load_suite(folder)
    return [(doubt.where, doubt.kind) for doubt in doubts(loaded, {"tower.txt": TOWER, "ferry.txt": FERRY}.get)]


def test_clean_gold_has_no_doubts(suite):  # noqa: F811
    assert found(suite.gold.parent) == []


def test_the_same_question_twice_is_a_duplicate_and_over_two_splits_a_leak(suite):  # noqa: F811
    again = {**ROWS[0], "id": "again", "question": "when was the tower lit"}
    assert found(suite.gold.parent, again) == [("gold.jsonl:4", "duplicate")]
    assert found(suite.gold.parent, {**again, "split": "test"}) == [("gold.jsonl:4", "leakage")]


def test_a_question_that_holds_its_answer_leaks(suite):  # noqa: F811
    leaking = {"id": "l", "question": "Did keeper Duncan Rae keep the tower?", "answers": ["Duncan Rae"]}
    assert found(suite.gold.parent, leaking) == [("gold.jsonl:4", "leakage")]


def test_an_answer_that_its_evidence_does_not_state_is_doubtful(suite):  # noqa: F811
    assert found(suite.gold.parent, {**ROWS[0], "id": "x", "question": "Since when?", "answers": ["1869"]}) == [
        ("gold.jsonl:4", "answer not in evidence")
    ]


def test_an_unanswerable_question_whose_words_stand_in_one_sentence_is_doubtful(suite):  # noqa: F811
    there = {
        "id": "t",
        "question": "How many hours, two or more, does the ferry take that sails at noon?",
        "answerable": False,
    }
    assert found(suite.gold.parent, there) in ([], [("gold.jsonl:4", "answerable?")])
    plain = {"id": "t", "question": "Does the ferry sail at noon and take two hours?", "answerable": False}
    assert found(suite.gold.parent, plain) == [("gold.jsonl:4", "answerable?")]


def test_check_prints_doubts_and_only_strict_fails(suite):  # noqa: F811
    folder = suite.gold.parent
    found(folder, {**ROWS[0], "id": "again"})
    assert rag("check", folder).exit_code == 0
    strict = rag("check", folder, "--strict")
    assert strict.exit_code == 1
    assert "doubtful: gold.jsonl:4: duplicate: again asks what lit (line 1" in strict.stderr


def test_import_and_export_as_typed(suite, tmp_path):  # noqa: F811
    out = rag("export", suite.gold.parent, "squad", tmp_path / "dev.json")
    assert out.exit_code == 0, out.output
    back = rag("import", "squad", tmp_path / "dev.json", tmp_path / "back")
    assert back.exit_code == 0, back.output
    assert "3 questions, 2 documents" in back.stdout
    assert rag("check", tmp_path / "back").exit_code == 0
    again = rag("import", "squad", tmp_path / "dev.json", tmp_path / "back")
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert rag("export", suite.gold.parent, "squad", tmp_path / "dev.json").exit_code == 2


def test_new_adds_a_typed_question_with_its_place(suite):  # noqa: F811
    folder = suite.gold.parent
    added = rag("new", folder, "--question", "How high is it?", "--answer", "44 metres", "--doc", "tower.txt",
                "--quote", "It is 44 metres high.")  # fmt: skip
    assert added.exit_code == 0, added.output
    case = load_suite(folder).cases[-1]
    assert (case.question, case.evidence[0].span) == ("How high is it?", ("tower.txt", 28, 49))
    assert "1 asked already" in rag("new", folder, "--question", "how high is it", "--answer", "x").stdout


def test_new_asks_for_what_was_not_typed(suite):  # noqa: F811
    folder = suite.gold.parent
    assert rag("new", folder, typed="Who paints it?\n\n").exit_code == 0
    assert load_suite(folder).cases[-1].answerable is False


def test_a_quote_that_is_nowhere_is_refused_and_nothing_written(suite):  # noqa: F811
    folder = suite.gold.parent
    before = (folder / "gold.jsonl").read_text()
    with pytest.raises(SuiteError, match="does not hold the words"):
        add_rows(folder, [typed_row("Really?", ["no"], "tower.txt", "lit in 1869")])
    with pytest.raises(SuiteError, match="both a document and its words"):
        typed_row("Really?", ["no"], "tower.txt", None)
    assert (folder / "gold.jsonl").read_text() == before


def feedback(tmp_path, **more):
    citation = {"number": 1, "doc": "tower.txt", "start": 28, "end": 49, "page": None, "quote": "It is 44 metres high."}
    answer = {"question": "How high?", "sentences": [{"text": "It is 44 metres high."}], "citations": [citation]}
    (tmp_path / "f.jsonl").write_text(json.dumps({"answer": answer, **more}) + "\n")
    return tmp_path / "f.jsonl"


def test_feedback_becomes_drafts_that_runs_leave_out(suite, tmp_path):  # noqa: F811
    folder = suite.gold.parent
    assert rag("new", folder, "--feedback", feedback(tmp_path, good=True)).exit_code == 0
    loaded = load_suite(folder)
    assert (loaded.cases[-1].split, loaded.cases[-1].answers) == ("draft", ("It is 44 metres high.",))

    class Silent:
        def document(self, doc):
            raise KeyError(doc)

        def search(self, question, *, tokens):
            return []

    record = run(loaded, out=tmp_path / "run", kb=Silent(), ask=False)
    assert len(record.rows) == 3
    assert "left out until somebody reviews them (rag eval review): 1 drafts" in record.manifest["warnings"]


def test_a_bad_answer_needs_its_correction(tmp_path):
    with pytest.raises(SuiteError, match=r"f\.jsonl:1: an answer called bad needs a 'correction'"):
        feedback_rows(feedback(tmp_path, good=False))
    (row,) = feedback_rows(feedback(tmp_path, good=False, correction="45 metres"))
    assert (row["answers"], row["evidence"]) == (["45 metres"], [])


def test_a_passage_that_somebody_marked_is_the_evidence_of_a_bad_answer(tmp_path):
    marked = {"doc": "tower.txt", "quote": "The tower was lit in 1868.", "start": 0, "end": 26, "page": None}
    (row,) = feedback_rows(feedback(tmp_path, good=False, evidence=[marked]))
    assert (row["answers"], row["answerable"], row["evidence"]) == ([], True, [{**marked, "group": 0}])


def test_a_citation_called_wrong_is_no_evidence_and_what_should_have_been_withheld_no_answer(tmp_path):
    (row,) = feedback_rows(feedback(tmp_path, good=True, wrong_citations=[1]))
    assert (row["answers"], row["evidence"]) == (["It is 44 metres high."], [])
    (row,) = feedback_rows(feedback(tmp_path, good=False, should_abstain=True))
    assert (row["answers"], row["answerable"], row["evidence"]) == ([], False, [])


def test_the_same_words_after_another_question_are_another_question(suite, tmp_path):  # noqa: F811
    folder = suite.gold.parent
    rag("new", folder, "--feedback", feedback(tmp_path, good=True))
    for history, said in (([["Which tower?", "This one."]], "1 added"), ([["Which tower?", "That."]], "asked already")):
        assert said in rag("new", folder, "--feedback", feedback(tmp_path, good=True, history=history)).output
    cases = load_suite(folder).cases
    assert len({case.id for case in cases}) == len(cases) == 5
    assert cases[-1].history == (("Which tower?", "This one."),)


def drafting(folder):
    rows = [{**ROWS[0], "id": id, "question": f"Draft {id}?", "split": "draft", "source": "llm"} for id in "abcd"]
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, [*ROWS, *rows])))


def test_review_keeps_corrects_drops_and_leaves(suite):  # noqa: F811
    folder = suite.gold.parent
    drafting(folder)
    result = rag("review", folder, typed="k\na\nin 1868\nd\ns\n")
    assert "evidence: The tower was lit in 1868.  (tower.txt)" in result.output
    assert "2 kept, 1 dropped, 1 still drafts." in result.output
    after = {case.id: (case.split, case.answers) for case in load_suite(folder).cases[3:]}
    assert after == {"a": (None, ("1868",)), "b": (None, ("in 1868",)), "d": ("draft", ("1868",))}


def test_review_writes_each_decision_at_once_and_touches_nothing_else(suite):  # noqa: F811
    folder = suite.gold.parent
    drafting(folder)
    assert "1 kept, 0 dropped, 3 still drafts." in rag("review", folder, typed="k\nq\n").output
    assert [json.loads(line) for line in (folder / "gold.jsonl").read_text().splitlines()][:3] == ROWS
    assert rag("review", folder, typed="").exit_code == 1  # nobody answers: nothing is decided
    assert [case.split for case in load_suite(folder).cases[3:]] == [None, "draft", "draft", "draft"]


def test_what_a_correction_makes_invalid_is_not_kept(suite):  # noqa: F811
    folder = suite.gold.parent
    drafting(folder)
    before = (folder / "gold.jsonl").read_text()
    with pytest.raises(SuiteError, match="cannot be kept"):
        settle(folder, "a", {"id": "a", "question": "?", "answers": "1868"})
    assert (folder / "gold.jsonl").read_text() == before
