"""The stretches of a sentence that could be a short answer, each with what speaks for it. Does not choose; see
`rag.headline`.

English word lists where grammar is looked at; in other languages they match nothing and the values, the capitals and
the meaning are left to speak.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from index.terms import STOP_WORDS, words_and_terms
from rag.clues import Asked
from rag.facts import Fact, Number, find_facts
from rag.question import TYPED, Question, fitting_facts

# Words of a headline at most.
LONGEST = 7
_WORD = re.compile(r"(?:[A-Z]\.){2,}|[^\W_]+(?:[.’'&/-][^\W_]+)*|[$£€¥](?=\d)|[%°]")
_BREAK = re.compile(r"[;:()\[\]“”\"—|!?\n]|,(?!\s?\d)|\.\s")
_EDGE = re.compile(r"[,;:()\[\]\"“”—|.\n]")
_ARTICLES = frozenset(("a", "an", "the"))
_COUNTED = frozenset(("number", "money", "percent", "duration"))
_LINKS = frozenset(
    """a an the this that these those and or but nor so yet if then than as at by for from in into of off on onto out
    over to up with within without about above after again against along among around before behind below between beyond
    during except inside near since through throughout toward towards under until upon via is are was were be been being
    am has have had do does did can could will would shall should may might must he she it they we you i him her them us
    his its their our your my who whom whose which what when where why how there here not no also only just both either
    neither each while because although though whether including such other more most some any all many much first
    however therefore thus per due""".split()
)
_VERBS = frozenset(
    """made went came took gave got said saw knew found told became left began kept held brought wrote stood heard let
    meant set met ran paid sat spoke lay led grew lost fell sent built understood drew broke spent cut rose drove
    bought wore chose won wins beat includes called named known used based located contains become
    becomes makes make""".split()
)
NAMES = (
    "value", "holds", "within", "misses", "cuts", "cuts_name", "given", "far", "around", "closed", "article", "joints",
    "long", "verb_first", "verb_last", "verb_within", "capital_thing", "capital_person", "digit_thing", "digit_else",
    "no_digit", "percent", "opens", "opens_alone", "asked_after", "passive_after", "dated", "named", "is_next",
    "quoted", "focus_next", "focus_near", "adjective", "asking", "focus", "alike", "alike_most",
)  # fmt: skip
"""What `clues` gives of each stretch, in this order."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words `first` to `last` of a sentence, at text[start:end]."""

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True)
class Parsed:
    """A sentence taken apart for one question: its words, which of them the question gives, which link, which act."""

    question: Question
    text: str
    idf: Mapping[str, float]

    @cached_property
    def words(self) -> list[re.Match[str]]:
        """The words, in order."""
        return list(_WORD.finditer(self.text))

    @cached_property
    def terms(self) -> list[list[str]]:
        """The terms of each word."""
        return [[term for _, term in words_and_terms(word.group())] for word in self.words]

    @cached_property
    def weights(self) -> np.ndarray:
        """The idf of each word that the question gives, 0 of the others."""
        wanted = set(self.question.terms)
        return np.array([max((self.idf.get(t, 0.0) for t in own if t in wanted), default=0.0) for own in self.terms])

    @cached_property
    def links(self) -> list[bool]:
        """Which words join others and are no answer."""
        return [word.group().lower() in _LINKS for word in self.words]

    @cached_property
    def acts(self) -> list[bool]:
        """Which words look like verbs."""
        return [_acts(word.group()) for word in self.words]

    @cached_property
    def facts(self) -> list[Fact]:
        """Dates, numbers and names of the sentence."""
        return find_facts(self.text)

    @cached_property
    def fitting(self) -> list[Fact]:
        """Those of the expected kind, where the question expects one."""
        return fitting_facts(self.question, self.text) if self.question.expected in TYPED else []

    def stretches(self) -> list[Stretch]:
        """Every stretch that could answer: up to LONGEST words, no link at its ends, not all of it in the question."""
        out = []
        for first, word in enumerate(self.words):
            if self.links[first] or word.group() in "%°":
                continue
            for last in range(first, min(len(self.words), first + LONGEST)):
                if last > first and self._parted(self.words[last - 1].end(), self.words[last].start()):
                    break
                if not self.links[last] and not all(self.weights[first : last + 1] > 0):
                    out.append(Stretch(first, last, word.start(), self.words[last].end()))
        return out

    def _parted(self, end: int, start: int) -> bool:
        """Whether a mark between two words parts them: not within a date or a name ("Jan. 3, 2026")."""
        return bool(_BREAK.search(self.text, end, start)) and not any(
            fact.start < end and start < fact.end for fact in self.facts
        )


def clues(
    parsed: Parsed, stretches: Sequence[Stretch], asked: Asked, states: np.ndarray, pieces: Sequence[tuple[int, int]]
) -> np.ndarray:
    """What speaks for each stretch: (stretches, len(NAMES)).

    `states` (n, 384) and `pieces` are those of the sentence's word pieces, `asked` those of the question.
    """
    similar = _similar(parsed, asked, states, pieces)
    rows = [{**_kind(parsed, at), **_place(parsed, at), **_form(parsed, at)} for at in stretches]
    for at, row in zip(stretches, rows, strict=True):
        own = similar[at.first : at.last + 1]
        row |= {
            "asking": float(own[:, 0].mean()),
            "focus": float(own[:, 1].mean()),
            "alike": float(own[:, 2].mean()),
            "alike_most": float(own[:, 2].max()),
        }
    return np.array([[row[name] for name in NAMES] for row in rows], float).reshape(len(rows), len(NAMES))


