"""Sentences read in the paragraph they stand in, so that its other sentences say who "she" is. Nothing is ranked here.

The model reads whole paragraphs, each once, and a sentence is given the states of its own word pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from index.minilm import Reading

Span = tuple[str, int, int]
"""Document, start, end."""

# A paragraph up to this many characters is read whole (the model takes about 1,000); of a longer one, so much of it
# before the sentence and the rest after.
WINDOW, BEFORE = 900, 300
# Characters read for one question: about a third of a second on two cores.
READ_CHARS = 6000

_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n")


def windows(
    spans: Sequence[Span], text_of: Callable[[str], str], limit: int = READ_CHARS
) -> list[tuple[Span, list[int]]]:
    """Stretches of text to read, each with the numbers of the spans in it; the first spans have precedence, and what
    lies beyond the limit is left out."""
    found: list[tuple[Span, list[int]]] = []
    used = 0
    for number, (doc, start, end) in enumerate(spans):
        holding = next((held for (at, a, b), held in found if at == doc and a <= start and end <= b), None)
        if holding is not None:
            holding.append(number)
            continue
        first, last = _window(text_of(doc), start, end)
        if found and used + last - first > limit:
            continue
        used += last - first
        found.append(((doc, first, last), [number]))
    return found


def _window(text: str, start: int, end: int) -> tuple[int, int]:
    low, high = max(0, start - WINDOW), min(len(text), max(end, start + WINDOW))
    first, last = text.rfind("\n\n", low, start), text.find("\n\n", end, high)
    first, last = (first + 2 if first >= 0 else low), (last if last >= 0 else high)
    if last - first <= WINDOW:
        return first, last
    near = max(first, start - BEFORE)
    opened = next((found.end() for found in _SENTENCE.finditer(text, near, start)), None)
    first = near if near == first else opened if opened is not None else start
    return first, max(end, min(last, first + WINDOW))


def states_in(reading: Reading, start: int, end: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The states of the pieces in characters start to end of a text that was read, (n, 384), and their spans in it,
    counted from `start`. Empty where the model's window had ended before."""
    own = [n for n, (a, b) in enumerate(reading.spans) if a >= start and b <= end and b > a]
    if not own:
        return reading.states[:0], []
    return reading.states[own[0] : own[-1] + 1], [
        (a - start, b - start) for a, b in reading.spans[own[0] : own[-1] + 1]
    ]
