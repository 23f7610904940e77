"""What people say of answers becomes gold: kept beside the answer, exported, read by `rag eval new`, checked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import WordHash

from evals.authoring import feedback_rows
from evals.gold import SuiteError, read_gold
from index.errors import DocumentError
from rag import Answer, Citation, Rag, Settings
from rag.cli import main
from ui.chatfile import NAME, ChatFile
from ui.conversations import ConversationError, Conversations
from ui.feedback import Feedback, FeedbackError, Given, picked

KEEPER = "Who was the last keeper?"


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def kept(tmp_path: Path) -> Conversations:
    return Conversations(ChatFile(tmp_path / ".rag" / NAME))


@pytest.fixture
def said(kept: Conversations) -> Feedback:
    return Feedback(kept.file)


def asked(kb: Rag, kept: Conversations, question: str = KEEPER, user: str = "") -> tuple[str, int, Answer]:
    given = kb.ask(question)
    id = kept.create(user)
    return id, kept.append(user, id, question, given), given


def span_of(kb: Rag, doc: str, words: str) -> Any:
    start = kb.document(doc).text.index(words)
    return picked(kb, doc, start, start + len(words))


# Saying


def test_what_was_said_is_there_when_the_conversation_reopens(kb: Rag, kept: Conversations, said: Feedback) -> None:
    id, turn, given = asked(kb, kept)
    span = span_of(kb, "tower.md", "He left in 1994.")
    said.give("", turn, "down")
    said.give("", turn, "wrong_citation", citation=given.citations[0].number)
    said.give("", turn, "passage", span=span)
    said.give("", turn, "passage", span=span)
    found = Feedback(ChatFile(kept.file.file)).given("", id)
    expected = [Given("down"), Given("wrong_citation", citation=1), Given("passage", span=span)]
    assert sorted(found[turn], key=lambda g: g.kind) == sorted(expected, key=lambda g: g.kind)


def test_opposites_take_each_other_back(kb: Rag, kept: Conversations, said: Feedback) -> None:
    id, turn, _ = asked(kb, kept)

    def kinds() -> set[str]:
        return {given.kind for given in said.given("", id).get(turn, [])}

    said.give("", turn, "up")
    said.give("", turn, "down")
    assert kinds() == {"down"}
    said.give("", turn, "should_abstain")
    said.give("", turn, "up")
    assert kinds() == {"up"}
    said.take_back("", turn, "up")
    assert kinds() == set()


def test_nonsense_is_refused(kb: Rag, kept: Conversations, said: Feedback) -> None:
    _, turn, _ = asked(kb, kept)
    for kind, more in (("nice", {}), ("passage", {}), ("wrong_citation", {}), ("wrong_citation", {"citation": 99})):
        with pytest.raises(FeedbackError):
            said.give("", turn, kind, **more)
    with pytest.raises(ConversationError):
        said.give("", turn + 1, "up")


def test_nobody_judges_anothers_answers(kb: Rag, kept: Conversations, said: Feedback) -> None:
    id, turn, _ = asked(kb, kept, user="ada")
    for wrong in (lambda: said.give("bob", turn, "up"), lambda: said.take_back("bob", turn, "up")):
        with pytest.raises(ConversationError):
            wrong()
    said.give("ada", turn, "up")
    assert said.given("bob", id) == {}
    assert said.export("bob").lines == ()
    assert len(said.export("ada").lines) == len(said.export(None).lines) == 1


def test_deleting_a_conversation_deletes_what_was_said_of_it(kb: Rag, kept: Conversations, said: Feedback) -> None:
    id, turn, _ = asked(kb, kept)
    said.give("", turn, "up")
    kept.delete("", id)
    assert said.export().lines == ()


def test_a_picked_passage_is_the_marked_words_without_the_space_around(kb: Rag) -> None:
    text = kb.document("tower.md").text
    start = text.index(" It is 34 metres")
    span = picked(kb, "tower.md", start, start + len(" It is 34 metres high.\n"))
    assert span.quote == "It is 34 metres high." == text[span.start : span.end]


@pytest.mark.parametrize(("start", "end"), [(0, 0), (5, 2), (10**9, 10**9 + 5), (-5, 0)])
def test_an_empty_mark_is_refused(kb: Rag, start: int, end: int) -> None:
    with pytest.raises(FeedbackError):
        picked(kb, "tower.md", start, end)


def test_a_mark_in_no_document_is_refused(kb: Rag) -> None:
    with pytest.raises(DocumentError):
        picked(kb, "nowhere.md", 0, 5)


# Gold


def rag(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


def gold(said: Feedback, folder: Path, tmp_path: Path) -> dict[str, Any]:
    """The rows that `rag eval new` makes of everything said, by question; `rag eval check` must find every quote."""
    suite, file = tmp_path / "suite", tmp_path / "feedback.jsonl"
    suite.mkdir()
    (suite / "docs").symlink_to(folder)
    file.write_text(said.export().text, "utf-8")
    made = rag("new", suite, "--feedback", file)
    assert made.exit_code == 0, made.output
    checked = rag("check", suite)
    assert checked.exit_code == 0, checked.output
    cases, warnings = read_gold(suite / "gold.jsonl")
    assert warnings == []
    quotes = sum(len(case.evidence) for case in cases)
    assert f"{quotes} of {quotes} quotes found" in checked.output
    return {case.question: case for case in cases}


def test_praise_becomes_a_question_with_answer_and_evidence(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    _, turn, given = asked(kb, kept)
    said.give("", turn, "up")
    case = gold(said, folder, tmp_path)[KEEPER]
    assert case.answers == (given.to_dict().get("headline") or " ".join(sentence.text for sentence in given.sentences),)
    assert [(e.doc, e.start, e.end) for e in case.evidence] == [(c.doc, c.start, c.end) for c in given.citations]
    assert case.split == "draft"


def test_praise_leaves_out_the_citation_called_wrong(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    first, second = (span_of(kb, "tower.md", words) for words in ("The last keeper was Ewan Brough.", "34 metres high"))
    cited = tuple(Citation(n, s.doc, s.start, s.end, s.page, s.quote) for n, s in enumerate((first, second), 1))
    given = replace(kb.ask(KEEPER), citations=cited)
    turn = kept.append("", kept.create(), KEEPER, given)
    said.give("", turn, "up")
    said.give("", turn, "wrong_citation", citation=2)
    case = gold(said, folder, tmp_path)[KEEPER]
    assert [e.quote for e in case.evidence] == ["The last keeper was Ewan Brough."]


def test_the_right_passage_becomes_the_evidence_and_a_bad_answer_no_answer(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    _, turn, _ = asked(kb, kept)
    said.give("", turn, "down")
    said.give("", turn, "passage", span=span_of(kb, "ferry.txt", "The ferry sails at noon."))
    case = gold(said, folder, tmp_path)[KEEPER]
    assert case.answers == ()
    assert [(e.doc, e.quote) for e in case.evidence] == [("ferry.txt", "The ferry sails at noon.")]


def test_should_have_abstained_becomes_an_unanswerable_question(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    _, turn, _ = asked(kb, kept, "Who won the regatta?")
    said.give("", turn, "should_abstain")
    case = gold(said, folder, tmp_path)["Who won the regatta?"]
    assert (case.answerable, case.answers, case.evidence) == (False, (), ())


def test_a_passage_for_an_answer_that_abstained_makes_it_answerable(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    kb.settings = Settings(min_confidence=2.0)  # nothing is that sure
    _, turn, given = asked(kb, kept)
    assert given.abstained
    said.give("", turn, "passage", span=span_of(kb, "tower.md", "The last keeper was Ewan Brough."))
    case = gold(said, folder, tmp_path)[KEEPER]
    assert case.answerable
    assert case.evidence[0].quote == "The last keeper was Ewan Brough."


def test_a_follow_up_keeps_what_was_said_before_it(
    kb: Rag, kept: Conversations, said: Feedback, folder: Path, tmp_path: Path
) -> None:
    id, _, first = asked(kb, kept)
    turn = kept.append("", id, "When did he leave?", kb.ask("When did he leave?", history=[(KEEPER, first.text)]))
    said.give("", turn, "up")
    assert gold(said, folder, tmp_path)["When did he leave?"].history == ((KEEPER, first.text),)


def test_blame_alone_tells_nothing_and_is_counted(kb: Rag, kept: Conversations, said: Feedback) -> None:
    _, bad, _ = asked(kb, kept)
    _, wrong, _ = asked(kb, kept, "When does the ferry sail?")
    said.give("", bad, "down")
    said.give("", wrong, "wrong_citation", citation=1)
    assert (said.export().text, said.export().untold) == ("", 2)


def test_a_hand_written_line_without_a_quote_is_named(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    line = {"answer": {"question": "How high?", "citations": []}, "good": False, "evidence": [{"doc": "tower.md"}]}
    file.write_text(json.dumps(line))
    with pytest.raises(SuiteError, match=r"f\.jsonl:1: 'quote' is None"):
        feedback_rows(file)
