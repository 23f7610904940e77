"""The short answer lifted from a sentence: a date, a number with its unit, a name, a noun phrase; none when in doubt.

A wrong headline is worse than none. Each stretch of the sentence is scored by a fitted linear model; its share among
all of them says how sure the choice is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from index.terms import words_and_terms
from rag.clues import Asked
from rag.extract import Candidate
from rag.facts import Fact
from rag.question import TYPED, Expected, Question, fitting_facts
from rag.quoted import cells_of
from rag.spans import LONGEST, NAMES, Parsed, Stretch, clues

# Fitted by benchmarks/answers.py on XQuAD: the gold answer against every other stretch of its sentence, by multinomial
# logistic regression.
WEIGHTS = {
    "value": 3.06, "holds": 0.35, "within": 1.67, "misses": -0.43, "cuts": -2.2, "cuts_name": -1.53, "given": -0.7,
    "far": -0.31, "around": 3.26, "closed": 0.87, "article": 0.52, "joints": -0.64, "long": -0.51, "verb_first": -0.4,
    "verb_last": -1.26, "verb_within": -0.66, "capital_thing": 1.8, "capital_person": 0.66, "digit_thing": 0.43,
    "digit_else": -0.06, "no_digit": -1.05, "percent": -0.35, "opens": 1.23, "opens_alone": 1.01, "asked_after": 0.84,
    "passive_after": 0.35, "dated": 1.23, "named": 1.2, "is_next": 1.07, "quoted": 1.55, "focus_next": 1.01,
    "focus_near": 1.08, "adjective": -0.72, "asking": 2.54, "focus": 2.27, "alike": -2.76, "alike_most": 1.51,
}  # fmt: skip
# The least share of the best stretch at which it is shown, by what is asked for, so that about three in four are right
# (benchmarks/RESULTS.md). Of places and of things it would be less than half, so none is lifted.
SURE: dict[Expected, float] = {
    "date": 0.4, "duration": 0.5, "money": 0.5, "percent": 0.5, "number": 0.6, "person": 0.6,
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


def headline(question: Question, best: Candidate, asked: Asked, weights: Mapping[str, float] | None = None) -> str:
    """The short answer in the best sentence; empty when none can be lifted with confidence."""
    if best.states is None or question.expected not in SURE:
        return ""
    parsed = Parsed(question, best.text, asked.idf)
    stretches = parsed.stretches()
    if not stretches:
        return ""
    table = clues(parsed, stretches, asked, best.states, best.pieces)
    shares = chances(table, weights or WEIGHTS)
    chosen = int(shares.argmax())
    if shares[chosen] < SURE[question.expected]:
        return ""
    return completed(best.text, stretches[chosen], question)


def cell_of(question: Question, row: str, header: str) -> str:
    """The cell of a table's row that answers: the one under the only heading that the question names, or beside the
    label of a row of two; empty where that leaves a choice."""
    cells, heads = cells_of(row), cells_of(header)
    if question.expected in {"yesno", "reason"}:
        return ""
    fit = [n for n in range(1, len(cells)) if question.expected not in TYPED or fitting_facts(question, cells[n])]
    if len(cells) > 2 and len(heads) == len(cells):
        wanted = set(question.terms)
        named = {n: sum(term in wanted for _, term in words_and_terms(heads[n])) for n in fit}
        fit = [n for n in fit if named[n] and named[n] == max(named.values())]
    elif len(cells) != 2:
        return ""
    return cells[fit[0]] if len(fit) == 1 and len(cells[fit[0]].split()) <= LONGEST else ""


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
    shares = chances(clues(parsed, stretches, asked, candidate.states, candidate.pieces), WEIGHTS)
    inside = [[fact.start <= at.start and at.end <= fact.end for at in stretches] for fact in facts]
    return [float(shares[own].max()) if any(own) else 0.0 for own in inside]


def _nearest(question: Question, text: str, facts: Sequence[Fact]) -> list[float]:
    words = [re.escape(word) for word in re.findall(r"\w{3,}", question.text)]
    places = [found.start() for found in re.finditer("|".join(words), text, re.IGNORECASE)] if words else []
    distances = [min((abs(fact.start - place) for place in places), default=0) for fact in facts]
    return [float(distance == min(distances)) for distance in distances]


def chances(table: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """The model's probability of each stretch: softmax of the weighted clues."""
    scores = table @ np.array([weights[name] for name in NAMES])
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
