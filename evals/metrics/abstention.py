"""Scores of saying "not in these documents", for one question. The averages over a suite are its rates.

Precision and recall are averages over different questions: `precision` is None on every answer given, `recall` on
every question that has an answer, so that their means are the usual ratios and get intervals like any other score.
"""

from __future__ import annotations


def accuracy(abstained: bool, answerable: bool) -> float:
    """1.0 when the answer abstained exactly if the documents do not hold the answer."""
    return float(abstained != answerable)


def precision(abstained: bool, answerable: bool) -> float | None:
    """Of the abstentions, the share that was right (SQuAD 2.0's unanswerable questions); None on an answer."""
    return float(not answerable) if abstained else None


def recall(abstained: bool, answerable: bool) -> float | None:
    """Of the unanswerable questions, the share abstained from; None on an answerable one."""
    return float(abstained) if not answerable else None
