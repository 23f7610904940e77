"""A question and a snapshot of the index -> passages, best first, within a token budget. No prompt, no answer.

Each stage is a small function on arrays: score, fuse, smooth, choose, join. Figures for each stand in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.embed import Embedder
from index.errors import QueryError
from index.snapshot import Snapshot, Where
from index.terms import query_terms
from index.tokens import count_tokens
from rag.values import Fate, Passage

# Shares of the two searches in the fused score, after each is scaled to [0, 1] over the question's candidates.
DENSE_SHARE = 0.6
# How much of its better neighbour's score a chunk takes on: an answer's surroundings speak for it.
NEIGHBOUR_SHARE = 0.3
# Lexical hits considered; beyond them BM25 only ranks chunks with one common word.
LEXICAL_LIMIT = 2000
# Terms of one question; longer ones are documents, and their rarest terms say what they are about.
MAX_TERMS = 64
# Chunks that may be passed over before packing stops: smaller ones after them fill the budget, but worse and worse.
PASSED_OVER = 8
# Candidates listed in the trace beside the chosen ones.
TRACED = 30


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all n chunks for one question: `dense` cosines, `lexical` BM25 (0: no term), `final` the order."""

    vector: np.ndarray
    terms: tuple[str, ...]
    dense: np.ndarray
    lexical: np.ndarray
    final: np.ndarray
    allowed: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Passages best first, with what led to them."""

    query: str
    passages: tuple[Passage, ...]
    fates: tuple[Fate, ...]
    scores: Scores


def retrieve(
    snapshot: Snapshot,
    embedder: Embedder,
    question: str,
    *,
    tokens: int | None = None,
    k: int | None = None,
    where: Where | None = None,
) -> Retrieval:
    """The best passages: at most `tokens` cl100k tokens in sum, at most `k` of them.

    With a budget, chunks that follow each other are joined into one passage; with `k` alone each chunk is a passage.
    Raises QueryError for an empty question, a budget below 1 or an unknown filter field.
    """
    query = " ".join(question.split())
    if not any(map(str.isalnum, query)):
        raise QueryError('The question holds no word. Ask about something: rag ask "When was the tower built?"')
    if (tokens is not None and tokens < 1) or (k is not None and k < 1):
        raise QueryError(f"The budget is {tokens if k is None else k}; expected at least 1.")
    scores = score(snapshot, embedder, query, where)
    order = np.argsort(-scores.final, kind="stable")
    order = order[np.isfinite(scores.final[order])]
    chosen, passed_over = choose(snapshot, order, tokens, k)
    runs = join(snapshot, chosen) if tokens is not None else [(row, row) for row in chosen]
    passages = [_passage(snapshot, scores, first, last) for first, last in runs]
    return Retrieval(query, tuple(passages), _fates(snapshot, scores, order, set(chosen), passed_over), scores)


def score(snapshot: Snapshot, embedder: Embedder, query: str, where: Where | None = None) -> Scores:
    """Score every chunk for a question; chunks that the filter forbids get minus infinity."""
    n = len(snapshot)
    vector = embedder.encode([query])[0]
    terms = query_terms(query)
    if len(terms) > MAX_TERMS:
        counts = snapshot.frequencies(terms)
        terms = sorted((t for t in terms if counts[t]), key=lambda term: counts[term])[:MAX_TERMS]
    allowed = snapshot.mask(where)
    dense = snapshot.vectors @ vector if n else np.empty(0, np.float32)
    lexical = np.zeros(n, np.float32)
    rows, values = snapshot.lexical(terms, n if allowed is not None else LEXICAL_LIMIT)
    lexical[rows] = values
    final = smooth(fuse(dense, lexical, allowed), snapshot.documents)
    if allowed is not None:
        final = np.where(allowed, final, -np.inf)
    return Scores(vector, tuple(terms), dense, lexical, final, allowed)


def fuse(dense: np.ndarray, lexical: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Weighted sum of both scores, each scaled to [0, 1] over the allowed chunks (min-max, per question)."""
    return DENSE_SHARE * _unit(dense, allowed) + (1 - DENSE_SHARE) * _unit(lexical, allowed)


