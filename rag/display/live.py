"""Outputs of a notebook that change while work goes on: an answer as it comes, a progress bar. Needs IPython.

An output is updated at most ten times a second: each update goes through the kernel's one line to the page.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from index.errors import MissingExtraError
from index.sync import Progress
from rag.display.notebook import answer_html, progress_html, streaming_html
from rag.values import Answer, Citation, CitationEvent, Event, Final, TextDelta

_INTERVAL = 0.1


def show(events: Iterable[Event]) -> Answer:
    """Draw the events of a stream as they come; returns its answer. Raises MissingExtraError without IPython."""
    output = _Output(streaming_html("", []))
    text, citations = "", list[Citation]()
    for event in events:
        if isinstance(event, Final):
            output.draw(answer_html(event.answer))
            return event.answer
        if isinstance(event, CitationEvent):
            citations.append(event.citation)
        elif isinstance(event, TextDelta):
            text += event.text
            output.offer(lambda text=text: streaming_html(text, citations))
    raise AssertionError("a stream ends with its answer")


@contextmanager
def notebook_bar() -> Iterator[Progress]:
    """A progress bar as an output of the running cell, gone when the work is done."""
    output = _Output("")
    began: dict[str, float] = {}

    def report(what: str, done: int, total: int) -> None:
        seconds = time.monotonic() - began.setdefault(what, time.monotonic())
        output.offer(lambda: progress_html(what, done, total, seconds))

    try:
        yield report
    finally:
        output.draw("")


class _Output:
    """One output of the running cell."""

    def __init__(self, html: str) -> None:
        try:
            from IPython.display import HTML, display
        except ImportError as error:
            raise MissingExtraError("Showing an answer while it comes", "notebook") from error
        self._wrap: Any = HTML
        self._handle: Any = display(HTML(html), display_id=True)
        self._drawn = time.monotonic()

    def offer(self, html: Any) -> None:
        """Draw what `html()` gives, unless something was drawn just now."""
        if time.monotonic() - self._drawn >= _INTERVAL:
            self.draw(html())

    def draw(self, html: str) -> None:
        """Replace what the output shows."""
        if self._handle is not None:  # None outside a kernel: plain IPython prints once and cannot update
            self._handle.update(self._wrap(html))
        self._drawn = time.monotonic()
