"""A question and a snapshot of the index -> passages, best first, within a token budget. No prompt, no answer.

`rag.scoring` scores the chunks, `rag.rerank` may order the best anew, `rag.packing` fills the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from index.chunks import context_of
from index.embed import Embedder
from index.errors import QueryError
from index.filters import Where, spelled
from index.snapshot import Snapshot
from index.terms import query_terms
from rag.packing import REPEATABLE, Packed, bare, considered, pack, shortest
from rag.rerank import RERANKED, Reranker, score_in_time
from rag.scoring import (
    MAX_TERMS,
    Clock,
    Scores,
    best_rows,
    score,
)
from rag.values import Fate, Passage

# Candidates listed in the trace beside the chosen ones.
TRACED = 30


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Passages best first, with what led to them: `note` says what the asker should know (why nothing was found, what
    was left out), `candidates` how many chunks could have been chosen, `timings` the seconds of each stage."""

    query: str
    passages: tuple[Passage, ...]
    fates: tuple[Fate, ...]
    scores: Scores
    note: str = ""
    candidates: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)


def retrieve(
    snapshot: Snapshot,
    embedder: Embedder,
    question: str,
    *,
    tokens: int | None = None,
    k: int | None = None,
    where: Where | None = None,
    reranker: Reranker | None = None,
    rerank_ms: int = 500,
) -> Retrieval:
    """The best passages: at most `tokens` cl100k tokens in sum, at most `k` of them.

    With a budget, sentences that follow each other are joined into passages; with `k` alone each chunk is a passage.
    A reranker orders the best candidates anew for as long as `rerank_ms` allows. Raises QueryError for an empty
    question, a budget below 1 or an unknown filter field.
    """
    query = read_query(question)
    if (tokens is not None and tokens < 1) or (k is not None and k < 1):
        raise QueryError(f"The budget is {tokens if k is None else k}; expected at least 1.")
    clock, notes = Clock(), []
    scores = score(snapshot, embedder, query, where, clock)
    if len(query_terms(query)) > MAX_TERMS:
        notes.append(f"The question is long: words were looked up for its {MAX_TERMS} rarest ones alone.")
    if scores.allowed is not None and not scores.allowed.any():
        notes.append(_emptied(snapshot, where or {}))
    elif not len(snapshot):
        notes.append("The index holds no text.")
    candidates = considered(tokens) if tokens else 2 * (k or 0)
    count = max(candidates, RERANKED if reranker else 0, TRACED)
    order, final = best_rows(scores.final, snapshot.documents, snapshot.pages, count)
    clock.lap("fuse")
    if reranker is not None and len(order):
        notes.append(_rerank(snapshot, reranker, query, order, final, rerank_ms))
        clock.lap("rerank")
    if tokens is None:
        chosen, fates = distinct(snapshot, order, k or 0)
        runs = [_whole(snapshot, row) for row in chosen]
    else:
        runs, fates = pack(snapshot, order, final, scores.weights, scores.cover, tokens, scores.named)
        if not runs and len(order):
            least = shortest(snapshot, [int(row) for row in order[:TRACED]])
            notes.append(f"No sentence fits into a budget of {tokens}; the shortest that was found has {least} tokens.")
        for run in runs[k:] if k else ():
            fates.update(dict.fromkeys(run.rows, "over budget"))
        runs = runs[:k]
    passages = tuple(_passage(snapshot, scores, final, run) for run in runs)
    listed = _fates(snapshot, scores, final, order, fates)
    clock.lap("pack")
    return Retrieval(query, passages, listed, scores, " ".join(filter(None, notes)), candidates, clock.laps)


def read_query(question: str) -> str:
    """The question with its white space squeezed. Raises QueryError when it holds no word."""
    query = " ".join(question.split())
    if not any(map(str.isalnum, query)):
        raise QueryError('The question holds no word. Ask about something: rag ask "When was the tower built?"')
    return query


def distinct(snapshot: Snapshot, order: np.ndarray, k: int) -> tuple[list[int], dict[int, str]]:
    """The first `k` rows of `order` that say different things, and the fates of those looked at.

    Text that a document repeats is shown at the first of the places that were found, text that two documents share
    once; a passage that differs in as little as a digit is another one.
    """
    groups: dict[str, list[int]] = {}
    for row in order.tolist():
        text = bare(snapshot.text(row))
        groups.setdefault(text if len(text) >= REPEATABLE else f"{row} {text}", []).append(row)
    chosen = [
        min(row for row in rows if snapshot.documents[row] == snapshot.documents[rows[0]])
        for rows in list(groups.values())[:k]
    ]
    fates = {row: "duplicate" for rows in list(groups.values())[:k] for row in rows}
    return chosen, fates | dict.fromkeys(chosen, "packed")


