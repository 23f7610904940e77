"""What a question asks for: its content terms and the kind of value that would answer it. Nothing about documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from index.terms import query_terms
from rag.facts import Fact, Number, find_facts

Expected = Literal["date", "number", "money", "percent", "duration", "person", "place", "reason", "yesno", "thing"]

_RULES: tuple[tuple[Expected, str], ...] = (
    ("money", r"\bhow much (?:money|did .* (?:cost|pay|earn|spend|raise))|\b(?:cost|price|fare|fee|salary|revenue|budget)\b.*\?*$"),
    ("duration", r"\bhow long\b|\bfor how (?:many (?:years|days|hours|minutes|months|weeks))\b"),
    ("percent", r"\b(?:what|which) (?:percentage|percent|share|proportion|fraction)\b|\bhow many percent\b"),
    ("number", r"\bhow (?:many|much|often|old|far|tall|high|deep|fast|large|big|wide|heavy|hot|cold|loud|bright)\b"
               r"|\bwhat (?:is|was|were|are) the (?:number|amount|total|population|height|length|depth|speed|size|weight|distance|rate)\b"),
    ("date", r"^when\b|\bwhen (?:did|was|were|is|are|will|does)\b|\b(?:what|which|in what|in which) (?:exact )?(?:year|date|day|month|decade|century|time)\b"),
    ("person", r"^(?:to |with |by |from |for )?who(?:m|se)?\b|\b(?:what|which) (?:\w+ )?(?:person|man|woman|president|king|queen|engineer|journalist|author|scientist|leader|envoy|captain|player|artist|candidate|director|minister|general|pope|emperor)\b"),
    ("place", r"^(?:from |to |in )?where\b|\bwhere (?:did|was|were|is|are|does)\b|\b(?:what|which|in what|in which|from what|from which) (?:\w+ )?(?:country|city|town|state|place|region|continent|island|river|county|province|village|capital|location)\b"),
    ("reason", r"^why\b|\bfor what reason\b|\bwhat (?:caused|was the reason|is the reason|led to)\b"),
    ("yesno", r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must)\b"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _RULES)


@dataclass(frozen=True, slots=True)
class Question:
    """A question read: its text, its terms without stop words, what it expects."""

    text: str
    terms: tuple[str, ...]
    expected: Expected


def read_question(text: str) -> Question:
    """Read a question; English patterns, any other language expects a thing."""
    text = " ".join(text.split())
    expected = next((kind for kind, pattern in _COMPILED if pattern.search(text)), "thing")
    return Question(text, tuple(query_terms(text)), expected)


_TIME_UNITS = {"second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month",
               "months", "year", "years", "decade", "decades", "century", "centuries"}  # fmt: skip


def fitting_facts(question: Question, text: str) -> list[Fact]:
    """The facts of `text` of the kind that the question expects, those that the question itself gives left out."""
    given = question.text.casefold()
    facts = [fact for fact in find_facts(text) if fact.text.casefold() not in given]
    match question.expected:
        case "date":
            return [f for f in facts if f.kind == "date" or (isinstance(f.value, Number) and f.value.unit == "time")]
        case "number":
            return [f for f in facts if f.kind == "number"]
        case "money":
            return [
                f
                for f in facts
                if isinstance(f.value, Number) and (f.value.unit in "$£€¥" and f.value.unit or f.value.value >= 1e3)
            ]
        case "percent":
            return [
                f for f in facts if isinstance(f.value, Number) and (f.value.unit in ("%", "") or f.value.value < 100)
            ]
        case "duration":
            return [f for f in facts if isinstance(f.value, Number) and f.value.unit in _TIME_UNITS]
        case "person" | "place":
            return [f for f in facts if f.kind == "name"]
        case _:
            return facts
