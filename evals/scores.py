"""One question's gold and what the system gave, turned into named scores. Asks nothing and averages nothing.

A score that does not apply to a question (token F1 of an unanswerable one) is absent; one that applies but cannot be
had is absent too and its reason stands in `unscored`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from evals.gold import Case, Evidence
from evals.metrics import abstention, answers
from evals.metrics.attribution import (
    citation_precision,
    citation_recall,
    cited_gold,
    gold_cited,
    sentence_coverage,
)
from evals.metrics.citations import answer_in_citation, quote_verified, side_cited
from evals.metrics.correctness import right
from evals.metrics.quantities import is_quantity, number_match, numbers
from evals.metrics.ranking import average_precision, ndcg
from evals.metrics.retrieval import (
    Span,
    SpanScores,
    best_copies,
    covered,
    grouped_recall,
    hit,
    omega,
    page_recall,
    span_scores,
)
from evals.metrics.words import content_f1
from rag.support import support
from rag.values import Answer, Citation

TextOf = Callable[[str], str | None]
ChunksOn = Callable[[Span], Sequence[Span]]
Similarity = Callable[[str, Sequence[str]], float]

_SPAN_SCORES = ("recall", "precision", "iou", "recall_any_copy", "precision_any_copy", "iou_any_copy", "hit")

COPY_WORDS = 5
"""Fewest words of a quote whose other copies count: a bare name or number stands in many places that answer nothing."""


class Place(NamedTuple):
    """A retrieved passage without its text."""

    doc: str
    start: int
    end: int
    page: int | None
    tokens: int


@dataclass(slots=True)
class Scores:
    """Scores in [0, 1] by name, and why others could not be had."""

    values: dict[str, float] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)

    def put(self, **values: float | None) -> None:
        """Keep what could be computed; None does not apply."""
        self.values.update({name: value for name, value in values.items() if value is not None})

    def settled(self) -> Scores:
        """With `completed`: 1.0 when nothing that applies was left unscored."""
        self.values["completed"] = float(not self.unscored)
        return self


def score(
    case: Case,
    found: Mapping[int, Sequence[Place]],
    answer: Answer | None,
    text_of: TextOf,
    similarity: Similarity | None = None,
    chunks_on: ChunksOn | None = None,
) -> Scores:
    """All scores of one case: retrieval from the passages found at each token budget, the rest from the answer.

    `text_of` gives a document's extracted text, None for an unknown document. `similarity` is the best cosine of a text
    with one of several others, `chunks_on` the chunks that touch a span; without them their scores are absent. Without
    an answer only retrieval is scored.
    """
    scores = Scores()
    if case.answerable and case.evidence and found:
        for budget, passages in found.items():
            _retrieval(scores, case, budget, passages, text_of)
        _ranking(scores, case, found[max(found)])
        if chunks_on is not None:
            _omega(scores, case, chunks_on)
    if answer is not None:
        _words(scores, case, answer, similarity)
        _citations(scores, case, answer, text_of)
        _attribution(scores, case, answer)
        _conflict(scores, case, answer)
        scores.put(
            abstention_accuracy=abstention.accuracy(answer.abstained, case.answerable),
            abstention_precision=abstention.precision(answer.abstained, case.answerable),
            abstention_recall=abstention.recall(answer.abstained, case.answerable),
        )
    return scores.settled()


def plain_text(answer: Answer) -> str:
    """The answer's words without its citation markers, whose numbers would count as words, nor its headline's stars."""
    known = {citation.number for citation in answer.citations}
    said = re.sub(r"\s?\[(\d+)\]", lambda mark: "" if int(mark[1]) in known else mark[0], answer.text)
    short = headline(answer)
    return said.replace(f"**{short}**", short, 1) if short else said


def headline(answer: Answer) -> str:
    """The short answer that stands above the sentences; empty where the answer has none."""
    return str(getattr(answer, "headline", "") or "")


def _retrieval(scores: Scores, case: Case, budget: int, passages: Sequence[Place], text_of: TextOf) -> None:
    names = [f"{name}@{budget}" for name in _SPAN_SCORES]
    paged = f"page_recall@{budget}" if all(row.page is not None for row in case.evidence) else None
    taken = sum(passage.tokens for passage in passages)
    if taken > budget:
        # More context than was asked for would buy recall that the budget does not allow.
        applying = [*names, paged] if paged else names
        scores.unscored.update(dict.fromkeys(applying, f"{taken} tokens of passages came for a budget of {budget}"))
        return
    spans = [(passage.doc, passage.start, passage.end) for passage in passages]
    groups = [group for group in map(_spans, case.groups) if group]
    if len(groups) == len(case.groups):
        gold = max(groups, key=lambda group: grouped_recall(spans, [group]))
        exact = span_scores(spans, gold)
        copies = [best_copies(spans, [_copies(span, text_of) for span in group]) for group in groups]
        any_copy = span_scores(spans, max(copies, key=lambda group: grouped_recall(spans, [group])))
        found = hit(spans, [span for group in groups for span in group])
        values = [*_triple(exact), *_triple(any_copy), found]
        scores.values.update(zip(names, values, strict=True))
    else:
        scores.unscored.update(dict.fromkeys(names, "a gold quote was not found in the extracted text"))
    if paged:
        pages = {(passage.doc, passage.page) for passage in passages if passage.page is not None}
        wanted = [{(row.doc, row.page) for row in group if row.page is not None} for group in case.groups]
        scores.values[paged] = max(page_recall(pages, group) for group in wanted)


def _triple(scores: SpanScores) -> tuple[float, float, float]:
    return scores.recall, scores.precision, scores.iou


def _omega(scores: Scores, case: Case, chunks_on: ChunksOn) -> None:
    groups = [group for group in map(_spans, case.groups) if group]
    if len(groups) == len(case.groups):
        scores.values["omega"] = max(omega([chunk for span in group for chunk in chunks_on(span)], group)
                                     for group in groups)  # fmt: skip


def _ranking(scores: Scores, case: Case, passages: Sequence[Place]) -> None:
    """Where the evidence, and where its documents stand among the passages of the largest budget."""
    spans = [span for group in map(_spans, case.groups) for span in group or ()]
    if len(spans) == len(case.evidence):
        ranks = (
            rank
            for rank, passage in enumerate(passages, 1)
            if any(2 * covered([passage[:3]], [span]) >= span[2] - span[1] for span in spans)
        )
        scores.values["mrr"] = 1 / next(ranks, float("inf"))
    else:
        scores.unscored["mrr"] = "a gold quote was not found in the extracted text"
    grades: dict[str, float] = {}
    for row in case.evidence:
        grades[row.doc] = max(grades.get(row.doc, 0.0), row.grade)
    docs = list(dict.fromkeys(passage.doc for passage in passages))
    scores.put(doc_map=average_precision(docs, grades), doc_ndcg=ndcg(docs, grades))


def _copies(span: Span, text_of: TextOf) -> list[Span]:
    """The places of a gold quote in its document, its own first; only its own for a quote of a few words."""
    doc, start, end = span
    text = text_of(doc)
    quote = text[start:end] if text else ""
    if text is None or len(quote.split()) < COPY_WORDS:
        return [span]
    places = [span]
    at = text.find(quote)
    while at >= 0:
        if at != start:
            places.append((doc, at, at + len(quote)))
        at = text.find(quote, at + len(quote))
    return places


def _words(scores: Scores, case: Case, answer: Answer, similarity: Similarity | None) -> None:
    if not case.answerable:
        scores.values["correct"] = float(answer.abstained)
        return
    # What an abstention says of itself is no answer, even if it happens to hold a word of the gold.
    said = "" if answer.abstained else plain_text(answer)
    # Scores that count words beyond the gold against an answer read its short form; whether the gold is stated at all
    # is asked of everything that the reader sees, which begins with the short form.
    short = ("" if answer.abstained else headline(answer)) or said
    if case.claims:
        scores.values["claims_held"] = sum(right(said, [claim]) for claim in case.claims) / len(case.claims)
    if not case.answers:
        return
    golds = answers.scorable(case.answers)
    if not golds:
        for name in ("correct", "contains_gold", "exact_match", "token_f1", "token_recall", "rouge_l", "content_f1"):
            scores.unscored[name] = "no gold answer has a word to compare"
        return
    scores.put(
        correct=float(right(said, golds, case.rel_tol)),
        contains_gold=float(answers.contains(said, golds)),
        exact_match=answers.exact_match(short, golds),
        token_f1=answers.token_f1(short, golds),
        token_recall=answers.token_recall(said, golds),
        rouge_l=answers.rouge_l(short, golds),
        content_f1=content_f1(short, golds, case.question),
        headline_correct=float(right(short, golds, case.rel_tol)) if headline(answer) else None,
    )
    if similarity is not None:
        scores.values["similarity"] = similarity(short, golds) if short else 0.0
    if case.rel_tol is not None or any(map(is_quantity, golds)):
        tolerance = 0.01 if case.rel_tol is None else case.rel_tol
        with_numbers = [gold for gold in golds if numbers(gold)]
        if with_numbers:
            matched = any(number_match(said, gold, tolerance) for gold in with_numbers)
            scores.values["number_match"] = float(matched)
        else:
            scores.unscored["number_match"] = "the answer is declared a number, and no gold answer holds one"


def _citations(scores: Scores, case: Case, answer: Answer, text_of: TextOf) -> None:
    scores.put(quote_verified=quote_verified(_all_citations(answer), text_of))
    golds = answers.scorable(case.answers)
    if case.answerable and golds:
        for level, first in (("1", 1), ("all", None)):
            value = answer_in_citation(answer.citations, golds, first, case.rel_tol)
            scores.values[f"answer_in_citation@{level}"] = value


def _attribution(scores: Scores, case: Case, answer: Answer) -> None:
    if answer.abstained:
        return  # an abstention claims nothing of the documents; whether it was right is scored elsewhere
    said = answer.sentences
    scores.put(
        citation_recall=citation_recall(said, _carries),
        citation_precision=citation_precision(said, _carries),
        sentence_coverage=sentence_coverage(said),
    )
    groups = [group for group in map(_spans, case.groups) if group]
    if case.answerable and groups and len(groups) == len(case.groups):
        cited = [(citation.doc, citation.start, citation.end) for citation in answer.citations]
        scores.put(
            gold_cited=gold_cited(cited, groups),
            cited_gold=cited_gold(cited, [span for group in groups for span in group]),
        )


def _carries(sentence: str, texts: Sequence[str]) -> bool:
    return support(sentence, texts)[0] == "supported"


def _conflict(scores: Scores, case: Case, answer: Answer) -> None:
    if not case.conflicts:
        if case.answerable and not answer.abstained:
            scores.values["conflict_false_alarm"] = float(bool(answer.conflicts))
        return
    sides = [(case.answers, case.evidence), *((side.answers, side.evidence) for side in case.conflicts)]
    if not all(evidence for _, evidence in sides):
        scores.unscored["conflict_cited"] = "a side of the disagreement has no evidence in the gold"
        return
    cited = _all_citations(answer)
    scores.values["conflict_cited"] = float(
        all(
            side_cited(cited, _known(evidence), {row.doc for row in evidence}, golds, case.rel_tol)
            for golds, evidence in sides
        )
    )


def _all_citations(answer: Answer) -> list[Citation]:
    """The answer's citations and those that only its conflicts name."""
    positions = [cited for conflict in answer.conflicts for _, citations in conflict.positions for cited in citations]
    return list(dict.fromkeys([*answer.citations, *positions]))


def _spans(rows: Sequence[Evidence]) -> list[Span] | None:
    """The spans of evidence rows; None when one is not known, for a recall over the rest would not be the recall."""
    spans = _known(rows)
    return spans if len(spans) == len(rows) else None


def _known(rows: Sequence[Evidence]) -> list[Span]:
    return [row.span for row in rows if row.span is not None]
