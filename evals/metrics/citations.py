"""Scores of an answer's citations against documents and gold. No judgement whether a sentence follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from evals.metrics.answers import contains
from evals.metrics.quantities import number_match
from evals.metrics.retrieval import Span, covered
from rag.values import Citation


def quote_verified(citations: Sequence[Citation], text_of: Callable[[str], str | None]) -> float | None:
    """Share of the citations whose quote is `text[start:end]` of their document, character by character.

    `text_of` gives a document's extracted text, None when there is no such document (the citation is then wrong).
    None when there are no citations: there is nothing to verify.
    """
    if not citations:
        return None
    return sum(_verbatim(citation, text_of(citation.doc)) for citation in citations) / len(citations)


def answer_in_citation(
    citations: Sequence[Citation], golds: Sequence[str], first: int | None = None, rel_tol: float | None = None
) -> float:
    """1.0 when a gold answer stands in the quote of one of the (first) citations; 0.0 also without citations.

    With `rel_tol` the golds are numbers and the same quantity within that tolerance counts too.
    """
    return float(any(_states(citation.quote, golds, rel_tol) for citation in citations[:first]))


def side_cited(
    citations: Sequence[Citation],
    spans: Sequence[Span],
    docs: Set[str],
    golds: Sequence[str],
    rel_tol: float | None = None,
) -> bool:
    """Whether one side of a disagreement is cited.

    It is when a citation covers at least half of one of the side's evidence `spans`, or quotes the side's value (one
    of `golds`) from one of its `docs`.
    """
    for citation in citations:
        place = (citation.doc, citation.start, citation.end)
        if any(2 * covered([place], [span]) >= span[2] - span[1] > 0 for span in spans):
            return True
        if citation.doc in docs and _states(citation.quote, golds, rel_tol):
            return True
    return False


def _verbatim(citation: Citation, text: str | None) -> bool:
    # Slices forgive: "abc"[-2:9] is "bc". A pointer outside the text is not verified.
    return (
        text is not None
        and 0 <= citation.start < citation.end <= len(text)
        and (text[citation.start : citation.end] == citation.quote)
    )


def _states(quote: str, golds: Sequence[str], rel_tol: float | None) -> bool:
    if contains(quote, golds):
        return True
    return rel_tol is not None and any(number_match(quote, gold, rel_tol) for gold in golds)
