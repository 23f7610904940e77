"""Words and numbers of answers against gold: each expectation can be checked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.metrics.answers import contains, exact_match, normalise, scorable, token_f1, token_recall
from evals.metrics.quantities import is_quantity, number_match, numbers


def test_normalisation_is_that_of_squad():
    assert normalise("The  Cat's, a  (big) HAT!") == "cats big hat"


def test_normalisation_drops_typographic_punctuation_and_parts_words_at_long_dashes():
    assert normalise("“Tower”—built 1868…") == "tower built 1868"


def test_each_han_and_kana_character_is_a_token():
    assert normalise("东京tower は高い") == "东 京 tower は 高 い"


def test_exact_match_takes_any_gold_and_ignores_articles_and_case():
    assert exact_match("the Eiffel Tower.", ["Louvre", "Eiffel tower"]) == 1.0
    assert exact_match("Eiffel Tower in Paris", ["Eiffel tower"]) == 0.0


def test_token_f1_by_hand():
    # tokens: answer [built, in, 1868], gold [in, 1868]; 2 common, precision 2/3, recall 1
    assert token_f1("built in 1868", ["in 1868"]) == pytest.approx(0.8)


def test_token_f1_counts_a_repeated_token_only_as_often_as_the_gold_has_it():
    # 1 common of 3 and of 1: 2*1/(3+1)
    assert token_f1("no no no", ["no"]) == pytest.approx(0.5)


def test_token_f1_takes_the_best_gold():
    assert token_f1("1868", ["something else", "1868"]) == 1.0


def test_token_recall_ignores_what_the_answer_says_beyond_the_gold():
    assert token_recall("it was lit in October 1868 by Rae", ["October 1868"]) == 1.0


def test_chinese_f1_is_over_characters():
    # 3 common characters of 4 and of 3
    assert token_f1("北京大学", ["北京大"]) == pytest.approx(6 / 7)


def test_both_empty_is_a_match_as_in_squad():
    assert token_f1("", ["the"]) == 1.0
    assert token_f1("something", ["the"]) == 0.0


def test_a_score_without_gold_is_an_error_not_a_zero():
    with pytest.raises(ValueError, match="at least one gold"):
        token_f1("x", [])


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("In Norway's capital", "Norway"),
        ("a 10-day trip", "10 day"),
        ("the U.S. Navy", "US Navy"),
        ("1,577 of them", "1577"),
        ("about 70 percent of them", "70%"),
        ("FY2018 figures", "2018"),
        ("lit on January 3, 2026.", "january 3 2026"),
        ("位于北京市中心", "北京"),
    ],
)
def test_contained(text, gold):
    assert contains(text, [gold])


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("1577 of them", "5"),
        ("3.5 metres", "5"),
        ("1,100 people", "100"),
        ("it fell by -3.7 points", "3.7"),
        ("70 respondents", "70%"),
        ("Norwegian", "Norway"),
        ("anything", "the"),
    ],
)
def test_not_contained(text, gold):
    assert not contains(text, [gold])


def test_golds_without_words_cannot_be_scored():
    assert scorable(["the", "—", "308"]) == ("308",)


@given(st.text(min_size=1))
def test_a_scorable_gold_is_contained_in_itself_and_overlaps_itself_wholly(gold):
    if scorable([gold]):
        assert contains(gold, [gold])
        assert token_f1(gold, [gold]) == 1.0


def test_numbers_know_sign_decimals_percent_scale_and_year():
    found = numbers("From 2019 to FY2020 it fell (3.50) or -2 %, 10-15 units, mid-2025, $1,577.00 and 1.2 million")
    assert [number.value for number in found] == [2019, 2020, -3.5, -2, 10, 15, 2025, 1577, 1.2]
    assert [number.decimals for number in found] == [0, 0, 2, 0, 0, 0, 0, 2, 1]
    assert [number.year for number in found] == [True, True, False, False, False, False, True, False, False]
    assert found[3].percent
    assert found[8].scale == 1e6


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("Capex was $1,577 million.", "$1577.00"),
        ("It was 8.738 billion", "$8.70"),  # .4 % off
        ("$8,738 million", "$8.70"),  # the question named billions
        ("a margin of 30.8%", "0.308"),
        ("0.308", "30.8%"),
        ("a loss of (473) million", "-473"),
        ("£1,200,000", "£1.2 million"),
        ("founded in 1988", "1988"),
    ],
)
def test_the_same_quantity(answer, gold):
    assert number_match(answer, gold) is True


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1,600 million", "$1577.00"),  # 1.5 % off
        ("473", "-473"),
        ("£1.2 billion", "£1.2 million"),  # both name their scale
        ("in 1989", "1988"),
        ("Revenue of 2,400", "0"),  # any number times 10^-9 is near nought
        ("7,000", "0.01"),  # half a unit of the last decimal would let 5 to 15 thousand pass
        ("no number at all", "5"),
    ],
)
def test_another_quantity(answer, gold):
    assert number_match(answer, gold) is False


def test_every_number_of_the_gold_is_wanted_but_not_its_years():
    assert number_match("12 of 40", "In 2019: 12 of 40") is True
    assert number_match("12 of 41", "In 2019: 12 of 40") is False


def test_a_gold_without_numbers_has_no_number_match():
    assert number_match("5", "five") is None


def test_tolerance_can_be_given():
    assert number_match("104", "100", rel_tol=0.05) is True
    assert number_match("104", "100", rel_tol=0.001) is False


@pytest.mark.parametrize("gold", ["$1577.00", "£1.2 million", "30.8%", "-3.7", "(473)", "USD 5", "8.7 bn"])
def test_quantities(gold):
    assert is_quantity(gold)


@pytest.mark.parametrize("gold", ["1988", "January 3", "12 ships", "between 30 and 50", "five"])
def test_no_quantities(gold):
    assert not is_quantity(gold)
