"""Dates, quantities and names in a text, as values that can be compared across formats. Finds; judges nothing.

`Jan. 3` and `January 3, 2026` are compatible dates, `1.5 billion` and `1,500 million` the same number, `nearly 15 000`
and `15,000` too. English month and number words; digits and ISO dates of any language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from index.terms import fold

Kind = Literal["date", "number", "name"]


@dataclass(frozen=True, slots=True)
class Date:
    """A date as far as it is said: each part may be None; weekday counts from Monday = 0.

    `months` are those that "early 2025" or "late 2025" could mean; empty where nothing of the kind is said.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    months: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A quantity: `value` scaled (5 million = 5e6), `grain` half its last digit, `unit` a folded word or symbol."""

    value: float
    grain: float
    unit: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A value at text[start:end]."""

    kind: Kind
    start: int
    end: int
    text: str
    value: Date | Number | str


_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = {name[:length]: number for number, name in enumerate(_MONTHS, 1) for length in (3, len(name))} | {"sept": 9}
# Generous at their borders: what is called the middle of a year may lie in August or in May.
_PARTS = {"early": (1, 2, 3, 4, 5), "mid": (5, 6, 7, 8), "late": (8, 9, 10, 11, 12)}
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SCALE = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "mn": 1e6, "bn": 1e9,
          "m": 1e6, "k": 1e3, "b": 1e9, "dozen": 12, "score": 20}  # fmt: skip
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {w: n for n, w in enumerate(_ONES)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
_NTHS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_ORDINALS = {w: n for n, w in enumerate(_NTHS, 1)}

_M = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_D = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_Y = r"(?P<year>1\d{3}|20\d{2})"
_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_Y}-(?P<month>0[1-9]|1[0-2])-(?P<day>[0-3]\d)\b",
        rf"\b{_M}\s+{_D}(?!\d|[:.,]\d)(?:,?\s+{_Y}(?!\d))?",
        rf"\b{_D}\s+(?:of\s+)?{_M}\b(?:,?\s+{_Y}(?!\d))?",
        rf"\b(?:early|mid|late)?[- ]?{_M},?\s+(?:of\s+)?{_Y}\b",
        r"\b(?P<weekday>monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b",
        rf"\b(?P<part>early|mid|late)[- ]{_Y}\b(?!s)",
        rf"(?<![\d.,$£€]){_Y}\b(?![\d%]|[,.]\d|\s+(?:people|metres|meters|feet|km|miles))(?!s\b)",
        r"\b(?P<month>January|February|March|April|June|July|August|September|October|November|December)\b",
    )
]
_NUMBER = re.compile(
    r"(?P<sign>(?<!\w)[-−](?=[$£€¥]?\d))?(?P<currency>[$£€¥])?\s?"
    r"(?P<digits>\d{1,3}(?:[,\u00a0\u202f ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:\s?(?P<scale>hundred|thousand|million|billion|trillion|mn|bn|m|k|b|dozen)\b)?"
    r"(?P<percent>\s?%|\s?per\s?cent\b|\s?percent\b)?(?:[-\s](?P<unit>[^\W\d_]+))?",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_SPELLED = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<one>{'|'.join(_ONES[1:10])}))?|(?P<ones>{'|'.join(_ONES)})"
    rf"|(?<!\ba )(?<!\bper )(?P<ordinal>{'|'.join(_ORDINALS)})"
    r"|(?P<article>a)(?=\s(?:hundred|thousand|million|billion|dozen)\b))"
    r"(?:\s(?P<scale>hundred|thousand|million|billion|dozen)\b)?"
    rf"(?:[-\s](?P<unit>(?!(?:{'|'.join((*_ONES, *_TENS))})\b)[^\W\d_]+))?",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:[A-ZÀ-ÖØ-Þ][\w'’&.-]*[\w]|[A-Z])(?:\s+(?:(?:of|de|del|la|von|van|der|den|du|di|da|al|bin|and the|of the)\s+)?"
    r"(?:[A-ZÀ-ÖØ-Þ][\w'’&-]*\w|[A-Z]\.?(?=\s)))*"
)


