"""A conversation of the page and the one that is kept of it: turns go in, are cut, come back, with what was said."""

from __future__ import annotations

import logging
from dataclasses import replace

from index.errors import RagError
from rag.display.prose import escape
from rag.values import Answer, Trace
from ui.answers import answer_html, failure
from ui.chat import Conversation, View
from ui.conversations import Turn
from ui.desk import Desk
from ui.reopening import at_present

_log = logging.getLogger(__name__)


def keep(desk: Desk, user: str, conversation: Conversation) -> None:
    """Keep the last turn, answered or failed. What cannot be kept is said below the answer, which stays."""
    view = conversation.views[-1] if conversation.views else None
    if view is None or view.row is not None:
        return
    kept = view.answer or view.failed
    if not kept or not desk.kb.index.exists():  # where nothing is indexed, looking around makes no folder
        return
    try:
        if conversation.id is None:
            conversation.id = desk.conversations.create(user)
        row = desk.conversations.append(user, conversation.id, view.question, kept)
        conversation.views[-1] = replace(view, row=row, answer=view.answer and _light(view.answer))
    except RagError as error:
        _log.warning("a turn was not kept: %s", error)
        conversation.views[-1] = replace(view, body=view.body + failure(f"This turn was not kept: {error}"))


def cut(desk: Desk, user: str, conversation: Conversation) -> None:
    """Let go of the kept turns that a question being written anew replaces."""
    if conversation.editing is None or conversation.id is None:
        return
    rows = [view.row for view in conversation.views[conversation.editing :] if view.row is not None]
    if rows:
        desk.conversations.cut(user, conversation.id, rows[0])


def reopened(desk: Desk, user: str, id: str) -> Conversation:
    """A kept conversation as it was, its citations working. Raises ConversationError."""
    saved = desk.conversations.load(user, id)
    said = desk.feedback.given(user, id)
    views = [replace(_view(desk, turn), said=tuple(said.get(turn.id, ()))) for turn in saved.turns]
    return Conversation(views, id)


def _view(desk: Desk, turn: Turn) -> View:
    if turn.answer is None:
        words = turn.failed or "This answer was kept by another version, which this one cannot read."
        return View(turn.question, failure(words), done=True, failed=turn.failed, row=turn.id)
    now = at_present(desk.kb, turn.answer)
    gone = "".join(f'<p class="soft">{escape(note)}</p>' for note in now.notes)
    body = answer_html(now.answer) + gone
    return View(turn.question, body, done=True, answer=_light(now.answer), row=turn.id)


def _light(answer: Answer) -> Answer:
    """Of a kept answer, what an open page still needs: neither its passages' words nor the fates of all candidates."""
    return replace(answer, passages=tuple(replace(p, text="") for p in answer.passages), trace=Trace())
