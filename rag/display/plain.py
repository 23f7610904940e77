"""Answers and passages as plain text and as Markdown, for terminals, logs and files. Draws no HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.display.cited import where
from rag.display.prose import names, shortened
from rag.values import Answer, Citation, Passage

# HTML and images are what a Markdown viewer would load or run.
_ACTIVE = re.compile(r"[<>]|!\[")


def answer_markdown(answer: Answer) -> str:
    """The answer, then its footnotes with quote and place."""
    titles = {passage.doc: passage.title for passage in answer.passages}
    notes = "\n".join(
        f"{c.number}. “{_inert(' '.join(c.quote.split()))}” — {_inert(where(c, titles))}" for c in answer.citations
    )
    parts = [f"**{_inert(answer.question)}**", _inert(answer.text), *_warnings(answer), notes]
    return "\n\n".join(part for part in parts if part)


def answer_text(answer: Answer) -> str:
    """What `print(answer)` shows: text, doubts, footnotes."""
    notes = "\n".join(f"[{c.number}] {_place(c)}: “{' '.join(c.quote.split())}”" for c in answer.citations)
    return "\n\n".join(part for part in (answer.text, *_warnings(answer), notes) if part)


def passages_text(passages: Sequence[Passage]) -> str:
    """A line a passage."""
    return (
        "\n".join(f"{number}. {passage_line(passage)}" for number, passage in enumerate(passages, 1)) or "no passages"
    )


def passage_line(passage: Passage) -> str:
    """Where a passage stands, its score, its beginning."""
    name, _ = names(passage.doc, passage.title)
    page = f", page {passage.page}" if passage.page else ""
    return f"{name}{page} ({passage.start}-{passage.end}), score {passage.score:.2f}: {shortened(passage.text, 120)}"


def passages_markdown(passages: Sequence[Passage]) -> str:
    """A numbered list."""
    return "\n".join(f"{number}. {_inert(passage_line(passage))}" for number, passage in enumerate(passages, 1))


def _warnings(answer: Answer) -> list[str]:
    marks = {"partial": "partly supported", "unsupported": "not supported by its source", "uncited": "no source given"}
    doubted = [f"({marks[s.verdict]}: {s.text})" for s in answer.sentences if s.verdict in marks]
    return ["\n".join(doubted)] if doubted else []


def _place(citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    return f"{citation.doc}{page} ({citation.start}-{citation.end})"


def _inert(text: str) -> str:
    return _ACTIVE.sub(lambda found: "".join(f"\\{char}" for char in found.group()), text)
