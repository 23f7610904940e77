"""Runs a suite: index its documents, ask every question, score, keep every row. Prints nothing; `evals.cli` does.

A run's folder holds `rows.jsonl`, one question a line, appended as each ends, and `manifest.json`, written last: where
it is missing, the run was broken off and the next one with the same settings goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.gold import Case, SuiteError
from evals.record import Record, Row, code_version, kept_rows, load_run, write_manifest, write_rows
from evals.scores import score
from evals.suite import Suite, load_suite, place
from index.errors import RagError
from index.settings import IndexSettings
from rag.values import Answer, Passage

if TYPE_CHECKING:
    from index.documents import Document
    from index.sync import Progress
    from rag import Rag
    from rag.settings import Settings

RUNS = Path("runs")
OnRow = Callable[[Row, int, int], None]


class Asked(Protocol):
    """What a run needs of a `Rag`: search, ask, and the text that citations point into."""

    def search(self, question: str, *, tokens: int) -> list[Passage]:
        """Passages of at most `tokens` cl100k tokens in sum."""

    def ask(self, question: str, *, history: Sequence[tuple[str, str]] = ()) -> Answer:
        """A cited answer."""

    def document(self, doc: str) -> Document:
        """A document with its extracted text."""


def run(
    suite: Suite | str | Path,
    *,
    out: Path | None = None,
    index: Path | None = None,
    settings: Settings | None = None,
    kb: Asked | None = None,
    budgets: Sequence[int] | None = None,
    ask: bool | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    on_row: OnRow | None = None,
    on_sync: Progress | None = None,
) -> Record:
    """Score a suite and return the finished run.

    out: the run's folder; default runs/SUITE/<time>. A finished one is only replaced with `overwrite`.
    index: where the documents are indexed; default a folder beside the runs. One that holds other documents is refused.
    settings: of the Rag; default the suite's own over rag.toml.
    kb: something to ask instead of a Rag of our making; it is taken as it is and nothing is synced.
    budgets: token budgets at which recall is measured; default the suite's.
    ask: whether to ask for answers; None asks when the suite has anything to score them by.
    limit: only the first so many questions.
    on_row, on_sync: told of progress (row, done, total) and (what, done, total).

    A question that raises becomes a row with its error, counted and left out of every score. Raises SuiteError for a
    suite that cannot be scored, RagError for an index or a folder that cannot be used.
    """
    suite = load_suite(suite) if isinstance(suite, str | Path) else suite
    suite = dataclasses.replace(
        suite, budgets=tuple(sorted(budgets or suite.budgets)), cases=suite.cases[: limit or len(suite.cases)]
    )
    settings = settings or settings_of(suite, {})
    asking = ask if ask is not None else any(c.answers or c.conflicts or not c.answerable for c in suite.cases)
    documents = suite.digest()
    identity = _identity(dataclasses.asdict(settings), documents, suite.budgets, asking, code_version())
    folder = out or fresh_folder(suite)
    rows = {row.id: row for row in kept_rows(folder, identity, suite, overwrite)}
    manifest: dict[str, Any] = {
        "suite": suite.name,
        "gold": str(suite.gold),
        "questions": len(suite.cases),
        "documents": documents,
        "licence": suite.licence,
        "settings": dataclasses.asdict(settings),
        "index": None,
        "budgets": list(suite.budgets),
        "asked": asking,
        "gate": list(suite.gate),
        "run": identity,
        "version": code_version(),
        "resumed": len(rows),
        "started": _now(),
    }
    with contextlib.ExitStack() as stack:
        notes: list[str] = []
        if kb is None:
            where = _index_folder(suite, settings, index)
            kb, notes = stack.enter_context(_indexed(suite, settings, where, on_sync))
            manifest["index"] = {"folder": str(where), "fingerprint": _fingerprint(where)}
        turn = _Turn(kb, suite.budgets, asking, identity)
        suite = place(suite, turn.document)
        write_rows(folder, rows.values())
        for done, case in enumerate(suite.cases, 1):
            row = rows.get(case.id)
            if row is None:
                row = turn.row(case)
                write_rows(folder, [row], append=True)
            if on_row:
                on_row(row, done, len(suite.cases))
    write_manifest(folder, {**manifest, "finished": _now(), "warnings": [*suite.warnings, *notes]})
    return load_run(folder)


def fresh_folder(suite: Suite) -> Path:
    """Where a run goes that was given no folder: runs/SUITE/<time>."""
    return RUNS / suite.name / datetime.now().strftime("%Y%m%d-%H%M%S")


def settings_of(suite: Suite, overrides: Mapping[str, Any]) -> Settings:
    """The suite's settings over rag.toml, the overrides over both; None overrides nothing. Raises SettingsError."""
    from rag.settings import Settings

    return Settings.load(**{**suite.settings, **{key: value for key, value in overrides.items() if value is not None}})


