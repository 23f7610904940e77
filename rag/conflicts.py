"""Sentences of different documents that give different values for what was asked. Finds sides; does not take one.

Two ways to disagree: two sentences about the same thing whose values of the kind that the question asks for differ
beyond format and rounding; and two sentences that are alike word for word but for a name, a number or a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from index.terms import words_and_terms
from rag.extract import Candidate
from rag.facts import Date, Fact, Number, find_facts, same
from rag.question import Question, fitting_facts
from rag.values import Passage

Position = tuple[str, tuple[Candidate, ...]]

# A sentence takes part when its cosine with the question reaches this share of the best one's, and a pair of them when
# their own cosine is this high.
NEAR_QUESTION = 0.7
NEAR_EACH_OTHER = 0.5
# Twins share this much of their words (SequenceMatcher ratio).
TWINS = 0.7
_CONSIDERED = 10
_COMPARABLE = {"date", "number", "money", "percent", "duration", "person", "place"}


@dataclass(frozen=True, slots=True)
class _Side:
    """A sentence and the value that it gives."""

    value: str
    fact: Fact | None
    candidate: Candidate


def find_conflicts(
    question: Question, ranked: Sequence[Candidate], passages: Sequence[Passage]
) -> list[tuple[str, tuple[Position, ...]]]:
    """(aspect, positions) where documents differ; empty when they agree or none gives such a value."""
    near = NEAR_QUESTION * max((candidate.cosine for candidate in ranked[:_CONSIDERED]), default=0.0)
    known = _documents_about(question, passages)
    close = [candidate for candidate in ranked[:_CONSIDERED] if candidate.cosine >= near]
    sides = _twins(question, close, known) or _differing(question, [c for c in close if c.doc in known])
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


def _differing(question: Question, about: Sequence[Candidate]) -> list[_Side]:
    """The sides of every pair that is alike in meaning and differs in the value that is asked for."""
    if question.expected not in _COMPARABLE:
        return []
    found: list[_Side] = []
    for candidate in about:
        # A document speaks with one voice: its best sentence.
        fact = _asked_for(question, candidate.text)
        if fact is not None and not any(candidate.doc == side.candidate.doc for side in found):
            found.append(_Side(fact.text, fact, candidate))
    return _paired(found, lambda a, b: _alike(a.candidate, b.candidate) and _contradict(a.fact, b.fact))


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


def _alike(one: Candidate, two: Candidate) -> bool:
    return one.vector is not None and two.vector is not None and float(one.vector @ two.vector) >= NEAR_EACH_OTHER


def _contradict(one: Fact | None, two: Fact | None) -> bool:
    """Whether two values exclude each other; a weekday and a year, or metres and steps, cannot be compared."""
    if one is None or two is None or type(one.value) is not type(two.value) or same(one.value, two.value):
        return False
    if isinstance(one.value, Date):
        parts = ("year", "month", "day", "weekday")
        return any(getattr(one.value, p) is not None and getattr(two.value, p) is not None for p in parts)
    if isinstance(one.value, Number) and isinstance(two.value, Number):
        return one.value.unit.rstrip("s") == two.value.unit.rstrip("s")
    return True


def _asked_for(question: Question, text: str) -> Fact | None:
    """Of the fitting facts the one nearest to the question's words."""
    facts = fitting_facts(question, text)
    if not facts:
        return None
    words = [re.escape(word) for word in re.findall(r"\w{3,}", question.text)]
    places = [found.start() for found in re.finditer("|".join(words), text, re.IGNORECASE)] if words else []
    return min(facts, key=lambda fact: min((abs(fact.start - place) for place in places), default=0))
