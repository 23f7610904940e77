"""Runs and comparisons over a tiny world: three documents, and a system that searches them by shared words."""

import json
import re

import pytest

from evals import compare, load_run, load_suite, run
from index.documents import Document
from index.errors import RagError
from rag.values import Answer, Citation, Conflict, Passage, Sentence

TEXTS = {
    "tower.txt": "The tower was lit in 1868. It is 44 metres high. Duncan Rae kept it.",
    "siren.txt": "The siren fell silent in 1988. Boats missed it.",
    "news.txt": "The siren was switched off in 1991. Radar had come.",
}


class WordSearch:
    """Sentences ranked by words shared with the question; the best one is the answer, cited. A word is a token.

    Abstains when no more than `least` words are shared, and fails on a question that holds `fails`.
    """

    def __init__(self, least=1, fails=None, shift=0):
        self.least, self.fails, self.shift = least, fails, shift
        self.asked = []

    def document(self, doc):
        return Document(doc, TEXTS[doc], (), "", "")

    def search(self, question, *, tokens):
        chosen = []
        for passage in self._ranked(question):
            if passage.tokens + sum(other.tokens for other in chosen) <= tokens:
                chosen.append(passage)
        return chosen

    def ask(self, question, *, history=()):
        self.asked.append(question)
        if self.fails and self.fails in question:
            raise RuntimeError("the model went away")
        best = [passage for passage in self._ranked(question) if passage.score > self.least]
        if not best:
            return Answer(question, "Not in these documents.", (), (), (), True, 0.1)
        top = best[0].score
        cited = tuple(
            Citation(number, p.doc, p.start + self.shift, p.end, None, p.text)
            for number, p in enumerate((p for p in best if p.score == top), 1)
        )
        text = f"{cited[0].quote} [1]"
        conflicts = (Conflict("year", tuple((c.quote, (c,)) for c in cited)),) if len(cited) > 1 else ()
        return Answer(
            question, text, (Sentence(text, cited[:1], "supported", 1.0),), cited[:1], (), False, 0.9, conflicts
        )

    def _ranked(self, question):
        wanted = set(re.findall(r"\w+", question.lower()))
        found = []
        for doc, text in TEXTS.items():
            for match in re.finditer(r"[^.]+\.", text):
                words = re.findall(r"\w+", match[0].lower())
                start = match.start() + len(match[0]) - len(match[0].lstrip())
                found.append(Passage(doc, start, match.end(), None, text[start : match.end()], len(words),
                                     float(len(wanted & set(words))), 0.0, 0.0, ""))  # fmt: skip
        return sorted(found, key=lambda passage: -passage.score)


def quoted(doc, quote):
    return {"doc": doc, "quote": quote, "start": TEXTS[doc].index(quote), "end": TEXTS[doc].index(quote) + len(quote)}


ROWS = [
    {"id": "lit", "question": "When was the tower lit?", "answers": ["1868"],
     "evidence": [quoted("tower.txt", "The tower was lit in 1868.")]},
    {"id": "high", "question": "How high is it in metres?", "answers": ["44 metres"],
     "evidence": [quoted("tower.txt", "It is 44 metres high.")]},
    {"id": "siren", "question": "When was the siren off?", "answers": ["1988"],
     "evidence": [quoted("siren.txt", "The siren fell silent in 1988.")],
     "conflicts": [{"answer": ["1991"], "evidence": [quoted("news.txt", "The siren was switched off in 1991.")]}]},
    {"id": "paint", "question": "What colour is paint?", "answerable": False},
]  # fmt: skip


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "docs").mkdir()
    for doc, text in TEXTS.items():
        (tmp_path / "docs" / doc).write_text(text, newline="")
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return load_suite(tmp_path)


def means(record):
    return {score.name: score.estimate.mean for score in record.scores() if score.estimate}


