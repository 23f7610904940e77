"""Ranked chunks -> passages within a token budget, packed sentence by sentence. Does not know how they were ranked.

Text that a document repeats is packed once, at its first place; the budget's end falls between sentences, not between
chunks; sentences that follow each other become one passage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from index.sentences import sentences
from index.snapshot import Snapshot
from index.terms import terms
from index.tokens import count_each, count_tokens

# Share of a sentence's own term score beside its chunk's score: decides which sentences of a chunk come first.
SENTENCE_SHARE = 0.3
# How much of its better neighbour's term score a sentence takes on, within its chunk.
NEIGHBOUR_SHARE = 0.3
# Sentences that may be passed over for lack of room before packing stops.
PASSED_OVER = 8
# Chunks considered: several times what the budget holds, as repeated text costs candidates.
_CANDIDATES = 40
_TOKENS_A_CHUNK = 25
# Characters from which on equal text is a repetition: a short line such as "Total" means what stands around it.
REPEATABLE = 24


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of chunk `row`: its span in the document, cl100k tokens, score."""

    row: int
    start: int
    end: int
    tokens: int
    score: float


@dataclass(frozen=True, slots=True)
class Packed:
    """Runs of sentences that follow each other: one passage each, best first. `tokens` counts the joined text."""

    rows: tuple[int, ...]
    start: int
    end: int
    tokens: int


def pack(
    snapshot: Snapshot, order: np.ndarray, scores: np.ndarray, weights: dict[str, float], budget: int
) -> tuple[list[Packed], dict[int, str]]:
    """Passages of at most `budget` cl100k tokens in sum, and the fate of each chunk that was considered.

    `order` holds rows of chunks best first, `scores` (n,) their scores, `weights` the idf of the question's terms.
    """
    rows = [int(row) for row in order[: _CANDIDATES + budget // _TOKENS_A_CHUNK]]
    pieces, repeated = _pieces(snapshot, rows, scores, weights)
    chosen: list[Piece] = []
    left, passed_over = budget, 0
    for piece in sorted(pieces, key=lambda piece: (-piece.score, piece.row, piece.start)):
        cost = piece.tokens + (1 if chosen else 0)  # the white space between two sentences is at most a token
        if cost <= left:
            chosen.append(piece)
            left -= cost
        else:
            passed_over += 1
            if passed_over >= PASSED_OVER:
                break
    packed = _fitted(snapshot, chosen, budget)
    inside = {row for run in packed for row in run.rows}
    fates = {row: "packed" if row in inside else "repeats" if row in repeated else "over budget" for row in rows}
    return packed, fates


def _pieces(
    snapshot: Snapshot, rows: Sequence[int], scores: np.ndarray, weights: dict[str, float]
) -> tuple[list[Piece], set[int]]:
    """The sentences of the chunks, each text once at its first place, and the chunks that only repeat others."""
    spans = [
        (row, int(snapshot.starts[row]) + start, int(snapshot.starts[row]) + end)
        for row in sorted(rows)
        for start, end in sentences(snapshot.text(row))
    ]
    texts = [snapshot.document_text(int(snapshot.documents[row]))[start:end] for row, start, end in spans]
    top = max((float(scores[row]) for row in rows), default=1.0) or 1.0
    own = _term_scores([row for row, _, _ in spans], texts, weights)
    first: dict[tuple[int, str], int] = {}
    best: dict[int, float] = {}
    owners = _owners(snapshot, sorted(rows))
    for number, ((row, _, _), text) in enumerate(zip(spans, texts, strict=True)):
        key = _bare(text)
        place = first.setdefault((owners[row], key), number) if len(key) >= REPEATABLE else number
        score = float(scores[row]) / top + SENTENCE_SHARE * own[number]
        best[place] = max(best.get(place, -np.inf), score)
    counts = count_each([texts[number] for number in best])
    pieces = [Piece(*spans[n], tokens, best[n]) for n, tokens in zip(best, counts, strict=True)]
    return pieces, set(rows) - {piece.row for piece in pieces}


def _owners(snapshot: Snapshot, rows: Sequence[int]) -> dict[int, int]:
    """The document within which a chunk's sentences count as repeated: its own, or that of an earlier equal chunk.

    Sentences that two documents share are kept in both, for what stands beside them may differ: versions, forgeries.
    """
    first: dict[str, int] = {}
    return {row: first.setdefault(_bare(snapshot.text(row)), int(snapshot.documents[row])) for row in rows}


def _bare(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()


def _term_scores(rows: Sequence[int], texts: Sequence[str], weights: dict[str, float]) -> np.ndarray:
    """Share of the question's idf that each sentence holds, with a part of its better neighbour's in the same chunk."""
    whole = sum(weights.values()) or 1.0
    own = np.array([sum(weights.get(term, 0.0) for term in set(terms(text))) / whole for text in texts])
    if len(own) < 2:
        return own
    same = np.array([a == b for a, b in pairwise(rows)])
    better = np.zeros_like(own)
    better[1:] = np.where(same, own[:-1], 0)
    better[:-1] = np.maximum(better[:-1], np.where(same, own[1:], 0))
    return np.asarray(own + NEIGHBOUR_SHARE * better)


def _fitted(snapshot: Snapshot, chosen: list[Piece], budget: int) -> list[Packed]:
    """Join what follows each other; should the joined texts need more tokens than their parts, drop the last piece."""
    while True:
        runs = _runs(snapshot, chosen)
        if sum(run.tokens for run in runs) <= budget:
            return runs
        chosen = chosen[:-1]


def _runs(snapshot: Snapshot, chosen: Sequence[Piece]) -> list[Packed]:
    rank = {piece: place for place, piece in enumerate(chosen)}
    runs: list[list[Piece]] = []
    for piece in sorted(chosen, key=lambda piece: (piece.row, piece.start)):
        if runs and _follows(snapshot, runs[-1][-1], piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    runs.sort(key=lambda run: min(rank[piece] for piece in run))
    return [_packed(snapshot, run) for run in runs]


def _packed(snapshot: Snapshot, run: Sequence[Piece]) -> Packed:
    start, end = run[0].start, run[-1].end
    text = snapshot.document_text(int(snapshot.documents[run[0].row]))[start:end]
    tokens = run[0].tokens if len(run) == 1 else count_tokens(text)
    return Packed(tuple(dict.fromkeys(piece.row for piece in run)), start, end, tokens)


def _follows(snapshot: Snapshot, before: Piece, after: Piece) -> bool:
    """Whether no letter or digit lies between two pieces of one page; list marks and rules may."""
    if snapshot.documents[before.row] != snapshot.documents[after.row]:
        return False
    if snapshot.pages[before.row] != snapshot.pages[after.row]:
        return False
    text = snapshot.document_text(int(snapshot.documents[before.row]))
    return not any(map(str.isalnum, text[before.end : after.start]))
