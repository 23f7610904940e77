"""What a question asks for: its content terms and the kind of value that would answer it. Nothing about documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from index.terms import STOP_WORDS, query_terms, words_and_terms
from rag.facts import Fact, Number, find_facts

Voice = Literal["subject", "object", "copula"]
Expected = Literal["date", "number", "money", "percent", "duration", "person", "place", "reason", "yesno", "thing"]
TYPED: frozenset[Expected] = frozenset(("date", "number", "money", "percent", "duration", "person", "place"))
"""What a value answers: of the other kinds of question no kind of value can be told to fit."""

_PEOPLE = (
    "person|man|woman|president|king|queen|engineer|journalist|author|scientist|leader|envoy|captain|player|artist|"
    "candidate|director|minister|general|pope|emperor|actor|actress|singer|writer|poet|painter|composer|coach|inventor|"
    "architect|explorer|historian|philosopher|politician|officer|keeper|founder|manager|judge|prince|princess|winner"
)
_PLACES = "country|city|town|state|place|region|continent|island|river|county|province|village|capital|location"
_MEASURES = "number|amount|total|population|height|length|depth|speed|size|weight|distance|rate"
_DEGREES = "many|much|often|old|far|tall|high|deep|fast|large|big|wide|heavy|hot|cold|loud|bright"
_RULES: tuple[tuple[Expected, str], ...] = (
    ("money", r"\bhow much (?:money\b|did .* (?:cost|pay|earn|spend|raise)\b)"),
    ("money", r"\b(?:cost|price|fare|fee|wage|salary|revenue|budget)\b.*\?*$"),
    ("duration", r"\bhow long\b|\bfor how many (?:years|days|hours|minutes|months|weeks)\b"),
    ("percent", r"\b(?:what|which) (?:percentage|percent|share|proportion|fraction)\b|\bhow many percent\b"),
    ("number", rf"\bhow (?:{_DEGREES})\b|\bwhat (?:is|was|were|are) the (?:[\w'’-]+ ){{0,3}}(?:{_MEASURES})\b"),
    ("date", r"^when\b|\bwhen (?:did|was|were|is|are|will|does)\b"),
    ("date", r"\b(?:what|which) (?:exact )?(?:year|date|day|month|decade|century|time)\b"),
    ("date", r"\bwhat (?:is|was|are|were) the (?:[\w'’-]+ ){0,2}(?:date|year|birthday)\b"),
    ("person", rf"^(?:to |with |by |from |for )?who(?:m|se)?\b|\b(?:what|which) (?:\w+ )?(?:{_PEOPLE})\b"),
    ("place", rf"^(?:from |to |in )?where\b|\bwhere (?:did|was|were|is|are|does)\b|\b(?:what|which) (?:{_PLACES})\b"),
    ("reason", r"^why\b|\bfor what reason\b|\bwhat (?:caused|was the reason|is the reason|led to)\b"),
    ("yesno", r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must)\b"),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _RULES)


@dataclass(frozen=True, slots=True)
class Question:
    """A question read: its text, its terms without stop words, those of them in names and numbers, what it expects.

    `focus` is the term of what is asked for ("envoy" of "Which envoy"), empty where none is named; `voice` says whether
    that is the subject, the object ("What did he ...") or tied by a copula ("What was ...").
    """

    text: str
    terms: tuple[str, ...]
    names: tuple[str, ...]
    expected: Expected
    focus: str = ""
    voice: Voice = "subject"


def read_question(text: str) -> Question:
    """Read a question; English patterns, any other language expects a thing. What it tells the answerer to do ("Round
    to two decimals.") is left out: no document speaks of that."""
    text = core(" ".join(text.split()))
    expected: Expected = next((kind for kind, pattern in _COMPILED if pattern.search(text)), "thing")
    # A word with a capital inside the question, or with a digit, names something.
    named = " ".join(found.group() for found in re.finditer(r"(?<=\s)[^\W_a-zß-ÿ][\w'’.-]*|\b\d[\w.,-]*", text))
    names = tuple(query_terms(named)) if named else ()
    return Question(text, tuple(query_terms(text)), names, expected, _focus(text), _voice(text))


_AUXILIARIES = "is|are|was|were|did|do|does|has|have|had|can|could|will|would"
_FOCUS = (
    re.compile(
        rf"\b(?:what|which|how many|how much|whose)\s+((?:[\w'’-]+\s+){{1,3}}?)(?:(?:{_AUXILIARIES}|of|in|to|that|"
        r"who|from|for|on|by|with)\b|$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:what|which|who)\s+(?:is|are|was|were)\s+(?:the\s+)?((?:[\w'’-]+\s+){0,5}?[\w'’-]+)(?=\s+(?:of|in|to|"
        r"that|who|from|for|on|by|with|is|are|was|were)\b|\s*\?|$)",
        re.IGNORECASE,
    ),
)
_VERBS: tuple[tuple[Voice, str], ...] = (
    ("object", "did|do|does"),
    ("copula", "is|are|was|were|has|have|had|can|could|will|would"),
)
_VOICES = tuple(
    (voice, re.compile(rf"\b(?:who|whom|whose|what|which|when|where|why|how)\s+(?:\w+\s+){{0,4}}?(?:{verbs})\b", re.I))
    for voice, verbs in _VERBS
)


def _focus(text: str) -> str:
    for pattern in _FOCUS:
        if found := pattern.search(text):
            terms = [term for word, term in words_and_terms(found[1]) if word not in STOP_WORDS]
            if terms:
                return terms[-1]
    return ""


def _voice(text: str) -> Voice:
    return next((voice for voice, pattern in _VOICES if pattern.search(text)), "subject")


_TIME_UNITS = {"second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month",
               "months", "year", "years", "decade", "decades", "century", "centuries"}  # fmt: skip


_GOES_ON = re.compile(r"(?:and|but|or|so|then|what about|how about|why not|which one)\b", re.IGNORECASE)
_PRONOUNS = frozenset("it its they them their theirs he him his she her hers".split())
_POINTERS = frozenset("this these those former latter same else another others".split())
_HELPERS = frozenset("did do does is are was were has have had will would can could should might must".split())
_BEFORE_THAT = frozenset("of in at on about after before by for from with is was are were like than why to".split())
_DUMMY_IT = re.compile(r"\bit\s+(?:\w+\s+)?(?:costs?|takes?|take|true|possible|necessary|important)\b.*\b(?:to|that)\b")
# A question with this many terms says what its "this" and "another" mean.
_WHOLE = 4


def alternatives(question: Question) -> tuple[str, str] | None:
    """The two terms between which a question lets choose ("Was it small or large?"), None where it does not."""
    if question.expected != "yesno":
        return None
    found = re.search(r"(\w+),? or (?:(?:an?|the|rather|in|on|by|for|with|to)\s+)?(\w+)", question.text)
    pair = [term for word in found.groups() for _, term in words_and_terms(word)] if found else []
    return (pair[0], pair[1]) if len(pair) == 2 and pair[0] != pair[1] and pair[1] != "not" else None


_INSTRUCTS = re.compile(
    r"(?:please |then |also )*(?:answer|respond|reply|assume|imagine|suppose|give|provide|round|calculate|compute|"
    r"address|use|using|base|rely|keep|be|write|state|explain|express|show|list|include|cite|quote|return|output|if|"
    r"you are|act)\b",
    re.IGNORECASE,
)


def core(text: str) -> str:
    """A question without the sentences around it that instruct whoever answers, nor such a lead before a colon.

    Only where a sentence with a question mark is left; else the text as it is.
    """
    parts = re.split(r"(?<=[.?!])\s+(?=[A-Z(])", text)
    asking = [part for part in parts if part.endswith("?")]
    if not asking:
        return text
    lead = re.match(r"([^?:]+):\s+(?=\w)", asking[0])
    if lead and _INSTRUCTS.match(lead[1]):
        asking[0] = asking[0][lead.end() :]
    told = [part for part in parts if not part.endswith("?") and not _INSTRUCTS.match(part)]
    return " ".join([*told, *asking])


def follows_up(question: Question) -> bool:
    """Whether a question leans on the one before it: it points back, or names hardly anything itself.

    A pronoun with something before it in the question that it can stand for does not point back ("How old was Manning
    when he played?"), unless a verb asks for it as its subject ("Which boat did they use?").
    """
    if len(question.terms) < 2 or _GOES_ON.match(question.text):
        return True
    words = re.findall(r"[^\W_]+", question.text.casefold())
    return any(_points_back(words, place, question) for place in range(len(words)))


def _points_back(words: list[str], place: int, question: Question) -> bool:
    word, before, after = words[place], words[place - 1] if place else "", "".join(words[place + 1 : place + 2])
    if word in _PRONOUNS:
        if word == "it" and _DUMMY_IT.search(question.text.casefold()):
            return False
        if place == len(words) - 1 and not question.names:  # "Does the bill mention it?"
            return True
        return before in _HELPERS or all(earlier in STOP_WORDS or len(earlier) < 3 for earlier in words[:place])
    if word == "there":  # not the one that only says that something is
        return before not in _HELPERS | {"be", "been"} and after not in _HELPERS | {"s"}
    if word == "that":
        return before in _BEFORE_THAT and after not in _HELPERS
    return word in _POINTERS and len(question.terms) < _WHOLE


def fitting_facts(question: Question, text: str) -> list[Fact]:
    """The facts of `text` of the kind that the question expects, those that the question itself gives left out."""
    given = {word.replace(".", "") for word in re.findall(r"[\w.]+", question.text.casefold())}
    facts = [fact for fact in find_facts(text) if not given.issuperset(re.findall(r"\w+", _undotted(fact.text)))]
    fits = _FITS.get(question.expected)
    return [fact for fact in facts if fits(fact)] if fits else facts


def _undotted(text: str) -> str:
    return text.casefold().replace(".", "")


def _number(fact: Fact, test: Callable[[Number], bool] = lambda number: True) -> bool:
    return isinstance(fact.value, Number) and test(fact.value)


_FITS: Mapping[Expected, Callable[[Fact], bool]] = {
    "date": lambda fact: fact.kind == "date" or _number(fact, lambda n: n.unit == "time"),
    "number": _number,
    # A sum has a currency, or is large and has none that was understood.
    "money": lambda fact: _number(fact, lambda n: n.unit in {"$", "£", "€", "¥"} or n.value >= 1000),
    "percent": lambda fact: _number(fact, lambda n: n.unit == "%" or n.value < 100),
    "duration": lambda fact: _number(fact, lambda n: n.unit in _TIME_UNITS),
    "person": lambda fact: fact.kind == "name",
    "place": lambda fact: fact.kind == "name",
}
