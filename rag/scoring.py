"""A question and a snapshot of the index -> a score for every chunk, and which are best. Knows no passage.

Each stage is a small function on arrays: score, fuse, smooth, spread. Figures for each stand in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.embed import Embedder
from index.filters import Where
from index.snapshot import Snapshot
from index.terms import in_languages, query_terms

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


def _unit(values: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    seen = values if allowed is None else values[allowed]
    if not len(seen):
        return np.zeros_like(values)
    low, high = float(seen.min()), float(seen.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
