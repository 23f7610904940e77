"""Example questions are made from sentences that state a plain fact, and those that are not sure are tried first."""

from pathlib import Path

import pytest
from conftest import SAMPLE, WordHash

from rag import Rag, Settings
from ui.examples import examples


def made(tmp_path: Path, words: WordHash, *texts: str, least: float = 0.0) -> list[str]:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=least), embedder=words)
    for number, text in enumerate(texts):
        kb.add(text, doc=f"{number}.txt")
    return examples(kb)


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("The old lighthouse was built in 1868 by two brothers.", "When was the old lighthouse built?"),
        ("Our ferry costs £18 for a car.", "How much does the ferry cost?"),
        ("The crossing takes about 40 minutes.", "How long does the crossing take?"),
        ("Net sales increased 18.2% to $3.2 billion.", "By how much did net sales increase?"),
        ("The Brannay Council has announced the end of the works.", "What did the Brannay Council announce?"),
        ("Ewan Brough wrote a book about the light.", "What did Ewan Brough write?"),
    ],
)
def test_a_plain_fact_becomes_a_question(tmp_path: Path, words: WordHash, sentence: str, question: str) -> None:
    assert made(tmp_path, words, sentence) == [question]


@pytest.mark.parametrize(
    "sentence",
    ["When Sky Digital was launched in 1998, few had a dish.", "It was built in 1868.", "Kittiwakes nest on cliffs.",
     "The man who was seen in 1990 left."],
)  # fmt: skip
def test_other_sentences_do_not(tmp_path: Path, words: WordHash, sentence: str) -> None:
    assert made(tmp_path, words, sentence) == []


def test_a_question_that_would_not_be_answered_is_not_offered(tmp_path: Path, words: WordHash) -> None:
    assert made(tmp_path, words, "Ewan Brough wrote a book about the light.", least=1.0) == []


def test_each_document_gives_one_and_four_are_enough() -> None:
    from index.documents import read_document

    texts = {path.name: read_document(path, path.name, 10**7) for path in sorted(SAMPLE.iterdir())}

    class Library:
        """The sample documents without an index."""

        def documents(self) -> list[object]:
            return list(texts.values())

        def document(self, doc: str) -> object:
            return texts[doc]

    found = examples(Library())
    assert len(found) == len(set(found)) == 4
