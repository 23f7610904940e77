"""What speaks for a sentence as the answer to a question, as numbers. Does not weigh them; `rag.extract` does.

Three kinds: words that question and sentence share, meaning (the model's states of their word pieces, read in the
paragraph, so that "she" is whoever she is there), and values of the kind that was asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.embed import Embedder
from index.minilm import Reading
from index.terms import STOP_WORDS, words_and_terms
from rag.question import TYPED, Question, fitting_facts

# Characters after which a value no longer stands near a word of the question (e-folding).
_NEAR = 60
_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_ASKS = frozenset("who whom whose what which when where why how".split())


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question as it was searched: its embedding `vector` (d,), the `idf` of its terms, and its word pieces.

    `states` (n, 384) are those of the pieces, `weights` (n,) the idf of their words, `terms` their words' terms;
    `asking` marks those that ask (who), `focus` those that name what is asked for. All are empty with an embedder that
    gives vectors alone.
    """

    vector: np.ndarray
    idf: Mapping[str, float]
    states: np.ndarray
    weights: np.ndarray
    terms: tuple[frozenset[str], ...]
    asking: np.ndarray
    focus: np.ndarray


def read_asked(question: Question, vector: np.ndarray, idf: Mapping[str, float], embedder: Embedder) -> Asked:
    """Read a question: stop words weigh nothing, a word in pieces as much as one in one piece."""
    readings: Callable[[Sequence[str]], list[Reading]] | None = getattr(embedder, "readings", None)
    if readings is None:
        return Asked(vector, idf, np.zeros((0, 0), np.float32), np.zeros(0), (), np.zeros(0, bool), np.zeros(0, bool))
    (reading,) = readings([question.text])
    weights = np.zeros(len(reading.spans), np.float32)
    held: list[frozenset[str]] = [frozenset()] * len(reading.spans)
    asking, focus = np.zeros((2, len(reading.spans)), bool)
    for found in _WORD.finditer(question.text):
        own = [
            n for n, (start, end) in enumerate(reading.spans) if found.start() <= start < found.end() and end > start
        ]
        word = found.group().lower()
        terms = [term for _, term in words_and_terms(word)]
        asking[own], focus[own] = word in _ASKS, question.focus in terms
        for n in own:
            held[n] = frozenset(terms)
        if own and word not in STOP_WORDS:
            weights[own] = max((idf.get(term, 0.0) for term in terms), default=0.0) / len(own)
    return Asked(vector, idf, reading.states, weights, tuple(held), asking, focus)


def meaning(asked: Asked, states: np.ndarray, title: frozenset[str]) -> dict[str, float]:
    """How well each piece of the question meets its best piece of the sentence (late interaction, MaxSim).

    `meets` weighs the pieces by idf, `whole` weighs them alike, `asks` takes who, what, when alone: in a sentence that
    answers, something stands where they stand. `rest` is `meets` without the words of the document's title, which its
    sentences need not repeat.
    """
    if not len(states) or not len(asked.states):
        return {"meets": 0.0, "whole": 0.0, "asks": 0.0, "rest": 0.0}
    best = (asked.states @ states.T).max(axis=1)
    whole = float(best.mean())
    meets = _weighed(best, asked.weights, whole)
    told = np.array([bool(terms) and terms <= title for terms in asked.terms])
    return {
        "meets": meets,
        "whole": whole,
        "asks": float(best[asked.asking].mean()) if asked.asking.any() else whole,
        "rest": _weighed(best, np.where(told, 0.0, asked.weights), meets),
    }


def _weighed(values: np.ndarray, weights: np.ndarray, otherwise: float) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0 else otherwise


def shared_words(
    question: Question, held: Sequence[frozenset[str]], number: int, title: frozenset[str], idf: Mapping[str, float]
) -> dict[str, float]:
    """Shares of the question's idf weight: `coverage` in sentence `number` of a passage, `context` in it, its
    neighbours and the title, `before` what the sentence before it adds."""
    weight = sum(idf.get(term, 0.0) for term in question.terms) or 1.0

    def share(terms: frozenset[str]) -> float:
        return sum(idf.get(term, 0.0) for term in question.terms if term in terms) / weight

    own = share(held[number])
    around = title.union(*held[max(0, number - 1) : number + 2])
    before = share(held[number] | held[number - 1]) - own if number else 0.0
    return {"coverage": own, "context": share(around), "before": before}


def values(question: Question, text: str) -> dict[str, float]:
    """`fits`: whether the sentence holds a value of the expected kind that the question does not give; `near`: how
    close the nearest such value stands to a word of the question. Both are 0 where no kind is expected."""
    if question.expected not in TYPED:
        return {"fits": 0.0, "near": 0.0}
    facts = fitting_facts(question, text)
    if not facts:
        return {"fits": 0.0, "near": 0.0}
    wanted = set(question.terms)
    places = [
        found.start()
        for found in _WORD.finditer(text)
        if len(found.group()) > 2 and any(term in wanted for _, term in words_and_terms(found.group()))
    ]
    distance = min((abs(fact.start - place) for fact in facts for place in places), default=math.inf)
    return {"fits": 1.0, "near": math.exp(-distance / _NEAR)}
