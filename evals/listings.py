"""Scores of a run and differences between two as HTML tables: what gates or moved at once, the rest folded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from evals import plots
from evals.comparison import Change, Comparison
from evals.metrics import metric_of
from evals.record import Score, reasons
from evals.stats import shown_p


def scores_table(scores: Sequence[Score], gate: Collection[str]) -> str:
    """Every score with its interval, drawn and in figures."""
    head = "<tr><th>score<th>mean<th><th>95 %<th>questions<th>clusters<th>unscored</tr>"
    rows = [(_gates(score.name, gate) or score.name == "correct", _score(score)) for score in scores]
    unscored = "".join(f"<p class=soft>{escape(reason)}</p>" for reason in reasons(scores))
    return (
        f"<h2>Scores</h2>{_table(head, rows, 'other scores')}{unscored}<p class=soft>First those that gate. "
        "Clusters in brackets are too few to resample; the interval is then for more questions on the same documents."
        "</p>"
    )


def _score(score: Score) -> str:
    title = escape(score.title) + (" <small>lower is better</small>" if metric_of(score.name).falling else "")
    found = score.estimate
    if found is None:
        return f"<tr><td>{title}<td>–<td><td>–<td>0<td>–<td>{score.unscored}</tr>"
    clusters = str(found.clusters) if found.by == "cluster" else f"({found.clusters})"
    interval = "–" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
    return (
        f"<tr><td>{title}<td>{found.mean:.3f}<td>{plots.interval(found.mean, found.low, found.high)}"
        f"<td>{interval}<td>{found.n}<td>{clusters}<td>{score.unscored or ''}</tr>"
    )


def _gates(name: str, gate: Collection[str]) -> bool:
    return name in gate or metric_of(name).name in gate


def _table(head: str, rows: Sequence[tuple[bool, str]], rest: str) -> str:
    """Rows that matter at once in a table, the others folded in one below it."""
    shown, folded = ([row for matters, row in rows if matters is wanted] for wanted in (True, False))
    more = (
        f"<details class=more><summary>{len(folded)} {rest}</summary>{_rows(head, folded)}</details>" if folded else ""
    )
    return (_rows(head, shown) if shown else "") + more


def _rows(head: str, rows: Sequence[str]) -> str:
    return f"<div class=wide><table>{head}{''.join(rows)}</table></div>"


def changes_table(found: Comparison) -> str:
    """Every difference with its interval, drawn and in figures."""
    notes = "".join(f"<p class=soft>{escape(note)}</p>" for note in found.notes)
    head = (
        "<tr><th>score<th>base<th>this run<th>difference<th><th>95 %<th>p<th>could have seen<th>questions<th>finding"
        "</tr>"
    )
    shown = {change.name for change in found.changes if change.gates or change.name == "correct" or _moved(change)}
    sure = [change for change in found.changes if change.name in shown and change.difference.low is not None]
    reach = max([0.1, *(abs(change.difference.mean) + _width(change) for change in sure)])
    rows = [(change.name in shown, _change(change, min(1.0, reach))) for change in found.changes]
    return (
        f"<h2>Against {escape(str(found.base))}</h2><p>{_verdict(found)}</p>{_table(head, rows, 'other scores')}"
        "<p class=soft>p: sign-flip permutation, Holm-adjusted over the scores that gate and over the others. "
        f"Could have seen: the smallest true difference that would be found four times in five.</p>{notes}"
    )


def _verdict(found: Comparison) -> str:
    """One sentence: what of the gate got worse, what better."""
    gating = [change for change in found.changes if change.gates]
    parts = []
    for kind in ("worse", "better"):
        names = [escape(change.title) for change in gating if change.finding == kind]
        parts += [f"<b class={kind}>{kind}</b>: {', '.join(names)}"] if names else []
    return "; ".join(parts) or f"No difference shown in any of the {len(gating)} scores that gate."


def _moved(change: Change) -> bool:
    return change.finding != "no difference shown"


def _width(change: Change) -> float:
    low, high = change.difference.low, change.difference.high
    return 0.0 if low is None or high is None or not change.difference.mean else (high - low) / 2


def _change(change: Change, reach: float) -> str:
    gap = change.difference
    interval = "–" if gap.low is None else f"{gap.low:+.3f} to {gap.high:+.3f}"
    seen = "–" if gap.mde is None else f"{gap.mde:.3f}"
    kind = change.finding if _moved(change) else "soft"
    return (
        f"<tr><td>{escape(change.title)}<td>{change.base:.3f}<td>{change.new:.3f}<td>{gap.mean:+.3f}"
        f"<td>{plots.gap(gap.mean, gap.low, gap.high, reach, kind)}"
        f"<td>{interval}<td>{escape(shown_p(change.p))}<td>{seen}<td>{gap.n}"
        f"<td class={kind}>{change.finding if _moved(change) else 'none shown'}</tr>"
    )
