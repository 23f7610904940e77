"""What confidence is worth: risk against coverage, and calibration. Scores of a whole run; one question has none.

Answers are (confidence, wrong) with a weight each, so that a resample is only another row of weights: `weights` is
(rows, answers) and every function gives one value a row. Answers of equal confidence are taken together: a threshold
cannot part them. Coverage is a share of all questions, also of those that the system abstained from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """n answers that were given, most confident first: `confidence` and `wrong` in [0, 1]; `last` closes their tie.

    `last[i]` is the index of the last answer with the confidence of answer i.
    """

    confidence: Floats
    wrong: Floats
    last: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def sorted(cls, confidence: Floats, wrong: Floats) -> Answers:
        """From columns in any order; `order` says where each stood."""
        order = np.argsort(-confidence, kind="stable")
        ranked = confidence[order]
        last = np.searchsorted(-ranked, -ranked, side="right") - 1
        return cls(ranked, wrong[order], last, order)


def area(answers: Answers, weights: Floats) -> Floats:
    """Area under the risk-coverage curve over the answers given (Geifman et al. 2019): their mean risk, in [0, 1].

    The risk at an answer is the share of wrong ones among those at least as confident. Lower is better; a random order
    gives the share of wrong answers. NaN where no answer has weight.
    """
    risk, held = _risk(answers, weights)
    with np.errstate(invalid="ignore"):
        return np.asarray((risk * weights).sum(axis=1) / held[:, -1])


def coverage_at(answers: Answers, weights: Floats, questions: Floats, risk: float) -> Floats:
    """Largest share of all `questions` (their weight, (rows,)) answered with at most this share of wrong answers."""
    found, held = _risk(answers, weights)
    allowed = np.where(found <= risk + 1e-12, held[:, answers.last], 0.0)
    return np.asarray(allowed.max(axis=1) / questions)


def calibration_error(answers: Answers, weights: Floats) -> Floats:
    """Expected calibration error (Guo et al. 2017), ten equal bins: weighted mean of |confidence - share right|.

    Few answers a bin make it too large even for a system that is perfectly calibrated. NaN where no answer has weight.
    """
    bins = np.minimum((answers.confidence * BINS).astype(np.int64), BINS - 1)
    gap = (1.0 - answers.wrong) - answers.confidence
    member = np.eye(BINS)[bins]  # (answers, bins)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(weights @ (member * gap[:, None])).sum(axis=1) / weights.sum(axis=1))


def curve(answers: Answers, questions: int) -> list[tuple[float, float, float]]:
    """The steps of the risk-coverage curve: (coverage, risk, confidence at least), one a distinct confidence."""
    if not len(answers.confidence):
        return []
    weights = np.ones((1, len(answers.confidence)))
    risk, held = _risk(answers, weights)
    ends = np.unique(answers.last)
    return [(float(held[0, end]) / questions, float(risk[0, end]), float(answers.confidence[end])) for end in ends]


def bins_of(answers: Answers) -> list[tuple[float, float, int]]:
    """Of each bin that holds answers: (mean confidence, share right, answers), lowest confidence first."""
    bins = np.minimum((answers.confidence * BINS).astype(np.int64), BINS - 1)
    found = []
    for number in np.unique(bins):
        inside = bins == number
        right = 1.0 - answers.wrong[inside]
        found.append((float(answers.confidence[inside].mean()), float(right.mean()), int(inside.sum())))
    return found


def _risk(answers: Answers, weights: Floats) -> tuple[Floats, Floats]:
    """Risk at each answer and the weight held up to each, both (rows, answers)."""
    held = np.cumsum(weights, axis=1)
    wrong = np.cumsum(weights * answers.wrong, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        risk = (wrong / held)[:, answers.last]
    # Nothing held yet is no risk; such an answer has no weight itself.
    return np.nan_to_num(risk), held
