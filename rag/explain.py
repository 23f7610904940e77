"""Why a passage was found or not: its way through both searches, fusion and packing. Ranks nothing by itself.

Everything is computed anew over all chunks, so that a chunk far below any list still gets its ranks.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from index.embed import Embedder
from index.errors import DocumentError, QueryError
from index.snapshot import Snapshot
from index.terms import query_terms, terms
from rag.retrieve import Retrieval, ranks
from rag.scoring import best_rows, score


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk that holds the phrase or a part of it: where each search put it among `Explanation.chunks`.

    `lexical_rank` is None when the chunk is no hit of the lexical search; `rank` is the place after fusion, None when
    filtered. `fate` says where its way ended.
    """

    start: int
    end: int
    page: int | None
    dense: float
    dense_rank: int
    lexical: float
    lexical_rank: int | None
    rank: int | None
    held: tuple[str, ...]
    lacking: tuple[str, ...]
    fate: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a phrase of a document when a question was asked. `str()` is the report.

    `start` and `end` are the phrase's span in the extracted text, None when it is not there.
    """

    question: str
    doc: str
    phrase: str
    start: int | None
    end: int | None
    chunks: int
    places: tuple[Place, ...]
    verdict: str

    def __str__(self) -> str:
        lines = [f"{self.doc}: {self.verdict}"]
        for place in self.places:
            page = f", page {place.page}" if place.page else ""
            ranked = f"rank {place.lexical_rank}, BM25 {place.lexical:.1f}"
            lines += [
                f"  chunk {place.start}-{place.end}{page}: {place.fate}",
                f"    meaning  rank {place.dense_rank} of {self.chunks}, cosine {place.dense:.3f}",
                f"    words    {ranked if place.lexical_rank else 'no hit'}",
                f"    terms    holds {_listed(place.held)}; lacks {_listed(place.lacking)}",
                f"    both     {f'rank {place.rank}' if place.rank else 'not ranked'}",
            ]
        return "\n".join(lines)


def explain(snapshot: Snapshot, embedder: Embedder, found: Retrieval, doc: str, phrase: str) -> Explanation:
    """Follow a phrase of a document through the search that led to `found` in the same snapshot.

    The phrase is looked for as it stands, then without regard to case and white space. Raises DocumentError for a
    document that is not indexed, QueryError for an empty phrase.
    """
    if doc not in snapshot.docs:
        close = difflib.get_close_matches(doc, snapshot.docs, 1)
        hint = f"Did you mean {close[0]!r}?" if close else "rag status lists them."
        raise DocumentError(f"There is no document {doc!r} in the index. {hint}")
    if not phrase.strip():
        raise QueryError("The phrase is empty; expected words of the document.")
    document = snapshot.docs.index(doc)
    span = find_phrase(snapshot.document_text(document), phrase)
    if span is None:
        verdict = f"the phrase {phrase!r} is not in the extracted text, so no search can find it."
        return Explanation(found.query, doc, phrase, None, None, len(snapshot), (), verdict)
    inside = (snapshot.documents == document) & (snapshot.starts < span[1]) & (snapshot.ends > span[0])
    places = _places(snapshot, embedder, found, np.flatnonzero(inside))
    return Explanation(found.query, doc, phrase, *span, len(snapshot), places, _verdict(found, doc, span, places))


def find_phrase(text: str, phrase: str) -> tuple[int, int] | None:
    """The first span of a phrase: as it stands, else with any white space between its words and in any case."""
    start = text.find(phrase)
    if start >= 0:
        return start, start + len(phrase)
    found = re.search(r"\s+".join(map(re.escape, phrase.split())), text, re.IGNORECASE)
    return found.span() if found else None


def _places(snapshot: Snapshot, embedder: Embedder, found: Retrieval, rows: np.ndarray) -> tuple[Place, ...]:
    # Ranks of both searches are over all chunks: what a filter forbids would have been somewhere, too.
    allowed = found.scores.allowed
    scores = found.scores if allowed is None else score(snapshot, embedder, found.query)
    order, _ = best_rows(found.scores.final, snapshot.documents, snapshot.pages, len(snapshot))
    rank = {int(row): place for place, row in enumerate(order, 1)}
    fates = {(fate.doc, fate.start): fate.fate for fate in found.fates}
    wanted = query_terms(found.query)
    places = []
    for row, dense, lexical in zip(
        rows.tolist(),
        ranks(scores.dense, scores.dense[rows]),
        ranks(scores.lexical[scores.lexical > 0], scores.lexical[rows]),
        strict=True,
    ):
        held = {*terms(snapshot.text(row)), *(t for t in wanted if row in snapshot.postings(t)[0])}
        start, end = int(snapshot.starts[row]), int(snapshot.ends[row])
        fate = fates.get((snapshot.docs[int(snapshot.documents[row])], start))
        if allowed is not None and not allowed[row]:
            fate = "filtered"
        places.append(
            Place(
                start=start,
                end=end,
                page=int(snapshot.pages[row]) or None,
                dense=round(float(scores.dense[row]), 4),
                dense_rank=dense,
                lexical=round(float(scores.lexical[row]), 4),
                lexical_rank=lexical if scores.lexical[row] > 0 else None,
                rank=rank.get(row),
                held=tuple(term for term in wanted if term in held),
                lacking=tuple(term for term in wanted if term not in held),
                fate=fate or _beyond(rank.get(row), found.candidates),
            )
        )
    return tuple(places)


def _beyond(rank: int | None, candidates: int) -> str:
    beyond = rank is not None and rank > candidates
    return f"not a candidate: beyond rank {candidates}" if beyond else "over budget"


def _verdict(found: Retrieval, doc: str, span: tuple[int, int], places: tuple[Place, ...]) -> str:
    for number, passage in enumerate(found.passages, 1):
        if passage.doc == doc and passage.start < span[1] and passage.end > span[0]:
            whole = passage.start <= span[0] and span[1] <= passage.end
            return f"the phrase is {'' if whole else 'partly '}in passage {number}."
    if not places:
        return "the phrase lies between chunks, in what has no words."
    fate = min(places, key=lambda place: place.rank or len(found.scores.final) + 1).fate
    said = _MEANING.get(fate, fate)
    return f"the phrase was not returned: {said}."


_MEANING: Mapping[str, str] = {
    "packed": "its chunk was, but the budget was spent on other sentences of it",
    "merged": "its chunk was, but the budget was spent on other sentences of it",
    "duplicate": "the same text was packed from another place",
    "over budget": "better passages filled the budget",
    "ranked too low": "better passages filled the budget",
    "filtered": "the filter leaves its document or chunk out",
}


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "nothing"


__all__ = ["Explanation", "Place", "explain", "find_phrase"]
