"""The names under which scores are kept and shown, in the order shown. The formulas stand in the files beside this.

A name may end in what it was measured at: `recall@1000` is `recall` in 1,000 tokens of passages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One score a question, in [0, 1], higher is better. `gates`: being worse fails `compare --fail-if-worse`."""

    name: str
    title: str
    gates: bool


METRICS = (
    Metric("recall", "span recall", True),
    Metric("hit", "an evidence span found", False),
    Metric("page_recall", "page recall", True),
    Metric("answer_in_citation", "answer in citation", True),
    Metric("quote_verified", "quotes verified", True),
    Metric("contains_gold", "answer contains gold", True),
    Metric("number_match", "number matches", False),
    Metric("token_f1", "token F1", True),
    Metric("token_recall", "token recall", False),
    Metric("abstention_accuracy", "abstention accuracy", True),
    Metric("abstention_precision", "abstention precision", False),
    Metric("abstention_recall", "abstention recall", False),
    Metric("conflict_cited", "conflict: both sides cited", True),
    Metric("completed", "scored without fault", True),
)

_BY_NAME = {metric.name: metric for metric in METRICS}


def metric_of(name: str) -> Metric:
    """The metric behind a score's name. KeyError when there is none."""
    return _BY_NAME[name.partition("@")[0]]


def title_of(name: str) -> str:
    """What a person reads for a score's name: `recall@1000` is "span recall @ 1000"."""
    _, at, level = name.partition("@")
    return f"{metric_of(name).title} @ {level}" if at else metric_of(name).title


def shown_order(name: str) -> tuple[int, int, str]:
    """Sort key: the order of METRICS, then the level, numbers before words."""
    _, _, level = name.partition("@")
    return METRICS.index(metric_of(name)), int(level) if level.isdigit() else 1 << 30, level
