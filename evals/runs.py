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
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.answerer import AnswerStore, Asked, Chunks, Recalling, asked
from evals.gold import DRAFT, Case, SuiteError, gold_row
from evals.record import (
    Record,
    Row,
    code_digest,
    code_version,
    kept_rows,
    load_run,
    versions,
    write_manifest,
    write_rows,
)
from evals.rescoring import Judge, set_scores
from evals.scores import Place
from evals.stats import SEED
from evals.suite import Suite, load_suite, place
from index.blas import one_thread
from index.errors import RagError
from index.settings import IndexSettings

if TYPE_CHECKING:
    from index.documents import Document
    from index.sync import Progress
    from rag import Rag
    from rag.settings import Settings
    from rag.values import Answer

RUNS = Path("runs")
_IN_PROCESS = ("extract", "hf")
OnRow = Callable[[Row, int, int], None]


def run(
    suite: Suite | str | Path,
    *,
    out: str | Path | None = None,
    index: str | Path | None = None,
    settings: Settings | None = None,
    kb: Asked | None = None,
    budgets: Sequence[int] | None = None,
    ask: bool | None = None,
    limit: int | None = None,
    jobs: int | None = None,
    fresh: bool = False,
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
    jobs: questions asked at once; None takes four for a model behind a server, else one.
    fresh: ask a model again though an earlier run with the same settings, documents and program kept its answer.
    on_row, on_sync: told of progress (row, done, total) and (what, done, total).

    A question that raises becomes a row with its error, counted and left out of every score. Raises SuiteError for a
    suite that cannot be scored, RagError for an index or a folder that cannot be used.
    """
    suite = load_suite(suite) if isinstance(suite, str | Path) else suite
    reviewed = tuple(case for case in suite.cases if case.split != DRAFT)
    if not reviewed:
        raise SuiteError(f"Every question of {suite.name} is a draft. Type: rag eval review {suite.gold.parent}")
    drafts = len(suite.cases) - len(reviewed)
    suite = dataclasses.replace(
        suite, budgets=tuple(sorted(budgets or suite.budgets)), cases=reviewed[: limit or len(reviewed)]
    )
    settings = settings or settings_of(suite, {})
    asking = ask if ask is not None else any(c.answers or c.conflicts or not c.answerable for c in suite.cases)
    documents = suite.digest()
    program = code_digest()
    identity = _identity(dataclasses.asdict(settings), documents, suite.budgets, asking, code_version(), program)
    folder = Path(out) if out else fresh_folder(suite)
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
        "versions": versions(),
        "model": settings.model if kb is None else type(kb).__name__,
        "program": program,
        "embedder": None,
        "seed": SEED,
        "jobs": jobs,
        "resumed": len(rows),
        "started": _now(),
    }
    jobs = jobs or (4 if settings.model.partition(":")[0] not in _IN_PROCESS and kb is None else 1)
    with contextlib.ExitStack() as stack:
        notes = [f"left out until somebody reviews them (rag eval review): {drafts} drafts"] if drafts else []
        store = None
        if kb is None:
            where = _index_folder(suite, settings, Path(index) if index else None)
            kb, failed = stack.enter_context(_indexed(suite, settings, where, on_sync))
            notes += failed
            manifest["index"] = {"folder": str(where), "fingerprint": _fingerprint(where)}
            if settings.model != "extract" and not fresh:
                parts = (dataclasses.asdict(settings), documents, manifest["index"]["fingerprint"], program)
                store = AnswerStore(RUNS / suite.name / "answers", *parts)
        manifest |= {"embedder": _embedder(kb), "jobs": jobs}
        turn = _Turn(kb, suite.budgets, asking, identity, store)
        suite = place(suite, turn.document)
        write_rows(folder, rows.values())
        if settings.model.partition(":")[0] != "hf":
            stack.enter_context(one_thread())
        for done, row in enumerate(turn.rows(suite.cases, rows, jobs), 1):
            if row.id not in rows:
                write_rows(folder, [row], append=True)
                rows[row.id] = row
            if on_row:
                on_row(row, done, len(suite.cases))
        if jobs > 1:
            write_rows(folder, [rows[case.id] for case in suite.cases])
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
    """Asks questions of one system and scores what comes."""

    def __init__(
        self, kb: Asked, budgets: Sequence[int], asking: bool, identity: str, store: AnswerStore | None
    ) -> None:
        self._kb, self._budgets, self._asking, self._identity, self._store = kb, budgets, asking, identity, store
        self._documents: dict[str, Document | None] = {}
        index: Any = getattr(kb, "index", None)
        chunks_on = Chunks(index).on if hasattr(index, "reading") else None
        self._judge = Judge(self._text, getattr(index, "embedder", None), chunks_on)

    def rows(self, cases: Sequence[Case], known: Mapping[str, Row], jobs: int) -> Iterator[Row]:
        """A row for every case as it is ready: known ones at once, else in the order of the cases or of the replies."""
        if jobs == 1:
            for case in cases:
                yield known.get(case.id) or self.row(case)
            return
        yield from (known[case.id] for case in cases if case.id in known)
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(self.row, case) for case in cases if case.id not in known]
            try:
                for future in as_completed(waiting):
                    yield future.result()
            finally:  # an interrupt waits for the questions in hand and begins no other
                for future in waiting:
                    future.cancel()

    def row(self, case: Case) -> Row:
        """Ask and score one question; whatever that raises is the row's error."""
        row = Row(
            id=case.id, gold=case.digest, run=self._identity, cluster=case.cluster, tags=list(case.tags),
            case=gold_row(case),
        )  # fmt: skip
        try:
            answer = self._ask(row, case) if self._asking else None
            # What a follow-up searches for is up to the answerer, so recall is asked of first questions only.
            found = {} if case.history else self._search(row, case)
            set_scores(row, case, found, answer, self._judge)
        except Exception as error:  # the one place where any failure has to become a counted row
            return dataclasses.replace(
                row, error=f"{type(error).__name__}: {error}", seconds={}, found={}, answer=None, cached=False
            )
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

    def _search(self, row: Row, case: Case) -> dict[int, list[Place]]:
        """The passages at every budget. Only the first search is timed: the others need not embed the question."""
        found = {}
        for budget in sorted(self._budgets, reverse=True):
            clock = time.perf_counter()
            passages = self._kb.search(case.question, tokens=budget)
            if not row.seconds and not self._asking:
                row.seconds["search"] = round(time.perf_counter() - clock, 6)
            found[budget] = [Place(p.doc, p.start, p.end, p.page, p.tokens) for p in passages]
            row.found[str(budget)] = [list(place) for place in found[budget]]
        return found

    def _ask(self, row: Row, case: Case) -> Answer:
        seconds: dict[str, float] = {}

        def ask() -> Answer:
            answer, took = asked(self._kb, case)
            seconds.update(took)
            return answer

        answer, row.cached = self._store.ask(case, ask) if self._store else (ask(), False)
        row.seconds = seconds
        row.answer = answer.to_dict()
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
    from index.embed import open_embedder
    from rag import Rag

    with Rag(where, settings=settings, embedder=Recalling(open_embedder(settings.embedder))) as rag:
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


def _embedder(kb: Asked) -> str | None:
    """The fingerprint of the system's embedder, None when it does not say."""
    found = getattr(getattr(kb, "index", None), "embedder", None)
    return None if found is None else str(found.fingerprint)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
