"""Do our metrics give the figures that others published? Four reproductions, printed with what was expected.

    python benchmarks/eval_reproduce.py --data DIR        # or RAG_EVAL_DATA=DIR; --only omega,recall,…

DIR holds `chunking/`, `calibration/financebench/` and `calibration/ragchecker/`; a part whose folder is not there is
skipped and says so. Exits with 1 when a figure is missed. Needs no network, no language model; `recall` embeds 1.4 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import eval_agreement
import eval_chunkers
import numpy as np

from evals.metrics.retrieval import omega, span_scores

# Rows of EVALS' published table (chunking/published.csv) that count size as stated: (chunker, unit, size, overlap).
OMEGA = (
    ("TokenText", "cl100k", 800, 400, 4.7, 3.1),
    ("TokenText", "cl100k", 400, 200, 8.4, 5.1),
    ("TokenText", "cl100k", 400, 0, 12.5, 8.1),
    ("TokenText", "cl100k", 200, 0, 21.0, 11.9),
    ("Recursive", "cl100k", 800, 400, 6.7, 5.2),
    ("Recursive", "cl100k", 400, 200, 13.9, 10.4),
    ("Recursive", "cl100k", 400, 0, 17.7, 14.0),
    ("Recursive", "cl100k", 200, 0, 29.9, 18.4),
    ("Recursive", "word pieces", 250, 125, 21.9, 14.9),
    ("Recursive", "word pieces", 250, 0, 26.7, 18.3),
    ("Recursive", "word pieces", 200, 0, 31.2, 18.4),
)
RECALL, TOLERANCE = 78.7, 0.5


def main() -> int:
    parts: dict[str, tuple[str, Callable[[Path], bool]]] = {
        "omega": ("chunking", check_omega),
        "recall": ("chunking", check_recall),
        "financebench": ("calibration/financebench", eval_agreement.check_financebench),
        "ragchecker": ("calibration/ragchecker", eval_agreement.check_ragchecker),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("RAG_EVAL_DATA"))
    parser.add_argument("--only", default=",".join(parts))
    typed = parser.parse_args()
    missed = 0
    for name in typed.only.split(","):
        folder, check = parts[name]
        print(f"\n== {name} ==")
        if typed.data is None or not (Path(typed.data) / folder).is_dir():
            where = f"{typed.data} holds no {folder}/" if typed.data else "no --data DIR and no RAG_EVAL_DATA"
            print(f"skipped: {where}")
            continue
        clock = time.perf_counter()
        reproduced = check(Path(typed.data) / folder)
        print(f"{'reproduced' if reproduced else 'MISSED'} ({time.perf_counter() - clock:.0f} s)")
        missed += not reproduced
    return int(missed > 0)


def check_omega(folder: Path) -> bool:
    """Precision-omega needs no embedder: it tests chunker and span metric alone. To the decimal, mean and sd."""
    texts, golds = chunking(folder)
    lengths = {"cl100k": eval_chunkers.cl100k_length, "word pieces": eval_chunkers.word_piece_length()}
    right = True
    for chunker, unit, size, overlap, mean, deviation in OMEGA:
        spans = [
            span
            for doc, text in texts.items()
            for span in eval_chunkers.spans(
                doc,
                text,
                eval_chunkers.windows(text, size, overlap)
                if chunker == "TokenText"
                else eval_chunkers.recursive(text, size, overlap, lengths[unit]),
            )
        ]
        by_doc = {doc: [span for span in spans if span[0] == doc] for doc in texts}
        found = [100 * omega([span for doc in {g[0] for g in gold} for span in by_doc[doc]], gold) for gold in golds]
        ours = round(statistics.fmean(found), 1), round(statistics.pstdev(found), 1)
        right &= ours == (mean, deviation)
        verdict = "ok" if ours == (mean, deviation) else "MISSED"
        print(
            f"{chunker:9} {size}/{overlap:<3} {unit:11} {ours[0]} ± {ours[1]}, published {mean} ± {deviation} {verdict}"
        )
    return right


def check_recall(folder: Path) -> bool:
    """Recall of Recursive 250/125 with all-MiniLM-L6-v2 at n = 5, exact search where the published run used HNSW."""
    from index.minilm import shipped

    texts, golds = chunking(folder)
    length = eval_chunkers.word_piece_length()
    chunks, spans = [], []
    for doc, text in texts.items():
        cut = eval_chunkers.recursive(text, 250, 125, length)
        chunks += cut
        spans += eval_chunkers.spans(doc, text, cut)
    questions = [row["question"] for row in rows_of(folder)]
    vectors, asked = shipped().encode(chunks), shipped().encode(questions)
    best = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, :5]
    scores = [span_scores([spans[place] for place in row], gold) for row, gold in zip(best, golds, strict=True)]
    recall, precision, iou = (
        100 * statistics.fmean(getattr(score, name) for score in scores) for name in ("recall", "precision", "iou")
    )
    print(f"{len(chunks)} chunks; recall {recall:.2f} (published {RECALL} ± {TOLERANCE} wanted), ", end="")
    print(f"precision {precision:.2f} (4.9), IoU {iou:.2f} (4.9)")
    return abs(recall - RECALL) <= TOLERANCE


def chunking(folder: Path) -> tuple[dict[str, str], list[list[tuple[str, int, int]]]]:
    """The corpora's texts by name, and the gold spans of each question."""
    texts = {file.name: file.read_bytes().decode() for file in sorted((folder / "docs").iterdir())}
    return texts, [[(e["doc"], e["start"], e["end"]) for e in row["evidence"]] for row in rows_of(folder)]


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "gold.jsonl").read_text("utf-8").split("\n") if line]


if __name__ == "__main__":
    sys.exit(main())