def smooth(fused: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Add a share of the better neighbour's score, neighbours being the chunks before and after in the document."""
    if len(fused) < 2:
        return fused
    same = documents[1:] == documents[:-1]
    better = np.zeros_like(fused)
    better[1:] = np.where(same, fused[:-1], 0)
    better[:-1] = np.maximum(better[:-1], np.where(same, fused[1:], 0))
    return np.asarray(fused + NEIGHBOUR_SHARE * better)


def choose(
    snapshot: Snapshot, order: np.ndarray, tokens: int | None, k: int | None
) -> tuple[list[int], dict[int, str]]:
    """Chunks in order until the budget is full; one that does not fit is passed over for smaller ones after it."""
    chosen: list[int] = []
    passed_over: dict[int, str] = {}
    left = tokens
    for row in map(int, order):
        if k is not None and len(chosen) >= k:
            break
        # Two more for the white space that joining neighbours may add.
        cost = int(snapshot.tokens[row]) + (2 if chosen else 0)
        if left is None or cost <= left:
            chosen.append(row)
            left = None if left is None else left - cost
        else:
            passed_over[row] = "over budget"
            if len(passed_over) >= PASSED_OVER:
                break
    return chosen, passed_over


def join(snapshot: Snapshot, chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Runs (first, last) of chosen chunks that follow each other on one page, in the order of their best chunk."""
    rank = {row: place for place, row in enumerate(chosen)}
    runs: list[list[int]] = []
    for row in sorted(chosen):
        if runs and runs[-1][-1] == row - 1 and _joinable(snapshot, row - 1, row):
            runs[-1].append(row)
        else:
            runs.append([row])
    runs.sort(key=lambda run: min(rank[row] for row in run))
    return [(run[0], run[-1]) for run in runs]


def _joinable(snapshot: Snapshot, before: int, after: int) -> bool:
    if snapshot.documents[before] != snapshot.documents[after] or snapshot.pages[before] != snapshot.pages[after]:
        return False
    text = snapshot.document_text(int(snapshot.documents[before]))
    return not text[int(snapshot.ends[before]) : int(snapshot.starts[after])].strip()


def _passage(snapshot: Snapshot, scores: Scores, first: int, last: int) -> Passage:
    document = int(snapshot.documents[first])
    start, end = int(snapshot.starts[first]), int(snapshot.ends[last])
    text = snapshot.document_text(document)[start:end]
    rows = slice(first, last + 1)
    return Passage(
        doc=snapshot.docs[document],
        start=start,
        end=end,
        page=int(snapshot.pages[first]) or None,
        text=text,
        tokens=int(snapshot.tokens[first]) if first == last else count_tokens(text),
        score=round(float(scores.final[rows].max()), 4),
        dense=round(float(scores.dense[rows].max()), 4),
        lexical=round(float(scores.lexical[rows].max()), 4),
        title=snapshot.titles[document],
    )


def _fates(
    snapshot: Snapshot, scores: Scores, order: np.ndarray, chosen: set[int], passed_over: dict[int, str]
) -> tuple[Fate, ...]:
    dense_rank = _ranks(scores.dense, scores.allowed)
    lexical_rank = _ranks(np.where(scores.lexical > 0, scores.lexical, -np.inf), scores.allowed)
    listed = list(map(int, order[:TRACED]))
    listed += sorted((chosen | set(passed_over)) - set(listed), key=lambda row: -scores.final[row])
    return tuple(
        Fate(
            doc=snapshot.docs[int(snapshot.documents[row])],
            start=int(snapshot.starts[row]),
            end=int(snapshot.ends[row]),
            page=int(snapshot.pages[row]) or None,
            dense_rank=int(dense_rank[row]) or None,
            lexical_rank=int(lexical_rank[row]) or None,
            score=round(float(scores.final[row]), 4),
            fate="packed" if row in chosen else passed_over.get(row, "ranked too low"),
        )
        for row in listed
    )


def _ranks(values: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Ranks from 1, best first; 0 for what is not ranked."""
    values = values if allowed is None else np.where(allowed, values, -np.inf)
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return np.where(np.isfinite(values), ranks, 0)


def _unit(values: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    seen = values if allowed is None else values[allowed]
    if not len(seen):
        return np.zeros_like(values)
    low, high = float(seen.min()), float(seen.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
