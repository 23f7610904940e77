"""A question and a snapshot of the index -> passages, best first, within a token budget. No prompt, no answer.

Each stage is a small function on arrays: score, fuse, smooth; `rag.packing` fills the budget. Figures for each stand in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from index.embed import Embedder
from index.errors import QueryError
from index.snapshot import Snapshot, Where
from index.terms import query_terms
from rag.packing import Packed, pack
from rag.values import Fate, Passage

# Share of the dense search in the fused score, after both are scaled to [0, 1] over the question's candidates. Long
# questions also describe the task ("give a response relying on ..."); BM25 cannot tell those words from the topic, so
# each term beyond the usual number moves weight to the dense search.
DENSE_SHARE, DENSE_SHARE_A_TERM, DENSE_SHARE_MOST, USUAL_TERMS = 0.45, 0.03, 0.75, 5
# How much of its better neighbour's score a chunk takes on: an answer's surroundings speak for it.
NEIGHBOUR_SHARE = 0.3
# How much of its region's mean score, and how far the region reaches (standard deviation, in chunks).
REGION_SHARE, REGION_REACH = 0.4, 2.0
# What each doubling of the better chunks on its own page costs a chunk: a page once seen is worth less than a new one.
PAGE_COST = 0.25
# Lexical hits considered; beyond them BM25 only ranks chunks with one common word.
LEXICAL_LIMIT = 2000
# Terms of one question; longer ones are documents, and their rarest terms say what they are about.
MAX_TERMS = 64
# Candidates listed in the trace beside the chosen ones.
TRACED = 30


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all n chunks for one question: `dense` cosines, `lexical` BM25 (0: no term), `final` the order.

    `vector` is the question's embedding, `weights` the idf of its terms.
    """

    vector: np.ndarray
    weights: dict[str, float]
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

    With a budget, sentences that follow each other are joined into passages; with `k` alone each chunk is a passage.
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
    if tokens is None:
        chosen = [int(row) for row in order[:k]]
        runs = [_whole(snapshot, row) for row in chosen]
        fates = dict.fromkeys(chosen, "packed")
    else:
        runs, fates = pack(snapshot, order, scores.final, scores.weights, tokens)
        runs = runs[:k]
    passages = tuple(_passage(snapshot, scores, run) for run in runs)
    return Retrieval(query, passages, _fates(snapshot, scores, order, fates), scores)


def score(snapshot: Snapshot, embedder: Embedder, query: str, where: Where | None = None) -> Scores:
    """Score every chunk for a question; chunks that the filter forbids get minus infinity."""
    n = len(snapshot)
    vector = embedder.encode([query])[0]
    terms = query_terms(query)
    if len(terms) > MAX_TERMS:
        counts = snapshot.frequencies(terms)
        terms = sorted((t for t in terms if counts[t]), key=lambda term: counts[term])[:MAX_TERMS]
    allowed = snapshot.mask(where)
    weights = idf(snapshot.frequencies(terms), n)
    dense = snapshot.vectors @ vector if n else np.empty(0, np.float32)
    lexical = np.zeros(n, np.float32)
    rows, values = snapshot.lexical(terms, n if allowed is not None else LEXICAL_LIMIT)
    lexical[rows] = values
    fused = fuse(dense, lexical, dense_share(len(terms)), allowed)
    final = smooth(fused, snapshot.documents) + REGION_SHARE * region(fused, snapshot.documents)
    final = spread(final, snapshot.documents, snapshot.pages)
    if allowed is not None:
        final = np.where(allowed, final, -np.inf)
    return Scores(vector, weights, dense, lexical, final, allowed)


def dense_share(terms: int) -> float:
    """The weight of the dense search for a question of so many terms; the lexical search has the rest."""
    return float(np.clip(DENSE_SHARE + DENSE_SHARE_A_TERM * (terms - USUAL_TERMS), DENSE_SHARE, DENSE_SHARE_MOST))


