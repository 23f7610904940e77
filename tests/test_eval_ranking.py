"""Ranking measures: worked by hand, and against pytrec_eval on random runs where that is installed."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.metrics.ranking import (
    average_precision,
    hit_at,
    mean_over_gold,
    ndcg,
    precision_at,
    recall_at,
    reciprocal_rank,
    trec_order,
)

GRADES = {"a": 2.0, "b": 1.0, "n": 0.0}
IDS = [f"d{number}" for number in range(8)]


def test_reciprocal_rank_counts_from_the_first_relevant():
    assert reciprocal_rank(["x", "n", "b", "a"], GRADES) == 1 / 3
    assert reciprocal_rank(["x", "n"], GRADES) == 0.0


def test_average_precision_divides_by_all_relevant():
    assert average_precision(["a", "x", "b"], GRADES) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(["a"], GRADES) == 0.5


def test_ndcg_takes_the_grade_as_the_gain():
    found = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    assert ndcg(["b", "a"], GRADES) == pytest.approx(found)
    assert ndcg(["b", "a"], GRADES, k=1) == 0.5
    assert ndcg(["a", "b", "x"], GRADES) == 1.0


def test_precision_counts_empty_places_as_misses():
    assert precision_at(["a"], GRADES, 5) == 0.2
    assert recall_at(["a", "x", "b"], GRADES, 2) == 0.5
    assert hit_at(["x", "a"], GRADES, 1) == 0.0


def test_gold_without_a_relevant_id_is_no_gold():
    with pytest.raises(ValueError, match="at least one relevant"):
        ndcg(["a"], {"a": 0.0})


def test_a_question_missing_from_a_run_scores_zero():
    gold = {"q1": {"a": 1.0}, "q2": {"a": 1.0}}
    assert mean_over_gold(reciprocal_rank, {"q1": ["a"]}, gold) == 0.5


def test_equal_scores_stand_by_falling_id():
    assert trec_order({"d1": 1.0, "d3": 2.0, "d2": 1.0}) == ["d3", "d2", "d1"]


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["q1", "q2", "q3"]),
        st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), min_size=1),
        min_size=1,
    ),
    st.dictionaries(
        st.sampled_from(["q1", "q2", "q3"]),
        st.dictionaries(st.sampled_from(IDS), st.integers(0, 4).map(float), min_size=1),
        min_size=1,
    ),
)
def test_every_measure_equals_trec_eval_on_random_runs_with_ties(gold, scores):
    oracle = pytest.importorskip("pytrec_eval", reason="pytrec_eval-terrier is not installed")
    measures = {"recip_rank", "map", "ndcg", "ndcg_cut_3", "P_5", "recall_5", "success_1"}
    found = oracle.RelevanceEvaluator(gold, measures).evaluate(scores)
    for question, grades in gold.items():
        if question not in scores or not any(grades.values()):
            continue
        ranked, theirs = trec_order(scores[question]), found[question]
        ours = {
            "recip_rank": reciprocal_rank(ranked, grades),
            "map": average_precision(ranked, grades),
            "ndcg": ndcg(ranked, grades),
            "ndcg_cut_3": ndcg(ranked, grades, 3),
            "P_5": precision_at(ranked, grades, 5),
            "recall_5": recall_at(ranked, grades, 5),
            "success_1": hit_at(ranked, grades, 1),
        }
        assert ours == pytest.approx({name: theirs[name] for name in ours}, abs=1e-6)
