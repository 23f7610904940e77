"""A run as matplotlib figures: risk and coverage, calibration, the spread of scores. Computes nothing of its own.

The report draws the same curves as SVG (`evals.plots`) because it must open anywhere; these are for notebooks.
Needs the `notebook` extra and is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rag.display.figures import new_figure

Step = tuple[float, float, float]


def risk_coverage(runs: Mapping[str, Sequence[Step]]) -> Any:
    """Steps of (coverage, risk, confidence at least), a line a run."""
    figure, axes = new_figure(6.4, 4.4)
    for name, steps in runs.items():
        axes.step([coverage for coverage, _, _ in steps], [risk for _, risk, _ in steps], where="post", label=name)
    for risk in (0.05, 0.10):
        axes.axhline(risk, color="0.8", linewidth=0.8, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="coverage: share of all questions answered")
    axes.set_ylabel("risk: share of answers wrong")
    if len(runs) > 1:
        axes.legend()
    return figure


def calibration(bins: Sequence[tuple[float, float, int]]) -> Any:
    """Bins of (mean confidence, share right, answers): on the diagonal, confidence is honest."""
    figure, axes = new_figure(5.0, 5.0)
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8, zorder=0)
    sizes = [20 + 200 * count / max(c for _, _, c in bins) for _, _, count in bins]
    axes.scatter([c for c, _, _ in bins], [right for _, right, _ in bins], s=sizes, alpha=0.7)
    for confidence, right, count in bins:
        axes.annotate(str(count), (confidence, right), textcoords="offset points", xytext=(8, -4), fontsize="small")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share of answers right", aspect="equal")
    return figure


def distributions(scores: Mapping[str, Sequence[float]]) -> Any:
    """How the questions' scores are spread, a row a metric: a dot a question, the mean as a line."""
    figure, axes = new_figure(7.0, 1.2 + 0.6 * len(scores))
    rng = np.random.default_rng(0)
    for row, values in enumerate(scores.values()):
        lift = row + rng.uniform(-0.22, 0.22, len(values))
        axes.scatter(values, lift, s=12, alpha=0.5)
        if len(values):
            axes.vlines(float(np.mean(values)), row - 0.35, row + 0.35, color="black")
    axes.set(xlim=(-0.03, 1.03), xlabel="score of a question; the line is the mean")
    axes.set_yticks(range(len(scores)), [f"{name} (n {len(values)})" for name, values in scores.items()])
    axes.invert_yaxis()
    return figure