def fuse(dense: np.ndarray, lexical: np.ndarray, share: float, allowed: np.ndarray | None = None) -> np.ndarray:
    """Weighted sum of both scores, each scaled to [0, 1] over the allowed chunks (min-max, per question)."""
    return share * _unit(dense, allowed) + (1 - share) * _unit(lexical, allowed)


def smooth(fused: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Add a share of the better neighbour's score, neighbours being the chunks before and after in the document."""
    if len(fused) < 2:
        return fused
    same = documents[1:] == documents[:-1]
    better = np.zeros_like(fused)
    better[1:] = np.where(same, fused[:-1], 0)
    better[:-1] = np.maximum(better[:-1], np.where(same, fused[1:], 0))
    return np.asarray(fused + NEIGHBOUR_SHARE * better)


def region(fused: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Mean score of the chunks around each one, Gaussian weights, within the document and without the chunk itself."""
    total, weight = np.zeros_like(fused), np.full_like(fused, 1e-9)
    for step in range(1, min(int(3 * REGION_REACH), len(fused) - 1) + 1):
        share = math.exp(-(step**2) / (2 * REGION_REACH**2))
        same = share * (documents[step:] == documents[:-step])
        total[step:] += same * fused[:-step]
        total[:-step] += same * fused[step:]
        weight[step:] += same
        weight[:-step] += same
    return np.asarray(total / weight)


def spread(scores: np.ndarray, documents: np.ndarray, pages: np.ndarray) -> np.ndarray:
    """Lower each chunk of a paged document by how many better ones its page has: PAGE_COST * log2(1 + that many)."""
    paged = np.flatnonzero(pages)
    if not len(paged):
        return scores
    order = paged[np.lexsort((-scores[paged], pages[paged], documents[paged]))]
    new = np.ones(len(order), bool)
    new[1:] = (pages[order][1:] != pages[order][:-1]) | (documents[order][1:] != documents[order][:-1])
    place = np.arange(len(order))
    better = place - np.maximum.accumulate(np.where(new, place, 0))
    lowered = scores.copy()
    lowered[order] -= PAGE_COST * np.log2(1 + better)
    return lowered


def idf(frequencies: Mapping[str, int], chunks: int) -> dict[str, float]:
    """Inverse document frequency of each term as BM25 has it: ln(1 + (N - n + .5) / (n + .5)) over N chunks."""
    return {term: math.log(1 + (chunks - n + 0.5) / (n + 0.5)) for term, n in frequencies.items()}


def _whole(snapshot: Snapshot, row: int) -> Packed:
    return Packed((row,), int(snapshot.starts[row]), int(snapshot.ends[row]), int(snapshot.tokens[row]))


def _passage(snapshot: Snapshot, scores: Scores, run: Packed) -> Passage:
    document = int(snapshot.documents[run.rows[0]])
    rows = list(run.rows)
    return Passage(
        doc=snapshot.docs[document],
        start=run.start,
        end=run.end,
        page=int(snapshot.pages[rows[0]]) or None,
        text=snapshot.document_text(document)[run.start : run.end],
        tokens=run.tokens,
        score=round(float(scores.final[rows].max()), 4),
        dense=round(float(scores.dense[rows].max()), 4),
        lexical=round(float(scores.lexical[rows].max()), 4),
        title=snapshot.titles[document],
    )


def _fates(snapshot: Snapshot, scores: Scores, order: np.ndarray, fates: Mapping[int, str]) -> tuple[Fate, ...]:
    dense_rank = _ranks(scores.dense, scores.allowed)
    lexical_rank = _ranks(np.where(scores.lexical > 0, scores.lexical, -np.inf), scores.allowed)
    listed = [int(row) for place, row in enumerate(order) if place < TRACED or fates.get(int(row)) == "packed"]
    return tuple(
        Fate(
            doc=snapshot.docs[int(snapshot.documents[row])],
            start=int(snapshot.starts[row]),
            end=int(snapshot.ends[row]),
            page=int(snapshot.pages[row]) or None,
            dense_rank=int(dense_rank[row]) or None,
            lexical_rank=int(lexical_rank[row]) or None,
            score=round(float(scores.final[row]), 4),
            fate=fates.get(row, "ranked too low"),
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
