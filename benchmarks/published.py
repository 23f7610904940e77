"""Our row on the terms of the published table of "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024).

usage: python benchmarks/published.py --data DIR
DIR holds chunking/ with the corpora, the questions and published.csv. The reproduced row (Recursive 250/125, exact
search, n = 5) stands first, so that the measure is known to be right; ours get five chunks of the same class, or what
fits into five chunks' 1,250 word pieces, or no more cl100k tokens than the reproduced row took for the same question.
Sizes are in word pieces of all-MiniLM-L6-v2 with its two special tokens, as the published rows count.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import eval_chunkers
import numpy as np
from eval_reproduce import chunking, rows_of
from sets import arguments, opened, places

from evals.metrics.retrieval import Span, best_copies, omega, span_recall, span_scores
from evals.stats import estimate
from index.minilm import shipped
from index.tokens import count_each
from rag import Passage, Rag, Settings

PIECES, CHUNKS, OVERLAP = 250, 5, 125
Row = list[list[Span]]


def main() -> None:
    given = arguments(__doc__ or "").parse_args()
    folder = given.data / "chunking"
    texts, golds = chunking(folder)
    questions = [row["question"] for row in rows_of(folder)]
    copies = [[places(texts, span) for span in gold] for gold in golds]
    length = eval_chunkers.word_piece_length()

    print("| | recall | precision | precision-omega | IoU | recall, any copy | word pieces |")
    print("|---|---|---|---|---|---|---|")

    def show(name: str, found: Row, chunks: Sequence[Span]) -> None:
        scores = [span_scores(spans, gold) for spans, gold in zip(found, golds, strict=True)]
        aware = [span_recall(spans, best_copies(spans, each)) for spans, each in zip(found, copies, strict=True)]
        ideal = [omega([c for c in chunks if c[0] in {g[0] for g in gold}], gold) for gold in golds]
        pieces = [sum(length(texts[d][a:b]) for d, a, b in spans) for spans in found]
        cells = [percent([getattr(s, name) for s in scores]) for name in ("recall", "precision", "iou")]
        cells.insert(2, f"{100 * statistics.fmean(ideal):.1f}")
        print(
            f"| {name} | " + " | ".join([*cells, percent(aware), f"{statistics.fmean(pieces):.0f}"]) + " |", flush=True
        )

    cut = {doc: eval_chunkers.recursive(text, PIECES, OVERLAP, length) for doc, text in texts.items()}
    chunks = [span for doc, parts in cut.items() for span in eval_chunkers.spans(doc, texts[doc], parts)]
    peer = nearest([part for parts in cut.values() for part in parts], chunks, questions)
    show(f"reproduced: Recursive {PIECES}/{OVERLAP}, n = {CHUNKS}", peer, chunks)
    taken = [sum(count_each([texts[d][a:b] for d, a, b in spans])) for spans in peer]

    large = opened(given.work, "chunking-250", folder / "docs", Settings(chunk_tokens=PIECES - 2))
    show(
        f"ours, n = {CHUNKS} chunks of at most {PIECES}",
        [spans(large.search(q, k=CHUNKS)) for q in questions],
        all_chunks(large),
    )
    kb = opened(given.work, "chunking", folder / "docs")
    fitting = [within(kb, question, PIECES * CHUNKS, length) for question in questions]
    show(f"ours, {PIECES * CHUNKS} word pieces", fitting, all_chunks(kb))
    same = [spans(kb.search(q, tokens=budget)) for q, budget in zip(questions, taken, strict=True)]
    show("ours, the reproduced row's cl100k tokens", same, all_chunks(kb))
    for row in published(folder / "published.csv"):
        print(row)


def nearest(chunks: Sequence[str], placed: Sequence[Span], questions: Sequence[str]) -> Row:
    """The five nearest chunks of each question, by cosine over all of them."""
    vectors, asked = shipped().encode(chunks), shipped().encode(questions)
    best = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, :CHUNKS]
    return [[placed[place] for place in row] for row in best]


def spans(passages: Sequence[Passage]) -> list[Span]:
    return [(passage.doc, passage.start, passage.end) for passage in passages]


def within(kb: Rag, question: str, pieces: int, length: Callable[[str], int]) -> list[Span]:
    """The passages that a budget of word pieces holds: the cl100k budget is lowered until they do."""
    budget = pieces
    while True:
        passages = kb.search(question, tokens=budget)
        counted = sum(length(passage.text) for passage in passages)
        if counted <= pieces:
            return spans(passages)
        budget = min(budget - 10, budget * pieces // counted)


def all_chunks(kb: Rag) -> list[Span]:
    with kb.index.reading() as snapshot:
        docs = [snapshot.docs[document] for document in snapshot.documents]
        return list(zip(docs, snapshot.starts.tolist(), snapshot.ends.tolist(), strict=True))


def percent(values: Sequence[float]) -> str:
    found = estimate(list(values), [""] * len(values))
    low, high = found.low or 0.0, found.high or 0.0
    return f"{100 * found.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def published(table: Path) -> list[str]:
    """The published rows for n = 5 over all corpora: this model's 250-token class, and the main table's other model
    with its two best rows."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["retrieve"] == str(CHUNKS)]
    same = [row for row in rows if row["corpus"] == "all" and row["size"] == str(PIECES)]
    others = [row for row in rows if row["corpus"] == "all (main table)"]
    best = sorted(others, key=lambda row: -float(row["recall"]))[:2]
    return [
        f"| published: {row['embedding']}, {row['chunker']} {row['size']}/{row['overlap']} | {row['recall']} | "
        f"{row['precision']} | {row['precision_omega']} | {row['iou']} | | |"
        for row in [*same, *best]
    ]


if __name__ == "__main__":
    main()
