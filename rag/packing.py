"""Ranked chunks -> passages within a token budget, packed sentence by sentence. Does not know how they were ranked.

Text that a document repeats is packed once, at its first place; the budget's end falls between sentences, not between
chunks; sentences that follow each other become one passage. Only chunks of which a sentence could still be chosen are
read: most candidates of a search are never split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.sentences import sentences
from index.snapshot import Snapshot
from index.terms import terms
from index.tokens import count_tokens

# Share of a sentence's own term score beside its chunk's score: decides which sentences of a chunk come first.
SENTENCE_SHARE = 0.3
# How much of its better neighbour's term score a sentence takes on, within its chunk.
NEIGHBOUR_SHARE = 0.3
# Sentences that may be passed over for lack of room before packing stops.
PASSED_OVER = 8
# Characters from which on equal text is a repetition: a short line such as "Total" means what stands around it.
REPEATABLE = 24
# Chunks considered: several times what the budget holds, as repeated text costs candidates.
_CANDIDATES, _TOKENS_A_CHUNK = 40, 25
# Chunks read at a time: about as many as the budget turned out to need on four corpora (benchmarks/LOG.md).
_FIRST_READ, _TOKENS_A_READ = 12, 75


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of a chunk: its span in the document, its text bare of marks and case, its terms."""

    start: int
    end: int
    key: str
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of chunk `row` with its score."""

    row: int
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Packed:
    """Runs of sentences that follow each other: one passage each, best first. `tokens` counts the joined text."""

    rows: tuple[int, ...]
    start: int
    end: int
    tokens: int


def considered(budget: int) -> int:
    """How many of the best chunks `pack` looks at."""
    return _CANDIDATES + budget // _TOKENS_A_CHUNK


def pack(
    snapshot: Snapshot,
    order: np.ndarray,
    scores: np.ndarray,
    weights: Mapping[str, float],
    cover: np.ndarray,
    budget: int,
    groups: Sequence[frozenset[int]] = (),
) -> tuple[list[Packed], dict[int, str]]:
    """Passages of at most `budget` cl100k tokens in sum, and the fate of each chunk that was considered.

    `order` holds rows of chunks best first, `scores` (n,) their scores, `weights` the idf of the question's terms,
    `cover` (n,) the sum of those that a chunk holds. Of several `groups` of documents each gets an equal share of the
    budget first, as far as it has sentences; what is left goes to the best.
    """
    best = order[: considered(budget)]
    top = (float(scores[best[0]]) if len(best) else 0.0) or 1.0
    # The most that a sentence of each chunk can score: that of one with all the chunk's terms, and a neighbour like it.
    own = SENTENCE_SHARE * (1 + NEIGHBOUR_SHARE) / (sum(weights.values()) or 1.0)
    reach = scores[best] / top + own * cover[best]
    by_reach = np.argsort(-reach, kind="stable")
    rows, reach = best[by_reach].tolist(), reach[by_reach]
    chosen: list[Piece] = []
    repeated: set[int] = set()
    counted: dict[tuple[int, int], int] = {}
    read, least = 0, -np.inf
    while read < len(rows) and reach[read] >= least - 1e-6:
        step = _FIRST_READ + budget // _TOKENS_A_READ
        read += step if not read else step // 2
        pieces, repeated = _pieces(snapshot, rows[:read], scores, weights, cover, top)
        chosen, least = _chosen(snapshot, pieces, budget, counted)
    if len(groups) > 1:
        pieces, repeated = _pieces(snapshot, rows, scores, weights, cover, top)
        chosen = _shared(snapshot, pieces, budget, counted, groups)
    packed = _fitted(snapshot, chosen, budget)
    fates = {row: "duplicate" if row in repeated else "over budget" for row in rows}
    for run in packed:
        first = max(run.rows, key=lambda row: float(scores[row]))
        fates.update({row: "packed" if row == first else "merged" for row in run.rows})
    return packed, fates


def shortest(snapshot: Snapshot, rows: Sequence[int]) -> int:
    """Tokens of the shortest sentence of some chunks."""
    return min(
        count_tokens(snapshot.document_text(int(snapshot.documents[row]))[line.start : line.end])
        for row in rows
        for line in _lines(snapshot, row)
    )


def _chosen(
    snapshot: Snapshot, pieces: list[Piece], budget: int, counted: dict[tuple[int, int], int]
) -> tuple[list[Piece], float]:
    """The best pieces that the budget holds, and the score below which none is looked at any more.

    `counted` keeps the tokens of each piece by its row and start.
    """
    chosen: list[Piece] = []
    left, passed_over = budget, 0
    for piece in sorted(pieces, key=lambda piece: (-piece.score, piece.row, piece.start)):
        tokens = counted.get((piece.row, piece.start))
        if tokens is None:
            tokens = counted[piece.row, piece.start] = _tokens(snapshot, piece)
        cost = tokens + (1 if chosen else 0)  # the white space between two sentences is at most a token
        if cost <= left:
            chosen.append(piece)
            left -= cost
        else:
            passed_over += 1
            if passed_over >= PASSED_OVER:
                return chosen, piece.score
    return chosen, -np.inf


def _shared(
    snapshot: Snapshot,
    pieces: list[Piece],
    budget: int,
    counted: dict[tuple[int, int], int],
    groups: Sequence[frozenset[int]],
) -> list[Piece]:
    """The best pieces of each group of documents within its share of the budget, then the best of all."""
    chosen: list[Piece] = []
    for group in groups:
        own = [piece for piece in pieces if int(snapshot.documents[piece.row]) in group]
        chosen += _chosen(snapshot, own, budget // len(groups), counted)[0]
    spent = sum(counted[piece.row, piece.start] + 1 for piece in chosen)
    taken = set(chosen)
    others = [piece for piece in pieces if piece not in taken]
    chosen += _chosen(snapshot, others, budget - spent, counted)[0]
    return sorted(chosen, key=lambda piece: (-piece.score, piece.row, piece.start))


def _tokens(snapshot: Snapshot, piece: Piece) -> int:
    return count_tokens(snapshot.document_text(int(snapshot.documents[piece.row]))[piece.start : piece.end])


def _pieces(
    snapshot: Snapshot,
    rows: Sequence[int],
    scores: np.ndarray,
    weights: Mapping[str, float],
    cover: np.ndarray,
    top: float,
) -> tuple[list[Piece], set[int]]:
    """The sentences of the chunks, each text once at its first place, and the chunks that only repeat others."""
    owners = _owners(snapshot, rows)
    first: dict[tuple[int, str], tuple[int, int, int]] = {}
    best: dict[tuple[int, int, int], float] = {}
    for row in sorted(rows):
        lines = _lines(snapshot, row)
        own = _term_scores(lines, weights) if cover[row] > 0 else [0.0] * len(lines)
        for line, share in zip(lines, own, strict=True):
            place = (row, line.start, line.end)
            if len(line.key) >= REPEATABLE:
                place = first.setdefault((owners[row], line.key), place)
            score = float(scores[row]) / top + SENTENCE_SHARE * share
            best[place] = max(best.get(place, -np.inf), score)
    pieces = [Piece(*place, score) for place, score in best.items()]
    return pieces, set(rows) - {piece.row for piece in pieces}


def _lines(snapshot: Snapshot, row: int) -> tuple[Line, ...]:
    return snapshot.read(row, lambda row: _split(snapshot.text(row), int(snapshot.starts[row])))


def _split(text: str, start: int) -> tuple[Line, ...]:
    return tuple(Line(start + a, start + b, bare(text[a:b]), frozenset(terms(text[a:b]))) for a, b in sentences(text))


def _owners(snapshot: Snapshot, rows: Sequence[int]) -> dict[int, int]:
    """The document within which a chunk's sentences count as repeated: its own, or that of an earlier equal chunk.

    Sentences that two documents share are kept in both, for what stands beside them may differ: versions, forgeries.
    """
    first: dict[tuple[str, ...], int] = {}
    return {
        row: first.setdefault(tuple(line.key for line in _lines(snapshot, row)), int(snapshot.documents[row]))
        for row in sorted(rows)
    }


def bare(text: str) -> str:
    """The text without marks and case: what two copies have in common."""
    return re.sub(r"\W+", " ", text).strip().casefold()


def _term_scores(lines: Sequence[Line], weights: Mapping[str, float]) -> list[float]:
    """Share of the question's idf that each sentence holds, with a part of its better neighbour's in the same chunk."""
    whole = sum(weights.values()) or 1.0
    own = [sum(weight for term, weight in weights.items() if term in line.terms) / whole for line in lines]
    beside = [max(before, after) for before, after in zip([0.0, *own], [*own[1:], 0.0], strict=False)]
    return [share + NEIGHBOUR_SHARE * better for share, better in zip(own, beside, strict=True)]


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
    return Packed(tuple(dict.fromkeys(piece.row for piece in run)), start, end, count_tokens(text))


def _follows(snapshot: Snapshot, before: Piece, after: Piece) -> bool:
    """Whether no letter or digit lies between two pieces of one page; list marks and rules may."""
    if snapshot.documents[before.row] != snapshot.documents[after.row]:
        return False
    if snapshot.pages[before.row] != snapshot.pages[after.row]:
        return False
    text = snapshot.document_text(int(snapshot.documents[before.row]))
    return not any(map(str.isalnum, text[before.end : after.start]))
