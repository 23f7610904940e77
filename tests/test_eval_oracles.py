"""The scores against slow and plain implementations of the same definitions, on random input."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.metrics.answers import exact_match, rouge_l, token_f1, tokens
from evals.metrics.retrieval import grouped_recall, omega, span_scores
from evals.metrics.selective import Answers, area, calibration_error, coverage_at
from evals.stats import difference, holm

WORDS = st.text(alphabet="ab the,.'-1 \n", max_size=30)
PLACES = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 12))
SPANS = st.lists(PLACES.map(lambda place: (place[0], place[1], place[1] + place[2])), max_size=5)
GOLD = SPANS.filter(bool)


def squad_normalised(text):
    """As the official script of SQuAD 1.1 and 2.0 describes it: lower case, no punctuation, no articles, one space."""
    bare = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@given(WORDS, WORDS)
def test_exact_match_and_f1_are_those_of_squad(answer, gold):
    ours, theirs = squad_normalised(answer).split(), squad_normalised(gold).split()
    common = sum((Counter(ours) & Counter(theirs)).values())
    if not ours or not theirs:
        f1 = float(ours == theirs)
    elif not common:
        f1 = 0.0
    else:
        precision, recall = common / len(ours), common / len(theirs)
        f1 = 2 * precision * recall / (precision + recall)
    assert exact_match(answer, [gold]) == float(ours == theirs)
    assert token_f1(answer, [gold]) == pytest.approx(f1)


def longest_common(one, two):
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(WORDS, WORDS)
def test_rouge_l_is_the_f_score_of_the_longest_common_subsequence(answer, gold):
    ours, theirs = tokens(answer), tokens(gold)
    if not ours or not theirs:
        assert rouge_l(answer, [gold]) == float(ours == theirs)
        return
    length = longest_common(ours, theirs)
    recall, precision = length / len(theirs), length / len(ours)
    f = 2 * recall * precision / (recall + precision) if length else 0.0
    assert rouge_l(answer, [gold]) == pytest.approx(f)


def characters(spans):
    return {(doc, place) for doc, start, end in spans for place in range(start, end)}


@given(SPANS, GOLD)
def test_span_scores_are_counts_of_characters(retrieved, gold):
    found = span_scores(retrieved, gold)
    wanted, hit = characters(gold), characters(gold) & characters(retrieved)
    taken = sum(end - start for _, start, end in retrieved)
    assert found.recall == pytest.approx(len(hit) / len(wanted))
    assert found.precision == pytest.approx(len(hit) / taken if taken else 0.0)
    assert found.iou == pytest.approx(len(hit) / (taken + len(wanted) - len(hit)))


@given(SPANS, st.lists(GOLD, min_size=1, max_size=3))
def test_of_alternative_groups_the_best_recall_counts(retrieved, groups):
    best = max(len(characters(group) & characters(retrieved)) / len(characters(group)) for group in groups)
    assert grouped_recall(retrieved, groups) == pytest.approx(best)


@given(st.integers(1, 9), GOLD)
def test_omega_is_the_precision_of_all_chunks_that_touch_the_gold(size, gold):
    chunks = [(doc, start, start + size) for doc in "ab" for start in range(0, 60, size)]
    touching = [
        (doc, start, end) for doc, start, end in chunks if any(d == doc and start <= e and s <= end for d, s, e in gold)
    ]
    wanted, taken = characters(gold), characters(touching)
    assert omega(chunks, gold) == pytest.approx(len(wanted & taken) / len(taken | wanted))


ANSWERS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=12)


@given(ANSWERS, st.integers(0, 5))
def test_risk_and_coverage_are_those_of_every_threshold(answers, withheld):
    confidence, wrong = (np.array(column, float) for column in zip(*answers, strict=True))
    held, questions = Answers.sorted(confidence, wrong), len(answers) + withheld
    risks, best = [], 0.0
    for level in confidence:
        above = wrong[confidence >= level]
        risks.append(above.mean())
        if above.mean() <= 0.25:
            best = max(best, len(above) / questions)
    ones = np.ones((1, len(answers)))
    assert area(held, ones)[0] == pytest.approx(np.mean(risks))
    assert coverage_at(held, ones, np.array([float(questions)]), 0.25)[0] == pytest.approx(best)


@given(ANSWERS)
def test_calibration_error_is_the_weighted_gap_of_ten_bins(answers):
    bins = {}
    for confidence, wrong in answers:
        bins.setdefault(min(int(confidence * 10), 9), []).append((confidence, not wrong))
    gaps = [
        len(rows) * abs(np.mean([right for _, right in rows]) - np.mean([sure for sure, _ in rows]))
        for rows in bins.values()
    ]
    confidence, wrong = (np.array(column, float) for column in zip(*answers, strict=True))
    found = calibration_error(Answers.sorted(confidence, wrong), np.ones((1, len(answers))))[0]
    assert found == pytest.approx(sum(gaps) / len(answers))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=6, max_size=9))
def test_sign_flips_are_scipys_permutation_test(pairs):
    from scipy.stats import permutation_test

    base, new = (np.array(column) / 4 for column in zip(*pairs, strict=True))
    theirs = permutation_test(
        (new, base),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="two-sided",
    )
    found = difference(base.tolist(), new.tolist(), [f"c{n}" for n in range(len(pairs))])
    # scipy doubles the smaller tail; with signs flipped at will the tails are equal, so both are the same p.
    assert found.p == pytest.approx(theirs.pvalue)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    adjusted = holm(p_values)
    ranked = sorted(p_values, key=p_values.get)
    rejected = set()
    for step, name in enumerate(ranked):
        if p_values[name] * (len(ranked) - step) >= 0.05:
            break
        rejected.add(name)
    assert {name for name, p in adjusted.items() if p < 0.05} == rejected
