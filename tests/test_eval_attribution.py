"""Citations judged sentence by sentence, worked by hand with a judge that knows words."""

import pytest

from evals.metrics.attribution import (
    citation_precision,
    citation_recall,
    cited_gold,
    gold_cited,
    sentence_coverage,
)
from rag.values import Citation, Sentence

LIT = Citation(1, "a", 0, 10, None, "lit in 1868")
HIGH = Citation(2, "a", 10, 20, None, "44 metres high")
GULLS = Citation(3, "b", 0, 5, None, "gulls nest")


def carries(sentence, texts):
    return set(sentence.split()) <= set(" ".join(texts).split())


def said(text, *citations):
    return Sentence(text, citations, "supported", 1.0)


def test_recall_takes_a_sentences_citations_together():
    assert citation_recall([said("lit 1868 high", LIT, HIGH), said("gulls"), said("gulls", LIT)], carries) == 1 / 3
    assert citation_recall([], carries) is None


def test_a_citation_that_the_others_make_needless_is_imprecise():
    # HIGH alone does not carry it and LIT alone does: HIGH is padding.
    assert citation_precision([said("lit 1868", LIT, HIGH)], carries) == 0.5
    # Neither carries it alone and it needs both.
    assert citation_precision([said("lit 1868 high", LIT, HIGH)], carries) == 1.0


def test_citations_of_a_sentence_that_is_not_carried_are_all_imprecise():
    assert citation_precision([said("puffins", LIT), said("gulls", GULLS)], carries) == 0.5
    assert citation_precision([said("gulls")], carries) is None


def test_coverage_asks_only_whether_anything_is_cited():
    assert sentence_coverage([said("lit", GULLS), said("high")]) == 0.5


def test_overlap_with_the_evidence_in_characters():
    assert gold_cited([("a", 0, 5)], [[("a", 0, 10)], [("b", 0, 100)]]) == 0.5
    assert cited_gold([("a", 0, 10), ("b", 0, 30)], [("a", 5, 20)]) == pytest.approx(5 / 40)
    assert cited_gold([], [("a", 5, 20)]) is None
