"""`rag eval`: run, rescore, compare and report from the command line. Prints what `evals` returns and decides nothing.

What checks, makes and moves gold is in `evals.gold_cli`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evals.gold_cli import COMMANDS

if TYPE_CHECKING:
    from evals.record import Row
    from evals.suite import Suite

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


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
@click.option(
    "--vary",
    "axes",
    multiple=True,
    metavar="KEY=V1,V2",
    help="One run a value, and a table that compares them; repeated, one a combination.",
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Questions asked at once. [default: 4 for a model behind a server]"
)
@click.option("--fresh", is_flag=True, help="Ask a model again even where an earlier run kept its answer.")
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
    axes: tuple[str, ...],
    jobs: int | None,
    fresh: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Index a suite's documents, ask every question, print the scores.

    SUITE is a folder with docs/ and gold.jsonl (and perhaps suite.toml), or the name of a bundled suite: sample.
    Exits with 1 when no question could be scored.
    """
    from evals import runs
    from evals.matrix import vary
    from evals.suite import load_suite
    from evals.tables import print_matrix, print_run
    from rag.progress import progress_bar

    loaded = load_suite(suite)
    out = out or runs.fresh_folder(loaded)
    overrides = {**_settings(changes), "model": model}
    with progress_bar() as show:

        def asked(row: Row, done: int, total: int) -> None:
            if show:
                show("asking", done, total)

        options: dict[str, Any] = {"budgets": budgets or None, "ask": ask, "limit": limit, "jobs": jobs, "fresh": fresh}
        options |= {"index": index, "overwrite": overwrite, "on_row": asked, "on_sync": show}
        try:
            if axes:
                cells = vary(loaded, _axes(axes), out=out, overrides=overrides, **options)
            else:
                record = runs.run(loaded, out=out, settings=runs.settings_of(loaded, overrides), **options)
        except KeyboardInterrupt:
            click.echo(f"To go on where this stopped, repeat the command with --out {out}", err=True)
            raise
    records = [cell.record for cell in cells] if axes else [record]
    if as_json:
        found = [each.to_dict() for each in records]
        click.echo(json.dumps(found if axes else found[0], ensure_ascii=False, indent=2))
    elif axes:
        print_matrix(cells)
    else:
        print_run(record)
    if any(len(each.errors) == len(each.rows) for each in records):
        sys.exit(1)


@evaluate.command()
@click.argument("run", type=_FOLDER)
@click.option("--suite", help="Score by this suite's gold as it is now; default the gold that the run kept.")
@click.option("--out", type=_FOLDER, help="Write the run here and leave the old one as it is.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON and nothing else.")
def rescore(run: Path, suite: str | None, out: Path | None, as_json: bool) -> None:
    """Score a finished RUN again, with the metrics (or the gold) of now; nothing is asked anew."""
    from evals.rescoring import rescore as again
    from evals.tables import print_run

    record = again(run, suite=_loaded(suite), out=out)
    if as_json:
        click.echo(json.dumps(record.to_dict(), ensure_ascii=False, indent=2))
    else:
        print_run(record)


def _loaded(suite: str | None) -> Suite | None:
    from evals.suite import load_suite

    return load_suite(suite, extract=True) if suite else None


@evaluate.command()
@click.argument("base", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option("--fail-if-worse", is_flag=True, help="Exit with 1 when a gating metric is worse beyond chance.")
@click.option(
    "--min", "minimums", multiple=True, metavar="NAME=BOUND", help="Exit with 1 below it: recall@1000=.9; repeatable."
)
@click.option("--junit", type=_FILE, help="Write the checks as a JUnit file.")
@click.option("--markdown", type=_FILE, help="Append a summary in Markdown to this file, - for the terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON and nothing else.")
def compare(
    *,
    base: Path,
    new: Path,
    fail_if_worse: bool,
    minimums: tuple[str, ...],
    junit: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Compare two finished runs question by question; with --fail-if-worse or --min, as a gate."""
    from evals import comparison, gate
    from evals.record import load_run
    from evals.tables import print_checks, print_comparison

    bounds = gate.read_minimums(minimums)
    after = load_run(new)
    found = comparison.compare(base, after)
    judged = gate.checks(found, after, bounds, fail_if_worse)
    failed = [check for check in judged if check.outcome == "failed"]
    if junit:
        gate.write_junit(junit, judged, after)
    if markdown and str(markdown) != "-":
        with markdown.open("a", encoding="utf-8") as file:
            file.write(gate.markdown(found, judged))
    if as_json:
        plain = {**found.to_dict(), "checks": [dataclasses.asdict(check) for check in judged]}
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
    elif markdown and str(markdown) == "-":
        click.echo(gate.markdown(found, judged))
    else:
        print_comparison(found)
        if judged:
            print_checks(judged)
    if failed:
        click.echo(f"The gate is shut: {', '.join(f'{check.kind} {check.name}' for check in failed)}.", err=True)
        sys.exit(1)


@evaluate.command()
@click.argument("run", type=_FOLDER)
@click.option("--model", required=True, metavar="SPEC", help="Who judges: openai:NAME, ollama:NAME, ...")
@click.option("--calibration", required=True, type=_FILE, help="Answers that people graded, as JSON lines.")
def judge(run: Path, model: str, calibration: Path) -> None:
    """Let a model grade a finished RUN; its agreement with people is measured first and shown beside its scores.

    A calibration row is {"question", "answers": [accepted], "answer", "correct": true or false}; thirty or more.
    """
    from evals.judge import judge_run
    from evals.replies import JsonModel
    from evals.runs import RUNS
    from evals.tables import print_run
    from rag.settings import Settings

    settings = Settings.load(model=model)
    print_run(judge_run(run, JsonModel(model, settings, RUNS / "judge"), calibration))


@evaluate.command()
@click.argument("run", type=_FOLDER)
@click.option("--base", type=_FOLDER, help="Compare with this run, question by question.")
@click.option("--out", type=_FILE, help="The page. [default: report.html in the run's folder]")
def report(run: Path, base: Path | None, out: Path | None) -> None:
    """Write a finished RUN as one HTML page that opens without a network."""
    from evals.report import write_report

    click.echo(f"Written: {write_report(run, base, out)}")


def _settings(changes: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE pairs as settings."""
    found: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change}: expected KEY=VALUE, such as --set chunk_tokens=160")
        found[key.strip()] = _value(value)
    return found


def _axes(typed: tuple[str, ...]) -> dict[str, list[Any]]:
    """KEY=V1,V2 as the values that a setting takes in turn."""
    found: dict[str, list[Any]] = {}
    for axis in typed:
        key, equals, values = axis.partition("=")
        if not equals or not values:
            raise click.UsageError(f"--vary {axis}: expected KEY=V1,V2, such as --vary chunk_tokens=96,160")
        found[key.strip()] = [_value(value) for value in values.split(",")]
    return found


def _value(typed: str) -> Any:
    """A value as TOML reads it (numbers, also .97, true, "text"), and as plain text where it is none."""
    import re
    import tomllib

    value = re.sub(r"^([-+]?)\.(?=\d)", r"\g<1>0.", typed)
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return typed


for _command in COMMANDS:
    evaluate.add_command(_command)
