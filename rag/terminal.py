"""Text on its way to a terminal: nothing that a document, a file's name or a model says may steer it. Asks nothing.

Also how an answer's footnotes are printed. The values themselves stay as they are; only what is shown is cleaned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rag.visible import escaped_json, one_line, printable

if TYPE_CHECKING:
    from rag.values import Answer

_DOUBTS = {"partial": "partly supported", "unsupported": "NOT SUPPORTED by its source", "uncited": "no source given"}


def echo(text: object = "", nl: bool = True, err: bool = False) -> None:
    """`click.echo` of `printable(text)`."""
    click.echo(printable(str(text)), nl=nl, err=err)


def echo_json(text: str) -> None:
    """Print JSON; the characters that could steer a terminal are written as JSON's own escapes, so nothing is lost."""
    click.echo(escaped_json(text))


def print_footnotes(answer: Answer) -> None:
    """What to doubt, the sources by number, and a line on how the answer came about."""
    for sentence in answer.sentences:
        if sentence.verdict in _DOUBTS:
            echo(f"  ! {_DOUBTS[sentence.verdict]}: {sentence.text}")
    if answer.citations:
        echo()
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        quote = " ".join(citation.quote.split())
        echo(f"[{citation.number}] {one_line(citation.doc)}{page} ({citation.start}-{citation.end}): “{quote}”")
    doubt = " (too low to answer)" if answer.abstained else ""
    echo(f"\nconfidence {answer.confidence:.2f}{doubt}, {answer.model}, {answer.timings['total']:.2f} s")
