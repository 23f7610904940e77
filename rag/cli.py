"""The `rag` command: sync, ask, chat, search, ... and what other packages register as `rag.commands`.

Only click is imported at the top, so that `rag --help` is quick; each command imports what it needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from index.errors import RagError
from rag.terminal import echo, echo_json, echo_piece, print_footnotes
from rag.visible import one_line

if TYPE_CHECKING:
    from index.health import Check
    from index.plan import Plan
    from index.sync import SyncReport
    from rag.answer import Rag
    from rag.values import Fate, Passage

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
            echo(f"Error: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output has gone; nothing is left to say
            ctx.exit(1)
        except KeyboardInterrupt:
            echo("Stopped. What was committed before is safe.", err=True)
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


_WHERE = "Only what fits: doc=a*.pdf, folder=reports, date>=2020, heading=Risks; also != < <= >. Several: all of them."
_HELP: Any = {"help_option_names": ["-h", "--help"]}


@click.group(cls=Commands, context_settings=_HELP)
@click.version_option(package_name="footnote-rag", prog_name="rag")
def main() -> None:
    """Ask your own documents; every sentence of the answer is footnoted to the words that support it."""


@main.command()
@click.argument("docs", nargs=-1)
@click.option("--rebuild", is_flag=True, help="Make the index anew, with the settings of now.")
@click.option("--dry-run", is_flag=True, help="Print what would be done and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before more than half of the documents are removed.")
@click.option("--watch", is_flag=True, help="Stay, and sync again whenever a file changes.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@index_option
def sync(
    docs: tuple[str, ...], rebuild: bool, dry_run: bool, yes: bool, watch: bool, as_json: bool, index: Path | None
) -> None:
    """Bring the index in step with DOCS (folders, files, web pages, sitemaps); without any, with all synced before."""
    from rag.progress import progress_bar

    if dry_run:
        with open_rag(index) as kb:
            echo("\n".join(str(plan) for plan in kb.plan(*docs)))
        return
    if rebuild:
        docs = _forget(index, docs)
    with open_rag(index) as kb:
        folder = kb.index.folder
        if watch:
            _watch(kb, docs, as_json)
            return
        with progress_bar() as progress:
            report = kb.sync(*docs, progress=progress, confirm=None if yes else _confirm)
    _print_report(report, folder, as_json)
    if not (report.added or report.changed or report.moved or report.unchanged or report.removed):
        raise SystemExit(1)


def _confirm(plan: Plan) -> bool:
    listed = ", ".join(plan.removed[:5]) + (", ..." if len(plan.removed) > 5 else "")
    told = f"{len(plan.removed)} documents of {plan.target} are no longer there: {listed}."
    if sys.stdin.isatty():
        return click.confirm(f"{told} Remove them from the index?", err=True)
    raise RagError(f"{told} Nothing was changed. If they are to be removed, type: rag sync --yes {plan.target}")


def _watch(kb: Rag, docs: tuple[str, ...], as_json: bool) -> None:
    echo("Watching; Ctrl-C ends it.", err=True)
    try:
        kb.watch(*docs, report=lambda report: _print_report(report, kb.index.folder, as_json))
    except KeyboardInterrupt:
        echo("Stopped.", err=True)


def _forget(index: Path | None, docs: tuple[str, ...]) -> tuple[str, ...]:
    """Delete the index, whatever it was made with; returns what to sync: `docs`, else the folders it knew."""
    from index.store import forget
    from index.unfiled import waiting
    from rag.answer import find_index

    folder = index or find_index()
    roots = forget(folder)
    if not (docs or roots or any(waiting(folder))):
        raise RagError("Nothing is known of what to sync. Type: rag sync --rebuild FOLDER")
    return docs or tuple(map(str, roots))


def _print_report(report: SyncReport, folder: Path, as_json: bool) -> None:
    if as_json:
        import dataclasses

        echo_json(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
        return
    if report.embedded:
        work = f"{report.embedded} chunks embedded"
    else:
        work = "nothing embedded" + ("" if report.chunks or report.removed or report.moved else ", all is up to date")
    echo(
        f"{len(report.added)} added, {len(report.changed)} changed, "
        + (f"{len(report.moved)} moved, " if report.moved else "")
        + f"{len(report.removed)} removed, "
        f"{len(report.unchanged)} unchanged, {len(report.failed)} failed; {work} ({report.seconds:.1f} s)"
    )
    for warning in report.warnings:
        echo(f"  note: {warning}", err=True)
    _print_failures(report.failed)
    if report.added or report.changed or report.moved or report.unchanged:
        echo(f"Index: {folder}")
    elif not report.removed:
        echo("Nothing could be indexed: no readable document was found there.", err=True)


def _print_failures(failed: Sequence[tuple[str, str]]) -> None:
    """A line each; files of kinds that nobody reads, which a folder can have thousands of, in one line by kind."""
    from collections import Counter

    unread = Counter(reason.removeprefix("no reader for ") for _, reason in failed if reason.startswith("no reader"))
    others = [(doc, reason) for doc, reason in failed if not reason.startswith("no reader")]
    for doc, reason in others[:20]:
        echo(f"  failed: {one_line(doc)}: {reason}", err=True)
    if len(others) > 20:
        echo(f"  and {len(others) - 20} more (--json lists all)", err=True)
    if unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in unread.most_common(8))
        echo(f"  no reader for: {kinds}{', ...' if len(unread) > 8 else ''}", err=True)


@main.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON and nothing else.")
@click.option("--model", metavar="SPEC", help="Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ...")
@click.option("--tokens", type=int, metavar="N", help="Passages handed to the answerer, in cl100k tokens.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help=_WHERE)
@click.option("--trace", is_flag=True, help="Also print what became of each candidate passage.")
@click.option("--verifier", metavar="NAME_OR_PATH", help="A CrossEncoder trained for entailment, to check a model by.")
@index_option
def ask(
    question: str,
    as_json: bool,
    model: str | None,
    tokens: int | None,
    where: tuple[str, ...],
    trace: bool,
    verifier: str | None,
    index: Path | None,
) -> None:
    """Answer QUESTION from the indexed documents, each sentence with its footnote."""
    from rag.values import Final, TextDelta

    filters = _filters(where)

    with open_rag(index, model=model, tokens=tokens, verifier=verifier) as kb:
        answer = None
        for event in kb.stream(question, where=filters):
            if isinstance(event, Final):
                answer = event.answer
            elif isinstance(event, TextDelta) and not as_json:
                echo_piece(event.text)
    assert answer is not None
    if as_json:
        echo_json(answer.to_json())
        return
    echo()
    print_footnotes(answer)
    if trace:
        _print_trace(answer.trace.candidates)


@main.command()
@click.option("--model", metavar="SPEC", help="Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ...")
@click.option("--tokens", type=int, metavar="N", help="Passages handed to the answerer, in cl100k tokens.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help=_WHERE)
@click.option(
    "--restore",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Go on with a chat that /export FILE.json wrote.",
)
@click.option("--verifier", metavar="NAME_OR_PATH", help="A CrossEncoder trained for entailment, to check a model by.")
@index_option
def chat(
    model: str | None,
    tokens: int | None,
    where: tuple[str, ...],
    restore: Path | None,
    verifier: str | None,
    index: Path | None,
) -> None:
    """Ask question after question; each may lean on those before it. /help in the chat lists what else it can do."""
    from rag.chat import Chat
    from rag.dialogue import converse

    filters = _filters(where)
    with open_rag(index, model=model, tokens=tokens, verifier=verifier) as kb:
        if not kb.index.exists():
            raise RagError(f"There is no index at {kb.index.folder}. Make one: rag sync FOLDER")
        saved = restore.read_text("utf-8", errors="replace") if restore else None
        converse(Chat(kb, where=filters) if saved is None else Chat.from_json(kb, saved, where=filters))


def _print_trace(candidates: Sequence[Fate]) -> None:
    echo("\nfate                dense  lexical  score  passage")
    for fate in candidates:
        page = f" p. {fate.page}" if fate.page else ""
        echo(
            f"{fate.fate:18} {fate.dense_rank or '-':>6} {fate.lexical_rank or '-':>8} {fate.score:6.3f}  "
            f"{one_line(fate.doc)}{page} ({fate.start}-{fate.end})"
        )


@main.command()
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print the passages as JSON and nothing else.")
@click.option("--tokens", type=int, metavar="N", help="Budget in cl100k tokens.")
@click.option("-k", type=int, metavar="K", help="Number of passages instead of a budget.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help=_WHERE)
@click.option("--rerank", metavar="NAME_OR_PATH", help="A CrossEncoder that orders the best passages anew.")
@click.option("--explain", "explained", is_flag=True, help="Also print what became of each candidate passage.")
@click.option("--why", metavar="DOC", help="Explain instead why --phrase of this document was found or not.")
@click.option("--phrase", metavar="TEXT", help="Words of the document that --why names.")
@index_option
def search(
    question: str,
    as_json: bool,
    tokens: int | None,
    k: int | None,
    where: tuple[str, ...],
    rerank: str | None,
    explained: bool,
    why: str | None,
    phrase: str | None,
    index: Path | None,
) -> None:
    """Show the passages that QUESTION finds, best first."""
    import dataclasses

    if (why is None) != (phrase is None):
        raise click.UsageError("--why DOC and --phrase TEXT go together: the document, and words of it.")
    filters = _filters(where)
    with open_rag(index, rerank=rerank) as kb:
        if why is not None and phrase is not None:
            told = kb.explain(question, doc=why, phrase=phrase, tokens=tokens, where=filters)
            if as_json:
                echo_json(json.dumps(dataclasses.asdict(told), ensure_ascii=False))
            else:
                echo(told)
            return
        found = kb.retrieve(question, tokens=tokens, k=k, where=filters)
    if as_json:
        echo_json(json.dumps([dataclasses.asdict(passage) for passage in found.passages], ensure_ascii=False))
    else:
        _print_passages(found.passages)
    if found.note:
        echo(found.note, err=as_json)
    if explained and not as_json:
        _print_trace(found.fates)


def _filters(where: tuple[str, ...]) -> Mapping[str, Any] | None:
    from index.errors import QueryError
    from index.filters import parse_where

    try:
        return parse_where(where)
    except QueryError as error:
        raise click.UsageError(f"--where: {error}") from error


def _print_passages(passages: Sequence[Passage]) -> None:
    for number, passage in enumerate(passages, 1):
        page = f", page {passage.page}" if passage.page else ""
        click.secho(f"{number}. {one_line(passage.doc)}{page} ({passage.start}-{passage.end})", bold=True, nl=False)
        echo(f"  score {passage.score:.3f}, cosine {passage.dense:.3f}, BM25 {passage.lexical:.1f}, "
                   f"{passage.tokens} tokens")  # fmt: skip
        echo("   " + passage.text.replace("\n", "\n   ") + "\n")


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
        failures = kb.index.catalog.failures()
    if as_json:
        echo_json(json.dumps([dataclasses.asdict(info) for info in listed], ensure_ascii=False))
        return
    chunks = sum(info.chunks for info in listed)
    echo(f"{folder}: {len(listed)} documents, {chunks} chunks")
    for info in listed:
        pages = f", {info.pages} pages" if info.pages else ""
        size = f"{info.characters:,} characters{pages}, {info.chunks} chunks"
        echo(f"  {one_line(info.doc)}  ({size})  {one_line(info.title)}")
    _print_failures(failures)


@main.command()
@click.argument("docs", nargs=-1, required=True)
@index_option
def remove(docs: tuple[str, ...], index: Path | None) -> None:
    """Take DOCS (names as `rag status` lists them) out of the index; the files stay where they are."""
    with open_rag(index) as kb:
        report = kb.remove(*docs)
    echo(f"{len(report.removed)} removed. A later sync of their folder will add them again.")


@main.command()
@click.option("--rebuild", is_flag=True, help="Make the vector store anew from the catalog; nothing is embedded.")
@click.option("--offline", is_flag=True, help="Instead: sync and ask a tiny sample with every way to a network closed.")
@index_option
def doctor(rebuild: bool, offline: bool, index: Path | None) -> None:
    """Say what is installed, who answers, what could reach the network; check that the index is sound."""
    from rag.settings import Settings

    if offline:
        from rag.offline import check_offline

        _print_checks([check_offline(Settings.load().embedder)])
        return
    from rag.doctor import state, surroundings

    around = surroundings(Settings.load(), _roots(index))
    _print_checks(around, exits=False)
    with open_rag(index) as kb:
        if rebuild:
            echo(f"{kb.index.rebuild_vectors()} vectors written anew.")
        checks = kb.verify()
        if all(check.ok for check in checks):
            checks = [state(kb.index), *checks]
    _print_checks(checks, exits=False)
    if not all(check.ok for check in (*around, *checks)):
        raise SystemExit(1)


def _roots(index: Path | None) -> Sequence[str]:
    """What was synced into an index; nothing where it cannot be opened, which is said later."""
    try:
        with open_rag(index) as kb:
            return kb.index.catalog.roots()
    except RagError:
        return ()


def _print_checks(checks: Sequence[Check], *, exits: bool = True) -> None:
    for check in checks:
        echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.found}")
        if not check.ok:
            echo(f"      try: {check.advice}")
    if exits and not all(check.ok for check in checks):
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
    echo(help_pages(), nl=False)
