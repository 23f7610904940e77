"""A question and a snapshot of the index -> passages, best first, within a token budget. No prompt, no answer.

Each stage is a small function on arrays: score, fuse, smooth; `rag.packing` fills the budget. Figures for each stand in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from index.chunks import context_of
from index.embed import Embedder
from index.errors import QueryError
from index.filters import Where, spelled
from index.snapshot import Snapshot
from index.terms import in_languages, query_terms
from rag.packing import REPEATABLE, Packed, bare, considered, pack, shortest
from rag.rerank import RERANKED, Reranker, score_in_time
from rag.values import Fate, Passage

# Share of the dense search in the fused score, after both are scaled to [0, 1] over the question's candidates. Long
# questions also describe the task ("give a response relying on ..."); BM25 cannot tell those words from the topic, so
# each term beyond the usual number moves weight to the dense search.
DENSE_SHARE, DENSE_SHARE_A_TERM, DENSE_SHARE_MOST, USUAL_TERMS = 0.45, 0.05, 0.85, 5
# Places of the dense search that count beside its cosines, and the weight of the first.
PLACES, PLACE_SHARE = 10, 0.1
# How many of the best chunks of the first fusion compete, and how much of a term's weight hangs on telling them apart.
RIVALS, DISTINCTION_SHARE = 100, 0.8
# Weight of the share of the question's words that a chunk holds at all, beside BM25, which also counts how often.
COVER_SHARE = 0.1
# How much of its better neighbour's score a chunk takes on: an answer's surroundings speak for it.
NEIGHBOUR_SHARE = 0.3
# How much of its region's mean score, and how far the region reaches (standard deviation, in chunks).
REGION_SHARE, REGION_REACH = 0.6, 2.0
# Weights of a chunk's document: of its best chunk, and of the words of the question that name it among its rivals.
DOCUMENT_SHARE, NAME_SHARE = 0.2, 0.1
# Documents that a question may name apart, and how near the best-named one a document is that is named, too.
MOST_NAMED, NAMED_ALIKE = 4, 0.7
# What each doubling of the better chunks on its own page costs a chunk: a page once seen is worth less than a new one.
PAGE_COST = 0.25
# Terms of one question; longer ones are documents, and their rarest terms say what they are about.
MAX_TERMS = 64
# Candidates listed in the trace beside the chosen ones.
TRACED = 30


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all n chunks for one question: `dense` cosines, `lexical` BM25 (0: no term), `final` the order.

    `vector` is the question's embedding, `weights` how much each of its terms tells (idf times `distinction`), `cover`
    the sum of those that a chunk holds.
    `final` is minus infinity for what the filter forbids; what a page costs is taken off the best chunks alone. `named`
    are groups of documents between which the question divides the budget, if it names several.
    """

    vector: np.ndarray
    weights: dict[str, float]
    dense: np.ndarray
    lexical: np.ndarray
    cover: np.ndarray
    final: np.ndarray
    allowed: np.ndarray | None
    named: Sequence[frozenset[int]] = ()


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


class Clock:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


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


