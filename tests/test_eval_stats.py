"""Intervals and tests: small cases by hand, large ones against known formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.stats import difference, estimate, holm


def own(n):
    return [str(i) for i in range(n)]


def test_a_mean_knows_its_n_and_clusters():
    found = estimate([1, 0, 1, 1], ["a", "a", "b", "c"])
    assert (found.mean, found.n, found.clusters) == (0.75, 4, 3)


def test_the_interval_of_many_independent_questions_is_that_of_the_normal_approximation():
    scores = [1.0] * 320 + [0.0] * 80
    found = estimate(scores, own(400))
    half = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert found.low == pytest.approx(0.8 - half, abs=0.006)
    assert found.high == pytest.approx(0.8 + half, abs=0.006)


def test_questions_that_share_documents_widen_the_interval():
    scores = ([1.0] * 10 + [0.0] * 10) * 10
    shared = [str(i // 10) for i in range(200)]
    apart, together = estimate(scores, own(200)), estimate(scores, shared)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_all_right_is_no_certainty():
    # Clopper and Pearson: .025^(1/20) = .832
    found = estimate([1.0] * 20, own(20))
    assert (found.low, found.high) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    found = estimate([0.0] * 20, own(20))
    assert (found.low, found.high) == (0.0, pytest.approx(0.1684, abs=1e-4))


def test_sixty_right_questions_on_six_documents_are_six_trials():
    found = estimate([1.0] * 60, list("abcdef") * 10)
    assert (found.low, found.by) == (pytest.approx(0.025 ** (1 / 6)), "cluster")


def test_one_question_has_no_interval():
    found = estimate([1.0], ["a"])
    assert (found.low, found.high) == (None, None)


def test_with_fewer_than_six_documents_the_questions_are_resampled_and_it_says_so():
    scores = [1, 0, 1, 1, 0, 1, 1, 1, 0, 1]
    found = estimate(scores, list("abcde") * 2)
    assert (found.by, found.clusters) == ("question", 5)
    assert (found.low, found.high) == (estimate(scores, own(10)).low, estimate(scores, own(10)).high)


def test_the_same_scores_give_the_same_interval():
    scores, clusters = [1, 0, 0.5, 1, 0.25], ["a", "a", "b", "c", "d"]
    assert estimate(scores, clusters) == estimate(scores, clusters)


def test_scores_that_are_no_numbers_are_refused():
    for scores, clusters in (([], []), ([1.0], []), ([float("nan")], ["a"])):
        with pytest.raises(ValueError, match="score"):
            estimate(scores, clusters)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcdef")), min_size=2, max_size=30))
def test_the_mean_lies_in_its_interval_and_both_in_the_unit_range(rows):
    found = estimate([score for score, _ in rows], [cluster for _, cluster in rows])
    assert 0 <= found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    assert found.high <= 1


def test_sign_flips_are_enumerated_for_few_clusters():
    # Six all better: of 64 sign patterns two are as extreme.
    assert difference([0] * 6, [1] * 6, own(6)).p == pytest.approx(2 / 64)


def test_a_sign_flips_for_a_whole_document():
    assert difference([0] * 18, [1] * 18, list("abcdef") * 3).p == pytest.approx(2 / 64)
    assert difference([0] * 18, [1] * 18, own(18)).p < 0.001


def test_equal_runs_differ_by_nothing_and_could_still_hide_something():
    found = difference([0, 1, 1, 0], [0, 1, 1, 0], own(4))
    assert (found.mean, found.p, found.mde) == (0.0, 1.0, None)
    assert found.low < 0 < found.high


def test_pairing_shows_what_two_intervals_would_hide():
    rng = np.random.default_rng(0)
    base = (rng.random(300) < 0.5).astype(float)
    new = np.where(rng.random(300) < 0.08, 1.0, base)
    found = difference(base.tolist(), new.tolist(), own(300))
    assert found.p < 0.01
    assert found.low > 0
    assert estimate(base.tolist(), own(300)).high > estimate(new.tolist(), own(300)).low


def test_the_smallest_visible_difference_is_2_8_standard_errors():
    # differences 1, -1, 1, -1: mean 0, each cluster deviates by 1; SE = sqrt(4/3 * 4)/4
    found = difference([0, 1, 0, 1], [1, 0, 1, 0], own(4))
    assert found.mde == pytest.approx(2.8 * math.sqrt(4 / 3 * 4) / 4)


def test_one_question_cannot_tell_two_runs_apart():
    found = difference([0], [1], ["a"])
    assert (found.mean, found.low, found.high, found.p, found.mde) == (1.0, None, None, 1.0, None)


def test_drawn_sign_flips_agree_with_enumerated_ones():
    base, new = [0.0] * 16, [1.0] * 12 + [-1.0] * 4
    # P(|sum of 16 signs| >= 8) = 2 * sum_{k>=12} C(16, k) / 2^16
    exact = 2 * sum(math.comb(16, k) for k in range(12, 17)) / 2**16
    assert difference(base, new, own(16)).p == pytest.approx(exact, abs=0.01)


def test_holm_by_hand():
    # .01*3, then max(.03, .02*2), then max(.04, .04*1)
    assert holm({"a": 0.02, "b": 0.01, "c": 0.04}) == {"b": 0.03, "a": 0.04, "c": 0.04}


def test_holm_never_exceeds_one():
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
