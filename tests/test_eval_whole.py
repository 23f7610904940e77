"""Risk against coverage and calibration: worked by hand, and their intervals and tests between two runs."""

import numpy as np
import pytest

from evals.metrics.selective import Answers, area, bins_of, calibration_error, coverage_at, curve
from evals.whole import Outcome, whole_differences, whole_estimates

# Most confident first: right, right, wrong, right.
FOUR = Answers.sorted(np.array([0.9, 0.6, 0.8, 0.7]), np.array([0.0, 0.0, 0.0, 1.0]))
ONES = np.ones((1, 4))


def test_the_area_is_the_mean_risk_of_the_thresholds():
    assert area(FOUR, ONES)[0] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_equal_confidence_is_taken_together():
    tied = Answers.sorted(np.array([0.9, 0.9]), np.array([0.0, 1.0]))
    assert area(tied, np.ones((1, 2)))[0] == 0.5
    assert curve(tied, 4) == [(0.5, 0.5, 0.9)]


def test_coverage_at_a_risk_is_a_share_of_all_questions():
    eight = np.array([8.0])
    assert coverage_at(FOUR, ONES, eight, 0.05)[0] == 2 / 8
    assert coverage_at(FOUR, ONES, eight, 0.25)[0] == 4 / 8
    none_right = Answers.sorted(np.array([0.9]), np.array([1.0]))
    assert coverage_at(none_right, np.ones((1, 1)), np.array([1.0]), 0.1)[0] == 0.0


def test_weights_are_copies():
    doubled = np.array([[2.0, 1.0, 0.0, 1.0]])
    written_out = Answers.sorted(np.array([0.9, 0.9, 0.8, 0.6]), np.array([0.0, 0.0, 0.0, 0.0]))
    assert area(FOUR, doubled)[0] == area(written_out, ONES)[0]


def test_calibration_error_is_the_gap_of_each_bin():
    sure = Answers.sorted(np.array([0.95, 0.95, 0.15]), np.array([0.0, 1.0, 1.0]))
    assert calibration_error(sure, np.ones((1, 3)))[0] == pytest.approx((2 * 0.45 + 1 * 0.15) / 3)
    assert bins_of(sure) == [(0.15, 0.0, 1), (pytest.approx(0.95), 0.5, 2)]


def outcomes(wrong, confidence, clusters=20):
    return [
        Outcome(f"q{n}", f"c{n % clusters}", float(confidence(n)), float(wrong(n)), True) for n in range(200)
    ]  # fmt: skip


def test_estimates_hold_their_value_within_the_interval():
    found = whole_estimates(outcomes(lambda n: n % 4 == 0, lambda n: 0.5 + (n % 7) / 20))
    assert set(found) == {"coverage@5%", "coverage@10%", "risk_area", "calibration_error"}
    area = found["risk_area"]
    assert area.low < area.mean < area.high
    assert (area.n, area.clusters, area.by) == (200, 20, "cluster")


def test_answers_that_are_all_right_are_no_certainty():
    area = whole_estimates(outcomes(lambda n: False, lambda n: 0.9))["risk_area"]
    # Twenty equal clusters: were a share above 1 - .025^(1/20) different, they would agree in less than one of forty.
    assert (area.mean, area.low, area.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    same = outcomes(lambda n: False, lambda n: 0.9)
    _, _, gap = whole_differences(same, same)["risk_area"]
    assert gap.low == pytest.approx(-(1 - 0.025 ** (1 / 20))) == -gap.high


def test_without_an_answer_given_there_is_nothing_to_tell():
    assert whole_estimates([Outcome("q", "c", 0.1, 1.0, False)]) == {}


def test_a_run_whose_confidence_means_nothing_is_found_worse():
    useful = outcomes(lambda n: n % 4 == 0, lambda n: 0.3 if n % 4 == 0 else 0.9)
    useless = outcomes(lambda n: n % 4 == 0, lambda n: 0.5 + (n * 37 % 50) / 100)
    before, after, gap = whole_differences(useful, useless)["risk_area"]
    assert before < after
    assert gap.mean == pytest.approx(after - before)
    assert gap.p < 0.01
    assert gap.low > 0


def test_equal_runs_differ_in_nothing():
    same = outcomes(lambda n: n % 4 == 0, lambda n: (n * 37 % 50) / 100)
    for before, after, gap in whole_differences(same, same).values():
        assert (after - before, gap.p) == (0.0, 1.0)
