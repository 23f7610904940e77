"""`rag eval`: run, compare and check from the command line. Prints what `evals` returns and decides nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from evals.comparison import Comparison
    from evals.record import Record, Row, Score
    from evals.stats import Difference, Estimate

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def evaluate() -> None:
    """Score answers against gold question-answer pairs."""


@evaluate.command()
@click.argument("suite")
@click.option(
    "--out", type=_FOLDER, help="Folder of the run; one that was broken off is resumed. [default: runs/SUITE/<time>]"
)
@click.option(
    "--index",
    type=_FOLDER,
    envvar="RAG_INDEX",
    help="Where the suite's documents are indexed. [default: runs/SUITE/index]",
)
@click.option("--model", metavar="SPEC", help="Who answers: extract, openai-like:NAME@URL, …")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Another setting for this run; may be repeated."
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=click.IntRange(1),
    help="Tokens at which recall is measured; may be repeated.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first questions.")
@click.option(
    "--ask/--no-ask", default=None, help="Ask for answers, or score retrieval only. [default: as the gold allows]"
)
@click.option("--overwrite", is_flag=True, help="Replace a finished run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON and nothing else.")
def run(
    *,
    suite: str,
    out: Path | None,
    index: Path | None,
    model: str | None,
    changes: tuple[str, ...],
    budgets: tuple[int, ...],
    limit: int | None,
    ask: bool | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Index a suite's documents, ask every question, print the scores.

    SUITE is a folder with docs/ and gold.jsonl (and perhaps suite.toml), or the name of a bundled suite: sample.
    Exits with 1 when no question could be scored.
    """
    from evals import runs
    from evals.suite import load_suite
    from rag.progress import progress_bar

    loaded = load_suite(suite)
    out = out or runs.fresh_folder(loaded)
    with progress_bar() as show:

        def asked(row: Row, done: int, total: int) -> None:
            if show:
                show("asking", done, total)

        try:
            record = runs.run(
                loaded,
                out=out,
                index=index,
                settings=runs.settings_of(loaded, {**_settings(changes), "model": model}),
                budgets=budgets or None,
                ask=ask,
                limit=limit,
                overwrite=overwrite,
                on_row=asked,
                on_sync=show,
            )
        except KeyboardInterrupt:
            click.echo(f"To go on where this stopped, repeat the command with --out {out}", err=True)
            raise
    if as_json:
        click.echo(json.dumps(record.to_dict(), ensure_ascii=False, indent=2))
    else:
        _print_run(record)
    if len(record.errors) == len(record.rows):
        sys.exit(1)


@evaluate.command()
@click.argument("base", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option("--fail-if-worse", is_flag=True, help="Exit with 1 when a gating metric is worse beyond chance.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON and nothing else.")
def compare(base: Path, new: Path, fail_if_worse: bool, as_json: bool) -> None:
    """Compare two finished runs question by question."""
    from evals import comparison

    found = comparison.compare(base, new)
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        _print_comparison(found)
    if fail_if_worse and found.worse:
        click.echo(f"Worse beyond chance: {', '.join(change.title for change in found.worse)}.", err=True)
        sys.exit(1)


@evaluate.command()
@click.argument("suite")
def check(suite: str) -> None:
    """Find every gold quote of SUITE in its document, extracting .html and .pdf too; say what had to be mended."""
    from evals.suite import load_suite

    loaded = load_suite(suite, extract=True)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    rows = [row for case in loaded.cases for row in (*case.evidence, *(r for s in case.conflicts for r in s.evidence))]
    placed = sum(row.span is not None for row in rows)
    unanswerable = sum(not case.answerable for case in loaded.cases)
    click.echo(
        f"{loaded.name}: {len(loaded.cases)} questions ({unanswerable} unanswerable), {len(loaded.files)} documents, "
        f"{placed} of {len(rows)} quotes found."
    )


def _settings(changes: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value is read as TOML (numbers, true, "text"), and as plain text where it is none."""
    import tomllib

    found: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: expected KEY=VALUE, such as --set chunk_tokens=160")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value
    return found


def _print_run(record: Record) -> None:
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
    lines = [*_reasons(scores), *_errors(record), *_timings(record)]
    if any(score.estimate and score.estimate.by == "question" for score in scores):
        lines.insert(0, "Clusters in brackets are too few to resample: the interval is for more questions on them.")
    lines += [f"warning: {warning}" for warning in record.manifest["warnings"]]
    _say(console, *lines, f"{len(record.rows)} questions of {record.manifest['suite']}; rows in {record.folder}")


def _reasons(scores: list[Score]) -> Iterator[str]:
    for score in scores:
        for reason, count in score.reasons.items():
            yield f"unscored: {score.title}, {count} of {count + (score.estimate.n if score.estimate else 0)}: {reason}"


def _errors(record: Record) -> Iterator[str]:
    if record.errors:
        yield f"{len(record.errors)} of {len(record.rows)} questions failed and are in no score:"
        for row in record.errors[:5]:
            yield f"  {row.id}: {row.error}"


def _timings(record: Record) -> Iterator[str]:
    import numpy as np

    stages = dict.fromkeys(stage for row in record.rows for stage in row.seconds)
    for stage in stages:
        seconds = [row.seconds[stage] for row in record.rows if stage in row.seconds]
        middle, slow = np.percentile(seconds, (50, 95))
        yield f"{stage}: p50 {middle * 1000:.0f} ms, p95 {slow * 1000:.0f} ms (n = {len(seconds)})"


def _print_comparison(found: Comparison) -> None:
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
            f"{change.p:.3f}",
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
        "Holm-adjusted over the gating metrics; findings in brackets do not gate and are unadjusted.",
        "mde: the smallest true difference that would be found four times in five.",
        *(f"{change.title}: {change.unpaired} questions were scored by one run only" for change in halves),
        *found.notes,
    )


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
        wordy = head in ("score", "finding")
        table.add_column(head, justify="left" if wordy else "right", no_wrap=wordy)
    return table
