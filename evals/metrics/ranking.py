"""Scores of a ranking of ids against graded relevance, as trec_eval defines them. Knows no spans and no token budgets.

`ranked` is best first and without repeats; `grades` maps an id to its relevance, where 0 and below is not relevant and
an id that is missing was not judged relevant. Without any relevant id there is nothing to find: ValueError. Every
formula is held against pytrec_eval on random runs (tests/test_eval_ranking.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Grades = Mapping[str, float]
Ranked = Sequence[str]


def reciprocal_rank(ranked: Ranked, grades: Grades) -> float:
    """1 / rank of the first relevant id; 0 when none was retrieved."""
    relevant = _relevant(grades)
    return next((1 / rank for rank, id in enumerate(ranked, 1) if id in relevant), 0.0)


def average_precision(ranked: Ranked, grades: Grades) -> float:
    """Mean over the relevant ids of the precision at their rank, 0 for one not retrieved; its mean is MAP."""
    relevant, found, total = _relevant(grades), 0, 0.0
    for rank, id in enumerate(ranked, 1):
        if id in relevant:
            found += 1
            total += found / rank
    return total / len(relevant)


def ndcg(ranked: Ranked, grades: Grades, k: int | None = None) -> float:
    """Discounted gain of the first k over that of the best order: the grade itself is the gain, as in trec_eval.

    Järvelin & Kekäläinen 2002 with the discount log2(1 + rank). Burges' variant with gain 2^grade - 1 gives other
    numbers.
    """
    best = sorted(_relevant(grades).values(), reverse=True)
    return _discounted([max(0.0, grades.get(id, 0.0)) for id in ranked[:k]]) / _discounted(best[:k])


def precision_at(ranked: Ranked, grades: Grades, k: int) -> float:
    """Share of k places that hold a relevant id; an empty place counts as a miss, as in trec_eval."""
    return len(_relevant(grades).keys() & set(ranked[:k])) / k


def recall_at(ranked: Ranked, grades: Grades, k: int) -> float:
    """Share of the relevant ids among the first k."""
    relevant = _relevant(grades)
    return len(relevant.keys() & set(ranked[:k])) / len(relevant)


def hit_at(ranked: Ranked, grades: Grades, k: int) -> float:
    """1.0 when a relevant id is among the first k."""
    return float(bool(_relevant(grades).keys() & set(ranked[:k])))


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """Ids by falling score; equal scores stand by falling id, which is how trec_eval breaks ties."""
    return sorted(sorted(scores, reverse=True), key=lambda id: -scores[id])


def mean_over_gold(
    measure: Callable[[Ranked, Grades], float], run: Mapping[str, Ranked], gold: Mapping[str, Grades]
) -> float:
    """Mean of a measure over every question of the gold; one that the run does not answer scores 0.

    Evaluators that average over the questions of the run instead reward leaving out the hard ones.
    """
    if not gold:
        raise ValueError("a mean needs at least one question")
    return sum(measure(run.get(id, ()), grades) for id, grades in gold.items()) / len(gold)


def _relevant(grades: Grades) -> dict[str, float]:
    relevant = {id: grade for id, grade in grades.items() if grade > 0}
    if not relevant:
        raise ValueError("a ranking is scored against at least one relevant id")
    return relevant


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains, 1))
