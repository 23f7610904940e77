"""The answerer that needs no model: scores every sentence of the passages and quotes the one to three that answer.

A quote is never altered, so each is supported by construction; whether it answers is what `rag.abstain` judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from index.embed import Embedder
from index.sentences import sentences
from index.terms import STOP_WORDS, words_and_terms
from rag.clues import Asked, meaning, shared_words, values
from rag.question import Question
from rag.values import Passage
from rag.windows import Span, states_in, windows


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that might answer: its span, passage `place` and sentence `number` therein, what speaks for it.

    `clues` are the parts of its score by name (`rag.clues`; `passage` is the scaled score of its passage, `cosine` that
    of question and sentence). `vector` is its embedding; `states` and `pieces` are those of its word pieces, read in
    their paragraph, None with an embedder that gives none.
    """

    doc: str
    start: int
    end: int
    page: int | None
    text: str
    place: int
    number: int
    clues: Mapping[str, float]
    score: float = 0.0
    vector: np.ndarray | None = field(default=None, compare=False, repr=False)
    states: np.ndarray | None = field(default=None, compare=False, repr=False)
    pieces: Sequence[tuple[int, int]] = field(default=(), compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Document, start, end."""
        return self.doc, self.start, self.end

    @property
    def cosine(self) -> float:
        """Cosine of question and sentence."""
        return self.clues["cosine"]


# Fitted by benchmarks/answers.py: the sentence that holds the gold answer against the others of its question, by
# multinomial logistic regression on XQuAD. Their sizes follow the ranges of the clues, not their worth.
WEIGHTS = {
    "coverage": 2.2, "context": 2.4, "before": 1.9, "passage": 0.8, "fits": 0.2, "near": 0.75, "cosine": 4.2,
    "meets": 6.1, "whole": 4.45, "asks": 5.65,
}  # fmt: skip
# The same for an embedder that gives vectors alone.
PLAIN_WEIGHTS = {"coverage": 4.2, "context": 3.7, "passage": 2.05, "fits": 0.4, "cosine": 3.95}
# Sentences read for one question; the others' words speak too little for them.
READ = 32
# A further sentence is quoted unless it is this many times less likely than the best one.
FAR = 100.0
_MIN_WORDS = 3


def rank_sentences(
    question: Question,
    asked: Asked,
    passages: Sequence[Passage],
    embedder: Embedder,
    text_of: Callable[[str], str],
) -> list[Candidate]:
    """The sentences of the passages, best first: those of which words alone promise most, READ of them.

    `text_of` gives a document's text.
    """
    found = _candidates(question, passages, asked.idf)
    found.sort(key=lambda c: -_rough(c.clues))
    head = found[:READ]
    if not head:
        return []
    if len(asked.states):
        scored = _read(head, asked, embedder, text_of)
    else:
        rows = embedder.encode([candidate.text for candidate in head])
        scored = [
            _scored(replace(candidate, vector=row), {"cosine": float(row @ asked.vector)}, PLAIN_WEIGHTS)
            for candidate, row in zip(head, rows, strict=True)
        ]
    return sorted(scored, key=lambda c: -c.score)


def choose_sentences(ranked: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The best sentence, then up to `limit` - 1 more that come near it and say something else, in reading order: first
    those of its document as they stand there, then those of others as they rank."""
    chosen: list[Candidate] = []
    for candidate in ranked:
        if len(chosen) >= limit or candidate.score < ranked[0].score - np.log(FAR):
            break
        if not any(_says_the_same(candidate.text, other.text) for other in chosen):
            chosen.append(candidate)
    docs = list(dict.fromkeys(candidate.doc for candidate in chosen))
    return chosen[:1] + sorted(chosen[1:], key=lambda c: (docs.index(c.doc), c.start))


def _candidates(question: Question, passages: Sequence[Passage], idf: Mapping[str, float]) -> list[Candidate]:
    low, high = _range([passage.score for passage in passages])
    out: list[Candidate] = []
    for place, passage in enumerate(passages):
        spans = [span for span in sentences(passage.text) if _says_something(passage.text[slice(*span)])]
        held = [frozenset(term for _, term in words_and_terms(passage.text[slice(*span)])) for span in spans]
        title = frozenset(term for _, term in words_and_terms(passage.title))
        ranked = {"passage": (passage.score - low) / (high - low)}
        for number, (start, end) in enumerate(spans):
            text = passage.text[start:end]
            clues = shared_words(question, held, number, title, idf) | ranked | values(question, text)
            at = (passage.doc, passage.start + start, passage.start + end, passage.page)
            out.append(Candidate(*at, text, place, number, clues))
    return out


def _rough(clues: Mapping[str, float]) -> float:
    """What the words alone say, for which sentences are worth reading."""
    return 2 * clues["coverage"] + clues["context"] + clues["passage"] + 0.3 * clues["fits"]


def _read(
    head: Sequence[Candidate], asked: Asked, embedder: Embedder, text_of: Callable[[str], str]
) -> list[Candidate]:
    """Score sentences as they read in their paragraphs; those that no window had room for are left out."""
    stretches = windows([candidate.span for candidate in head], text_of)
    readings = embedder.readings([text_of(doc)[start:end] for (doc, start, end), _ in stretches])  # type: ignore[attr-defined]
    out: list[Candidate] = []
    for ((_, first, _), numbers), reading in zip(stretches, readings, strict=True):
        for candidate in (head[number] for number in numbers):
            states, pieces = states_in(reading, candidate.start - first, candidate.end - first)
            if not len(states):
                continue
            mean = states.mean(axis=0)
            own = mean / (float(np.linalg.norm(mean)) or 1.0)
            full = replace(candidate, vector=own, states=states, pieces=pieces)
            out.append(_scored(full, meaning(asked, states) | {"cosine": float(own @ asked.vector)}, WEIGHTS))
    return out


def _scored(candidate: Candidate, more: Mapping[str, float], weights: Mapping[str, float]) -> Candidate:
    clues = {**candidate.clues, **more}
    return replace(candidate, clues=clues, score=sum(weight * clues[name] for name, weight in weights.items()))


def _says_something(text: str) -> bool:
    """Headings, headlines, labels and dividers answer nothing; a script without spaces counts by characters."""
    if re.match(r"#{1,6} |```|\|[\s|:-]*$", text):
        return False
    words = re.findall(r"[^\W_]+", text)
    long = [word for word in words if len(word) > 3]
    if not re.search(r"[.!?:;…。！？|\d]", text) and len(long) > 1 and all(word[0].isupper() for word in long):
        return False
    return len(words) >= _MIN_WORDS or sum(map(len, words)) >= 8


def _says_the_same(one: str, two: str) -> bool:
    a, b = ({term for word, term in words_and_terms(text) if word not in STOP_WORDS} for text in (one, two))
    return len(a & b) >= 0.9 * max(len(a), len(b), 1)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (high - 1.0, high)