def test_a_run_scores_every_question(suite, tmp_path):
    record = run(suite, out=tmp_path / "run", kb=WordSearch(), budgets=[6, 100])
    assert [row.id for row in record.rows] == ["lit", "high", "siren", "paint"]
    found = means(record)
    # Six words hold one sentence. That of 1991 shares four words with the siren's question, its evidence only two.
    assert found["recall@6"] == pytest.approx(2 / 3)
    assert found["recall@100"] == 1.0
    assert found["contains_gold"] == pytest.approx(2 / 3)
    assert found["answer_in_citation@1"] == pytest.approx(2 / 3)
    assert found["quote_verified"] == 1.0
    assert (found["abstention_accuracy"], found["abstention_precision"], found["abstention_recall"]) == (1.0, 1.0, 1.0)
    assert found["conflict_cited"] == 0.0


def test_scores_carry_n_and_clusters(suite, tmp_path):
    scores = {score.name: score for score in run(suite, out=tmp_path / "run", kb=WordSearch()).scores()}
    assert (scores["contains_gold"].estimate.n, scores["contains_gold"].estimate.clusters) == (3, 2)
    assert scores["abstention_accuracy"].estimate.n == 4
    assert scores["conflict_cited"].estimate.n == 1
    assert scores["conflict_cited"].estimate.low is None


def test_a_failing_question_is_a_counted_error_row_in_no_score(suite, tmp_path):
    record = run(suite, out=tmp_path / "run", kb=WordSearch(fails="tower"))
    assert {row.id: row.error for row in record.errors} == {"lit": "RuntimeError: the model went away"}
    assert {score.name: score.estimate.n for score in record.scores()}["contains_gold"] == 2
    assert record.to_dict()["errors"] == {"lit": "RuntimeError: the model went away"}


def test_a_citation_that_points_beside_its_quote_is_seen(suite, tmp_path):
    assert means(run(suite, out=tmp_path / "run", kb=WordSearch(shift=1)))["quote_verified"] == 0.0


def test_more_tokens_than_the_budget_are_unscored_not_rewarded(suite, tmp_path):
    class Spender(WordSearch):
        def search(self, question, *, tokens):
            return super().search(question, tokens=1000)

    record = run(suite, out=tmp_path / "run", kb=Spender(), budgets=[6])
    recall = next(score for score in record.scores() if score.name == "recall@6")
    assert recall.estimate is None
    assert recall.unscored == 3
    assert "for a budget of 6" in next(iter(recall.reasons))


def test_a_suite_without_answers_is_scored_on_retrieval_alone(suite, tmp_path):
    rows = [{key: row[key] for key in ("id", "question", "evidence")} for row in ROWS[:2]]
    suite.gold.write_text("\n".join(map(json.dumps, rows)))
    kb = WordSearch()
    record = run(load_suite(tmp_path), out=tmp_path / "run", kb=kb)
    assert kb.asked == []
    assert {name.partition("@")[0] for name in means(record)} == {
        "recall", "recall_any_copy", "precision", "precision_any_copy", "iou", "iou_any_copy", "hit", "mrr", "doc_map",
        "doc_ndcg",
    }  # fmt: skip


def test_a_run_that_broke_off_goes_on_where_it_stopped(suite, tmp_path):
    class Interrupted(WordSearch):
        def ask(self, question, *, history=()):
            if "siren" in question:
                raise KeyboardInterrupt
            return super().ask(question)

    with pytest.raises(KeyboardInterrupt):
        run(suite, out=tmp_path / "run", kb=Interrupted())
    with pytest.raises(RagError, match="broken off"):
        load_run(tmp_path / "run")
    with (tmp_path / "run" / "rows.jsonl").open("a") as rows:
        rows.write('{"id": "torn')
    kb = WordSearch()
    record = run(suite, out=tmp_path / "run", kb=kb)
    assert kb.asked == ["When was the siren off?", "What colour is paint?"]
    assert [row.id for row in record.rows] == ["lit", "high", "siren", "paint"]
    assert record.manifest["resumed"] == 2
    assert record.scores() == run(suite, out=tmp_path / "whole", kb=WordSearch()).scores()


def test_rows_with_errors_or_other_gold_or_budgets_are_asked_again(suite, tmp_path):
    run(suite, out=tmp_path / "run", kb=WordSearch(fails="tower"))
    (tmp_path / "run" / "manifest.json").unlink()
    changed = [*ROWS[:1], {**ROWS[1], "answers": ["44 m"]}, *ROWS[2:]]
    suite.gold.write_text("\n".join(map(json.dumps, changed)))
    kb = WordSearch()
    run(load_suite(tmp_path), out=tmp_path / "run", kb=kb)
    assert kb.asked == ["When was the tower lit?", "How high is it in metres?"]
    (tmp_path / "run" / "manifest.json").unlink()
    kb = WordSearch()
    run(load_suite(tmp_path), out=tmp_path / "run", kb=kb, budgets=[50])
    assert len(kb.asked) == 4


