"""Runs and comparisons as tables in a notebook. Formats what it is given and computes no score."""

from __future__ import annotations

from evals.comparison import Comparison
from evals.record import Record
from evals.stats import shown_p
from rag.display.notebook import framed, table_html


def record_html(record: Record) -> str:
    """Every score with its interval and n, then how many questions failed."""
    rows = [
        (score.title, "–", "–", "0", str(score.unscored or ""))
        if (found := score.estimate) is None
        else (
            score.title,
            f"{found.mean:.3f}",
            _interval(found.low, found.high),
            str(found.n),
            str(score.unscored or ""),
        )
        for score in record.scores()
    ]
    failed = f", {len(record.errors)} failed" if record.errors else ""
    head = f"<p><strong>{len(record.rows)} questions</strong>{failed}</p>"
    return framed(head + table_html(("score", "mean", "95 %", "n", "unscored"), rows, most=len(rows)))


def comparison_html(found: Comparison) -> str:
    """Every score of two runs, their paired difference, and the smallest difference that could have been seen."""
    rows = [
        (
            change.title, f"{change.base:.3f}", f"{change.new:.3f}", f"{change.difference.mean:+.3f}",
            _interval(change.difference.low, change.difference.high, "+.3f"), shown_p(change.p),
            "–" if change.difference.mde is None else f"{change.difference.mde:.3f}", str(change.difference.n),
            change.finding,
        )
        for change in found.changes
    ]  # fmt: skip
    head = f"<p><strong>{found.questions} questions</strong> in both runs</p>"
    columns = ("score", "base", "new", "difference", "95 %", "p", "could be seen", "n", "finding")
    return framed(head + table_html(columns, rows, most=len(rows)))


def _interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    return "–" if low is None or high is None else f"{low:{form}} to {high:{form}}"
