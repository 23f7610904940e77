"""Evidence -> confidence that the answer is right, and the threshold below which to say "not in these documents"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rag.extract import Candidate
from rag.question import Question
from rag.values import Passage

# Fitted by benchmarks/abstain.py: logistic regression of "the quoted sentences hold the answer" on the evidence.
WEIGHTS = {"bias": -5.0, "cosine": 4.0, "passage": 2.0, "coverage": 1.5, "context": 2.0, "absent": -2.0, "fits": 0.5}
THRESHOLD = 0.5


def evidence(
    question: Question, ranked: Sequence[Candidate], passages: Sequence[Passage], frequencies: Mapping[str, int]
) -> dict[str, float]:
    """What speaks for an answer; each in [0, 1] or a cosine.

    `cosine` and `passage`: best cosine of a sentence and of a passage; `coverage` and `context`: shares of the
    question's idf weight in the best sentence and around it; `absent`: share of its terms that no document holds;
    `fits`: whether the best sentence holds a value of the expected kind.
    """
    best = ranked[0] if ranked else None
    missing = sum(frequencies.get(term, 0) == 0 for term in question.terms)
    return {
        "cosine": max((candidate.cosine for candidate in ranked[:5]), default=0.0),
        "passage": max((passage.dense for passage in passages), default=0.0),
        "coverage": best.coverage if best else 0.0,
        "context": best.context if best else 0.0,
        "absent": missing / len(question.terms) if question.terms else 1.0,
        "fits": best.fits if best else 0.0,
    }


def confidence(found: Mapping[str, float]) -> float:
    """Probability that the answer is right, by the fitted logistic model."""
    z = WEIGHTS["bias"] + sum(WEIGHTS[name] * value for name, value in found.items())
    return round(1 / (1 + math.exp(-z)), 4)
