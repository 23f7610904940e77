"""The short answer above the sentences: lifted where it is sure, left out where it is not."""

import pytest

from rag import Answer, Rag
from rag.headline import cell_of, completed
from rag.question import read_question
from rag.spans import Parsed, Stretch

MILL = """The mill at Orrin

The mill at Orrin was built in 1742 by Hanna Voss, a widow from the coast. She paid 310 pounds for the wheel, which was
carved in one winter. The stones came from Corsby and weigh two tonnes each.

The miller's cat was called Pepper. Flour was sold on Thursdays until the mill was closed, because the river had silted
up and the wheel no longer turned.
"""


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("mill") / "index")
    kb.add(MILL, doc="mill.txt")
    kb.add("The harbour of Corsby is deep and cold. Ships of any size can lie there in winter.", doc="harbour.txt")
    return kb


@pytest.mark.parametrize(
    ("question", "short"),
    [("When was the mill at Orrin built?", "1742"), ("Who built the mill at Orrin?", "Hanna Voss")],
)
def test_a_date_and_a_name_are_lifted(kb: Rag, question: str, short: str) -> None:
    answer = kb.ask(question)
    assert answer.headline == short
    assert answer.text.startswith(f"**{short}** [1]\n\n")
    assert short in answer.sentences[0].citations[0].quote
    assert answer.sentences[0].citations[0].number == 1


def test_a_reason_has_no_headline(kb: Rag) -> None:
    answer = kb.ask("Why was the mill at Orrin closed?")
    assert not answer.abstained
    assert answer.headline == ""
    assert not answer.text.startswith("**")


def test_a_headline_survives_json(kb: Rag) -> None:
    answer = kb.ask("When was the mill at Orrin built?")
    assert Answer.from_dict(answer.to_dict()) == answer


def test_the_stream_gives_the_headline_first(kb: Rag) -> None:
    texts = [event.text for event in kb.stream("When was the mill at Orrin built?") if hasattr(event, "text")]
    assert texts[0] == "**1742** [1]\n\n"


@pytest.mark.parametrize(
    ("text", "value", "question", "short"),
    [
        ("It lasted 23 days in all.", "23", "How long did it last?", "23 days"),
        ("It lasted 23 days in all.", "23", "How many days did it last?", "23"),
        ("It took 2 hours and 40 minutes.", "2", "How long did it take?", "2 hours and 40 minutes"),
        ("They paid $40 for it.", "40", "How much did they pay?", "$40"),
        ("He ruled from 1321 to 1323 alone.", "1321", "When did he rule?", "1321 to 1323"),
        ("About 7 to 10 percent agreed.", "7", "What share agreed?", "7 to 10 percent"),
        ("There were 168 steps.", "168", "How many steps are there?", "168"),
    ],
)
def test_a_value_is_completed(text: str, value: str, question: str, short: str) -> None:
    start = text.index(value)
    assert completed(text, Stretch(0, 0, start, start + len(value)), read_question(question)) == short


def test_dates_and_abbreviations_stay_whole() -> None:
    parsed = Parsed(read_question("When did it begin?"), "It began on Jan. 3, 2026 in the U.S. and went on.", {})
    found = {parsed.text[at.start : at.end] for at in parsed.stretches()}
    assert "Jan. 3, 2026" in found
    assert "U.S." in found


HEADER = "| Bird | What was counted | 2019 | 2024 |"


@pytest.mark.parametrize(
    ("question", "row", "header", "cell"),
    [
        ("How many gulls were there in 2024?", "| Gull | nests | 204 | 318 |", HEADER, "318"),
        ("How many gulls were there?", "| Gull | nests | 204 | 318 |", HEADER, ""),
        ("What is the nominal range?", "| Nominal range | 24 miles |", "| Light | Skarn |", "24 miles"),
        ("When was it lit?", "| Nominal range | far |", "", ""),
        ("Why was it lit?", "| Nominal range | 24 miles |", "", ""),
    ],
)
def test_a_cell_is_lifted_where_the_question_leaves_no_choice(question: str, row: str, header: str, cell: str) -> None:
    assert cell_of(read_question(question), row, header) == cell
