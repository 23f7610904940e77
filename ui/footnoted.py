"""An answer as plain text with its footnotes below, for the clipboard. Draws nothing."""

from __future__ import annotations

from rag.display.cited import where
from rag.display.prose import shortened
from rag.values import Answer


def footnoted(answer: Answer) -> str:
    """The text with its markers, then a line for each source: number, document, page, quoted words."""
    titles = {passage.doc: passage.title for passage in answer.passages}
    notes = [f"[{c.number}] {where(c, titles)}: “{shortened(c.quote, 400)}”" for c in answer.citations]
    return "\n\n".join([answer.text, "\n".join(notes)] if notes else [answer.text])