def test_a_finished_run_is_not_lost_by_a_slip(suite, tmp_path):
    run(suite, out=tmp_path / "run", kb=WordSearch())
    with pytest.raises(RagError, match="--overwrite"):
        run(suite, out=tmp_path / "run", kb=WordSearch())
    kb = WordSearch()
    run(suite, out=tmp_path / "run", kb=kb, overwrite=True)
    assert len(kb.asked) == 4


def test_answers_are_kept_whole(suite, tmp_path):
    record = run(suite, out=tmp_path / "run", kb=WordSearch())
    assert Answer.from_dict(record.rows[0].answer).citations[0].quote == "The tower was lit in 1868."


def test_a_follow_up_is_asked_with_its_history(suite, tmp_path):
    class Follower(WordSearch):
        def ask(self, question, *, history=()):
            return super().ask(" ".join([question, *(said for turn in history for said in turn)]))

    row = {
        "id": "f",
        "question": "And its height?",
        "answers": ["44"],
        "history": [["What is high in metres?", "It is"]],
    }
    suite.gold.write_text(json.dumps(row))
    record = run(load_suite(tmp_path), out=tmp_path / "run", kb=Follower())
    assert means(record)["contains_gold"] == 1.0


def test_questions_are_asked_with_one_blas_thread_and_no_longer(suite, tmp_path):
    from threadpoolctl import threadpool_info

    def threads():
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]
        return {pool["num_threads"] for pool in pools}

    class Watching(WordSearch):
        def search(self, question, *, tokens):
            seen.append(threads())
            return super().search(question, tokens=tokens)

    seen, before = [], threads()
    run(suite, out=tmp_path / "run", kb=Watching())
    assert seen
    assert all(found == {1} for found in seen)
    assert threads() == before


def test_equal_runs_show_no_difference(suite, tmp_path):
    base = run(suite, out=tmp_path / "a", kb=WordSearch())
    found = compare(base, run(suite, out=tmp_path / "b", kb=WordSearch()))
    assert {change.finding for change in found.changes} == {"no difference shown"}
    assert found.worse == []


@pytest.fixture
def towers(tmp_path):
    """Twelve times the same question on as many documents: enough for a difference to show."""
    folder = tmp_path / "towers"
    (folder / "docs").mkdir(parents=True)
    for doc, text in TEXTS.items():
        (folder / "docs" / doc).write_text(text, newline="")
    rows = [{**ROWS[0], "id": f"t{n}", "cluster": f"c{n}"} for n in range(12)]
    (folder / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_suite(folder)


def test_a_real_regression_is_found_and_gates(towers, tmp_path):
    base = run(towers, out=tmp_path / "a", kb=WordSearch())
    worse = run(towers, out=tmp_path / "b", kb=WordSearch(least=9))
    found = compare(base, worse)
    assert {"contains_gold", "abstention_accuracy"} <= {change.name for change in found.worse}
    contained = next(change for change in found.changes if change.name == "contains_gold")
    assert contained.difference.mean == -1.0
    assert contained.p < 0.05
    assert {change.finding for change in compare(worse, base).changes if change.name == "contains_gold"} == {"better"}


def test_questions_that_begin_to_fail_gate_too(towers, tmp_path):
    base = run(towers, out=tmp_path / "a", kb=WordSearch())
    found = compare(base, run(towers, out=tmp_path / "b", kb=WordSearch(fails="tower")))
    assert [change.name for change in found.worse] == ["completed"]
    assert any("12 questions" in note and "error" in note for note in found.notes)


def test_runs_of_other_gold_are_not_compared(suite, towers, tmp_path):
    base, other = run(suite, out=tmp_path / "a", kb=WordSearch()), run(towers, out=tmp_path / "b", kb=WordSearch())
    with pytest.raises(RagError, match="share no question"):
        compare(base, other)
