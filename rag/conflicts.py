"""Sentences of different documents that give different values for what was asked. Finds sides; does not take one.

Four ways to disagree: on which of two things the question offers; on yes or no; in sentences that are alike word for
word but for a name, a number or a date; and in the value of the kind that is asked for, beyond format and rounding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import SequenceMatcher

from index.terms import words_and_terms
from rag.clues import Asked
from rag.extract import Candidate
from rag.facts import Date, Fact, Number, find_facts, same
from rag.headline import standing
from rag.question import TYPED, Question, alternatives, fitting_facts
from rag.quoted import readable
from rag.values import Conflict, Passage

Position = tuple[str, tuple[Candidate, ...]]

# A sentence takes part when its score is at most this far below the best one's, and a pair of them when their own
# cosine is this high.
REACH = 4.0
NEAR_EACH_OTHER = 0.5
# Sentences of which one denies what the other says are nearer.
DENYING = 0.6
# Twins share this much of their words (SequenceMatcher ratio).
TWINS = 0.7
# Sentences looked at, the best ones.
CONSIDERED = 10
# The least share that a value must have of its sentence's chances to be what was asked for.
STANDING = 0.2
_DENIAL = re.compile(
    r"\b(?:not|no|never|none|neither|nor|nobody|nothing|without|cannot|\w+n['’]t|denie[sd]|forbidden|forbids|banned|"
    r"prohibit(?:s|ed)|refuse[sd]|rejected|failed to)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Side:
    """A sentence and the value that it gives."""

    value: str
    fact: Fact | None
    candidate: Candidate


def find_conflicts(
    question: Question, asked: Asked, ranked: Sequence[Candidate], passages: Sequence[Passage]
) -> list[tuple[str, tuple[Position, ...]]]:
    """(aspect, positions) where documents differ; empty when they agree or none gives such a value."""
    close = [c for c in ranked[:CONSIDERED] if c.score >= ranked[0].score - REACH]
    if len({candidate.doc for candidate in close}) < 2:
        return []
    known = _documents_about(question, passages)
    about = [c for c in close if c.doc in known and not _of_another_year(question, c.text)]
    if question.expected == "yesno":
        sides = _choosing(question, about) or _denying(about)
    else:
        sides = _twins(question, close, known) or _differing(question, asked, about, _year(passages))
    positions: list[tuple[_Side, list[Candidate]]] = []
    for side in sides:
        for first, backed in positions:
            if _agree(first, side):
                backed.append(side.candidate)
                break
        else:
            positions.append((side, [side.candidate]))
    if len(positions) < 2:
        return []
    return [(question.text, tuple((side.value, tuple(backed)) for side, backed in positions))]


def told_apart(conflict: Conflict) -> str:
    """A conflict in words: each position with the markers of its citations and, where it is known, from when it is."""
    dates = conflict.dates or ("",) * len(conflict.positions)
    sides = [
        f"{readable(value)} {''.join(f'[{citation.number}]' for citation in cited)}{f' (dated {when})' if when else ''}"
        for (value, cited), when in zip(conflict.positions, dates, strict=True)
    ]
    return f"The sources disagree: {'; '.join(sides)}."


def _documents_about(question: Question, passages: Sequence[Passage]) -> set[str]:
    """Documents whose passages hold as many of the names and numbers in the question as those of any document do."""
    held: dict[str, set[str]] = {}
    for passage in passages:
        held.setdefault(passage.doc, set()).update(
            term for _, term in words_and_terms(f"{passage.title} {passage.text}")
        )
    share = {doc: sum(term in found for term in question.names) for doc, found in held.items()}
    most = max(share.values(), default=0)
    return {doc for doc, count in share.items() if count == most}


def _of_another_year(question: Question, text: str) -> bool:
    """Whether a sentence names years, and none of those in the question: the prize of 2018 when that of 2019 is asked
    for."""
    asked, named = _years(question.text), _years(text)
    return bool(asked and named) and question.expected != "date" and not asked & named


def _years(text: str) -> set[int]:
    values = (fact.value for fact in find_facts(text) if fact.kind == "date")
    return {value.year for value in values if isinstance(value, Date) and value.year}


def _choosing(question: Question, about: Sequence[Candidate]) -> list[_Side]:
    """The sides of a question that offers two things: sentences that hold one of them and not the other."""
    offered = alternatives(question)
    if offered is None:
        return []
    sides = []
    for candidate in about:
        held = {term: word for word, term in words_and_terms(candidate.text)}
        chosen = [term for term in offered if term in held]
        if len(chosen) == 1 and not _DENIAL.search(candidate.text):
            sides.append(_Side(held[chosen[0]], None, candidate))
    return _paired(sides, lambda a, b: a.candidate.doc != b.candidate.doc and a.value != b.value)


def _denying(about: Sequence[Candidate]) -> list[_Side]:
    """The sides of yes and no: each document's best sentence, where one says what another denies."""
    best = {candidate.doc: candidate for candidate in reversed(about)}
    sides = [_Side("no" if _DENIAL.search(c.text) else "yes", None, c) for c in best.values()]
    return _paired(sides, lambda a, b: a.value != b.value and _alike(a.candidate, b.candidate, DENYING))


