"""`rag eval` on gold: check, import, export, new, review, synth. Prints what `evals` returns; asks no system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evals.suite import Suite

_FORMATS = click.Choice(["beir", "squad", "ragas", "llamaindex", "financebench", "csv"])
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("suite")
@click.option("--strict", is_flag=True, help="Exit with 1 when anything is doubtful.")
def check(suite: str, strict: bool) -> None:
    """Find every gold quote of SUITE in its document, extracting .html and .pdf too; name what is doubtful.

    Doubtful are duplicates, questions that give their answer away, answers that the evidence does not state, and
    unanswerable questions whose answer seems to be there.
    """
    from evals.lint import doubts
    from evals.suite import load_suite

    loaded = load_suite(suite, extract=True)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    found = doubts(loaded, _texts(loaded))
    for doubt in found:
        click.echo(f"doubtful: {doubt}", err=True)
    rows = [row for case in loaded.cases for row in (*case.evidence, *(r for s in case.conflicts for r in s.evidence))]
    placed = sum(row.span is not None for row in rows)
    unanswerable = sum(not case.answerable for case in loaded.cases)
    click.echo(
        f"{loaded.name}: {len(loaded.cases)} questions ({unanswerable} unanswerable), {len(loaded.files)} documents, "
        f"{placed} of {len(rows)} quotes found" + (f", {len(found)} doubtful." if found else ".")
    )
    if found and strict:
        sys.exit(1)


def _texts(suite: Suite) -> Any:
    from functools import cache

    from index.documents import read_document
    from index.errors import DocumentError

    files = suite.files

    @cache
    def text_of(doc: str) -> str | None:
        try:
            return read_document(files[doc], doc, 1 << 40).text
        except (KeyError, DocumentError):
            return None

    return text_of


@click.command("import")
@click.argument("format", type=_FORMATS)
@click.argument("source", type=_PATH)
@click.argument("folder", type=_PATH)
def import_(format: str, source: Path, folder: Path) -> None:
    """Make the suite FOLDER from SOURCE, gold in another project's FORMAT."""
    from evals import formats

    bundle = formats.read(format, source)
    formats.save(bundle, folder)
    for remark in bundle.lost:
        click.echo(f"note: {remark}", err=True)
    click.echo(f"{folder}: {len(bundle.rows)} questions, {len(bundle.texts)} documents. Next: rag eval check {folder}")


@click.command("export")
@click.argument("suite")
@click.argument("format", type=_FORMATS)
@click.argument("target", type=_PATH)
def export(suite: str, format: str, target: Path) -> None:
    """Write SUITE as TARGET (for beir a folder) in another project's FORMAT; say what that cannot hold."""
    from evals import formats
    from evals.suite import load_suite

    loaded = load_suite(suite, extract=True)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise click.UsageError(f"{target} exists already; name another.")
    for remark in formats.write(format, loaded, target):
        click.echo(f"lost: {remark}", err=True)
    click.echo(f"Written: {target}")


@click.command()
@click.argument("suite", type=_PATH)
@click.option("--question", help="A question to add; without it and without --feedback you are asked.")
@click.option("--answer", "answers", multiple=True, help="An accepted answer; may be repeated.")
@click.option("--doc", help="The document that holds the answer.")
@click.option("--quote", help="Its words that carry the answer.")
@click.option("--unanswerable", is_flag=True, help="The documents do not hold an answer.")
@click.option("--tag", "tags", multiple=True, help="May be repeated.")
@click.option("--feedback", type=_PATH, help="Answers saved from the chat or by `rag ask --json`, as JSON lines.")
def new(
    *,
    suite: Path,
    question: str | None,
    answers: tuple[str, ...],
    doc: str | None,
    quote: str | None,
    unanswerable: bool,
    tags: tuple[str, ...],
    feedback: Path | None,
) -> None:
    """Add questions to SUITE (a folder, made if it is not there): one typed, or those of a feedback file.

    A quote that its document does not hold is refused. Rows from feedback are drafts until somebody reviews them: their
    split is "draft", `rag eval run` leaves drafts out, and `rag eval review` shows them one by one.
    """
    from evals.authoring import add_rows, feedback_rows, typed_row

    if feedback:
        rows = feedback_rows(feedback)
    else:
        question = question or click.prompt("Question")
        if not (answers or quote or unanswerable):
            said = click.prompt("Answer (empty: the documents do not hold one)", default="", show_default=False)
            answers, unanswerable = ((said,), False) if said.strip() else ((), True)
            if not unanswerable:
                doc = click.prompt("Document", default="", show_default=False) or None
                quote = (click.prompt("Words of it that carry the answer") if doc else None) or None
        rows = [typed_row(question, answers, doc, quote, not unanswerable, tags)]
    added, known = add_rows(suite, rows)
    click.echo(f"{suite}: {added} added" + (f", {known} asked already" if known else "") + ".")


@click.command()
@click.argument("suite", type=_PATH)
@click.option("--model", required=True, metavar="SPEC", help="Who drafts: openai:NAME, ollama:NAME, ...")
@click.option("--each", default=3, show_default=True, type=click.IntRange(1, 20), help="Questions a document.")
def synth(suite: Path, model: str, each: int) -> None:
    """Draft questions about the documents of SUITE (a folder with docs/) with a model.

    A draft whose quote does not stand in its document, or does not state its answer, is thrown away. Drafts are left
    out of runs until somebody reviews them: rag eval review SUITE.
    """
    from evals.drafting import draft
    from evals.replies import JsonModel
    from evals.runs import RUNS
    from rag.settings import Settings

    found = draft(suite, JsonModel(model, Settings.load(model=model), RUNS / "drafts"), each)
    click.echo(f"{suite}: {found.added} drafts added, {found.refused} thrown away, {found.known} asked already.")


@click.command()
@click.argument("suite", type=_PATH)
def review(suite: Path) -> None:
    """Show the drafts of SUITE one by one: keep, correct or drop each. What is kept counts from the next run on.

    Every decision is written at once; what is skipped, and what is left when you quit, stays a draft.
    """
    from evals.authoring import drafts, settle

    waiting = drafts(suite)
    counts = {"kept": 0, "dropped": 0}
    for number, row in enumerate(waiting, 1):
        click.echo(f"\n{number} of {len(waiting)}, drafted by {row.get('source') or 'somebody'}")
        _show(row)
        choice = click.prompt("keep, answer anew, drop, skip, quit", type=click.Choice(list("kadsq")), default="s")
        if choice == "q":
            break
        if choice == "d":
            settle(suite, row["id"], None)
            counts["dropped"] += 1
        elif choice in "ka":
            said = click.prompt("Answer") if choice == "a" else None
            settle(suite, row["id"], row if said is None else {**row, "answers": [said], "answerable": True})
            counts["kept"] += 1
    left = len(waiting) - sum(counts.values())
    click.echo(f"{suite}: {counts['kept']} kept, {counts['dropped']} dropped, {left} still drafts.")


def _show(row: dict[str, Any]) -> None:
    for turn in row.get("history") or ():
        click.echo(f"  before:   {turn if isinstance(turn, str) else turn[0]}")
    click.echo(f"  question: {row['question']}")
    for said in row.get("answers") or ():
        click.echo(f"  answer:   {said}")
    if row.get("answerable") is False:
        click.echo("  answer:   none, the documents do not hold one")
    for entry in row.get("evidence") or ():
        click.echo(f"  evidence: {' '.join(entry['quote'].split())}  ({entry['doc']})")


COMMANDS: tuple[click.Command, ...] = (check, import_, export, new, review, synth)
