"""Runs, comparisons and matrices as tables in a terminal. Formats what it is given and computes no score."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evals.metrics import metric_of, shown_order, title_of
from evals.record import reasons

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evals.comparison import Comparison
    from evals.gate import Check
    from evals.matrix import Cell
    from evals.record import Record
    from evals.stats import Difference, Estimate


def print_run(record: Record) -> None:
    """The scores of a run with intervals, what could not be scored, errors, times, tokens."""
    from evals.judge import Agreement

    console, scores = _console(), record.scores()
    table = _table("score", "mean", "95 %", "n", "clusters", "unscored")
    for score in scores:
        if score.estimate is None:
            table.add_row(score.title, "–", "–", "0", "–", str(score.unscored))
            continue
        mean, clusters = f"{score.estimate.mean:.3f}", _clusters(score.estimate)
        unscored = str(score.unscored) if score.unscored else ""
        table.add_row(score.title, mean, _interval(score.estimate), str(score.estimate.n), clusters, unscored)
    console.print(table)
    lines = [*reasons(scores), *_errors(record), *_operations(record)]
    if any(score.estimate and score.estimate.by == "question" for score in scores):
        lines.insert(0, "Clusters in brackets are too few to resample: the interval is for more questions on them.")
    if "judge" in record.manifest:
        lines.append(str(Agreement(**record.manifest["judge"])))
    lines += [f"warning: {warning}" for warning in record.manifest["warnings"]]
    _say(console, *lines, f"{len(record.rows)} questions of {record.manifest['suite']}; rows in {record.folder}")


def print_comparison(found: Comparison) -> None:
    """Every score of two runs with its difference, interval, p, and the difference that could have been seen."""
    from evals.stats import shown_p

    console = _console()
    table = _table("score", "base", "new", "difference", "95 %", "p", "mde", "n", "clusters", "finding")
    for change in found.changes:
        gap = change.difference
        table.add_row(
            change.title,
            f"{change.base:.3f}",
            f"{change.new:.3f}",
            f"{gap.mean:+.3f}",
            _interval(gap, "+.3f"),
            shown_p(change.p),
            "–" if gap.mde is None else f"{gap.mde:.3f}",
            str(gap.n),
            _clusters(gap),
            change.finding if change.gates else f"({change.finding})",
        )
    console.print(table)
    halves = [change for change in found.changes if change.unpaired]
    _say(
        console,
        "p: sign-flip permutation of clusters (of questions where clusters, in brackets, are too few).",
        "Holm-adjusted over the metrics that gate, and over the others, whose findings stand in brackets.",
        "mde: the smallest true difference that would be found four times in five.",
        *(f"{change.title}: {change.unpaired} questions were scored by one run only" for change in halves),
        *found.notes,
    )


def print_checks(judged: Sequence[Check]) -> None:
    """The checks of the gate, failed ones first."""
    failed = [check for check in judged if check.outcome == "failed"]
    lines = [f"FAILED {check.kind}: {check.name}: {check.found}" for check in failed]
    _say(_console(), *lines, f"{len(judged) - len(failed)} of {len(judged)} checks passed.")


def print_matrix(cells: Sequence[Cell]) -> None:
    """A row a combination of settings, a column a gating score, and how each compares with the first row."""
    console = _console()
    means = [
        {score.name: score.estimate.mean for score in cell.record.scores() if score.estimate is not None}
        for cell in cells
    ]
    gate = set(cells[0].record.manifest["gate"])
    names = sorted(
        {name for row in means for name in row if {name, metric_of(name).name} & gate},
        key=shown_order,
    )
    table = _table("settings", *map(title_of, names), "errors")
    for cell, row in zip(cells, means, strict=True):
        findings = {
            change.name: change.finding for change in (cell.against_first.changes if cell.against_first else ())
        }
        shown = [
            "–" if name not in row else f"{row[name]:.3f}{_MARKS.get(findings.get(name, ''), '')}" for name in names
        ]
        table.add_row(cell.label, *shown, str(len(cell.record.errors)))
    console.print(table)
    _say(
        console,
        "+ better, - worse than the first row beyond chance (Holm over the gating metrics of a row, not over rows).",
        *(f"{cell.label}: {cell.record.folder}" for cell in cells),
    )


_MARKS = {"better": " +", "worse": " -"}


def _errors(record: Record) -> Iterator[str]:
    if record.errors:
        yield f"{len(record.errors)} of {len(record.rows)} questions failed and are in no score:"
        for row in record.errors[:5]:
            yield f"  {row.id}: {row.error}"


def _operations(record: Record) -> Iterator[str]:
    found = record.operations()
    for stage, timing in found.timings.items():
        yield f"{stage}: p50 {timing.p50 * 1000:.0f} ms, p95 {timing.p95 * 1000:.0f} ms (n = {timing.n})"
    if found.input_tokens or found.output_tokens:
        cost = "cost unknown" if found.cost is None else f"${found.cost:.4f}"
        yield f"{found.input_tokens} tokens in, {found.output_tokens} out, {cost}, for {found.answers} answers"
    if found.cache_hits:
        yield f"{found.cache_hits} answers came from an earlier run and are in no time and no cost"


def _interval(found: Estimate | Difference, form: str = ".3f") -> str:
    if found.low is None or found.high is None:
        return "–"
    return f"{found.low:{form}} to {found.high:{form}}"


def _clusters(found: Estimate | Difference) -> str:
    return str(found.clusters) if found.by == "cluster" else f"({found.clusters})"


def _console() -> Console:
    from rich.console import Console

    # A pipe or a log has no width of its own; 80 columns would break the tables.
    return Console(width=None if sys.stdout.isatty() else 150)


def _say(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(*heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        wordy = head in ("score", "finding", "settings")
        table.add_column(head, justify="left" if wordy else "right", no_wrap=wordy)
    return table
