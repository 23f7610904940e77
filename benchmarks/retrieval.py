"""Recall within a token budget: ours, each stage of ours removed in turn, and LlamaIndex's quick start, in one run.

usage: python benchmarks/retrieval.py --data DIR [--sets chunking xquad-en financebench] [--ablate]
The peer is LlamaIndex's SentenceSplitter (200 and 1,024 tokens), the same embedding model, cosine over all chunks.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sets import arguments, load, opened, recall_of_any_copy, row, scored

import rag.packing
import rag.scoring
from evals.gold import Case
from evals.suite import Suite
from index.minilm import shipped
from index.tokens import count_each
from rag import Passage, Rag

BUDGETS = {"xquad-en": (200, 500), "financebench": (500, 1000, 2000, 4000)}
# Stage -> (module, name, what stands there when the stage is off).
STAGES: dict[str, tuple[ModuleType, str, Any]] = {
    "without lexical search": (rag.scoring, "dense_share", lambda terms: 1.0),
    "without dense search": (rag.scoring, "dense_share", lambda terms: 0.0),
    "both searches always alike": (rag.scoring, "dense_share", lambda terms: 0.5),
    "without first places": (rag.scoring, "PLACE_SHARE", 0.0),
    "without distinction of terms": (rag.scoring, "DISTINCTION_SHARE", 0.0),
    "without share of words": (rag.scoring, "COVER_SHARE", 0.0),
    "without neighbours": (rag.scoring, "NEIGHBOUR_SHARE", 0.0),
    "without regions": (rag.scoring, "REGION_SHARE", 0.0),
    "without best of document": (rag.scoring, "DOCUMENT_SHARE", 0.0),
    "without names of documents": (rag.scoring, "NAME_SHARE", 0.0),
    "without page cost": (rag.scoring, "PAGE_COST", 0.0),
    "without sentence scores": (rag.packing, "SENTENCE_SHARE", 0.0),
    "repeated text kept": (rag.packing, "REPEATABLE", 10**9),
}


class Peer:
    """LlamaIndex's splitter, our embedder, cosine: what its quick start retrieves, without its wrappers."""

    def __init__(self, kb: Rag, chunk: int) -> None:
        from llama_index.core import Document
        from llama_index.core.node_parser import SentenceSplitter

        splitter = SentenceSplitter(chunk_size=chunk, chunk_overlap=20, include_metadata=False)
        self.spans: list[tuple[str, int, int, int | None, str]] = []
        for info in kb.documents():
            document = kb.document(info.doc)
            for number, (first, last) in enumerate(document.pages or ((0, len(document.text)),), 1):
                for node in splitter.get_nodes_from_documents([Document(text=document.text[first:last])]):
                    page = number if document.pages else None
                    start = first + (node.start_char_idx or 0)
                    self.spans.append((info.doc, start, start + len(node.text), page, node.text))
        texts = [span[-1] for span in self.spans]
        self.tokens = count_each(texts)
        self.vectors = shipped().encode(texts)

    def __call__(self, question: str, budget: int) -> list[Passage]:
        found, left = [], budget
        for place in np.argsort(-(self.vectors @ shipped().encode([question])[0]))[:200]:
            doc, start, end, page, text = self.spans[place]
            left -= self.tokens[place]
            if left < 0:
                break
            found.append(Passage(doc, start, end, page, text, self.tokens[place], 0, 0, 0, ""))
        return found


def table(suite: Suite, work: Path, ablate: bool) -> None:
    budgets = BUDGETS.get(suite.name, (500, 1000, 2000))
    assert suite.documents is not None
    kb = opened(work, suite.name, suite.documents)
    print(f"\n| {suite.name}, recall at | " + " | ".join(f"{b} tokens" for b in budgets) + " |")
    print("|---|" + "---|" * len(budgets))

    def ours(question: str, budget: int) -> list[Passage]:
        return kb.search(question, tokens=budget)

    print(row("ours", suite, scored(suite, ours, budgets)), flush=True)
    cases = [case for case in suite.cases if case.evidence]
    if cases[0].evidence[0].start is None:
        pages = {b: [wrong_documents(case, ours(case.question, b)) for case in cases] for b in budgets}
        print(row("ours, share of the text that is from a wrong document", suite, pages), flush=True)
    elif suite.name == "chunking":
        texts = {info.doc: kb.document(info.doc).text for info in kb.documents()}
        copies = {b: [recall_of_any_copy(case, ours(case.question, b), texts) for case in cases] for b in budgets}
        print(row("ours, any copy of repeated gold", suite, copies), flush=True)
    for name, (module, constant, value) in STAGES.items() if ablate else ():
        kept = getattr(module, constant)
        setattr(module, constant, value)
        print(row(name, suite, scored(suite, ours, budgets)), flush=True)
        setattr(module, constant, kept)
    for chunk in (200, 1024):
        print(
            row(f"LlamaIndex quick start, {chunk}-token chunks", suite, scored(suite, Peer(kb, chunk), budgets)),
            flush=True,
        )


def wrong_documents(case: Case, passages: list[Passage]) -> float:
    """Share of the passages' tokens that stand in documents without gold for the question."""
    right = {doc for doc, _ in case.pages}
    return sum(p.tokens for p in passages if p.doc not in right) / (sum(p.tokens for p in passages) or 1)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--sets", nargs="+", default=["chunking", "xquad-en", "financebench"])
    parser.add_argument("--ablate", action="store_true", help="also remove each stage in turn")
    given = parser.parse_args()
    for name in given.sets:
        suite = load(given.data, name)
        if suite is not None:
            table(suite, given.work, given.ablate)


if __name__ == "__main__":
    main()
