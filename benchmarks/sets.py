"""The folders that the quality benchmarks run over: gold by evals, an index each under --work, made once and kept."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from evals.gold import Case
from evals.metrics.retrieval import Span, best_copies, page_recall, span_recall
from evals.stats import estimate
from evals.suite import Suite, load_suite
from index.minilm import Reading, shipped
from rag import Passage, Rag, Settings


def arguments(description: str) -> argparse.ArgumentParser:
    """--data and --work, the same for every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a set: docs/ and gold.jsonl")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"), help="where indexes are kept")
    return parser


class Remembering:
    """The shipped embedder, which keeps the vectors of questions: each is asked at many budgets and stages."""

    fingerprint, dim, window = shipped().fingerprint, shipped().dim, shipped().window

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def token_starts(self, text: str) -> np.ndarray:
        return shipped().token_starts(text)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if len(texts) != 1:
            return shipped().encode(texts)
        if texts[0] not in self.kept:
            self.kept[texts[0]] = shipped().encode(texts)
        return self.kept[texts[0]]

    def readings(self, texts: Sequence[str]) -> list[Reading]:
        return shipped().readings(texts)


def opened(work: Path, name: str, docs: Path, settings: Settings | None = None) -> Rag:
    """An index of a folder, synced."""
    kb = Rag(work / name, settings, embedder=Remembering())
    report = kb.sync(docs)
    print(f"# {name}: {report}")
    return kb


def recall(case: Case, passages: Iterable[Passage]) -> float:
    """Share of the gold characters, or of the gold pages where gold is by page, that the passages hold."""
    if case.evidence[0].start is None:
        return page_recall({(p.doc, p.page) for p in passages if p.page is not None}, case.pages)
    spans = [row.span for row in case.evidence if row.span is not None]
    return span_recall([(p.doc, p.start, p.end) for p in passages], spans)


def places(texts: Mapping[str, str], span: Span) -> list[Span]:
    """Every place where a gold text stands, the marked one first."""
    doc, start, end = span
    said, text, found = texts[doc][start:end], texts[doc], [span]
    at = text.find(said)
    while at >= 0:
        if at != start:
            found.append((doc, at, at + len(said)))
        at = text.find(said, at + 1)
    return found


def recall_of_any_copy(case: Case, passages: Iterable[Passage], texts: Mapping[str, str]) -> float:
    """`recall` where another place with the very words of the gold counts as well as the one that gold marks."""
    found = [(p.doc, p.start, p.end) for p in passages]
    spans = [row.span for row in case.evidence if row.span is not None]
    return span_recall(found, best_copies(found, [places(texts, span) for span in spans]))


def scored(
    suite: Suite, search: Callable[[str, int], Sequence[Passage]], budgets: Sequence[int]
) -> dict[int, list[float]]:
    """Recall of each case with evidence at each budget."""
    cases = [case for case in suite.cases if case.evidence]
    return {budget: [recall(case, search(case.question, budget)) for case in cases] for budget in budgets}


def row(name: str, suite: Suite, scores: dict[int, list[float]]) -> str:
    """A line of the table: mean and 95 % interval at each budget."""
    clusters = [case.cluster for case in suite.cases if case.evidence]
    cells = []
    for values in scores.values():
        found = estimate(values, clusters)
        cells.append(f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]")
    return f"| {name} | " + " | ".join(cells) + " |"


def load(data: Path, name: str) -> Suite | None:
    """The set, or None with a line that says it is absent."""
    if not (data / name / "gold.jsonl").exists():
        print(f"# {name}: not in {data}, left out")
        return None
    return load_suite(data / name)
