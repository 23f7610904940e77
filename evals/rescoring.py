"""Scores rows, and scores a finished run again from what it kept: no question is asked and no passage searched anew.

A changed metric or corrected gold therefore costs seconds, also where the answers came from a paid model.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.answerer import Chunks
from evals.gold import Case, gold_row, parse_case
from evals.record import Record, Row, load_run, write_manifest, write_rows
from evals.scores import ChunksOn, Place, Similarity, TextOf, score
from index.errors import RagError
from rag.values import Answer

if TYPE_CHECKING:
    from evals.suite import Suite
    from index.embed import Embedder
    from rag import Rag


@dataclasses.dataclass(frozen=True, slots=True)
class Judge:
    """What scoring needs besides gold and answer: the documents' text, the index's embedder and its chunks.

    Without an embedder there is no semantic similarity, without chunks no omega.
    """

    text_of: TextOf
    embedder: Embedder | None = None
    chunks_on: ChunksOn | None = None

    def similarity(self, row: Row) -> Similarity | None:
        """Best cosine of an answer with one of the golds, remembered in `row.memo` by the content of both."""
        if self.embedder is None:
            return None
        embedder = self.embedder

        def similar(text: str, golds: Sequence[str]) -> float:
            key = hashlib.sha256("\0".join([embedder.fingerprint, text, *golds]).encode()).hexdigest()[:16]
            if key not in row.memo:
                vectors = embedder.encode([text, *golds])
                row.memo[key] = round(float(max(0.0, (vectors[1:] @ vectors[0]).max())), 6)
            return min(1.0, row.memo[key])

        return similar


def set_scores(row: Row, case: Case, found: Mapping[int, Sequence[Place]], answer: Answer | None, judge: Judge) -> None:
    """Score one case into its row."""
    scores = score(case, found, answer, judge.text_of, judge.similarity(row), judge.chunks_on)
    row.scores, row.unscored = scores.values, scores.unscored


def rescore(
    folder: Record | str | Path,
    *,
    suite: Suite | None = None,
    out: str | Path | None = None,
    text_of: TextOf | None = None,
) -> Record:
    """Score a finished run again, by the gold it kept or by that of `suite`, into its own folder or `out`.

    suite: rows of the run whose question the suite no longer asks as it was are left out; questions that the run never
    asked are named in the manifest's warnings. Its evidence must be placed (`load_suite(source, extract=True)`).
    text_of: the documents; default those of the index that was asked. Raises RagError when it is gone.
    """
    record = folder if isinstance(folder, Record) else load_run(folder)
    if suite is not None and suite.digest() != record.manifest["documents"]:
        raise RagError(f"The documents of {suite.name} are no longer those that {record.folder} was asked about.")
    if not all(row.case for row in record.rows):
        raise RagError(f"{record.folder} was made before runs kept their gold. Make it anew: rag eval run SUITE")
    with ExitStack() as stack:
        chunks_on = None
        if text_of is None:
            rag = stack.enter_context(_opened(record))
            text_of, chunks_on = _text_of(rag), Chunks(rag.index).on
        judge = Judge(cache(text_of), _embedder(record), chunks_on)
        kept = {case.id: case for case in suite.cases} if suite else None
        rows = []
        for row in record.rows:
            case = parse_case(row.case, digest=row.gold) if kept is None else kept.get(row.id)
            if case is not None and _asks_the_same(case, row):
                rows.append(_rescored(row, case, judge))
    if not rows:
        raise RagError(f"{record.folder} asked none of the suite's questions as they are written now.")
    manifest: dict[str, Any] = {**record.manifest, "rescored": True}
    if suite is not None:
        missing = len(suite.cases) - len(rows)
        notes = [f"{missing} questions of the suite were not asked by this run"] if missing else []
        manifest |= {"gate": list(suite.gate), "questions": len(rows), "warnings": [*suite.warnings, *notes]}
    target = Path(out) if out else record.folder
    write_rows(target, rows)
    write_manifest(target, manifest)
    return load_run(target)


def _asks_the_same(case: Case, row: Row) -> bool:
    asked = parse_case(row.case)
    return (case.question, case.history) == (asked.question, asked.history)


def _rescored(row: Row, case: Case, judge: Judge) -> Row:
    fresh = dataclasses.replace(
        row, gold=case.digest, cluster=case.cluster, tags=list(case.tags), case=gold_row(case), memo=dict(row.memo)
    )
    if row.error is None:
        found = {int(budget): [Place(*place) for place in places] for budget, places in row.found.items()}
        set_scores(fresh, case, found, Answer.from_dict(row.answer) if row.answer else None, judge)
        if fresh.gold == row.gold:  # a model's verdicts on the same answer by the same gold still stand
            fresh.scores |= {name: value for name, value in row.scores.items() if name.startswith("judged_")}
            fresh.unscored |= {name: why for name, why in row.unscored.items() if name.startswith("judged_")}
    return fresh


def _embedder(record: Record) -> Embedder | None:
    if record.manifest.get("embedder") is None:
        return None
    from index.embed import open_embedder

    embedder = open_embedder(record.manifest["settings"]["embedder"])
    # Another model's cosines are another score; what the rows remember is keyed by the old one.
    return embedder if embedder.fingerprint == record.manifest["embedder"] else None


def _opened(record: Record) -> Rag:
    """The index that a run asked."""
    from rag import Rag, Settings

    index = record.manifest["index"]
    if index is None or not (Path(index["folder"]) / "manifest.json").is_file():
        where = index["folder"] if index else "an object in memory"
        raise RagError(f"The documents of {record.folder} cannot be read: its index was {where}, which is gone.")
    return Rag(index["folder"], Settings.from_dict(record.manifest["settings"]))


def _text_of(rag: Rag) -> TextOf:
    def text_of(doc: str) -> str | None:
        try:
            return rag.document(doc).text
        except RagError:
            return None

    return text_of
