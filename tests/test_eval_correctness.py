"""The verdict on an answer: numbers by value, short golds word for word, longer ones by what they share."""

import pytest

from evals.metrics.answers import rouge_l
from evals.metrics.correctness import features, refuses, right
from evals.metrics.quantities import number_share
from evals.metrics.words import content_f1, content_words

MERGER = "Yes. The company bought a packaging plant in Shanghai and a maker of machines in New Zealand."


def test_a_number_is_right_by_its_value():
    assert right("Capital expenditure was $1.58 billion.", ["$1577 million"])
    assert not right("Capital expenditure was $1.42 billion.", ["$1577 million"])


def test_a_short_gold_must_stand_in_the_answer():
    assert right("It was won by Norway in 2018.", ["Norway"])
    assert not right("The New company won.", ["New Zealand"])


def test_a_long_gold_is_judged_by_its_words_and_its_yes():
    assert right("Yes, it bought a packaging plant in Shanghai and a machine maker in New Zealand.", [MERGER])
    assert not right("No, the company sold a plant.", [MERGER])


def test_a_short_gold_with_a_number_is_right_by_its_value_in_any_order():
    assert right("The line was increased by $400 million.", ["$400,000,000 increase"])
    assert not right("An increase, of $40 million.", ["$400,000,000 increase"])


def test_none_is_a_no():
    assert right("The filing lists no debt securities: none are registered.", ["There are none"])
    assert not right("Three notes are registered, due in 2026, 2030 and 2031.", ["There are none"])


def test_an_answer_that_withholds_is_not_right_though_it_repeats_the_gold():
    gold = "Performance is not measured through operating margin."
    assert right("Operating margin is not how its performance is measured.", [gold])
    said = (
        "There is no specific information on operating margin. The filing does not state how performance is measured."
    )
    assert not right(said, [gold])


def test_the_first_sentence_of_a_gold_carries_the_answer():
    gold = "Lower marketing costs. The answer assumes that the year is the twelve months that ended in January 2023."
    assert right("It fell because of lower marketing costs.", [gold])
    assert features("It fell because of lower marketing costs.", gold)["first_words"] == 1.0


def test_features_by_hand():
    found = features("No. Sales did not grow 5%.", "No, sales fell by 5%.")
    # content words of the gold without yes and no: sale, fell, 5; two of three are there
    assert found["words"] == found["first_words"] == pytest.approx(2 / 3)
    assert (found["same_polarity"], found["same_negation"]) == (1.0, 1.0)
    assert (found["first_numbers"], found["has_numbers"]) == (1.0, 1.0)
    assert (found["refused"], found["withholding"]) == (0.0, 0.0)


def test_nothing_and_a_refusal_are_not_right():
    assert not right("", ["Norway"])
    assert not right("It may be Norway.", ["Norway"], refused=True)


def test_any_gold_will_do():
    assert right("3 October 1868", ["Oct. 3, 1868", "3 October 1868"])
    with pytest.raises(ValueError, match="at least one gold"):
        right("x", [])


def test_a_foreign_refusal_is_known_by_its_words():
    assert refuses("I'm sorry, but I cannot answer this from the documents.")
    assert refuses("The report does not provide enough data to calculate the ratio.")
    assert not refuses("The ratio was 0.96 at the end of June.")


def test_number_share_leaves_years_out():
    assert number_share("sales grew to 20.1 million in 1999", "From 30% in 2022 to 20.1 million") == 0.5
    assert number_share("no", "in 2022") is None


def test_rouge_l_keeps_order_and_reads_chinese():
    assert rouge_l("the cat sat on mat", ["cat on mat sat"]) == pytest.approx(2 * 3 / (4 + 4))
    assert rouge_l("北京大学", ["北京大学"]) == 1.0
    assert rouge_l("", ["cat"]) == 0.0


def test_content_f1_reads_neither_markers_nor_inflection():
    assert content_f1("The keepers lit the lamps [1].", ["A keeper lit a lamp [12]"]) == 1.0
    assert content_f1("Gulls nest.", ["A keeper lit a lamp"]) == 0.0


def test_content_f1_leaves_out_what_the_question_said():
    question = "When was the tower lit?"
    assert content_f1("The tower was lit in 1868.", ["1868"], question) == 1.0
    assert content_f1("The tower was lit.", ["1868"], question) == 0.0
    assert content_f1("The tower was lit in 1868.", ["1868"]) == 0.5


def test_content_words_are_stems_and_whole_numbers():
    assert content_words("The keepers' lamps cost £1,577.50 [3] 北京") == [
        "keeper",
        "lamp",
        "cost",
        "1577.50",
        "北",
        "京",
    ]
