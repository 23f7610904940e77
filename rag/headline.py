"""The short answer lifted from a sentence: a date, a number with its unit, a name, a noun phrase; none when in doubt.

A wrong headline is worse than none. Each stretch of the sentence is scored by a fitted linear model; its share among
all of them says how sure the choice is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rag.clues import Asked
from rag.extract import Candidate
from rag.facts import Fact
from rag.question import Expected, Question
from rag.spans import NAMES, Parsed, Stretch, clues

# Fitted by benchmarks/answers.py on XQuAD: the gold answer against every other stretch of its sentence, by multinomial
# logistic regression.
WEIGHTS = {
    "value": 2.8, "holds": 0.57, "within": 1.44, "misses": -0.46, "cuts": -2.04, "cuts_name": -1.64, "given": -0.75,
    "far": -0.3, "around": 3.45, "closed": 0.89, "article": 0.53, "joints": -0.6, "long": -0.55, "verb_first": -0.46,
    "verb_last": -1.35, "verb_within": -0.69, "capital_thing": 1.82, "capital_person": 0.85, "digit_thing": 0.4,
    "digit_else": -0.05, "no_digit": -1.07, "percent": -0.4, "opens": 1.28, "opens_alone": 0.93, "asked_after": 0.89,
    "passive_after": 0.41, "dated": 1.35, "named": 1.23, "is_next": 1.16, "quoted": 1.48, "focus_next": 1.23,
    "focus_near": 0.72, "adjective": -0.8, "asking": 2.47, "focus": 2.2, "alike": -2.59, "alike_most": 1.44,
}  # fmt: skip
# The least share of the best stretch at which it is shown, by what is asked for: dates are lifted right more often than
# names, names than noun phrases. Chosen so that three in four are right (benchmarks/RESULTS.md).
SURE: dict[Expected, float] = {
    "date": 0.35, "duration": 0.35, "money": 0.35, "percent": 0.5, "number": 0.5, "person": 0.5, "place": 0.75,
    "thing": 0.75,
}  # fmt: skip
# The least confidence in the answer itself.
CONFIDENT = 0.7

_RANGE = re.compile(r"\s?(?:to|–|-)\s?(?=\d)[\d.,]*\d(?:\s(?:thousand|million|billion))?")
_UNIT = re.compile(
    r"[-\s]?(?:%|°[CF]?|percent\b|per cent\b|(?:square |cubic |nautical |light )?(?:kilo|centi|milli)?"
    r"(?:met(?:re|er)s?|"
    r"grams?|lit(?:re|er)s?|miles?|feet|foot|inch(?:es)?|yards?|acres?|hectares?|tons?|tonnes?|pounds?|km|cm|mm|kg|mph|"
    r"hours?|minutes?|seconds?|days?|weeks?|months?|years?|decades?|centuries|knots?|degrees?|euros?|dollars?)\b)"
    r"(?:\s+(?:and\s+)?\d+\s+(?:hours?|minutes?|seconds?|days?|weeks?|months?))?",
    re.IGNORECASE,
)


def headline(question: Question, best: Candidate, asked: Asked, confidence: float) -> str:
    """The short answer in the best sentence; empty when none can be lifted with confidence."""
    if best.states is None or question.expected not in SURE or confidence < CONFIDENT:
        return ""
    parsed = Parsed(question, best.text, asked.idf)
    stretches = parsed.stretches()
    if not stretches:
        return ""
    table = clues(parsed, stretches, asked, best.states, best.pieces)
    shares = chances(table)
    chosen = int(shares.argmax())
    if shares[chosen] < SURE[question.expected]:
        return ""
    return completed(best.text, stretches[chosen], question)


def standing(question: Question, asked: Asked, candidate: Candidate, facts: Sequence[Fact]) -> list[float]:
    """How likely each value of a sentence is what was asked for, by the chances of the stretches it consists of.

    Without the states of the sentence's word pieces the value nearest to a word of the question has it all.
    """
    if candidate.states is None:
        return _nearest(question, candidate.text, facts)
    parsed = Parsed(question, candidate.text, asked.idf)
    stretches = parsed.stretches()
    if not stretches:
        return [0.0] * len(facts)
    shares = chances(clues(parsed, stretches, asked, candidate.states, candidate.pieces))
    inside = [[fact.start <= at.start and at.end <= fact.end for at in stretches] for fact in facts]
    return [float(shares[own].max()) if any(own) else 0.0 for own in inside]


def _nearest(question: Question, text: str, facts: Sequence[Fact]) -> list[float]:
    words = [re.escape(word) for word in re.findall(r"\w{3,}", question.text)]
    places = [found.start() for found in re.finditer("|".join(words), text, re.IGNORECASE)] if words else []
    distances = [min((abs(fact.start - place) for place in places), default=0) for fact in facts]
    return [float(distance == min(distances)) for distance in distances]


def chances(table: np.ndarray) -> np.ndarray:
    """The model's probability of each stretch: softmax of the weighted clues."""
    scores = table @ np.array([WEIGHTS[name] for name in NAMES])
    odds = np.exp(scores - scores.max())
    shares: np.ndarray = odds / odds.sum()
    return shares


def completed(text: str, at: Stretch, question: Question) -> str:
    """The stretch with its currency sign, the other end of its range, and its unit unless the question names that."""
    start, end = at.start, at.end
    if start and text[start - 1] in "$£€¥" and text[start].isdigit():
        start -= 1
    if text[end - 1].isdigit() and (other := _RANGE.match(text, end)):
        end = other.end()
    counts = text[end - 1].isdigit() or _SPELLED.search(text[start:end])
    unit = _UNIT.match(text, end) if counts else None
    if unit and not re.search(rf"\bhow many {re.escape(unit.group().strip(' -'))}", question.text, re.IGNORECASE):
        end = unit.end()
    return " ".join(text[start:end].split())


_SPELLED = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|million|"
    r"billion)$",
    re.IGNORECASE,
)
