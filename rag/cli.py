"""The `rag` command: sync, ask, search, status, remove, doctor, and what other packages register as `rag.commands`.

Only click is imported at the top, so that `rag --help` is quick; each command imports what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from index.errors import RagError

if TYPE_CHECKING:
    from index.sync import SyncReport
    from rag.answer import Rag
    from rag.values import Answer

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """Our own commands and those that installed packages register; prints a RagError as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Own commands in the order of use, then the registered ones."""
        return [*self.commands, *(entry.name for entry in _registered())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Own command, or the registered one, loaded now."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        for entry in _registered():
            if entry.name == cmd_name:
                command: click.Command = entry.load()
                return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error that the user can act on becomes its message and exit code 1."""
        try:
            return super().invoke(ctx)
        except RagError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output has gone; nothing is left to say
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("Stopped. What was committed before is safe.", err=True)
            ctx.exit(130)


def _registered() -> list[Any]:
    return sorted(entry_points(group="rag.commands"), key=lambda entry: entry.name)


def index_option(command: Command) -> Command:
    """--index DIR, the same for every command."""
    return click.option(
        "--index",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="RAG_INDEX",
        help="Folder of the index (default: the nearest .rag upward; env RAG_INDEX).",
    )(command)


def open_rag(index: Path | None, **overrides: Any) -> Rag:
    """The Rag that a command works on; settings from rag.toml or pyproject.toml, then what was typed."""
    from rag.answer import Rag
    from rag.settings import Settings

    return Rag(index, Settings.load(**overrides))


_HELP: Any = {"help_option_names": ["-h", "--help"]}


@click.group(cls=Commands, context_settings=_HELP)
@click.version_option(package_name="footnote-rag", prog_name="rag")
def main() -> None:
    """Ask your own documents; every sentence of the answer is footnoted to the words that support it."""


@main.command()
@click.argument("docs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--rebuild", is_flag=True, help="Make the index anew, with the settings of now.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@index_option
def sync(docs: tuple[Path, ...], rebuild: bool, as_json: bool, index: Path | None) -> None:
    """Bring the index in step with DOCS (folders or files); without any, with all that were synced before."""
    from rag.progress import progress_bar

    if rebuild:
        docs = _forget(index, docs)
    with open_rag(index) as kb, progress_bar() as progress:
        report = kb.sync(*docs, progress=progress)
        folder = kb.index.folder
    if as_json:
        import dataclasses

        click.echo(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
    else:
        _print_report(report, folder)
    if not (report.added or report.changed or report.unchanged or report.removed):
        raise SystemExit(1)


def _forget(index: Path | None, docs: tuple[Path, ...]) -> tuple[Path, ...]:
    """Delete the index, whatever it was made with; returns what to sync: `docs`, else the folders it knew."""
    from index.store import forget
    from rag.answer import find_index

    roots = forget(index or find_index())
    if not (docs or roots):
        raise RagError("Nothing is known of what to sync. Type: rag sync --rebuild FOLDER")
    return docs or tuple(roots)


def _print_report(report: SyncReport, folder: Path) -> None:
    if report.embedded:
        work = f"{report.embedded} chunks embedded"
    else:
        work = "nothing embedded" + ("" if report.chunks else ", all is up to date")
    click.echo(
        f"{len(report.added)} added, {len(report.changed)} changed, {len(report.removed)} removed, "
        f"{len(report.unchanged)} unchanged, {len(report.failed)} failed; {work} ({report.seconds:.1f} s)"
    )
    for doc, reason in report.failed[:20]:
        click.echo(f"  failed: {doc}: {reason}", err=True)
    if len(report.failed) > 20:
        click.echo(f"  and {len(report.failed) - 20} more (--json lists all)", err=True)
    if report.added or report.changed or report.unchanged:
        click.echo(f"Index: {folder}")
    elif not report.removed:
        click.echo("Nothing could be indexed: no readable document was found there.", err=True)


@main.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON and nothing else.")
@click.option("--model", metavar="SPEC", help="Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ...")
@click.option("--tokens", type=int, metavar="N", help="Passages handed to the answerer, in cl100k tokens.")
@click.option("--trace", is_flag=True, help="Also print what became of each candidate passage.")
@index_option
def ask(question: str, as_json: bool, model: str | None, tokens: int | None, trace: bool, index: Path | None) -> None:
    """Answer QUESTION from the indexed documents, each sentence with its footnote."""
    from rag.values import Final, TextDelta

    with open_rag(index, model=model, tokens=tokens) as kb:
        answer = None
        for event in kb.stream(question):
            if isinstance(event, Final):
                answer = event.answer
            elif isinstance(event, TextDelta) and not as_json:
                click.echo(event.text, nl=False)
    assert answer is not None
    if as_json:
        click.echo(answer.to_json())
        return
    click.echo()
    _print_footnotes(answer)
    if trace:
        _print_trace(answer)


def _print_footnotes(answer: Answer) -> None:
    marks = {"partial": "partly supported", "unsupported": "NOT SUPPORTED by its source", "uncited": "no source given"}
    for sentence in answer.sentences:
        if sentence.verdict in marks:
            click.echo(f"  ! {marks[sentence.verdict]}: {sentence.text}")
    if answer.citations:
        click.echo()
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        quote = " ".join(citation.quote.split())
        click.echo(f"[{citation.number}] {citation.doc}{page} ({citation.start}-{citation.end}): “{quote}”")
    doubt = " (too low to answer)" if answer.abstained else ""
    click.echo(f"\nconfidence {answer.confidence:.2f}{doubt}, {answer.model}, {answer.timings['total']:.2f} s")


def _print_trace(answer: Answer) -> None:
    click.echo("\nfate                dense  lexical  score  passage")
    for fate in answer.trace.candidates:
        page = f" p. {fate.page}" if fate.page else ""
        click.echo(
            f"{fate.fate:18} {fate.dense_rank or '-':>6} {fate.lexical_rank or '-':>8} {fate.score:6.3f}  "
            f"{fate.doc}{page} ({fate.start}-{fate.end})"
        )


@main.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the passages as JSON and nothing else.")
@click.option("--tokens", type=int, metavar="N", help="Budget in cl100k tokens.")
@click.option("-k", type=int, metavar="K", help="Number of passages instead of a budget.")
@click.option(
    "--where", multiple=True, metavar="FIELD=VALUE", help="Only documents with this value; * matches anything."
)
@index_option
def search(
    question: str, as_json: bool, tokens: int | None, k: int | None, where: tuple[str, ...], index: Path | None
) -> None:
    """Show the passages that QUESTION finds, best first."""
    import dataclasses

    with open_rag(index) as kb:
        passages = kb.search(question, tokens=tokens, k=k, where=_filters(where))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(passage) for passage in passages], ensure_ascii=False))
        return
    for number, passage in enumerate(passages, 1):
        page = f", page {passage.page}" if passage.page else ""
        click.secho(f"{number}. {passage.doc}{page} ({passage.start}-{passage.end})", bold=True, nl=False)
        click.echo(f"  score {passage.score:.3f}, cosine {passage.dense:.3f}, BM25 {passage.lexical:.1f}, "
                   f"{passage.tokens} tokens")  # fmt: skip
        click.echo("   " + passage.text.replace("\n", "\n   ") + "\n")
    if not passages:
        click.echo("No passage fits: the filter leaves no document, or the budget is smaller than any passage.")


