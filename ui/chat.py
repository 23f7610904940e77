"""A chat turn as a generator of plain values: what the page shows at each moment. Knows no Gradio, decides no look."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from index.errors import RagError
from rag.answer import Rag
from rag.display.prose import escape
from rag.values import Answer, Citation, CitationEvent, Final, Step, TextDelta
from ui.answers import answer_html, failure, progress
from ui.cited import cited_text

INTERVAL = 0.05
"""Seconds between two states while text streams in: smooth to the eye, and a long answer does not flood the line."""

LONGEST_QUESTION = 4000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """A turn at one moment; `body` and `status` are HTML. `answer` is there once it is complete.

    `done` is true of the last state of every turn, be it answered, stopped or failed.
    """

    question: str
    body: str = ""
    status: str = ""
    done: bool = False
    answer: Answer | None = None

    def html(self, number: int) -> str:
        """The turn as an article of the page; `number` tells it from its neighbours."""
        busy = "false" if self.done else "true"
        return (
            f'<article class="turn" id="turn-{number}">'
            f'<h2 class="question" dir="auto">{escape(self.question)}</h2>'
            f'<div class="answer" dir="auto" aria-busy="{busy}">{self.body}{self.status}</div></article>'
        )


def turn(kb: Rag, question: str, history: Sequence[tuple[str, str]] = (), interval: float = INTERVAL) -> Iterator[View]:
    """The states of one turn, the last one `done`. Does not raise: what went wrong is said in the answer's place.

    `history` holds (question, answer) pairs; `interval` is in seconds.
    """
    view = View(question, status=progress((), writing=False))
    try:
        if len(question) > LONGEST_QUESTION:
            raise RagError(f"The question is longer than {LONGEST_QUESTION:,} characters; please shorten it.")
        yield view
        for view in _states(kb, question, history, interval):
            yield view
    except RagError as error:
        yield View(question, view.body + failure(str(error)), done=True)
    except Exception:
        _log.exception("a chat turn failed")
        reason = "Something failed that should not have. The terminal behind this page has the details."
        yield View(question, view.body + failure(reason), done=True)


def _states(kb: Rag, question: str, history: Sequence[tuple[str, str]], interval: float) -> Iterator[View]:
    done: list[Step] = []
    citations: list[Citation] = []
    text = ""
    shown = 0.0
    for event in kb.stream(question, history=history):
        if isinstance(event, Final):
            yield View(question, answer_html(event.answer), done=True, answer=event.answer)
            return
        if isinstance(event, CitationEvent):
            citations.append(event.citation)
            continue
        if isinstance(event, Step):
            done.append(event)
        elif isinstance(event, TextDelta):
            text += event.text
            if time.monotonic() - shown < interval:
                continue
        shown = time.monotonic()
        yield View(question, cited_text(text, citations), progress(done, writing=bool(text)))


class Conversation:
    """One person's turns in one page, oldest first; the last one may still be running."""

    def __init__(self) -> None:
        self.views: list[View] = []

    def ask(self, kb: Rag, question: str) -> Iterator[View]:
        """Add a turn and carry it through its states; ends early when `stop` is called or another turn begins."""
        history = [(view.question, view.answer.text) for view in self.views if view.answer]
        place = len(self.views)
        self.views.append(View(question))
        for view in turn(kb, question, history):
            if len(self.views) != place + 1 or self.views[place].done:
                return
            self.views[place] = view
            yield view

    def stop(self) -> None:
        """Leave the running turn as it is, and say so."""
        if self.views and not self.views[-1].done:
            self.views[-1] = replace(self.views[-1], status='<p class="status">Stopped.</p>', done=True)

    def past(self) -> str:
        """All turns but the last."""
        return "".join(view.html(number) for number, view in enumerate(self.views[:-1], 1))

    def live(self) -> str:
        """The last turn."""
        return self.views[-1].html(len(self.views)) if self.views else ""
