"""Cell values as Excel shows them: percent, thousands, currency, scale; dates in ISO 8601. Not fractions or colours."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[[^\]]*\]'
    r"|(?P<digits>[0#?][0#?,]*(?:\.[0#?]*)?,*|\.[0#?]+)(?P<exponent>E[+-]0+)?|(?P<plain>.)"
)


def shown(value: Any, number_format: str) -> str:
    """The text of a cell's value under its number format."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime | date | time | timedelta):
        return _moment(value, number_format)
    if isinstance(value, int | float):
        return _number(value, number_format)
    return str(value)


def _moment(value: datetime | date | time | timedelta, number_format: str) -> str:
    """ISO 8601, no more precise than what the format shows."""
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    letters = re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", number_format).lower()
    day = value.strftime("%Y-%m-%d") if value.year >= 1000 else value.isoformat()[:10]
    if "d" not in letters and "h" not in letters and "y" in letters:
        return day[:7] if "m" in letters else day[:4]
    if isinstance(value, datetime) and (value.hour or value.minute or value.second):
        return f"{day} {value.time().isoformat('seconds' if value.second else 'minutes')}"
    return day


def _number(value: float, number_format: str) -> str:
    sections = _sections(number_format)
    if not sections or not abs(value) < 1e15:
        return _general(value)
    section = sections[1] if value < 0 and len(sections) > 1 else sections[0]
    if value == 0 and len(sections) > 2:
        section = sections[2]
    if section.digits is None:
        return _general(value) if not section.before.strip() else section.before.strip()
    text = section.write(abs(value))
    return f"-{text}" if value < 0 and len(sections) == 1 and re.search("[1-9]", text) else text


def _general(value: float) -> str:
    """As Excel's General does: eleven digits, no noise of binary fractions."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value)) if abs(value) < 1e21 else f"{float(value):.10E}"
    return f"{value:.11g}"


@dataclass(frozen=True, slots=True)
class _Section:
    """One part of a number format: the text around the digits, and how these are written."""

    before: str
    after: str
    digits: str | None
    scale: Decimal
    exponent: bool

    def write(self, value: float) -> str:
        assert self.digits is not None
        whole, _, fraction = self.digits.partition(".")
        places = min(len(fraction), 12)
        scaled = Decimal(repr(value)) * self.scale
        if self.exponent:
            return f"{self.before}{float(scaled):.{places}E}{self.after}".strip()
        # In decimals and half up, as Excel rounds what it shows.
        rounded = scaled.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        text = f"{rounded:{',' if ',' in whole else ''}f}"
        needed = len(fraction.rstrip("#?"))
        while "." in text and text[-1] == "0" and len(text) - text.index(".") - 1 > needed:
            text = text[:-1]
        text = text.removesuffix(".")
        zeros = len(re.sub("[^0]", "", whole))
        if "," not in whole and zeros > 1:
            integer, dot, rest = text.partition(".")
            text = integer.zfill(min(zeros, 30)) + dot + rest
        return f"{self.before}{text}{self.after}".strip()


@functools.lru_cache(maxsize=1000)
def _sections(number_format: str) -> tuple[_Section, ...]:
    """The sections for positive, negative and zero numbers; () where the format shows numbers plainly."""
    if len(number_format) > 250 or re.search(
        r"general|[?#0]\s*/\s*[?#0\d]|@", number_format.split(";", maxsplit=1)[0], re.IGNORECASE
    ):
        return ()
    parts = re.findall(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;])+', number_format)[:3]
    found = tuple(_section(part) for part in parts)
    return found if found and found[0].digits is not None else ()


def _section(part: str) -> _Section:
    before: list[str] = []
    after: list[str] = []
    digits: str | None = None
    scale, exponent = Decimal(1), False
    for token in _TOKEN.finditer(part):
        if token["digits"] and digits is None:
            digits = token["digits"].rstrip(",")
            scale /= Decimal(1000) ** (len(token["digits"]) - len(digits))
            exponent = bool(token["exponent"])
            continue
        literal = token["quoted"] or token["escaped"] or token["currency"] or token["plain"] or ""
        scale *= 100 if token["plain"] == "%" else 1
        (before if digits is None else after).append(literal)
    return _Section("".join(before), "".join(after), digits, scale, exponent)