def _differing(question: Question, asked: Asked, about: Sequence[Candidate], year: int | None) -> list[_Side]:
    """The sides of every pair that is alike in meaning and differs in the value that is asked for."""
    if question.expected not in TYPED:
        return []
    found: list[_Side] = []
    for candidate in about:
        # A document speaks with one voice: its best sentence.
        if any(candidate.doc == side.candidate.doc for side in found):
            continue
        fact = _asked_for(question, asked, candidate)
        if fact is not None:
            found.append(_Side(fact.text, fact, candidate))
    return _paired(found, lambda a, b: _alike(a.candidate, b.candidate) and _contradict(a.fact, b.fact, year))


def _twins(question: Question, close: Sequence[Candidate], known: set[str]) -> list[_Side]:
    """The sides of the best pair of sentences that differ in nothing but values that the question does not give.

    It is enough that one of the two stands in a document about the question: they say the same otherwise.
    """
    asked = {term for _, term in words_and_terms(question.text)}
    for i, here in enumerate(close):
        for there in close[i + 1 :]:
            if not known & {here.doc, there.doc}:
                continue
            changed = _changed(here.text, there.text) if here.doc != there.doc else None
            if changed is None or asked & {term for text in changed for _, term in words_and_terms(text)}:
                continue
            if _valued(changed[0]) and _valued(changed[1]):
                return [_Side(text, None, side) for text, side in zip(changed, (here, there), strict=True)]
    return []


def _changed(one: str, two: str) -> tuple[str, str] | None:
    """The words in which two sentences differ, when that is one stretch of each and little beside what they share."""
    a, b = one.split(), two.split()
    if min(len(a), len(b)) < 5:
        return None
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.real_quick_ratio() < TWINS or matcher.ratio() < TWINS:
        return None
    blocks = [op for op in matcher.get_opcodes() if op[0] != "equal"]
    if not blocks or any(op[0] != "replace" for op in blocks) or blocks[-1][2] - blocks[0][1] > 6:
        return None
    left, right = a[blocks[0][1] : blocks[-1][2]], b[blocks[0][3] : blocks[-1][4]]
    return tuple(" ".join(words).strip(" ,.;:()[]\"“”'…") for words in (left, right))  # type: ignore[return-value]


def _valued(text: str) -> bool:
    """Whether a stretch names or counts something."""
    return bool(find_facts(f"x {text}")) or any(word[:1].isupper() for word in text.split())


def _paired(found: Sequence[_Side], differ: Callable[[_Side, _Side], bool]) -> list[_Side]:
    sides = {n for i, a in enumerate(found) for j, b in enumerate(found[:i]) if differ(a, b) for n in (i, j)}
    return [found[n] for n in sorted(sides)]


def _agree(one: _Side, two: _Side) -> bool:
    if one.fact is None or two.fact is None:
        return one.value == two.value
    exact = one.fact.value == two.fact.value
    return exact or (not isinstance(one.fact.value, Date) and same(one.fact.value, two.fact.value))


def _alike(one: Candidate, two: Candidate, least: float = NEAR_EACH_OTHER) -> bool:
    return one.vector is not None and two.vector is not None and float(one.vector @ two.vector) >= least


def _contradict(one: Fact | None, two: Fact | None, year: int | None) -> bool:
    """Whether two values exclude each other; metres and steps cannot be compared, a weekday and a day in a year."""
    if one is None or two is None or type(one.value) is not type(two.value):
        return False
    a, b = one.value, two.value
    if isinstance(a, Date) and isinstance(b, Date):
        a, b = _with_weekday(a, b, year), _with_weekday(b, a, year)
        parts = ("year", "month", "day", "weekday")
        known = any(getattr(a, p) is not None and getattr(b, p) is not None for p in parts)
        return not same(a, b) and (known or bool(a.months and b.month) or bool(b.months and a.month))
    if same(a, b):
        return False
    if isinstance(a, Number) and isinstance(b, Number):
        return a.unit.rstrip("s") == b.unit.rstrip("s")
    return True


def _with_weekday(one: Date, other: Date, year: int | None) -> Date:
    """A full date with its weekday, when the other is told by its weekday alone; `year` stands for one not said."""
    if other.weekday is None or one.weekday is not None or not (one.month and one.day and (one.year or year)):
        return one
    try:
        return replace(one, weekday=date(one.year or year or 0, one.month, one.day).weekday())
    except ValueError:
        return one


def _year(passages: Sequence[Passage]) -> int | None:
    """The year that the passages speak of, for days told without one: the one named most often."""
    facts = (fact.value for passage in passages for fact in find_facts(passage.text) if fact.kind == "date")
    named = Counter(value.year for value in facts if isinstance(value, Date) and value.year)
    return named.most_common(1)[0][0] if named else None


def _asked_for(question: Question, asked: Asked, candidate: Candidate) -> Fact | None:
    """Of the fitting facts the one that stands where an answer would."""
    facts = fitting_facts(question, candidate.text)
    if not facts:
        return None
    shares = standing(question, asked, candidate, facts)
    best = max(range(len(facts)), key=lambda n: shares[n])
    return facts[best] if shares[best] >= STANDING else None
