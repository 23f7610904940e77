"""The answerer that needs no model: scores every sentence of the passages and quotes the one to three that answer.

A quote is never altered, so each is supported by construction; whether it answers is what `rag.abstain` judges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from index.embed import Embedder
from index.sentences import sentences
from index.terms import STOP_WORDS, words_and_terms
from rag.question import Question, fitting_facts
from rag.values import Passage


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that might answer: its span, the passage it stands in, the parts of its score and their sum.

    `cosine` compares question and sentence, `coverage` is the share of the question's idf weight found in the sentence
    and `context` that found in it or next to it, `passage` the scaled score of its passage, `fits` whether it holds a
    value of the expected kind. `vector` is its embedding.
    """

    doc: str
    start: int
    end: int
    page: int | None
    text: str
    place: int
    cosine: float
    coverage: float
    context: float
    passage: float
    fits: float
    score: float
    vector: np.ndarray | None = field(default=None, compare=False, repr=False)


# Fitted by benchmarks/answers.py: the sentence that holds the gold answer against the others of its question, by
# multinomial logistic regression on XQuAD. Their sizes follow the ranges of the parts, not their worth.
WEIGHTS = {"cosine": 3.95, "coverage": 4.2, "context": 3.7, "passage": 2.05, "fits": 0.4}
# Sentences embedded for one question; the others' words speak too little for them.
EMBEDDED = 32
# A further sentence is quoted when it reaches this share of the best one's score.
NEAR = 0.4
_MIN_WORDS = 3


def rank_sentences(
    question: Question,
    vector: np.ndarray,
    passages: Sequence[Passage],
    embedder: Embedder,
    weights: Mapping[str, float],
) -> list[Candidate]:
    """Every sentence of the passages, best first.

    `vector` is the question's embedding, `weights` the idf of its terms.
    """
    weight = sum(weights.get(term, 0.0) for term in question.terms) or 1.0
    low, high = _range([passage.score for passage in passages])
    rough: list[Candidate] = []
    for place, passage in enumerate(passages):
        spans = [span for span in sentences(passage.text) if _says_something(passage.text[slice(*span)])]
        held = [{term for _, term in words_and_terms(passage.text[slice(*span)])} for span in spans]
        around = {term for _, term in words_and_terms(passage.title)}
        for number, (start, end) in enumerate(spans):
            near = around.union(*held[max(0, number - 1) : number + 2])
            share = sum(weights[t] for t in question.terms if t in held[number]) / weight
            beside = sum(weights[t] for t in question.terms if t in near) / weight
            text = passage.text[start:end]
            rough.append(
                Candidate(
                    passage.doc, passage.start + start, passage.start + end, passage.page, text, place, 0.0, share,
                    beside, (passage.score - low) / (high - low), float(bool(fitting_facts(question, text))), 0.0,
                )
            )  # fmt: skip
    rough.sort(key=lambda c: -(2 * c.coverage + c.context + c.passage + 0.3 * c.fits))
    head = rough[:EMBEDDED]
    if not head:
        return []
    vectors = embedder.encode([candidate.text for candidate in head])
    scored = [_scored(candidate, row, float(row @ vector)) for candidate, row in zip(head, vectors, strict=True)]
    return sorted(scored, key=lambda c: -c.score)


def choose_sentences(ranked: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The best sentence, then up to `limit` - 1 more that come near it and say something else; best first."""
    chosen: list[Candidate] = []
    for candidate in ranked:
        if len(chosen) >= limit or candidate.score < NEAR * ranked[0].score:
            break
        if not any(_says_the_same(candidate.text, other.text) for other in chosen):
            chosen.append(candidate)
    return chosen


def _scored(candidate: Candidate, vector: np.ndarray, cosine: float) -> Candidate:
    parts = {name: getattr(candidate, name) for name in WEIGHTS} | {"cosine": cosine}
    score = sum(WEIGHTS[name] * value for name, value in parts.items())
    return replace(candidate, cosine=cosine, score=score, vector=vector)


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