class _Turn:
    """Asks one question after the other of one system and scores what comes."""

    def __init__(self, kb: Asked, budgets: Sequence[int], asking: bool, identity: str) -> None:
        self._kb, self._budgets, self._asking, self._identity = kb, budgets, asking, identity
        self._documents: dict[str, Document | None] = {}

    def row(self, case: Case) -> Row:
        """Ask and score one question; whatever that raises is the row's error."""
        row = Row(id=case.id, gold=case.digest, run=self._identity, cluster=case.cluster, tags=list(case.tags))
        try:
            # What a follow-up searches for is up to the answerer, so recall is asked of first questions only.
            found = {budget: self._search(row, case, budget) for budget in self._budgets if not case.history}
            answer = self._ask(row, case) if self._asking else None
            scores = score(case, found, answer, self._text)
        except Exception as error:  # the one place where any failure has to become a counted row
            row.error = f"{type(error).__name__}: {error}"
            row.seconds = {}
            return row
        row.scores, row.unscored = scores.values, scores.unscored
        for budget, passages in found.items():
            row.found[str(budget)] = [[p.doc, p.start, p.end, p.page, p.tokens] for p in passages]
        row.answer = answer.to_dict() if answer is not None else None
        return row

    def document(self, doc: str) -> Document | None:
        """A document of the system under test, None when it has none of that name."""
        if doc not in self._documents:
            try:
                self._documents[doc] = self._kb.document(doc)
            except (RagError, KeyError):
                self._documents[doc] = None
        return self._documents[doc]

    def _text(self, doc: str) -> str | None:
        document = self.document(doc)
        return None if document is None else document.text

    def _search(self, row: Row, case: Case, budget: int) -> list[Passage]:
        clock = time.perf_counter()
        passages = self._kb.search(case.question, tokens=budget)
        row.seconds[f"search@{budget}"] = round(time.perf_counter() - clock, 6)
        return passages

    def _ask(self, row: Row, case: Case) -> Answer:
        clock = time.perf_counter()
        history: list[tuple[str, str]] = []
        for question, said in case.history:
            history.append((question, self._kb.ask(question, history=history).text if said is None else said))
        answer = self._kb.ask(case.question, history=history)
        row.seconds["ask"] = round(time.perf_counter() - clock, 6)
        return answer


def _identity(*parts: object) -> str:
    """Rows of a broken run are kept only by a run of the same identity: settings, documents, budgets, program."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _index_folder(suite: Suite, settings: Settings, index: Path | None) -> Path:
    if index is not None:
        return index
    if suite.documents is None:
        raise SuiteError(f"The suite {suite.name} has no documents folder; name the index to ask with --index DIR.")
    shaping = {field.name: getattr(settings, field.name) for field in dataclasses.fields(IndexSettings)}
    if shaping == dataclasses.asdict(IndexSettings()):
        return RUNS / suite.name / "index"
    # Other chunking or another embedder is another index: comparing the two must not rebuild either.
    return RUNS / suite.name / f"index-{_identity(shaping)[:8]}"


@contextlib.contextmanager
def _indexed(
    suite: Suite, settings: Settings, where: Path, on_sync: Progress | None
) -> Iterator[tuple[Asked, list[str]]]:
    """A Rag over the suite's documents, synced, and remarks about what could not be indexed."""
    from rag import Rag

    with Rag(where, settings=settings) as rag:
        if suite.documents is None:
            yield rag, []
            return
        _refuse_strangers(rag, suite, where)
        report = rag.sync(suite.documents, progress=on_sync)
        _refuse_strangers(rag, suite, where)
        yield rag, [f"{doc} could not be indexed: {reason}" for doc, reason in report.failed]


def _refuse_strangers(rag: Rag, suite: Suite, where: Path) -> None:
    """An index of something else must neither be filled with a suite's documents nor answer for them."""
    assert suite.documents is not None
    home = Path(os.path.abspath(suite.documents))  # as the index keeps paths: links are not followed
    strangers = [info.doc for info in rag.documents() if info.path is None or not Path(info.path).is_relative_to(home)]
    if strangers:
        what = "1 document that is" if len(strangers) == 1 else f"{len(strangers)} documents that are"
        raise RagError(
            f"The index {where} holds {what} not of the suite {suite.name} ({', '.join(strangers[:3])}). "
            f"Name another folder: rag eval run {suite.name} --index DIR"
        )


def _fingerprint(where: Path | None) -> str | None:
    """Of what the index says of itself: embedder, chunking, schema."""
    manifest = where / "manifest.json" if where else None
    if manifest is None or not manifest.is_file():
        return None
    return hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
