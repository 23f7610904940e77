import pytest

from rag.facts import find_facts, same
from rag.question import read_question


def first(text: str, kind: str):
    return next(fact.value for fact in find_facts(text) if fact.kind == kind)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Jan. 3", "January 3, 2026"),
        ("3 October 1868", "Oct. 3, 1868"),
        ("2024-05-03", "3 May 2024"),
        ("1.5 billion people", "1,500 million people"),
        ("nearly 15 000 troops", "15,000 troops"),
        ("£1.2 million", "£1,200,000"),
        ("twelve boats", "a dozen boats"),
        ("its fifth tanker", "five tankers"),
        ("70%", "70 percent"),
        ("he met Delcy Rodríguez", "he met Rodriguez"),
    ],
)
def test_one_value_in_two_formats_is_the_same(one: str, two: str) -> None:
    kind = "date" if any(c.isdigit() for c in one) and "a" in one and "," in two and "£" not in one else None
    kinds = {fact.kind for fact in find_facts(one)} & {fact.kind for fact in find_facts(two)}
    kind = next(k for k in ("date", "number", "name") if k in kinds)
    assert same(first(one, kind), first(two, kind))


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        ("in 1988", "in 1991", "date"),
        ("January 3", "January 4", "date"),
        ("100 people", "120 people", "number"),
        ("70%", "70 people", "number"),
        ("at 10:30", "at 11:30", "number"),
        ("he met Maduro", "he met Trump", "name"),
    ],
)
def test_different_values_are_not_the_same(one: str, two: str, kind: str) -> None:
    assert not same(first(one, kind), first(two, kind))


def test_a_date_is_not_also_a_number() -> None:
    assert [fact.kind for fact in find_facts("on 3 May 2024")] == ["date"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the tower built?", "date"),
        ("In what year did it close?", "date"),
        ("How many steps are there?", "number"),
        ("How much did the repair cost?", "money"),
        ("How long did it last?", "duration"),
        ("Who was the last keeper?", "person"),
        ("Which Chinese envoy met Maduro?", "person"),
        ("Where is the telescope?", "place"),
        ("Why is there a yellow band?", "reason"),
        ("Can I bring my dog?", "yesno"),
        ("What share of respondents opposed it?", "percent"),
        ("Welche Farbe hat der Turm?", "thing"),
    ],
)
def test_a_question_tells_what_it_expects(question: str, expected: str) -> None:
    assert read_question(question).expected == expected
