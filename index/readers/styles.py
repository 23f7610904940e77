"""What the paragraph styles of a Word document say: heading, title, list, code. Not how anything looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from index.readers.numbering import W


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph style says of its paragraphs. `level` counts headings from 1."""

    level: int | None = None
    list: tuple[str, int | None] | None = None
    role: str = ""


def value_at(element: Any, path: str) -> str | None:
    """The `w:val` of the element at a path below, if any."""
    found = element.find(path)
    return None if found is None else found.get(f"{W}val")


def outline(properties: Any, inherited: int | None) -> int | None:
    """Heading level from 1; an outline level of 9 says body text."""
    own = None if properties is None else value_at(properties, f"{W}outlineLvl")
    if own is None or not own.isdecimal():
        return inherited
    return int(own) + 1 if int(own) < 9 else None


def styles_of(root: Any) -> dict[str, Style]:
    """Every paragraph style, with what it takes over from the styles it is based on; "" is the default one."""
    elements = {
        style.get(f"{W}styleId", ""): style
        for style in root.iterchildren(f"{W}style")
        if style.get(f"{W}type", "paragraph") == "paragraph"
    }
    out = {name: _style(style, elements) for name, style in elements.items()}
    for name, style in elements.items():
        if style.get(f"{W}default") in ("1", "true"):
            out[""] = out[name]
    return out


_DEEPEST = 20
_ROLES = (
    ("contents", r"toc \d|toc heading"),
    ("title", r"title"),
    ("code", r".*\bcode\b.*|html preformatted|plain text"),
)


def _style(style: Any, elements: Mapping[str, Any]) -> Style:
    level: int | None = None
    listed: tuple[str, int | None] | None = None
    role = ""
    for _ in range(_DEEPEST):
        if style is None:
            break
        # Built-in styles keep their English name in the file, whatever language Word speaks.
        name = (value_at(style, f"{W}name") or "").lower()
        role = role or next((role for role, pattern in _ROLES if re.fullmatch(pattern, name)), "")
        properties = style.find(f"{W}pPr")
        heading = re.fullmatch(r"heading ([1-9])", name)
        if level is None:
            level = int(heading[1]) if heading else outline(properties, None)
        number = value_at(style, f"{W}pPr/{W}numPr/{W}numId")
        if listed is None and number is not None:
            depth = value_at(style, f"{W}pPr/{W}numPr/{W}ilvl")
            listed = (number, int(depth[:3]) if depth and depth.isdecimal() else None)
        style = elements.get(value_at(style, f"{W}basedOn") or "")
    return Style(level, listed, role)
