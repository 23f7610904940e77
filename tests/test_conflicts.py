"""Sources that differ are set side by side, with dates; sources that agree in other words are not."""

from pathlib import Path

import pytest

from rag import Conflict, Rag
from rag.conflicts import find_conflicts, told_apart
from rag.facts import find_facts, same
from rag.question import alternatives, read_question


def positions(tmp_path: Path, question: str, *texts: str, **meta: str) -> list[str]:
    kb = Rag(tmp_path / "index")
    for number, text in enumerate(texts):
        kb.add(text, doc=f"source{number}.txt", meta=meta)
    found = kb.ask(question).conflicts
    for conflict in found:
        for _, cited in conflict.positions:
            assert all(kb.document(c.doc).text[c.start : c.end] == c.quote for c in cited)
    return [value for conflict in found for value, _ in conflict.positions]


@pytest.mark.parametrize(
    ("question", "one", "two", "values"),
    [
        (
            "When did the ferry Alba sink?",
            "The ferry Alba sank on 4 May 1911 off the cape.",
            "The ferry Alba sank on 9 June 1912 off the cape.",
            ["4 May 1911", "9 June 1912"],
        ),
        (
            "How many people drowned on the ferry Alba?",
            "Some 40 people drowned when the ferry Alba went down.",
            "When the ferry Alba went down, 95 people drowned in the bay.",
            ["40", "95"],
        ),
        (
            "Who was the captain of the ferry Alba?",
            "The captain of the ferry Alba was Jonas Reed.",
            "The captain of the ferry Alba was Peter Holm.",
            ["Jonas Reed", "Peter Holm"],
        ),
        (
            "Did the ferry Alba carry a radio?",
            "The ferry Alba carried a radio in her wheelhouse.",
            "The ferry Alba did not carry a radio in her wheelhouse.",
            ["yes", "no"],
        ),
        (
            "Was the ferry Alba painted white or black?",
            "The ferry Alba was painted white from stem to stern.",
            "The ferry Alba, as seamen recall, was painted black all over.",
            ["white", "black"],
        ),
    ],
)
def test_what_differs_is_shown(tmp_path: Path, question: str, one: str, two: str, values: list[str]) -> None:
    assert sorted(positions(tmp_path, question, one, two)) == sorted(values)


@pytest.mark.parametrize(
    ("question", "one", "two"),
    [
        (
            "When did the ferry Alba sink?",
            "The ferry Alba sank on January 3, 1911 off the cape.",
            "On Jan. 3 the ferry Alba sank off the cape in a gale.",
        ),
        (
            "How many troops did the ferry Alba bring?",
            "The ferry Alba brought nearly 15,000 troops that year.",
            "In that year 15 000 troops were brought by the ferry Alba.",
        ),
        (
            "How many tonnes of coal did the ferry Alba burn?",
            "The ferry Alba burnt 1,500 million tonnes of coal.",
            "It is said that the ferry Alba burnt 1.5 billion tonnes of coal.",
        ),
        (
            "When did the ferry Alba sink?",
            "The ferry Alba sank on 4 May 1911 off the cape.",
            "The tug Bruno sank on 9 June 1934 in the harbour.",
        ),
        (
            "Did the ferry Alba carry a radio?",
            "The ferry Alba carried a radio in her wheelhouse.",
            "A radio was carried by the ferry Alba on every trip.",
        ),
    ],
)
def test_agreement_in_other_words_is_silent(tmp_path: Path, question: str, one: str, two: str) -> None:
    assert positions(tmp_path, question, one, two) == []


def test_one_document_does_not_disagree_with_itself(tmp_path: Path) -> None:
    text = "The ferry Alba sank on 4 May 1911 off the cape.\n\nThe ferry Alba sank on 9 June 1912 off the cape."
    assert positions(tmp_path, "When did the ferry Alba sink?", text) == []


def test_the_dates_of_the_sources_are_told(tmp_path: Path) -> None:
    kb = Rag(tmp_path / "index")
    kb.add("The ferry Alba sank on 4 May 1911 off the cape.", doc="old.txt", meta={"date": "1950-01-31"})
    kb.add("The ferry Alba sank on 9 June 1912 off the cape.", doc="new.txt")
    answer = kb.ask("When did the ferry Alba sink?")
    (conflict,) = answer.conflicts
    assert sorted(conflict.dates) == ["", "1950-01-31"]
    assert "(dated 1950-01-31)" in answer.text
    assert told_apart(conflict) in answer.text


def test_a_conflict_without_dates_is_told_plainly() -> None:
    assert told_apart(Conflict("q", (("1911", ()), ("1912", ())))) == "The sources disagree: 1911 ; 1912 ."


def first_date(text: str):
    return next(fact.value for fact in find_facts(text) if fact.kind == "date")


def test_a_part_of_a_year_excludes_other_months() -> None:
    assert same(first_date("in mid-2025"), first_date("in August 2025"))
    assert not same(first_date("in mid-2025"), first_date("in November"))
    assert not same(first_date("in mid-2025"), first_date("in mid-2024"))
    assert same(first_date("in late 2025"), first_date("in 2025"))


def test_a_weekday_is_compared_with_a_day_of_the_year_spoken_of(tmp_path: Path) -> None:
    question = "On which day did the ferry Alba sail?"
    friday = "In 2026 the ferry Alba sailed. The ferry Alba sailed on January 9 from the old quay."
    assert len(positions(tmp_path / "a", question, friday, "The ferry Alba sailed on Thursday from the quay.")) == 2
    assert positions(tmp_path / "b", question, friday, "The ferry Alba sailed on Friday from the quay.") == []


def test_another_year_is_another_matter(tmp_path: Path) -> None:
    question = "Who won the Orrin race in 2019?"
    one, two = "Jonas Reed won the Orrin race in 2019.", "Peter Holm won the Orrin race in 2018 before a small crowd."
    assert positions(tmp_path, question, one, two) == []


@pytest.mark.parametrize(
    ("question", "pair"),
    [
        ("Was the release small or large?", ("small", "larg")),
        ("Is it a whale or a fish?", ("whale", "fish")),
        ("Who came, Anna or Bram?", None),
        ("Was it small?", None),
        ("Is it true or not?", None),
    ],
)
def test_a_question_offers_two_things(question: str, pair: tuple[str, str] | None) -> None:
    assert alternatives(read_question(question)) == pair


def test_no_sentences_no_conflict(tmp_path: Path) -> None:
    assert find_conflicts(read_question("When?"), None, [], []) == []  # type: ignore[arg-type]
