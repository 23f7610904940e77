"""Change a tenth of the documents again and again: does Chroma find what it holds, and does its folder stay small?

usage: python benchmarks/reliability/churn.py [--documents 2000] [--rounds 50]
Recall is that of Chroma's ten nearest against exact search over the catalog's vectors; `rebuilds` counts how often the
collection began anew.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from world import forked, open_rag, prose, size_of, table, warm_up

from index.vectors import ChromaVectors


def recall(folder: Path, questions: int = 200) -> dict[str, float]:
    """recall@10, and the share of records that find themselves first."""
    with open_rag(folder) as kb, kb.index.reading() as snapshot:
        vectors, ids = snapshot.vectors, snapshot.ids
        chroma = ChromaVectors(folder / "chroma")
        rng = np.random.default_rng(0)
        found = own = wanted = 0
        rows = rng.choice(len(ids), min(questions, len(ids)), replace=False)
        for row in rows:
            probe = vectors[row] + rng.standard_normal(vectors.shape[1]).astype(np.float32) * 0.05
            scores = vectors @ probe
            # Equal texts tie, and any of them is right.
            near = chroma.nearest(probe, 10)
            least = np.sort(scores)[-10]
            found += int((scores[snapshot.rows_of(near)] >= least - 1e-3).sum())
            wanted += 10
            own += int(ids[row]) in chroma.nearest(vectors[row], 10)
        dead = sum(chroma.part(number).dead() for number in chroma.parts())
        chroma.close()
    return {"recall": found / wanted, "own": own / len(rows), "dead": dead, "alive": len(ids)}


def sync(folder: Path, docs: Path) -> list[Any]:
    began = time.perf_counter()
    with open_rag(folder) as kb:
        report = kb.sync(docs)
        return [time.perf_counter() - began, report.chunks]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=50)
    args = parser.parse_args()
    warm_up()
    rows: list[list[object]] = []
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder, docs, new = (Path(scratch) / name for name in ("index", "docs", "new"))
        docs.mkdir()
        for number in range(args.documents):
            (docs / f"doc-{number:05}.txt").write_text(prose(rng, 12), "utf-8")
        rebuilds, before = 0, ""
        for number in range(args.rounds + 1):
            seconds, chunks = forked(lambda: sync(folder, docs))["value"]
            made = _made(folder)
            rebuilds, before = rebuilds + (made != before and number > 0), made
            if number % max(1, args.rounds // 5) == 0 or number == args.rounds:
                found = forked(lambda: recall(folder))["value"]
                size = _chroma_size(folder) / 1e6
                rows.append([number, chunks, f"{seconds:.1f}", f"{found['recall']:.4f}", f"{found['own']:.4f}",
                             found["dead"], found["alive"], f"{size:.1f}", rebuilds])  # fmt: skip
            for path in rng.sample(sorted(docs.iterdir()), args.documents // 10):
                path.write_text(prose(rng, 12), "utf-8")
        forked(lambda: sync(folder, docs))
        found = forked(lambda: recall(folder))["value"]
        bad = forked(lambda: [c.found for c in open_rag(folder).verify() if not c.ok])["value"]
        forked(lambda: sync(new, docs))
        ratio = _chroma_size(folder) / _chroma_size(new)
        whole = size_of(folder) / size_of(new)
    head = ["round", "written", "seconds", "recall@10", "finds itself", "dead", "alive", "chroma MB", "rebuilds"]
    table(head, rows)
    print(f"\nat the end: recall@10 {found['recall']:.4f}, {found['dead']} dead, {found['alive']} alive")
    print(
        f"chroma/ is {ratio:.2f} times as large as that of a new index, all files {whole:.2f} times; {bad or 'sound'}"
    )
    return 0 if found["recall"] >= 0.99 and ratio <= 2 and not bad else 1


def _made(folder: Path) -> str:
    """Chroma names the folder of a collection's graph anew each time."""
    return ",".join(sorted(path.name for path in folder.glob("chroma*/*") if path.is_dir()))


def _chroma_size(folder: Path) -> int:
    return sum(size_of(part) for part in folder.glob("chroma*"))


if __name__ == "__main__":
    sys.exit(main())
