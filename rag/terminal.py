"""Text on its way to a terminal: nothing that a document, a file's name or a model says may steer it. Asks nothing.

Also how an answer's footnotes are printed. The values themselves stay as they are; only what is shown is cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rag.visible import escaped_json, one_line, printable

if TYPE_CHECKING:
    from rag.values import Answer, Passage

NEAREST, NEAREST_CHARS = 3, 160
"""Passages shown under an abstention, and how much of each."""
_DOUBTS = {"partial": "partly supported", "unsupported": "NOT SUPPORTED by its source", "uncited": "no source given"}


def echo(text: object = "", nl: bool = True, err: bool = False) -> None:
    """`click.echo` of `printable(text)`."""
    click.echo(printable(str(text)), nl=nl, err=err)


def echo_json(text: str) -> None:
    """Print JSON; the characters that could steer a terminal are written as JSON's own escapes, so nothing is lost."""
    click.echo(escaped_json(text))


def echo_piece(text: str) -> None:
    """The next piece of an answer as it streams; its headline in bold instead of between stars."""
    if found := re.fullmatch(r"\*\*(.+)\*\*( \[1\]\n\n)", text):
        click.secho(printable(found[1]), bold=True, nl=False)
        text = found[2]
    echo(text, nl=False)


def print_footnotes(answer: Answer) -> None:
    """What to doubt, the sources by number, and a line on how the answer came about."""
    for sentence in answer.sentences:
        if sentence.verdict in _DOUBTS:
            echo(f"  ! {_DOUBTS[sentence.verdict]}: {sentence.text}")
    if answer.citations or answer.abstained:
        echo()
    if answer.abstained:
        _print_nearest(answer.passages[:NEAREST])
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        quote = " ".join(citation.quote.split())
        echo(f"[{citation.number}] {one_line(citation.doc)}{page} ({citation.start}-{citation.end}): “{quote}”")
    doubt = " (too low to answer)" if answer.abstained else ""
    echo(f"\nconfidence {answer.confidence:.2f}{doubt}, {answer.model}, {answer.timings['total']:.2f} s")


def _print_nearest(passages: Sequence[Passage]) -> None:
    for passage in passages:
        page = f", page {passage.page}" if passage.page else ""
        text = one_line(passage.text)
        text = text if len(text) <= NEAREST_CHARS else f"{text[:NEAREST_CHARS].rsplit(' ', 1)[0]} ..."
        echo(f"  {one_line(passage.doc)}{page} ({passage.start}-{passage.end}): {text}")