def score(
    snapshot: Snapshot, embedder: Embedder, query: str, where: Where | None = None, clock: Clock | None = None
) -> Scores:
    """Score every chunk for a question, all but the cost of its page."""
    clock = clock or Clock()
    n = len(snapshot)
    allowed = snapshot.mask(where)
    clock.lap("filter")
    vector = embedder.encode([query])[0]
    clock.lap("embed")
    dense = snapshot.vectors @ vector if n else np.empty(0, np.float32)
    clock.lap("dense")
    terms = query_terms(query)
    if len(terms) > MAX_TERMS:
        counts = snapshot.frequencies(terms)
        terms = sorted((t for t in terms if counts[t]), key=lambda term: counts[term])[:MAX_TERMS]
    foreign = [term for term in in_languages(query, snapshot.languages)[:MAX_TERMS] if term not in terms]
    postings = {term: snapshot.postings(term) for term in (*terms, *foreign)}
    lexical = weighed(postings, dict.fromkeys(postings, 1.0), n)
    clock.lap("lexical")
    share = dense_share(len(terms))
    meant = meaning(dense, share, allowed)
    first = fuse(meant, lexical, share, allowed)
    best = rivals(first, allowed)
    telling = distinction(best, postings, n)
    weights = {term: w * telling[term] for term, w in idf({t: len(postings[t][0]) for t in terms}, n).items()}
    cover = np.zeros(n, np.float32)
    for term, weight in weights.items():
        cover[postings[term][0]] += weight
    fused = fuse(meant, weighed(postings, telling, n), share, allowed)
    fused += COVER_SHARE * cover / (sum(weights.values()) or 1.0)
    final = smooth(fused, snapshot.documents) + REGION_SHARE * region(fused, snapshot.documents)
    said = [*terms, *foreign]
    names = named(snapshot, best, said)
    whole = DOCUMENT_SHARE * best_of_document(first, snapshot.documents, len(snapshot.docs), allowed)
    final += (whole + NAME_SHARE * names)[snapshot.documents]
    if allowed is not None:
        final = np.where(allowed, final, -np.inf)
    return Scores(vector, weights, dense, lexical, cover, final, allowed, several_named(snapshot, names, said))


def weighed(
    postings: Mapping[str, tuple[np.ndarray, np.ndarray]], weights: Mapping[str, float], chunks: int
) -> np.ndarray:
    """Sum over the terms of weight times what the term adds to the BM25 score of each chunk, (chunks,)."""
    total = np.zeros(chunks, np.float32)
    for term, (rows, values) in postings.items():
        total[rows] += np.float32(weights[term]) * values
    return total