def find_facts(text: str) -> list[Fact]:
    """Dates, times of day and numbers outside dates, names outside both; in reading order, none overlapping."""
    taken = bytearray(len(text))
    facts: list[Fact] = []
    for found, date in _dates(text):
        _take(facts, taken, "date", found.start(), found.end(), text, date)
    for found in _TIME.finditer(text):
        minutes = float(found[1]) * 60 + float(found[2])
        _take(facts, taken, "number", found.start(), found.end(), text, Number(minutes, 0.0, "time"))
    for found in _NUMBER.finditer(text):
        first = found.start("currency") if found["currency"] else found.start("digits")
        end = (
            found.end("percent") if found["percent"] else found.end("scale") if found["scale"] else found.end("digits")
        )
        if not re.match(r"[A-Za-z_.]", text[max(0, first - 1) : first]):  # not inside "F16" or "v2.3"
            _take(facts, taken, "number", first, end, text, _number(found))
    for found in _SPELLED.finditer(text):
        end = max(found.end(group) for group in ("tens", "one", "ones", "ordinal", "article", "scale"))
        _take(facts, taken, "number", found.start(), end, text, _spelled(found))
    for found in _NAME.finditer(text):
        name = found.group()
        if not (_opens_sentence(text, found.start()) and " " not in name and not _is_acronym(name)):
            _take(facts, taken, "name", found.start(), found.end(), text, fold(name))
    return sorted(facts, key=lambda fact: fact.start)


def same(one: Date | Number | str, two: Date | Number | str) -> bool:
    """Whether two values could be the same thing said in two ways; values of different kinds are not."""
    if isinstance(one, Date) and isinstance(two, Date):
        pairs = [(getattr(one, part), getattr(two, part)) for part in ("year", "month", "day", "weekday")]
        if any(a is not None and b is not None and a != b for a, b in pairs):
            return False
        return all(not a.months or b.month is None or b.month in a.months for a, b in ((one, two), (two, one)))
    if isinstance(one, Number) and isinstance(two, Number):
        for unit in ("%", "time"):
            if (one.unit == unit) != (two.unit == unit):
                return False
        return abs(one.value - two.value) <= max(one.grain, two.grain, 0.01 * abs(two.value)) * 1.0001
    if isinstance(one, str) and isinstance(two, str):
        short, long = sorted((set(one.split()), set(two.split())), key=len)
        return short <= long
    return False


def _dates(text: str) -> list[tuple[re.Match[str], Date]]:
    out = []
    for pattern in _DATES:
        for found in pattern.finditer(text):
            part = found.groupdict()
            month, day = part.get("month"), part.get("day")
            number = (
                int(month)
                if month and month.isdigit()
                else _MONTH.get(month.lower().rstrip(".")[:3])
                if month
                else None
            )
            if day and not 1 <= int(day) <= 31:
                continue
            # "may" and "march" are words too: without a day or a year only the capital tells.
            if month and not day and not part.get("year") and not month[0].isupper():
                continue
            weekday = part.get("weekday")
            date = Date(
                int(part["year"]) if part.get("year") else None,
                number,
                int(day) if day else None,
                _WEEKDAYS.index(weekday.lower()) if weekday else None,
                _PARTS.get((part.get("part") or "").lower(), ()),
            )
            out.append((found, date))
    return out


def _number(found: re.Match[str]) -> Number:
    digits = re.sub(r"[,\u00a0\u202f ]", "", found["digits"])
    scale = _SCALE[found["scale"].lower()] if found["scale"] else 1.0
    decimals = len(digits.partition(".")[2])
    unit = "%" if found["percent"] else found["currency"] or (found["unit"] or "").lower()
    value = float(digits) * scale * (-1 if found["sign"] else 1)
    return Number(value, 0.5 * scale * 10.0**-decimals if decimals or scale > 1 else 0.0, unit)


def _spelled(found: re.Match[str]) -> Number:
    if found["ordinal"]:
        return Number(float(_ORDINALS[found["ordinal"].lower()]), 0.0, (found["unit"] or "").lower())
    value = 1.0 if found["article"] else float(_WORDS[(found["tens"] or found["ones"]).lower()])
    value += _WORDS[found["one"].lower()] if found["one"] else 0
    value *= _SCALE[found["scale"].lower()] if found["scale"] else 1.0
    return Number(value, 0.0, (found["unit"] or "").lower())


def _take(
    facts: list[Fact], taken: bytearray, kind: Kind, start: int, end: int, text: str, value: Date | Number | str
) -> None:
    while start < end and text[start].isspace():
        start += 1
    if start < end and not any(taken[start:end]):
        taken[start:end] = b"\1" * (end - start)
        facts.append(Fact(kind, start, end, text[start:end], value))


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \"'“‘«([*_#>-•")
    return not before or before[-1] in ".!?:;\n。！？|"


def _is_acronym(name: str) -> bool:
    return len(name) > 1 and name.isupper()
