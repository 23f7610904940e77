"""One question's gold and what the system gave, turned into named scores. Asks nothing and averages nothing.

A score that does not apply to a question (token F1 of an unanswerable one) is absent; one that applies but cannot be
had is absent too and its reason stands in `unscored`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evals.gold import Case, Evidence
from evals.metrics import abstention
from evals.metrics.answers import contains, scorable, token_f1, token_recall
from evals.metrics.citations import answer_in_citation, quote_verified, side_cited
from evals.metrics.quantities import is_quantity, number_match, numbers
from evals.metrics.retrieval import Span, grouped_recall, hit, page_recall
from rag.values import Answer, Citation, Passage

TextOf = Callable[[str], str | None]


@dataclass(slots=True)
class Scores:
    """Scores in [0, 1] by name, and why others could not be had."""

    values: dict[str, float] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)

    def settled(self) -> Scores:
        """With `completed`: 1.0 when nothing that applies was left unscored."""
        self.values["completed"] = float(not self.unscored)
        return self


def score(case: Case, found: Mapping[int, Sequence[Passage]], answer: Answer | None, text_of: TextOf) -> Scores:
    """All scores of one case: retrieval from the passages found at each token budget, the rest from the answer.

    `text_of` gives a document's extracted text, None for an unknown document. Without an answer only retrieval is
    scored.
    """
    scores = Scores()
    for budget, passages in found.items():
        _retrieval(scores, case, budget, passages)
    if answer is not None:
        _words(scores, case, answer)
        _citations(scores, case, answer, text_of)
        scores.values["abstention_accuracy"] = abstention.accuracy(answer.abstained, case.answerable)
        for name, value in (
            ("abstention_precision", abstention.precision(answer.abstained, case.answerable)),
            ("abstention_recall", abstention.recall(answer.abstained, case.answerable)),
        ):
            if value is not None:
                scores.values[name] = value
    return scores.settled()


def plain_text(answer: Answer) -> str:
    """The answer's words without its citation markers, whose numbers would count as words."""
    known = {citation.number for citation in answer.citations}
    return re.sub(r"\s?\[(\d+)\]", lambda mark: "" if int(mark[1]) in known else mark[0], answer.text)


def _retrieval(scores: Scores, case: Case, budget: int, passages: Sequence[Passage]) -> None:
    if not case.answerable or not case.evidence:
        return
    names = [f"recall@{budget}", f"hit@{budget}"]
    paged = all(row.page is not None for row in case.evidence)
    if paged:
        names.append(f"page_recall@{budget}")
    taken = sum(passage.tokens for passage in passages)
    if taken > budget:
        # More context than was asked for would buy recall that the budget does not allow.
        scores.unscored.update(dict.fromkeys(names, f"{taken} tokens of passages came for a budget of {budget}"))
        return
    spans = [(passage.doc, passage.start, passage.end) for passage in passages]
    groups = [_spans(group) for group in case.groups]
    if all(groups):
        scores.values[names[0]] = grouped_recall(spans, [group for group in groups if group])
        scores.values[names[1]] = hit(spans, [span for group in groups for span in group or ()])
    else:
        reason = "a gold quote was not found in the extracted text"
        scores.unscored.update(dict.fromkeys(names[:2], reason))
    if paged:
        pages = {(passage.doc, passage.page) for passage in passages if passage.page is not None}
        wanted = [{(row.doc, row.page) for row in group if row.page is not None} for group in case.groups]
        scores.values[names[2]] = max(page_recall(pages, group) for group in wanted)


def _words(scores: Scores, case: Case, answer: Answer) -> None:
    if not case.answerable or not case.answers:
        return
    golds = scorable(case.answers)
    if not golds:
        for name in ("contains_gold", "token_f1", "token_recall"):
            scores.unscored[name] = "no gold answer has a word to compare"
        return
    # What an abstention says of itself is no answer, even if it happens to hold a word of the gold.
    said = "" if answer.abstained else plain_text(answer)
    scores.values["contains_gold"] = float(contains(said, golds))
    scores.values["token_f1"] = token_f1(said, golds)
    scores.values["token_recall"] = token_recall(said, golds)
    if case.rel_tol is not None or any(map(is_quantity, golds)):
        tolerance = 0.01 if case.rel_tol is None else case.rel_tol
        with_numbers = [gold for gold in golds if numbers(gold)]
        if with_numbers:
            matched = any(number_match(said, gold, tolerance) for gold in with_numbers)
            scores.values["number_match"] = float(matched)
        else:
            scores.unscored["number_match"] = "the answer is declared a number, and no gold answer holds one"


def _citations(scores: Scores, case: Case, answer: Answer, text_of: TextOf) -> None:
    cited = _all_citations(answer)
    verified = quote_verified(cited, text_of)
    if verified is not None:
        scores.values["quote_verified"] = verified
    golds = scorable(case.answers)
    if case.answerable and golds:
        for level, first in (("1", 1), ("all", None)):
            value = answer_in_citation(answer.citations, golds, first, case.rel_tol)
            scores.values[f"answer_in_citation@{level}"] = value
    if case.conflicts:
        sides = [(case.answers, case.evidence), *((side.answers, side.evidence) for side in case.conflicts)]
        if not all(evidence for _, evidence in sides):
            scores.unscored["conflict_cited"] = "a side of the disagreement has no evidence in the gold"
            return
        scores.values["conflict_cited"] = float(
            all(
                side_cited(cited, _known(evidence), {row.doc for row in evidence}, answers, case.rel_tol)
                for answers, evidence in sides
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
