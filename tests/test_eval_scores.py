"""What of an answer each score reads, on answers made by hand."""

from dataclasses import dataclass

import pytest

from evals.authoring import feedback_rows
from evals.gold import parse_case
from evals.scores import plain_text, score
from rag.values import Answer, Citation, Sentence

QUOTE = "The lamp was first lit on 3 October 1868 by Duncan Rae."
CITED = Citation(1, "tower.txt", 0, len(QUOTE), None, QUOTE)
CASE = parse_case({"id": "lit", "question": "When was the lamp lit?", "answers": ["3 October 1868"]})


@dataclass(frozen=True, slots=True)
class Headlined(Answer):
    """An answer with a short form, whether or not `Answer` has one."""

    headline: str = ""


def answer(headline="", abstained=False):
    sentences = (Sentence(f"{QUOTE} [1]", (CITED,), "supported", 1.0),)
    text = f"{QUOTE} [1]" if not headline else f"**{headline}** [1]\n\n{QUOTE} [1]"
    return Headlined("When?", text, sentences, (CITED,), (), abstained, 0.9, headline=headline)


def values(case, given, similarity=None):
    return score(case, {}, given, {"tower.txt": QUOTE}.get, similarity).values


def test_word_scores_read_the_short_answer_where_there_is_one():
    short, long = values(CASE, answer("3 October 1868")), values(CASE, answer())
    assert (short["exact_match"], short["token_f1"], short["rouge_l"], short["content_f1"]) == (1.0, 1.0, 1.0, 1.0)
    # tokens: lamp was first lit on 3 october 1868 by duncan rae, of which the gold has three: 2*3/(11+3)
    assert (long["exact_match"], long["token_f1"]) == (0.0, pytest.approx(6 / 14))
    assert (long["token_recall"], long["contains_gold"], long["correct"]) == (1.0, 1.0, 1.0)
    assert "headline_correct" not in long


def test_a_wrong_short_answer_does_not_hide_the_right_sentence_below_it_and_is_seen():
    found = values(CASE, answer("Duncan Rae"))
    assert (found["contains_gold"], found["token_recall"], found["correct"]) == (1.0, 1.0, 1.0)
    assert (found["headline_correct"], found["exact_match"], found["token_f1"]) == (0.0, 0.0, 0.0)


def test_similarity_is_that_of_the_short_answer():
    heard = []
    values(CASE, answer("3 October 1868"), lambda text, golds: heard.append(text) or 1.0)
    assert heard == ["3 October 1868"]


def test_an_abstention_has_no_short_answer():
    found = values(CASE, answer("3 October 1868", abstained=True))
    assert (found["exact_match"], found["correct"], found["headline_correct"]) == (0.0, 0.0, 0.0)


def test_plain_text_has_neither_markers_nor_stars():
    assert plain_text(answer("3 October 1868")) == f"3 October 1868\n\n{QUOTE}"
    assert plain_text(answer()) == QUOTE
    # [2] is no citation of this answer, so it belongs to the text.
    stars = Headlined("When?", "A **bold** [2] word [1].", (), (CITED,), (), False, 0.9)
    assert plain_text(stars) == "A **bold** [2] word."


def test_a_good_answers_short_form_becomes_gold(tmp_path):
    file = tmp_path / "feedback.jsonl"
    file.write_text(answer("3 October 1868").to_json() + "\n" + answer().to_json())
    assert [row["answers"] for row in feedback_rows(file)] == [["3 October 1868"], [f"{QUOTE} [1]"]]
