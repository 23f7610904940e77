"""What became of the evidence of one question: whether to mend the retrieval or the answering. Computes no score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from evals.gold import Evidence, parse_case
from evals.metrics.retrieval import Span, covered
from evals.record import Row

Fate = Literal["cited", "seen, not cited", "over budget", "not retrieved", "unknown"]

# Best first. The first two are the answerer's doing, the next two the retriever's.
FATES: tuple[Fate, ...] = ("cited", "seen, not cited", "over budget", "not retrieved", "unknown")

MEANING = {
    "cited": "a citation covers the evidence",
    "seen, not cited": "the answerer had the evidence and did not use it: mend the answering",
    "over budget": "the search found the evidence, yet it did not fit the token budget: mend the ranking or the budget",
    "not retrieved": "the evidence is not among the candidates: mend the retrieval",
    "unknown": "the gold quote was not found in the extracted text: mend the extraction or the gold",
}


def fate_of(row: Row, tokens: int) -> Fate | None:
    """The fate of a question's evidence: the best group of it, by the piece of that group that fared worst.

    `tokens` is the budget of the answerer. None where there is no evidence to find, or the question failed. Where no
    answer was asked for, evidence within the largest measured budget up to `tokens` counts as seen.
    """
    if row.error is not None or not row.case:
        return None
    case = parse_case(row.case)
    if not case.evidence or not case.answerable:
        return None
    layers = _layers(row, tokens)
    fates = [max((_piece(piece, layers) for piece in group), key=FATES.index) for group in case.groups]
    return min(fates, key=FATES.index)


def _layers(row: Row, tokens: int) -> list[tuple[Fate, Sequence[Span]]]:
    """The spans that make each fate true, best first."""
    widest: dict[int, list[Span]] = {
        int(budget): [(doc, start, end) for doc, start, end, *_ in places] for budget, places in row.found.items()
    }
    within = max((budget for budget in widest if budget <= tokens), default=None)
    beyond = [span for spans in widest.values() for span in spans]
    if row.answer is None:
        return [("seen, not cited", widest[within] if within else []), ("over budget", beyond)]
    candidates = row.answer["trace"]["candidates"]
    return [
        ("cited", _spans([*row.answer["citations"], *_positions(row.answer)])),
        ("seen, not cited", _spans(row.answer["passages"])),
        ("over budget", [*_spans(candidates), *beyond]),
    ]


def _positions(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [cited for conflict in answer["conflicts"] for _, citations in conflict["positions"] for cited in citations]


def _piece(piece: Evidence, layers: Sequence[tuple[Fate, Sequence[Span]]]) -> Fate:
    if piece.span is None:
        return "unknown"
    size = piece.span[2] - piece.span[1]
    return next((fate for fate, spans in layers if 2 * covered(spans, [piece.span]) >= size), "not retrieved")


def _spans(rows: Sequence[dict[str, Any]]) -> list[Span]:
    return [(row["doc"], row["start"], row["end"]) for row in rows]
