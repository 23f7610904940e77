"""Sentences of different documents that give different values for what was asked. Finds sides; does not take one.

Two sentences disagree when both are about what was asked, each is about what the other is about, and the value that the
question asks for differs beyond format and rounding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.extract import Candidate
from rag.facts import Date, Fact, Number, same
from rag.question import Question, fitting_facts

Position = tuple[str, tuple[Candidate, ...]]

# A sentence takes part when its cosine with the question reaches this share of the best one's, and a pair of them
# when their own cosine is this high. Fitted by benchmarks/conflicts.py.
NEAR_QUESTION = 0.7
NEAR_EACH_OTHER = 0.5
_CONSIDERED = 8
_COMPARABLE = {"date", "number", "money", "percent", "duration", "person", "place"}


def find_conflicts(question: Question, ranked: Sequence[Candidate]) -> list[tuple[str, tuple[Position, ...]]]:
    """(aspect, positions) where documents differ; empty when they agree or the question asks for no such value."""
    if question.expected not in _COMPARABLE or not ranked:
        return []
    near = NEAR_QUESTION * max(candidate.cosine for candidate in ranked[:_CONSIDERED])
    found: list[tuple[Fact, Candidate]] = []
    for candidate in ranked[:_CONSIDERED]:
        # A document speaks with one voice: its best sentence.
        spoken = any(candidate.doc == other.doc for _, other in found)
        fact = _asked_for(question, candidate.text) if candidate.cosine >= near and not spoken else None
        if fact is not None:
            found.append((fact, candidate))
    sides = {
        number
        for i, (one, here) in enumerate(found)
        for j, (two, there) in enumerate(found)
        if i != j and _alike(here, there) and not _other_kind(one, two) and not same(one.value, two.value)
        for number in (i, j)
    }
    positions: list[tuple[Fact, list[Candidate]]] = []
    for number in sorted(sides):
        fact, candidate = found[number]
        for known, backed in positions:
            if known.value == fact.value or (not isinstance(fact.value, Date) and same(known.value, fact.value)):
                backed.append(candidate)
                break
        else:
            positions.append((fact, [candidate]))
    if not positions:
        return []
    return [(question.text, tuple((fact.text, tuple(backed)) for fact, backed in positions))]


def _alike(one: Candidate, two: Candidate) -> bool:
    return one.vector is not None and two.vector is not None and float(one.vector @ two.vector) >= NEAR_EACH_OTHER


def _other_kind(one: Fact, two: Fact) -> bool:
    """Values that cannot be compared, such as a weekday with a year or 61 metres with 168 steps, do not disagree."""
    if isinstance(one.value, Date) and isinstance(two.value, Date):
        parts = ("year", "month", "day", "weekday")
        return not any(getattr(one.value, p) is not None and getattr(two.value, p) is not None for p in parts)
    if isinstance(one.value, Number) and isinstance(two.value, Number):
        return one.value.unit.rstrip("s") != two.value.unit.rstrip("s")
    return type(one.value) is not type(two.value)


def _asked_for(question: Question, text: str) -> Fact | None:
    """Of the fitting facts the one nearest to the question's words."""
    facts = fitting_facts(question, text)
    if not facts:
        return None
    words = [re.escape(word) for word in re.findall(r"\w{3,}", question.text)]
    places = [found.start() for found in re.finditer("|".join(words), text, re.IGNORECASE)] if words else []
    return min(facts, key=lambda fact: min((abs(fact.start - place) for place in places), default=0))
