"""Scores of a whole run with intervals, and their difference between two runs. Not means: those are in `evals.stats`.

A resample draws whole clusters and is a row of weights, one an answer, so that a thousand of them are one product. The
permutation test exchanges the two runs' answers, cluster by cluster, which is exact when the runs are exchangeable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.metrics.selective import Answers, area, calibration_error, coverage_at
from evals.stats import FEWEST_CLUSTERS, SEED, Difference, Estimate, Unit, expanded_tail, flat_bounds

RESAMPLES = 2000
_BLOCK = 100  # resamples held in memory at once

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question: its confidence, whether the answer was wrong (in [0, 1]), whether one was given."""

    id: str
    cluster: str
    confidence: float
    wrong: float
    given: bool


def whole_estimates(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    """Risk-coverage area, coverage at 5 % and 10 % risk, calibration error. None of them without an answer given."""
    pool = _Pool.of(outcomes)
    units, by = _units(outcomes)
    if not pool.given.any():
        return {}
    ones = np.ones((1, len(outcomes)))
    counts = _draws(units)
    found = {}
    for name, statistic in STATISTICS.items():
        value = float(statistic(pool, ones)[0])
        drawn = _over(statistic, pool, counts, units)
        low, high = _interval(value, drawn, counts.shape[1], 0.0)
        found[name] = Estimate(value, low, high, len(outcomes), len({o.cluster for o in outcomes}), by)
    return found


def whole_differences(base: Sequence[Outcome], new: Sequence[Outcome]) -> dict[str, tuple[float, float, Difference]]:
    """By name (base, new, difference); base[i] and new[i] are the same question. Without answers in both: nothing."""
    if [one.id for one in base] != [two.id for two in new]:
        raise ValueError("the two runs' outcomes are of different questions")
    if not any(one.given for one in base) or not any(two.given for two in new):
        return {}
    n = len(base)
    pool = _Pool.of([*base, *new])
    units, by = _units(base)
    counts, flips = _draws(units), _flips(units)
    old_side, new_side = np.repeat([1.0, 0.0], n)[None, :], np.repeat([0.0, 1.0], n)[None, :]
    found = {}
    for name, statistic in STATISTICS.items():
        before, after = float(statistic(pool, old_side)[0]), float(statistic(pool, new_side)[0])
        gap = after - before
        pairs = np.concatenate(
            [
                statistic(pool, np.hstack([np.zeros_like(w), w])) - statistic(pool, np.hstack([w, np.zeros_like(w)]))
                for w in _weights(counts, units)
            ]
        )
        swapped = np.concatenate(
            [
                statistic(pool, np.hstack([w, 1 - w])) - statistic(pool, np.hstack([1 - w, w]))
                for w in _weights(flips, units)
            ]
        )
        swapped = swapped[np.isfinite(swapped)]
        p = (1 + int(np.sum(np.abs(swapped) >= abs(gap) - 1e-12))) / (1 + len(swapped))
        low, high = _interval(gap, pairs, counts.shape[1], -1.0)
        spread = float(np.nanstd(pairs))
        mde = 2.8 * spread if spread > 0 else None
        clusters = len({outcome.cluster for outcome in base})
        found[name] = (before, after, Difference(gap, low, high, p, mde, n, clusters, by))
    return found


@dataclass(frozen=True, slots=True)
class _Pool:
    """Questions as columns; `answers` are those that were given, sorted."""

    answers: Answers
    given: NDArray[np.bool_]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> _Pool:
        given = np.array([outcome.given for outcome in outcomes], bool)
        shown = [outcome for outcome in outcomes if outcome.given]
        confidence = np.array([outcome.confidence for outcome in shown], np.float64)
        wrong = np.array([outcome.wrong for outcome in shown], np.float64)
        return cls(Answers.sorted(confidence, wrong), given)

    def ranked(self, weights: Floats) -> Floats:
        """The weights of the answers given, in their order."""
        return np.asarray(weights[:, self.given][:, self.answers.order])


Statistic = Callable[[_Pool, Floats], Floats]


def _coverage(risk: float) -> Statistic:
    return lambda pool, weights: coverage_at(pool.answers, pool.ranked(weights), weights.sum(axis=1), risk)


STATISTICS: dict[str, Statistic] = {
    "coverage@5%": _coverage(0.05),
    "coverage@10%": _coverage(0.10),
    "risk_area": lambda pool, weights: area(pool.answers, pool.ranked(weights)),
    "calibration_error": lambda pool, weights: calibration_error(pool.answers, pool.ranked(weights)),
}


def _units(outcomes: Sequence[Outcome]) -> tuple[NDArray[np.int64], Unit]:
    """The number of the unit that each question belongs to, and what a unit is: a cluster where there are enough."""
    names, where = np.unique([outcome.cluster for outcome in outcomes], return_inverse=True)
    if len(names) < FEWEST_CLUSTERS:
        return np.arange(len(outcomes)), "question"
    return where.astype(np.int64), "cluster"


def _draws(units: NDArray[np.int64]) -> Floats:
    """How often each unit is drawn in each resample, (RESAMPLES, units)."""
    n = int(units.max()) + 1
    return np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)


def _flips(units: NDArray[np.int64]) -> Floats:
    n = int(units.max()) + 1
    return np.random.default_rng(SEED).integers(2, size=(RESAMPLES, n)).astype(np.float64)


def _weights(counts: Floats, units: NDArray[np.int64]) -> Iterator[Floats]:
    for start in range(0, len(counts), _BLOCK):
        yield counts[start : start + _BLOCK][:, units]


def _over(statistic: Statistic, pool: _Pool, counts: Floats, units: NDArray[np.int64]) -> Floats:
    return np.concatenate([statistic(pool, weights) for weights in _weights(counts, units)])


def _interval(value: float, drawn: Floats, units: int, least: float) -> tuple[float, float] | tuple[None, None]:
    """Expanded percentiles; where the draws have no spread, what so many equal units can tell (None for one unit)."""
    drawn = drawn[np.isfinite(drawn)]
    if units < 2 or not len(drawn):
        return None, None
    if math.isclose(float(np.ptp(drawn)), 0.0, abs_tol=1e-12):
        return flat_bounds(value, units, least)
    tail = expanded_tail(units)
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return float(low), float(high)
