"""Numbers in texts and whether two of them state the same quantity. No arithmetic on an answer's reasoning."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_SCALES = {
    **dict.fromkeys(("thousand", "k"), 1e3),
    **dict.fromkeys(("million", "mn", "mm", "m"), 1e6),
    **dict.fromkeys(("billion", "bn", "b"), 1e9),
    "trillion": 1e12,
}
_NUMBER = re.compile(
    r"""
    (?P<open>\()?
    (?P<sign>(?<![\w)])[-−–]\s?)?                                      # 10-15 and mid-2025 are not negative
    (?:(?P<currency>US\$|[$€£¥])\s?(?P<inner>[-−])?)?
    (?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+)
    (?:\s?(?P<percent>%|per\s?cent\b|percentage\b)
      |[\s-]?(?P<scale>thousand|million|billion|trillion|mn|mm|bn|m|b|k)\b)?
    (?P<close>\s?\))?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UNIT_WORDS = re.compile(r"(?i)\b(?:us|usd|eur|gbp|dollars?|euros?|pounds?)\b|[\s$€£¥%().,+~-]")
_POWERS = (1.0, 1e3, 1e-3, 1e6, 1e-6, 1e9, 1e-9)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a text. `value` has its sign but not its `scale` (1e6 after "million", None when none is named)."""

    value: float
    decimals: int
    percent: bool
    scale: float | None
    year: bool


def numbers(text: str) -> list[Number]:
    """The numbers of a text in order; a minus sign or accounting parentheses make one negative."""
    return [_number(match) for match in _NUMBER.finditer(unicodedata.normalize("NFKC", text))]


def number_match(answer: str, gold: str, rel_tol: float = 0.01) -> bool | None:
    """Whether every number of the gold has its like in the answer; None when the gold holds no number.

    Alike: |a*u - b| <= max(rel_tol*|b|, half a unit of b's last decimal) where u is a power of a thousand up to 10^±9
    (the scale may be said or left to the question), or 100 when only one side is a percentage; when both sides name
    their scale, only that. A rescaled number gets half a unit only up to 5 % of b: half a unit of "0.01" would
    otherwise cover a third of all numbers. Years in the gold are passed over, unless it has nothing else.
    Agreement with people on FinanceBench's 864 labelled answers to questions with one number as gold: kappa .91.
    """
    wanted = numbers(gold)
    if not wanted:
        return None
    given = numbers(answer)
    quantities = [number for number in wanted if not number.year]
    if not quantities:
        return {year.value for year in wanted} <= {number.value for number in given}
    return all(any(_alike(a, b, rel_tol) for a in given) for b in quantities)


def number_share(answer: str, gold: str, rel_tol: float = 0.01) -> float | None:
    """Share of the gold's numbers, years apart, that have their like in the answer; None when the gold has none."""
    wanted = [number for number in numbers(gold) if not number.year]
    given = numbers(answer)
    return sum(any(_alike(a, b, rel_tol) for a in given) for b in wanted) / len(wanted) if wanted else None


def is_quantity(gold: str) -> bool:
    """Whether a gold answer is one number with nothing but its currency, scale or percent sign, as `$1.2 million` is.

    A bare year is none: 1,988 would be close to 1988 within the tolerance of a quantity, and is not the year.
    """
    text = unicodedata.normalize("NFKC", gold)
    found = numbers(text)
    return len(found) == 1 and not found[0].year and not _UNIT_WORDS.sub("", _NUMBER.sub("", text))


def _number(match: re.Match[str]) -> Number:
    digits = match["digits"].replace(",", "")
    negative = match["sign"] or match["inner"] or (match["open"] and match["close"])
    plain = not (match["currency"] or match["percent"] or match["scale"])
    return Number(
        value=-float(digits) if negative else float(digits),
        decimals=len(digits.partition(".")[2]),
        percent=bool(match["percent"]),
        scale=_SCALES[match["scale"].lower()] if match["scale"] else None,
        year=plain and re.fullmatch(r"(?:19|20)\d\d", match["digits"]) is not None,
    )


def _alike(a: Number, b: Number, rel_tol: float) -> bool:
    half = 0.5 * 10.0**-b.decimals
    if a.scale and b.scale:
        return abs(a.value * (a.scale / b.scale) - b.value) <= max(rel_tol * abs(b.value), half)
    if abs(a.value - b.value) <= max(rel_tol * abs(b.value), half):
        return True
    if a.percent != b.percent:
        u = 0.01 if a.percent else 100.0
        if abs(a.value * u - b.value) <= max(rel_tol * abs(b.value), half):
            return True
    if b.value == 0.0:
        return False  # any number times 10^-9 is near nought
    loose = max(rel_tol, min(half / abs(b.value), 0.05)) * abs(b.value)
    return any(abs(a.value * u - b.value) <= loose for u in _POWERS[1:])
