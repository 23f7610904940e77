"""How well rag.support tells true sentences from corrupted ones, by kind of corruption, and the fit of its threshold.

usage: python benchmarks/support.py --data DIR [--set xquad-en] [--work DIR] [--sample N] [--meaning] [--fit]
Claims are made from the sample corpus and a set of DIR (see claims.py), each way to make a true one weighs the same. A
claim is kept when its verdict is `supported`, caught when it is not. --fit finds the threshold that keeps 95 % of the
true claims and judges each half of the documents by a fit on the other; --meaning lets the embedder rescue claims in
other words; --sample takes N true claims instead of all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from claims import Pair, corrupted, true_pairs
from sets import arguments, load, opened

from evals.stats import estimate
from evals.suite import load_suite
from index.minilm import shipped
from rag import support as judge

SAMPLE = Path(__file__).resolve().parents[1] / "evals" / "suites" / "sample"
KEPT = 0.95
FAULTS = ("number", "date", "name", "negation", "moved")


@dataclass(frozen=True)
class Judged:
    """A pair with the parts of its verdict: what the rules of facts and negation found, and the words' share."""

    pair: Pair
    missing: bool
    denied: bool
    words: float
    verdict: str

    def caught(self, threshold: float) -> bool:
        return self.missing or self.denied or self.words < threshold


def judged(pairs: Sequence[Pair], embedder: object | None) -> list[Judged]:
    out = []
    for pair in pairs:
        said = "\n".join(pair.cited)
        verdict, _ = judge.support(pair.claim, pair.cited, embedder)
        parts = bool(judge.missing_facts(pair.claim, said)), judge.contradicts(pair.claim, said)
        out.append(Judged(pair, *parts, judge.coverage(pair.claim, said), verdict))
    return out


def kept(true: Sequence[Judged], threshold: float) -> float:
    """Share of true claims kept, the mean over the ways they were made."""
    ways = sorted({row.pair.way for row in true})
    shares = [np.mean([not row.caught(threshold) for row in true if row.pair.way == way]) for way in ways]
    return float(np.mean(shares))


def fitted(true: Sequence[Judged]) -> float:
    """The largest threshold that keeps 95 % of the true claims; 0 where the rules alone lose more."""
    grid = [step / 100 for step in range(100, -1, -1)]
    return next((threshold for threshold in grid if kept(true, threshold) >= KEPT), 0.0)


def cell(values: Sequence[bool], rows: Sequence[Judged]) -> str:
    found = estimate([float(value) for value in values], [row.pair.doc for row in rows])
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] | {len(values)}"


def table(rows: Sequence[Judged], flagged: Sequence[bool]) -> None:
    """Two tables: the true claims kept by way, the corrupted ones caught by fault, with intervals by document."""
    true = [(row, not f) for row, f in zip(rows, flagged, strict=True) if not row.pair.fault]
    print("\n| true claims | kept | n |\n|---|---|---|")
    for way in sorted({row.pair.way for row, _ in true}):
        some = [(row, value) for row, value in true if row.pair.way == way]
        print(f"| {way} | {cell([v for _, v in some], [r for r, _ in some])} |")
    ways = sorted({row.pair.way for row, _ in true})
    mean = np.mean([np.mean([v for r, v in true if r.pair.way == way]) for way in ways])
    print(f"| all, each way alike | {mean:.3f} | {len(true)} |")
    print("\n| corrupted claims | caught | n |\n|---|---|---|")
    for fault in FAULTS:
        some = [(row, f) for row, f in zip(rows, flagged, strict=True) if row.pair.fault == fault]
        print(f"| {fault} | {cell([v for _, v in some], [r for r, _ in some])} |")


def fit(rows: Sequence[Judged]) -> None:
    """Thresholds of each half of the documents, the other half judged by them, and the threshold of all."""
    docs = sorted({row.pair.doc for row in rows})
    half = set(docs[::2])
    flagged = [False] * len(rows)
    for inside in (True, False):
        threshold = fitted([r for r in rows if not r.pair.fault and (r.pair.doc in half) == inside])
        print(f"# threshold of {'one' if inside else 'the other'} half: {threshold:.2f}")
        for place, row in enumerate(rows):
            if (row.pair.doc in half) != inside:
                flagged[place] = row.caught(threshold)
    print(f"# threshold of all: {fitted([r for r in rows if not r.pair.fault]):.2f} (in use: {judge.SUPPORTED})")
    print("\nEach half judged by the threshold of the other:")
    table(rows, flagged)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--set", default="xquad-en")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--meaning", action="store_true")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    suites, documents = [load_suite(SAMPLE)], []
    stores = [opened(options.work, "support-sample", SAMPLE / "docs")]
    if (suite := load(options.data, options.set)) is not None:
        suites.append(suite)
        stores.append(opened(options.work, options.set, options.data / options.set / "docs"))
    for kb in stores:
        documents += [kb.document(info.doc) for info in kb.documents()]
    true = true_pairs(documents, suites)
    if options.sample:
        true = random.Random(1).sample(true, options.sample)
    pairs = true + corrupted(true, documents)
    rows = judged(pairs, shipped() if options.meaning else None)
    print(f"# {len(documents)} documents, {len(true)} true claims, {len(pairs) - len(true)} corrupted")
    table(rows, [row.verdict != "supported" for row in rows])
    if options.fit:
        fit(rows)


if __name__ == "__main__":
    main()