def rivals(fused: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Rows of the RIVALS best allowed chunks, unordered."""
    seen = fused if allowed is None else np.where(allowed, fused, -np.inf)
    best = np.arange(len(seen)) if len(seen) <= RIVALS else np.argpartition(-seen, RIVALS)[:RIVALS]
    return np.asarray(best[np.isfinite(seen[best])])


def distinction(
    best: np.ndarray, postings: Mapping[str, tuple[np.ndarray, np.ndarray]], chunks: int
) -> dict[str, float]:
    """How well each term tells the rivals apart: 1 for one that none of them holds, near 1 - DISTINCTION_SHARE for one
    that all hold.

    A question about "reviews of Valkyria Chronicles" finds chunks that all name the game; there, "reviews" decides.
    The measure is BM25's idf within those chunks, over its largest value.
    """
    among = np.zeros(chunks, bool)
    among[best] = True
    within = idf({term: int(among[rows].sum()) for term, (rows, _) in postings.items()}, len(best))
    most = idf({"": 0}, len(best))[""]
    return {term: 1 - DISTINCTION_SHARE * (1 - value / most) for term, value in within.items()}


def named(snapshot: Snapshot, best: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Share of the question's terms, by idf among the rivals' documents, that each of those documents has in its name,
    title or metadata; (documents,), 0 for the others.

    Terms that all of them have do not count: "the 2021 contract" means one of ten contracts.
    """
    share = np.zeros(len(snapshot.docs), np.float32)
    competing = np.unique(snapshot.documents[best]).tolist()
    held = {document: frozenset().union(*snapshot.name_terms(document)) for document in competing}
    counts = {term: sum(term in names for names in held.values()) for term in terms}
    weights = idf({term: n for term, n in counts.items() if 0 < n < len(competing)}, len(competing))
    if weights:
        share[competing] = [sum(w for term, w in weights.items() if term in held[document]) for document in competing]
    return share / (sum(weights.values()) or 1.0)


def several_named(snapshot: Snapshot, share: np.ndarray, terms: Sequence[str]) -> list[frozenset[int]]:
    """Groups of documents that the question names apart, as "compare the Alpha and the Beta boiler" does: each group
    has words of the question in its names that the next lacks. `share` is what `named` finds.

    A document is named when the question holds half of its name and title, and not much less of their weight than of
    the best-named one. [] where fewer than two or more than MOST_NAMED groups are.
    """
    groups: dict[frozenset[str], set[int]] = {}
    for document in np.flatnonzero((share > 0) & (share >= NAMED_ALIKE * share.max(initial=0.0))).tolist():
        name, _ = snapshot.name_terms(document)
        held = name.intersection(terms)
        if len(held) >= len(name) / 2:
            groups.setdefault(held, set()).add(document)
    apart = [frozenset(group) for held, group in groups.items() if not any(held < other for other in groups)]
    return apart if 1 < len(apart) <= MOST_NAMED else []


def best_of_document(
    scores: np.ndarray, documents: np.ndarray, count: int, allowed: np.ndarray | None = None
) -> np.ndarray:
    """The score of each document's best allowed chunk, scaled to [0, 1] over the documents: (count,), 0 for those
    without chunks.

    A document that answers well somewhere is likelier the one that is meant: the right filing, the right version.
    """
    best = np.zeros(count, np.float32)
    if len(scores):
        seen = scores if allowed is None else np.where(allowed, scores, scores.min())
        first = np.append(0, np.flatnonzero(documents[1:] != documents[:-1]) + 1)
        best[documents[first]] = _unit(np.maximum.reduceat(seen, first), None)
    return best


def dense_share(terms: int) -> float:
    """The weight of the dense search for a question of so many terms; the lexical search has the rest."""
    return float(np.clip(DENSE_SHARE + DENSE_SHARE_A_TERM * (terms - USUAL_TERMS), DENSE_SHARE, DENSE_SHARE_MOST))


def meaning(dense: np.ndarray, share: float, allowed: np.ndarray | None = None) -> np.ndarray:
    """What the dense search adds to the fused score: its cosines, scaled to [0, `share`] over the allowed chunks
    (min-max, per question), and a weight for its first places."""
    return np.asarray(share * _unit(dense, allowed) + PLACE_SHARE * places(dense, allowed))


def fuse(meant: np.ndarray, lexical: np.ndarray, share: float, allowed: np.ndarray | None = None) -> np.ndarray:
    """`meaning` and the scores of the lexical search, scaled to [0, 1 - `share`] alike."""
    return np.asarray(meant + (1 - share) * _unit(lexical, allowed))


def places(scores: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """1 / rank of the PLACES best allowed chunks, 0 for the others.

    What one search puts first is worth reading even where the other finds none of its words.
    """
    seen = scores if allowed is None else np.where(allowed, scores, -np.inf)
    top = np.arange(len(seen)) if len(seen) <= PLACES else np.sort(np.argpartition(-seen, PLACES)[:PLACES])
    top = top[np.argsort(-seen[top], kind="stable")]
    top = top[np.isfinite(seen[top])]
    given = np.zeros_like(scores)
    given[top] = 1 / np.arange(1, len(top) + 1)
    return given


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
        same = np.float32(share) * (documents[step:] == documents[:-step])
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


def best_rows(
    scores: np.ndarray, documents: np.ndarray, pages: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `count` best chunks after `spread`, best first, and all scores, lowered as far as that needs.

    `spread` looks at the better chunks of a page alone, so that it is exact for any number of best chunks; as many are
    taken as it takes for no other to come before the last. Chunks at minus infinity are left out.
    """
    taken = 4 * count
    while True:
        if taken >= len(scores):
            top, rest = np.arange(len(scores)), -np.inf
        else:
            parted = np.argpartition(-scores, taken)
            top, rest = np.sort(parted[:taken]), float(scores[parted[taken]])
        lowered = spread(scores[top], documents[top], pages[top])
        place = np.argsort(-lowered, kind="stable")[:count]
        if not len(place) or lowered[place[-1]] >= rest:
            break
        taken *= 4
    final = scores.copy()
    final[top] = lowered
    order = top[place]
    return order[np.isfinite(final[order])], final


def idf(frequencies: Mapping[str, int], chunks: int) -> dict[str, float]:
    """Inverse document frequency of each term as BM25 has it: ln(1 + (N - n + .5) / (n + .5)) over N chunks."""
    return {term: math.log(1 + (chunks - n + 0.5) / (n + 0.5)) for term, n in frequencies.items()}


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


def _unit(values: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    seen = values if allowed is None else values[allowed]
    if not len(seen):
        return np.zeros_like(values)
    low, high = float(seen.min()), float(seen.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
