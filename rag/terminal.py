"""Text on its way to a terminal: nothing that a document, a file's name or a model says may steer it. Asks nothing.

Also how an answer's footnotes are printed. The values themselves stay as they are; only what is shown is cleaned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rag.values import Answer

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
# Controls; what turns the direction of writing (so that a shown quote reads otherwise than it stands); invisible tags.
_HIDDEN = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_STEERING = re.compile(rf"[{_HIDDEN}\U000e0000-\U000e007f]")
_STEERING_JSON = re.compile(rf"[{_HIDDEN.replace('x0b-', 'x0e-')}\U000e0000-\U000e007f]")

_DOUBTS = {"partial": "partly supported", "unsupported": "NOT SUPPORTED by its source", "uncited": "no source given"}


def printable(text: str) -> str:
    """`text` without escape sequences, control characters (but new lines and tabs) and invisible characters."""
    return _STEERING.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


def echo(text: object = "", nl: bool = True, err: bool = False) -> None:
    """`click.echo` of `printable(text)`."""
    click.echo(printable(str(text)), nl=nl, err=err)


def echo_json(text: str) -> None:
    """Print JSON; the characters that could steer a terminal are written as JSON's own escapes, so nothing is lost."""
    click.echo(_STEERING_JSON.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


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
        echo(f"[{citation.number}] {citation.doc}{page} ({citation.start}-{citation.end}): “{quote}”")
    doubt = " (too low to answer)" if answer.abstained else ""
    echo(f"\nconfidence {answer.confidence:.2f}{doubt}, {answer.model}, {answer.timings['total']:.2f} s")