def _filters(where: tuple[str, ...]) -> dict[str, Any] | None:
    filters: dict[str, Any] = {}
    for condition in where:
        field, equals, value = condition.partition("=")
        if not equals:
            raise click.UsageError(f"--where {condition!r}: expected FIELD=VALUE, such as doc=report.pdf")
        filters.setdefault(field, []).append(value)
    return filters or None


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@index_option
def status(as_json: bool, index: Path | None) -> None:
    """What is indexed, and where."""
    import dataclasses

    with open_rag(index) as kb:
        listed = kb.documents()
        if not kb.index.exists():
            raise RagError(f"There is no index at {kb.index.folder}. Make one: rag sync FOLDER")
        folder = kb.index.folder
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(info) for info in listed], ensure_ascii=False))
        return
    chunks = sum(info.chunks for info in listed)
    click.echo(f"{folder}: {len(listed)} documents, {chunks} chunks")
    for info in listed:
        pages = f", {info.pages} pages" if info.pages else ""
        click.echo(f"  {info.doc}  ({info.characters:,} characters{pages}, {info.chunks} chunks)  {info.title}")


@main.command()
@click.argument("docs", nargs=-1, required=True)
@index_option
def remove(docs: tuple[str, ...], index: Path | None) -> None:
    """Take DOCS (names as `rag status` lists them) out of the index; the files stay where they are."""
    with open_rag(index) as kb:
        report = kb.remove(*docs)
    click.echo(f"{len(report.removed)} removed. A later sync of their folder will add them again.")


@main.command()
@click.option("--rebuild", is_flag=True, help="Make the vector store anew from the catalog; nothing is embedded.")
@index_option
def doctor(rebuild: bool, index: Path | None) -> None:
    """Check that the parts of the index are sound and agree."""
    with open_rag(index) as kb:
        if rebuild:
            click.echo(f"{kb.index.rebuild_vectors()} vectors written anew.")
        checks = kb.verify()
    for check in checks:
        click.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.found}")
        if not check.ok:
            click.echo(f"      try: {check.advice}")
    if not all(check.ok for check in checks):
        raise SystemExit(1)


def help_pages() -> str:
    """Every command's --help as one Markdown page: docs/cli.md, checked by the tests."""
    pages = ["# The `rag` command\n\nPrinted by `rag help-pages`; the tests compare.\n"]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, **_HELP)
        pages.append(f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    add(found, child, context)

    add(main, "rag", None)
    return "\n".join(pages)


@main.command("help-pages", hidden=True)
def _help_pages() -> None:
    """Print docs/cli.md."""
    click.echo(help_pages(), nl=False)
