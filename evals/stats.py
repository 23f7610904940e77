"""How sure a score is: means with intervals, and two runs compared question by question. Knows no metric by name.

Questions that share a document are not independent, so whole clusters are resampled (Miller 2024, "Adding Error Bars to
Evals", arXiv 2411.00640). That needs six of them: the range of five cluster means holds the true mean in only 15 of 16
cases, and five signs can never be rarer than 2 in 32. With fewer, questions are resampled instead (`by`), and the
interval speaks of further questions on the same documents, not of other documents. Every draw comes from a fixed seed:
the same rows always give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20240711
_LEVEL = 0.95
FEWEST_CLUSTERS = 6
_EXACT_CLUSTERS = 14  # up to 2^14 sign patterns are enumerated; beyond, as many as RESAMPLES are drawn

Floats = NDArray[np.float64]
Unit = Literal["cluster", "question"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over n questions in `clusters` groups, with its 95 % interval, None where a single question gives none.

    `by` says what was resampled.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    by: Unit


@dataclass(frozen=True, slots=True)
class Difference:
    """New minus base over the n questions that both scored.

    `p` is that of the sign-flip permutation test, two-sided; `mde` the smallest true difference that this many
    questions would show at 80 % power. What a single question, or differences without any spread, cannot tell is None.
    `least_p` is the smallest p that the sizes of these differences allow, were they all of one sign.
    """

    mean: float
    low: float | None
    high: float | None
    p: float
    mde: float | None
    n: int
    clusters: int
    by: Unit
    least_p: float = 0.0


def estimate(scores: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Mean and interval of scores in [0, 1], one a question, each with its cluster's name. ValueError without scores.

    The interval is a bootstrap with Hesterberg's expanded percentiles (2015, "What Teachers Should Know about the
    Bootstrap", sec. 4.5), which do not flatter small samples. Equal units have no spread to resample, yet are no
    certainty: twenty questions all right are .83 to 1.
    """
    values = _checked(scores, clusters)
    units = _units(values, clusters)
    mean = float(values.mean())
    low, high = units.flat_interval(0.0) if units.flat else units.bootstrap_interval()
    if low is not None and high is not None:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(mean, low, high, len(values), units.clusters, units.by)


def difference(base: Sequence[float], new: Sequence[float], clusters: Sequence[str]) -> Difference:
    """Paired comparison: base[i] and new[i] are the same question's scores in [0, 1]. ValueError without pairs.

    Interval: bootstrap of the mean difference. p: whole clusters flip their sign, which is exact under the hypothesis
    that the two runs are exchangeable within each. mde: 2.8 clustered standard errors (z at .975 plus z at .80).
    """
    values = _checked(np.subtract(new, base).tolist(), clusters)
    units = _units(values, clusters)
    mean, p = float(values.mean()), _sign_flip(units.sums)
    least = min(1.0, 2.0 ** (1 - int(np.count_nonzero(units.sums))))
    if units.flat:
        low, high = units.flat_interval(-1.0)
        return Difference(mean, low, high, p, None, len(values), units.clusters, units.by, least)
    low, high = units.bootstrap_interval()
    mde = 2.8 * units.standard_error()
    return Difference(mean, low, high, p, mde, len(values), units.clusters, units.by, least)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's (1979) step-down adjustment: with these, calling p < .05 is wrong anywhere in at most 5 % of families."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = running
    return adjusted


def shown_p(p: float) -> str:
    """A p-value with three decimals; one that would read 0.000 says that it is below .001."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def expanded_tail(n: int) -> float:
    """The percentile at which a bootstrap of n units is cut so that its interval is as wide as Student's would be."""
    from scipy.special import ndtr, stdtrit  # type: ignore[import-untyped]

    return float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - _LEVEL) / 2)))


def flat_bounds(mean: float, n: int, least: float) -> tuple[float, float] | tuple[None, None]:
    """Bounds when n independent units from [least, 1] are equal: Clopper & Pearson's for n successes in n trials.

    Were more than a share q of them different, n would agree with probability below (1-q)^n; so with 95 % (two-sided)
    confidence q <= 1 - .025^(1/n), and that share could score anything between `least` and 1. None for a single unit.
    """
    if n == 1:
        return None, None
    same = ((1 - _LEVEL) / 2) ** (1 / n)
    return mean * same + least * (1 - same), mean * same + 1 - same


@dataclass(frozen=True, slots=True)
class _Units:
    """What is resampled: the sum of scores and the number of questions of each cluster, or of each question."""

    sums: Floats
    counts: Floats
    clusters: int
    by: Unit

    @property
    def flat(self) -> bool:
        return bool(np.ptp(self.sums / self.counts) < 1e-12)

    def flat_interval(self, least: float) -> tuple[float, float] | tuple[None, None]:
        return flat_bounds(float(self.sums.sum() / self.counts.sum()), len(self.sums), least)

    def bootstrap_interval(self) -> tuple[float, float]:
        """Expanded percentiles of the means of RESAMPLES draws of n units with replacement."""
        n = len(self.sums)
        rng = np.random.default_rng(SEED)
        means = np.empty(RESAMPLES)
        block = max(1, 2_000_000 // n)  # bounds memory to some 50 MB for any number of units
        for start in range(0, RESAMPLES, block):
            drawn = rng.integers(n, size=(min(block, RESAMPLES - start), n))
            means[start : start + len(drawn)] = self.sums[drawn].sum(axis=1) / self.counts[drawn].sum(axis=1)
        tail = expanded_tail(n)
        low, high = np.quantile(means, (tail, 1 - tail))
        return float(low), float(high)

    def standard_error(self) -> float:
        """Clustered standard error of the mean, with the factor n/(n-1) so that few units do not promise too much."""
        n, questions = len(self.sums), float(self.counts.sum())
        residuals = self.sums - self.sums.sum() / questions * self.counts
        return math.sqrt(n / (n - 1) * float((residuals**2).sum())) / questions


def _units(values: Floats, clusters: Sequence[str]) -> _Units:
    names, where = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    if len(names) < FEWEST_CLUSTERS:
        return _Units(values, np.ones_like(values), len(names), "question")
    sums = np.bincount(where, values, len(names)).astype(np.float64)
    return _Units(sums, np.bincount(where, minlength=len(names)).astype(np.float64), len(names), "cluster")


def _sign_flip(sums: Floats) -> float:
    moved = sums[sums != 0.0]  # a cluster without a difference has no sign to flip
    groups, observed = len(moved), abs(float(sums.sum()))
    if not groups:
        return 1.0
    slack = 1e-9 * float(np.abs(moved).sum())  # equal sums added in another order must count as ties
    if groups <= _EXACT_CLUSTERS:
        patterns = (np.arange(2**groups)[:, None] >> np.arange(groups)) & 1
        totals = np.abs((1 - 2 * patterns) @ moved)
        return float(np.mean(totals >= observed - slack))
    rng = np.random.default_rng(SEED)
    flips = rng.integers(2, size=(RESAMPLES, groups), dtype=np.int8)
    totals = np.abs((1 - 2 * flips) @ moved)
    return (1 + int(np.sum(totals >= observed - slack))) / (1 + RESAMPLES)


def _checked(scores: Sequence[float], clusters: Sequence[str]) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if not len(values) or len(values) != len(clusters):
        raise ValueError(f"{len(values)} scores in {len(clusters)} clusters; expected as many, and at least one")
    if not np.isfinite(values).all():
        raise ValueError("a score is not a number; unscored questions must be left out before")
    return values
