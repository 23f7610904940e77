"""A chat turn as a generator of plain values: what the page shows at each moment. Knows no Gradio, decides no look."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from index.errors import RagError
from rag.answer import Rag
from rag.chat import recent
from rag.values import Answer, Citation, CitationEvent, Final, Step, TextDelta
from ui.answers import answer_html, failure, progress
from ui.cited import cited_text
from ui.feedback import Given

INTERVAL = 0.05
"""Seconds between two states while text streams in: smooth to the eye, and a long answer does not flood the line."""

LONGEST_QUESTION = 4000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """A turn at one moment; `body` and `status` are HTML. `answer` is there once it is complete.

    `done` is true of the last state of every turn, be it answered, stopped or failed; `failed` then says why. `row`
    names the turn where it is kept, `said` is what a person said of it, `note` why something could not be kept.
    """

    question: str
    body: str = ""
    status: str = ""
    done: bool = False
    answer: Answer | None = None
    failed: str = ""
    row: int | None = None
    said: tuple[Given, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a turn is to be answered: passages within `where` only, `model` and `tokens` instead of the settings'."""

    where: Mapping[str, Any] | None = None
    model: str | None = None
    tokens: int | None = None

    def options(self) -> dict[str, Any]:
        """The arguments of `Rag.stream`."""
        return {"where": self.where, "model": self.model, "tokens": self.tokens}


def turn(
    kb: Rag,
    question: str,
    history: Sequence[tuple[str, str]] = (),
    wishes: Wishes | None = None,
    interval: float = INTERVAL,
) -> Generator[View, None, None]:
    """The states of one turn, the last one `done`. Does not raise: what went wrong is said in the answer's place.

    `history` holds (question, answer) pairs; `interval` is in seconds.
    """
    if len(question) > LONGEST_QUESTION:
        words = f"The question is longer than {LONGEST_QUESTION:,} characters; please shorten it."
        yield View(question, failure(words), done=True)  # nothing that one would ask again
        return
    view = View(question, status=progress((), writing=False))
    try:
        yield view
        with closing(_states(kb, question, history, wishes or Wishes(), interval)) as states:
            for view in states:
                yield view
    except RagError as error:
        yield View(question, view.body + failure(str(error)), done=True, failed=str(error))
    except Exception:
        _log.exception("a chat turn failed")
        reason = "Something failed that should not have. The terminal behind this page has the details."
        yield View(question, view.body + failure(reason), done=True, failed=reason)


def _states(
    kb: Rag, question: str, history: Sequence[tuple[str, str]], wishes: Wishes, interval: float
) -> Generator[View, None, None]:
    done: list[Step] = []
    citations: list[Citation] = []
    text = ""
    shown = 0.0
    # Closing, so that a turn that is broken off lets go of its model at once.
    with closing(kb.stream(question, history=history, **wishes.options())) as events:  # type: ignore[type-var]
        for event in events:
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


@dataclass(slots=True)
class Conversation:
    """One person's turns in one page, oldest first; the last one may still be running.

    `id` is the name under which it is kept, None before its first answer. `editing` is the place of a question that is
    being written anew: the next question takes its place, and what followed goes.
    """

    views: list[View] = field(default_factory=list)
    id: str | None = None
    editing: int | None = None

    def ask(self, kb: Rag, question: str, wishes: Wishes | None = None) -> Generator[View, None, None]:
        """Add a turn and carry it through its states; ends early when `stop` is called or another turn begins."""
        if self.editing is not None:
            del self.views[self.editing :]
            self.editing = None
        answered = [(view.question, view.answer.text) for view in self.views if view.answer]
        history = recent(answered, kb.settings.history_tokens)
        place = len(self.views)
        mine = View(question)
        self.views.append(mine)
        with closing(turn(kb, question, history, wishes)) as states:
            for view in states:
                if len(self.views) != place + 1 or self.views[place] is not mine:
                    return
                self.views[place] = mine = view
                yield view

    def stop(self) -> None:
        """Leave the running turn as it is, and say so."""
        if self.views and not self.views[-1].done:
            self.views[-1] = replace(self.views[-1], status='<p class="status">Stopped.</p>', done=True)

    def mark(self, number: int, **changes: Any) -> None:
        """Note something of a turn, counted from 1; nothing happens when there is no such turn."""
        if 1 <= number <= len(self.views):
            self.views[number - 1] = replace(self.views[number - 1], **changes)

    def view(self, number: Any) -> View | None:
        """The turn that a page means by `number`, counted from 1; None for anything else."""
        try:
            place = int(number)
        except (TypeError, ValueError):
            return None
        return self.views[place - 1] if 1 <= place <= len(self.views) else None
