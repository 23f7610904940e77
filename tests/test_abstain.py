"""What an abstention says, and what the confidence rests on."""

import pytest
from click.testing import CliRunner

from rag import Rag
from rag.abstain import PLAIN_WEIGHTS, WEIGHTS, confidence, evidence, not_found
from rag.cli import main
from rag.question import read_question

TEXT = "The mill at Orrin was built in 1742 by Hanna Voss. Its wheel was carved in one winter."


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("mill") / "index")
    kb.add(TEXT, doc="mill.txt")
    return kb


def test_an_abstention_says_what_it_looked_for_and_what_is_nowhere() -> None:
    question = read_question("What is the capital of Mongolia?")
    said = not_found(question, {"capit": 3, "mongolia": 0}, ["a.txt", "b.txt", "a.txt"])
    assert said == (
        "These documents do not seem to hold the answer. Looked for: capital, Mongolia. No document mentions Mongolia. "
        "The nearest passages are in a.txt and b.txt."
    )


def test_an_abstention_says_when_every_word_occurs() -> None:
    question = read_question("Who painted the mill?")
    said = not_found(question, {"paint": 1, "mill": 2}, [])
    assert said.endswith("Looked for: painted, mill. Each of these words occurs, but no passage says what was asked.")


def test_a_long_question_is_not_listed_whole() -> None:
    words = [f"word{letter}" for letter in "abcdefghijklmnop"]
    said = not_found(read_question(f"Where are {' '.join(words)}?"), {}, [])
    assert "wordl, ..." in said
    assert "Looked for: worda" in said


def test_an_abstention_claims_nothing_of_the_documents(kb: Rag) -> None:
    answer = kb.ask("What is the capital of Mongolia?")
    assert answer.abstained
    assert (answer.sentences, answer.citations, answer.headline, answer.conflicts) == ((), (), "", ())
    assert "Mongolia" in answer.text
    assert answer.passages


def test_the_terminal_shows_the_nearest_passages(kb: Rag) -> None:
    result = CliRunner().invoke(main, ["ask", "What is the capital of Mongolia?", "--index", str(kb.index.folder)])
    assert result.exit_code == 0
    assert "mill.txt (0-" in result.output
    assert "The mill at Orrin was built in 1742" in result.output
    assert "(too low to answer)" in result.output


def test_the_terminal_shows_a_headline_without_its_stars(kb: Rag) -> None:
    result = CliRunner().invoke(main, ["ask", "When was the mill at Orrin built?", "--index", str(kb.index.folder)])
    assert result.output.startswith("1742 [1]\n\n")


def test_nothing_found_is_no_ground_for_an_answer() -> None:
    assert confidence(evidence(read_question("Who was it?"), [], [], {})) < 0.01


def test_every_piece_of_evidence_has_its_weight(kb: Rag) -> None:
    assert "whole" in WEIGHTS
    assert "whole" not in PLAIN_WEIGHTS
    known = confidence({"whole": 0.6, "meets": 0.7, "settled": 1.0, "context": 1.0, "passage": 0.7, "unknown": 0.0})
    unknown = confidence({"whole": 0.6, "meets": 0.7, "settled": 1.0, "context": 1.0, "passage": 0.7, "unknown": 1.0})
    assert 0.5 < unknown < known < 1
