"""Evidence -> confidence that the answer is right, and the threshold below which to say "not in these documents"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rag.extract import Candidate
from rag.question import Question
from rag.values import Passage

# Fitted by benchmarks/answers.py: logistic regression of "the quoted sentences hold the answer" on XQuAD with all, half
# and two thirds of its text indexed.
WEIGHTS = {"bias": -7.46, "cosine": 5.52, "passage": 3.57, "context": 3.55, "unknown": -0.64, "margin": 0.79}
# At this confidence about one in fifteen answers that were given was wrong over those three (benchmarks/RESULTS.md).
THRESHOLD = 0.6


def evidence(
    question: Question, ranked: Sequence[Candidate], passages: Sequence[Passage], frequencies: Mapping[str, int]
) -> dict[str, float]:
    """What speaks for an answer.

    `cosine` and `passage`: best cosine with the question of the leading sentences and of a passage; `context`: share of
    the question's idf weight in and around the best sentence; `unknown`: 1 when a name or number of the question occurs
    in no document; `margin`: how far the best sentence's score lies above the fourth's.
    """
    scores = [candidate.score for candidate in ranked[:4]]
    return {
        "cosine": max((candidate.cosine for candidate in ranked[:5]), default=0.0),
        "passage": max((passage.dense for passage in passages), default=0.0),
        "context": ranked[0].context if ranked else 0.0,
        "unknown": float(any(frequencies.get(term, 0) == 0 for term in question.names)),
        "margin": scores[0] - scores[-1] if scores else 0.0,
    }


def confidence(found: Mapping[str, float]) -> float:
    """Probability that the answer is right, by the fitted logistic model."""
    z = WEIGHTS["bias"] + sum(WEIGHTS[name] * value for name, value in found.items())
    return round(1 / (1 + math.exp(-z)), 4)
