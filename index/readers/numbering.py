"""The numbers that Word shows before list items and headings, counted as Word counts: no text holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    form: str
    text: str
    start: int


@dataclass(slots=True)
class Numbering:
    """The list definitions of a document and how far each has counted."""

    lists: dict[str, str] = field(default_factory=dict)
    """List id to the id of its definition, which several lists may share and count on."""
    levels: dict[tuple[str, int], _Level] = field(default_factory=dict)
    restarts: dict[tuple[str, int], int] = field(default_factory=dict)
    styled: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: dict[str, list[int | None]] = field(default_factory=dict)

    def level_of(self, number: str, style: str) -> int:
        """The level that a list's definition ties to a paragraph style, else the first."""
        return self.styled.get((self.lists.get(number, ""), style), 0)

    def label(self, number: str, depth: int) -> str | None:
        """Count one item on; what stands before it: `-`, `3.`, `b)`, `2.1`; None where there is no such list."""
        kind = self.lists.get(number)
        level = self.levels.get((kind, depth)) if kind is not None else None
        if kind is None or level is None:
            return None
        counts = self.counts.setdefault(kind, [None] * _LEVELS)
        restart = self.restarts.pop((number, depth), None)
        last = counts[depth]
        counts[depth] = restart if restart is not None else level.start if last is None else last + 1
        counts[depth + 1 :] = [None] * (_LEVELS - depth - 1)
        if level.form == "bullet":
            return "-"
        if level.form == "none":
            return ""
        return re.sub(r"%([1-9])", lambda found: self._shown(kind, int(found[1]) - 1), level.text).strip()

    def _shown(self, kind: str, depth: int) -> str:
        level = self.levels.get((kind, depth))
        count = self.counts[kind][depth]
        if level is None:
            return ""
        return _written(level.start if count is None else count, level.form)


def numbering_of(root: Any) -> Numbering:
    """Read the numbering part of a document (an lxml element)."""
    out = Numbering()
    for definition in root.iter(f"{W}abstractNum"):
        kind = definition.get(f"{W}abstractNumId", "")
        for level in definition.iter(f"{W}lvl"):
            depth = _number(level.get(f"{W}ilvl"), 0)
            if 0 <= depth < _LEVELS:
                start = _number(_value(level, "start"), 1)
                text = (_value(level, "lvlText") or "")[:40]
                out.levels[kind, depth] = _Level(_value(level, "numFmt") or "decimal", text, start)
                if style := _value(level, "pStyle"):
                    out.styled[kind, style] = depth
    for instance in root.iter(f"{W}num"):
        number = instance.get(f"{W}numId", "")
        out.lists[number] = _value(instance, "abstractNumId") or ""
        for override in instance.iter(f"{W}lvlOverride"):
            if (restart := _value(override, "startOverride")) is not None:
                out.restarts[number, _number(override.get(f"{W}ilvl"), 0)] = _number(restart, 1)
    return out


def _value(element: Any, name: str) -> str | None:
    child = element.find(f"{W}{name}")
    return None if child is None else child.get(f"{W}val")


def _number(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"\d{1,6}", text) else default


def _written(count: int, form: str) -> str:
    if form in ("lowerLetter", "upperLetter") and 1 <= count <= 26 * 20:
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
    elif form in ("lowerRoman", "upperRoman") and 1 <= count < 4000:
        letters = "".join(digits[count // 10**place % 10] for place, digits in reversed(list(enumerate(_ROMAN))))
    elif form == "decimalZero":
        return f"{count:02d}"
    else:
        return str(count)
    return letters.upper() if form.startswith("upper") else letters


_ROMAN = (
    ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"),
    ("", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx", "xc"),
    ("", "c", "cc", "ccc", "cd", "d", "dc", "dcc", "dccc", "cm"),
    ("", "m", "mm", "mmm"),
)
