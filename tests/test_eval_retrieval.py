"""Spans and pages against gold. Documents are imaginary, so every figure can be counted on fingers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.metrics import abstention
from evals.metrics.retrieval import (
    best_copies,
    covered,
    grouped_recall,
    hit,
    length,
    omega,
    page_recall,
    span_recall,
    span_scores,
    union,
)

GOLD = [("a", 10, 20), ("a", 30, 40)]


def test_union_merges_what_overlaps_or_meets_within_a_document():
    spans = [("a", 5, 9), ("b", 0, 4), ("a", 0, 5), ("a", 8, 12), ("a", 20, 20)]
    assert union(spans) == [("a", 0, 12), ("b", 0, 4)]
    assert length(spans) == 16


def test_recall_counts_each_gold_character_once():
    assert span_recall([("a", 0, 15), ("a", 5, 15)], GOLD) == pytest.approx(5 / 20)


def test_recall_in_another_document_is_nought():
    assert span_recall([("b", 0, 100)], GOLD) == 0.0


def test_scores_by_hand():
    # retrieved 0-15 and 10-35: 25 characters of length 15 + 25 = 40, gold covered 10-20 and 30-35 = 15 of 20
    scores = span_scores([("a", 0, 15), ("a", 10, 35)], GOLD)
    assert scores.recall == pytest.approx(15 / 20)
    assert scores.precision == pytest.approx(15 / 40)
    assert scores.iou == pytest.approx(15 / (40 + 5))


def test_a_chunk_retrieved_twice_costs_precision_but_not_recall():
    once, twice = span_scores([("a", 10, 20)], GOLD), span_scores([("a", 10, 20)] * 2, GOLD)
    assert (once.recall, twice.recall) == (0.5, 0.5)
    assert (once.precision, twice.precision) == (1.0, 0.5)


def test_a_chunk_of_another_corpus_costs_precision():
    assert span_scores([("a", 10, 20), ("b", 0, 30)], GOLD).precision == pytest.approx(10 / 40)


def test_nothing_retrieved_scores_nought():
    scores = span_scores([], GOLD)
    assert (scores.recall, scores.precision, scores.iou) == (0.0, 0.0, 0.0)


def test_omega_is_over_the_chunks_that_touch_the_gold():
    chunks = [("a", 0, 25), ("a", 25, 50), ("a", 50, 75), ("b", 0, 25)]
    assert omega(chunks, GOLD) == pytest.approx(20 / 50)


def test_omega_counts_chunks_that_border_on_the_gold_as_the_published_code_does():
    assert omega([("a", 0, 10), ("a", 10, 20)], [("a", 10, 20)]) == pytest.approx(10 / 20)


def test_omega_charges_gold_that_no_chunk_holds():
    # the chunk covers 10-15; 15-20 is missed: 5 / (15 + 5)
    assert omega([("a", 0, 15)], [("a", 10, 20)]) == pytest.approx(5 / 20)


def test_another_copy_of_the_words_counts_when_copies_are_known():
    copies = [[("a", 10, 20), ("a", 110, 120)], [("a", 30, 40)]]
    gold = best_copies([("a", 100, 150)], copies)
    assert gold == [("a", 110, 120), ("a", 30, 40)]
    assert span_recall([("a", 100, 150)], gold) == pytest.approx(0.5)
    assert span_recall([("a", 100, 150)], GOLD) == 0.0


def test_any_group_will_do_and_all_of_a_group_is_needed():
    groups = [[("a", 0, 10), ("a", 20, 30)], [("b", 0, 10)]]
    assert grouped_recall([("a", 0, 10)], groups) == pytest.approx(0.5)
    assert grouped_recall([("b", 0, 10)], groups) == 1.0


def test_a_hit_is_half_of_a_single_span():
    assert hit([("a", 0, 15)], GOLD) == 1.0
    assert hit([("a", 0, 14), ("a", 30, 34)], GOLD) == 0.0


def test_page_recall_by_hand():
    gold = {("r.pdf", 3), ("r.pdf", 4)}
    assert page_recall({("r.pdf", 3), ("q.pdf", 4)}, gold) == 0.5


def test_scores_without_gold_are_an_error():
    for score in (lambda: span_recall([], []), lambda: grouped_recall([], []), lambda: page_recall(set(), set())):
        with pytest.raises(ValueError, match="gold"):
            score()


spans = st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 60)).map(
    lambda span: (span[0], min(span[1:]), max(span[1:]))
)


def _characters(found):
    return {(doc, at) for doc, start, end in found for at in range(start, end)}


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=8))
def test_lengths_agree_with_counting_characters_one_by_one(retrieved, gold):
    assert length(retrieved) == len(_characters(retrieved))
    assert covered(retrieved, gold) == len(_characters(retrieved) & _characters(gold))


@pytest.mark.parametrize(
    ("abstained", "answerable", "accuracy", "precision", "recall"),
    [
        (True, False, 1.0, 1.0, 1.0),
        (True, True, 0.0, 0.0, None),
        (False, False, 0.0, None, 0.0),
        (False, True, 1.0, None, None),
    ],
)
def test_abstention(abstained, answerable, accuracy, precision, recall):
    assert abstention.accuracy(abstained, answerable) == accuracy
    assert abstention.precision(abstained, answerable) == precision
    assert abstention.recall(abstained, answerable) == recall
