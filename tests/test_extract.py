"""Which sentences are quoted, and how they are read."""

import numpy as np
import pytest

from index.minilm import shipped
from rag import Rag
from rag.clues import Asked, meaning, values
from rag.extract import Candidate, choose_sentences
from rag.question import core, read_question
from rag.windows import READ_CHARS, WINDOW, states_in, windows


def candidate(text: str, score: float, *, doc: str = "a.txt", start: int = 0, number: int = 0, fits: float = 0.0):
    clues = {"cosine": 0.5, "fits": fits, "context": 0.5}
    return Candidate(doc, start, start + len(text), None, text, 0, number, frozenset(), clues, score)


WHAT = read_question("What lies on the hill?")


def test_further_sentences_follow_in_reading_order() -> None:
    ranked = [
        candidate("The castle lies on the hill.", 9.0, start=500, number=5),
        candidate("Elsewhere a ruin lies.", 8.5, doc="b.txt"),
        candidate("The hill is steep and bare.", 8.0, start=100, number=1),
    ]
    assert [c.start for c in choose_sentences(WHAT, ranked, 3)] == [500, 100, 0]


def test_the_sides_of_a_disagreement_are_quoted_before_others() -> None:
    ranked = [
        candidate("It was silenced in 1988.", 9.0),
        candidate("The siren still works today.", 8.0, doc="b.txt"),
        candidate("It was switched off in 1991.", 6.0, doc="c.txt"),
    ]
    chosen = choose_sentences(WHAT, ranked, 2, sides=[ranked[0], ranked[2]])
    assert [c.doc for c in chosen] == ["a.txt", "c.txt"]


def test_what_is_far_less_likely_or_says_the_same_is_not_quoted() -> None:
    ranked = [
        candidate("The castle lies on the hill.", 9.0),
        candidate("The castle lies on the hill!", 8.9, doc="b.txt"),
        candidate("Nobody knows the ferryman.", 2.0, doc="c.txt"),
    ]
    assert [c.doc for c in choose_sentences(WHAT, ranked, 3)] == ["a.txt"]


def test_a_sentence_that_opens_with_a_pronoun_brings_the_one_before_it() -> None:
    ranked = [
        candidate("They moved to the roof.", 9.0, start=40, number=1),
        candidate("Terns had a good year.", 1.0, number=0),
    ]
    assert [c.start for c in choose_sentences(WHAT, ranked, 3)] == [40, 0]


def test_a_sentence_without_the_value_brings_the_next_that_has_it() -> None:
    ranked = [
        candidate("The mirror was taken out in June.", 9.0, number=0),
        candidate("It was back after 23 days.", 1.0, start=60, number=2, fits=1.0),
        candidate("It had gone grey at the edge.", 0.5, start=40, number=1),
    ]
    how_long = read_question("How long was the mirror out?")
    assert [c.start for c in choose_sentences(how_long, ranked, 3)] == [0, 60]
    assert [c.start for c in choose_sentences(WHAT, ranked, 3)] == [0]


def test_a_sentence_is_read_in_its_paragraph(tmp_path) -> None:
    kb = Rag(tmp_path / "index")
    kb.add(
        "Agnes Thorne kept bees on the moor above Kell. She paid 40 crowns for her first hive.\n\n"
        "Bram Oakes kept goats in the valley of the Ure. He paid 12 crowns for his first kid.",
        doc="farms.txt",
    )
    assert "40 crowns" in kb.ask("What did Agnes Thorne pay?").citations[0].quote
    assert "12 crowns" in kb.ask("What did Bram Oakes pay?").citations[0].quote


def test_windows_hold_whole_paragraphs_and_each_once() -> None:
    text = "Before.\n\nOne here. Two here.\n\nAfter."
    first, second = text.index("One"), text.index("Two")
    found = windows([("d", first, first + 9), ("d", second, second + 9)], lambda doc: text)
    assert found == [(("d", first, second + 9), [0, 1])]


@pytest.mark.parametrize("at", [0, 700, 5000])
def test_a_window_into_a_long_paragraph_is_short_and_holds_its_sentence(at: int) -> None:
    text = "A line that goes on. " * 300
    start = at - at % 21
    ((_, low, high), _) = windows([("d", start, start + 20)], lambda doc: text)[0]
    assert low <= start < start + 20 <= high
    assert high - low <= WINDOW + 300
    assert low == 0 or text[low] == "A"


def test_no_more_is_read_than_the_limit() -> None:
    text = "\n\n".join("x" * 800 for _ in range(40))
    spans = [("d", n * 802, n * 802 + 800) for n in range(40)]
    found = windows(spans, lambda doc: text)
    assert sum(high - low for (_, low, high), _ in found) <= READ_CHARS
    assert found[0][1] == [0]


def test_states_belong_to_their_characters() -> None:
    text = "Ewan kept the light. Nora kept the boat."
    (reading,) = shipped().readings([text])
    start = text.index("Nora")
    states, pieces = states_in(reading, start, len(text))
    assert pieces[0] == (0, 4)
    assert len(states) == len(pieces)
    assert states_in(reading, 500, 600)[1] == []


def test_readings_are_what_encode_averages() -> None:
    texts = ["Who kept the light?", "Ewan kept the light until 1994.", "Who kept the light?", ""]
    readings = shipped().readings(texts)
    assert np.allclose([reading.vector for reading in readings], shipped().encode(texts), atol=1e-5)
    assert [len(reading.spans) for reading in readings] == [len(reading.states) for reading in readings]


def test_words_of_the_title_need_not_be_repeated() -> None:
    asked = Asked(
        np.zeros(2), {}, np.eye(2, dtype=np.float32), np.array([1.0, 1.0]), (frozenset(["skarn"]), frozenset(["keep"])),
        np.zeros(2, bool), np.zeros(2, bool),
    )  # fmt: skip
    sentence = np.array([[0.0, 1.0]], np.float32)
    assert meaning(asked, sentence, frozenset(["skarn"])) == {"meets": 0.5, "whole": 0.5, "asks": 0.5, "rest": 1.0}
    assert meaning(asked, sentence, frozenset())["rest"] == 0.5


def test_values_count_where_a_kind_is_expected() -> None:
    assert values(read_question("When was it built?"), "It was built in 1868.")["fits"] == 1.0
    assert values(read_question("When was it built?"), "It was built of stone.") == {"fits": 0.0, "near": 0.0}
    assert values(read_question("What was built?"), "It was built in 1868.") == {"fits": 0.0, "near": 0.0}


def test_an_embedder_that_gives_vectors_alone_is_enough(tmp_path) -> None:
    class Vectors:
        fingerprint, dim, window = "vectors", 384, 254

        def token_starts(self, text: str):
            return shipped().token_starts(text)

        def encode(self, texts):
            return shipped().encode(texts)

    kb = Rag(tmp_path / "index", embedder=Vectors())
    kb.add("Ewan Brough kept the light of Skarn Head until 1994. The boat is blue.", doc="light.txt")
    answer = kb.ask("Who kept the light of Skarn Head?")
    assert "Ewan Brough" in answer.citations[0].quote
    assert answer.headline == ""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("How tall is the tower? Round to two decimals.", "How tall is the tower?"),
        ("Answer from the log: how tall is the tower? If you do not know, say so.", "how tall is the tower?"),
        ("The tower is old. How tall is it?", "The tower is old. How tall is it?"),
        ("Name the tower. Be brief.", "Name the tower. Be brief."),
    ],
)
def test_instructions_are_no_part_of_a_question(text: str, left: str) -> None:
    assert core(text) == left
