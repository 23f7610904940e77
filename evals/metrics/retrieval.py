"""Scores of retrieved spans and pages against gold ones, for one question. Knows no index and does no averaging.

A span is (doc, start, end), half-open, in code points. Gold is what an answer needs; it must not be empty (ValueError).
The four span scores are those of Smith & Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024), as
their published code computes them; where that departs from the report's words, the function says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

Span = tuple[str, int, int]
Page = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Recall, precision and IoU of one question's retrieved spans, all in [0, 1]."""

    recall: float
    precision: float
    iou: float


def union(spans: Iterable[Span]) -> list[Span]:
    """The spans sorted and merged where they overlap or meet; empty ones vanish."""
    merged: list[Span] = []
    for doc, start, end in sorted(span for span in spans if span[2] > span[1]):
        if merged and merged[-1][0] == doc and start <= merged[-1][2]:
            merged[-1] = (doc, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((doc, start, end))
    return merged


def length(spans: Iterable[Span]) -> int:
    """Characters in the union of the spans."""
    return sum(end - start for _, start, end in union(spans))


def covered(spans: Iterable[Span], gold: Iterable[Span]) -> int:
    """Characters of the gold's union that lie in the spans' union."""
    held = union(spans)
    return sum(
        max(0, min(end, gold_end) - max(start, gold_start))
        for gold_doc, gold_start, gold_end in union(gold)
        for doc, start, end in held
        if doc == gold_doc
    )


def span_recall(retrieved: Iterable[Span], gold: Sequence[Span]) -> float:
    """Share of the gold's characters that were retrieved: micro within the question."""
    return covered(retrieved, gold) / _size(gold)


def grouped_recall(retrieved: Sequence[Span], groups: Sequence[Sequence[Span]]) -> float:
    """The best span recall over alternative groups of gold: all spans of a group are needed, any one group will do."""
    if not groups:
        raise ValueError("span recall needs gold")
    return max(span_recall(retrieved, group) for group in groups)


def span_scores(retrieved: Sequence[Span], gold: Sequence[Span]) -> SpanScores:
    """Recall, precision and IoU as published.

    Precision and IoU divide by the summed lengths of the retrieved spans, not by their union, so retrieving the same
    text twice costs; the IoU is therefore no true Jaccard index. Nothing retrieved scores 0 throughout.
    """
    size, hit = _size(gold), covered(retrieved, gold)
    taken = sum(end - start for _, start, end in retrieved)
    return SpanScores(hit / size, hit / taken if taken else 0.0, hit / (taken + size - hit))


def omega(chunks: Iterable[Span], gold: Sequence[Span]) -> float:
    """Precision over all chunks that touch the gold: what a perfect retriever could reach with this chunking.

    |chunks ∩ gold| / |touching chunks ∪ gold|. A chunk that only borders on the gold counts as touching it: the
    published figures were computed so.
    """
    _size(gold)
    touching = [
        (doc, start, end)
        for doc, start, end in chunks
        if any(doc == held and start <= gold_end and gold_start <= end for held, gold_start, gold_end in gold)
    ]
    return covered(touching, gold) / length([*touching, *gold])


def best_copies(retrieved: Sequence[Span], copies: Iterable[Sequence[Span]]) -> list[Span]:
    """Duplicate-aware gold: of the places where each gold text stands, the one retrieved most of (the first of equals).

    Scores against the result do not punish finding another copy of the same words than the one that gold marks.
    """
    return [max(places, key=lambda place: covered(retrieved, [place]) / _size([place])) for places in copies]


def hit(retrieved: Sequence[Span], gold: Iterable[Span], share: float = 0.5) -> float:
    """1.0 when at least `share` of some single gold span was retrieved."""
    return float(any(span_recall(retrieved, [span]) >= share for span in gold))


def page_recall(retrieved: Set[Page], gold: Set[Page]) -> float:
    """Share of the gold (doc, page) pairs that were retrieved."""
    if not gold:
        raise ValueError("page recall needs gold pages")
    return len(gold & retrieved) / len(gold)


def _size(gold: Iterable[Span]) -> int:
    size = length(gold)
    if not size:
        raise ValueError("span scores need gold with at least one character")
    return size