def _whole(snapshot: Snapshot, row: int) -> Packed:
    return Packed((row,), int(snapshot.starts[row]), int(snapshot.ends[row]), int(snapshot.tokens[row]))


def _passage(snapshot: Snapshot, scores: Scores, final: np.ndarray, run: Packed) -> Passage:
    document = int(snapshot.documents[run.rows[0]])
    rows = list(run.rows)
    return Passage(
        doc=snapshot.docs[document],
        start=run.start,
        end=run.end,
        page=int(snapshot.pages[rows[0]]) or None,
        text=snapshot.document_text(document)[run.start : run.end],
        tokens=run.tokens,
        score=round(float(final[rows].max()), 4),
        dense=round(float(scores.dense[rows].max()), 4),
        lexical=round(float(scores.lexical[rows].max()), 4),
        title=snapshot.titles[document],
    )


def _rerank(
    snapshot: Snapshot, reranker: Reranker, query: str, order: np.ndarray, final: np.ndarray, budget_ms: int
) -> str:
    """Put the best rows of `order` into the reranker's order, in place; returns what to say about it.

    The scores stay those of the fusion and are dealt out anew, so that packing and the answer's confidence keep their
    scale.
    """
    head = order[:RERANKED].copy()
    texts = [searched_text(snapshot, int(row)) for row in head]
    found, note = score_in_time(reranker, query, texts, budget_ms)
    head = head[: len(found)]
    better = head[np.argsort(-found, kind="stable")]
    final[better] = final[head]
    order[: len(better)] = better
    return note


def searched_text(snapshot: Snapshot, row: int) -> str:
    """A chunk under its context line: what was embedded and is reranked."""
    document = int(snapshot.documents[row])
    named = snapshot.docs[document], snapshot.titles[document], snapshot.headings[row]
    context = context_of(snapshot.document_text(document), int(snapshot.starts[row]), *named)
    return f"{context}\n{snapshot.text(row)}" if context else snapshot.text(row)


def _emptied(snapshot: Snapshot, where: Where) -> str:
    """Why a filter leaves nothing: the first field that nothing fits, else that no chunk fits all."""
    for name, wanted in where.items():
        fits = snapshot.mask({name: wanted})
        if fits is not None and not fits.any():
            return f"The filter leaves nothing: nothing that is indexed has {spelled(name, wanted)}."
    every = ", ".join(spelled(name, wanted) for name, wanted in where.items())
    return f"The filter leaves nothing: nothing that is indexed fits all of {every}."


def _fates(
    snapshot: Snapshot, scores: Scores, final: np.ndarray, order: np.ndarray, fates: Mapping[int, str]
) -> tuple[Fate, ...]:
    shown = ("packed", "merged", "duplicate")
    listed = [int(row) for place, row in enumerate(order) if place < TRACED or fates.get(int(row)) in shown]
    dense = ranks(scores.dense if scores.allowed is None else scores.dense[scores.allowed], scores.dense[listed])
    seen = scores.lexical > 0 if scores.allowed is None else (scores.lexical > 0) & scores.allowed
    lexical = ranks(scores.lexical[seen], scores.lexical[listed])
    return tuple(
        Fate(
            doc=snapshot.docs[int(snapshot.documents[row])],
            start=int(snapshot.starts[row]),
            end=int(snapshot.ends[row]),
            page=int(snapshot.pages[row]) or None,
            dense_rank=dense_rank,
            lexical_rank=lexical_rank if scores.lexical[row] > 0 else None,
            score=round(float(final[row]), 4),
            fate=fates.get(row, "ranked too low"),
        )
        for row, dense_rank, lexical_rank in zip(listed, dense, lexical, strict=True)
    )


def ranks(values: np.ndarray, wanted: Sequence[float] | np.ndarray) -> list[int]:
    """The rank of each wanted value among `values`: 1 plus how many are larger."""
    ordered = np.sort(values)
    return [int(rank) + 1 for rank in len(ordered) - np.searchsorted(ordered, wanted, side="right")]