def _kind(parsed: Parsed, at: Stretch) -> dict[str, float]:
    """How the stretch agrees with the values in the sentence and with what is asked for."""
    expected = parsed.question.expected
    text = parsed.text[at.start : at.end]
    spans = [(fact.start, fact.end) for fact in parsed.fitting]
    value = (at.start, at.end) in spans
    holds = any(at.start <= start and end <= at.end for start, end in spans)
    cut = [f.kind for f in parsed.facts if f.start < at.end and f.end > at.start and not _inside(f, at)]
    digit = any(map(str.isdigit, text))
    spelled = any(isinstance(fact.value, Number) and _inside(fact, at) for fact in parsed.facts)
    capital = all(parsed.words[n].group()[0].isupper() or parsed.links[n] for n in range(at.first, at.last + 1))
    capital = capital and (at.first > 0 or at.last > at.first)
    return {
        "value": float(value),
        "holds": float(holds and not value),
        "within": float(any(start <= at.start and at.end <= end for start, end in spans) and not value),
        "misses": float(bool(spans) and not holds),
        "cuts": float("date" in cut or "number" in cut),
        "cuts_name": float("name" in cut),
        "capital_thing": float(capital and expected == "thing"),
        "capital_person": float(capital and expected in {"person", "place"}),
        "digit_thing": float(digit and expected == "thing"),
        "digit_else": float(digit and expected in {"person", "place", "reason"}),
        "no_digit": float(not digit and not spelled and (expected in _COUNTED or expected == "date")),
        "percent": float(expected == "number" and parsed.text[at.end : at.end + 2].strip()[:1] == "%"),
        "given": float((parsed.weights[at.first : at.last + 1] > 0).mean()),
    }


def _place(parsed: Parsed, at: Stretch) -> dict[str, float]:
    """Where the stretch stands: beside which of the question's words, before or after them."""
    question, weights = parsed.question, parsed.weights
    there = [n for n in np.flatnonzero(weights) if n < at.first or n > at.last]
    steps = [at.first - n if n < at.first else n - at.last for n in there]
    total = float(weights.sum()) or 1.0
    middle = float(weights @ np.arange(len(weights))) / total if there else len(weights) / 2
    after = (at.first + at.last) / 2 > middle
    following = [term for own in parsed.terms[at.last + 1 : at.last + 5] for term in own]
    beside = parsed.terms[at.first - 1] if at.first else []
    return {
        "far": math.log(min(steps, default=20)),
        "around": sum(float(weights[n]) * math.exp(-step / 4) for n, step in zip(there, steps, strict=True)) / total,
        "asked_after": float(after and question.voice == "object"),
        "passive_after": float(after and question.voice == "copula"),
        "focus_next": float(bool(question.focus) and question.focus in following[:1] + beside),
        "focus_near": float(bool(question.focus) and question.focus in following and question.expected in _COUNTED),
    }


def _form(parsed: Parsed, at: Stretch) -> dict[str, float]:
    """How the stretch is built and what it leans against."""
    words, text = parsed.words, parsed.text
    left = words[at.first - 1].group().lower() if at.first else ""
    right = words[at.last + 1].group().lower() if at.last + 1 < len(words) else ""
    gap = text[words[at.first - 1].end() if at.first else 0 : at.start]
    rest = text[at.end : words[at.last + 1].start()] if at.last + 1 < len(words) else "."
    opened = at.first == 0 or parsed.links[at.first - 1] or bool(_EDGE.search(gap))
    return {
        "closed": float(not right or parsed.links[at.last + 1] or bool(_EDGE.search(rest))),
        "article": float(left in _ARTICLES),
        "joints": float(sum(parsed.links[at.first : at.last + 1])),
        "long": float(at.last - at.first >= 4),
        "verb_first": float(parsed.acts[at.first]),
        "verb_last": float(parsed.acts[at.last]),
        "verb_within": float(any(parsed.acts[at.first + 1 : at.last])),
        "opens": float(at.first == 0),
        "opens_alone": float(at.first == 0 and at.last == 0),
        "dated": float(left in {"in", "on", "since", "until", "from", "during"} and parsed.question.expected == "date"),
        "named": float(left in {"called", "named", "as", "by"}),
        "is_next": float(right in {"is", "are", "was", "were"}),
        "quoted": float(bool(re.search(r"[\"“]", gap))),
        "adjective": float(not opened and not parsed.acts[at.first - 1] and not words[at.first].group()[0].isupper()),
    }


def _similar(parsed: Parsed, asked: Asked, states: np.ndarray, pieces: Sequence[tuple[int, int]]) -> np.ndarray:
    """Cosines of each word with the asking word, with the question's focus and with the likest piece: (words, 3)."""
    out = np.zeros((len(parsed.words), 3))
    if not len(states) or not len(asked.states):
        return out
    each = states @ asked.states.T
    about = asked.asking, asked.focus
    columns = [each[:, mask].mean(axis=1) if mask.any() else np.zeros(len(each)) for mask in about]
    table = np.c_[columns[0], columns[1], each.max(axis=1)]
    for n, word in enumerate(parsed.words):
        own = [row for row, (start, end) in enumerate(pieces) if word.start() <= start < word.end() and end > start]
        if own:
            out[n] = table[own].mean(axis=0)
    return out


def _inside(fact: Fact, at: Stretch) -> bool:
    return at.start <= fact.start and fact.end <= at.end


def _acts(word: str) -> bool:
    if not word.islower() or word in STOP_WORDS:
        return False
    return word in _VERBS or (word.endswith("ed") and len(word) > 4) or (word.endswith("ing") and len(word) > 5)
