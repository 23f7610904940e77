"""Turns as articles of the page: the question, the answer as far as it has come, and what one can do with it."""

from __future__ import annotations

from rag.display.prose import attributes, escape
from ui.chat import Conversation, View
from ui.footnoted import footnoted

SAID = {
    "good": "You called this a good answer.",
    "bad": "You called this a bad answer.",
    "wrong citation": "You reported a wrong citation.",
    "should have abstained": "You said that it should have abstained.",
    "right passage": "You showed the right passage.",
}


def past(conversation: Conversation) -> str:
    """All turns but the last."""
    return "".join(turn_html(conversation, number) for number in range(1, len(conversation.views)))


def live(conversation: Conversation) -> str:
    """The last turn."""
    return turn_html(conversation, len(conversation.views)) if conversation.views else ""


def turn_html(conversation: Conversation, number: int) -> str:
    """One turn, counted from 1."""
    view = conversation.views[number - 1]
    busy = "false" if view.done else "true"
    edited = conversation.editing is not None and number > conversation.editing
    note = _EDITING if conversation.editing == number - 1 else ""
    return (
        f'<article class="turn{" edited" if edited else ""}" id="turn-{number}" data-turn="{number}">'
        f'<h2 class="question" dir="auto">{escape(view.question)}</h2>{note}'
        f'<div class="answer" dir="auto" aria-busy="{busy}">{view.body}{view.status}</div>'
        f"{_tools(view, number) if view.done else ''}</article>"
    )


_EDITING = (
    '<p class="editing" role="status">You are writing this question anew; it and what follows will be replaced. '
    '<button type="button" class="plain" data-act="keep">Keep it</button></p>'
)


def _tools(view: View, number: int) -> str:
    """Copy, ask again, edit; and for an answer what one thinks of it."""
    copy = _tool("Copy", number, "Copy the answer with its footnotes", copy=footnoted(view.answer)) if view.answer else ""
    again = _tool("Retry", number, "Ask this again", act="retry") + _tool(
        "Edit", number, "Write the question anew", act="edit"
    )
    return f'<div class="tools">{copy}{again}{_opinions(view, number) if view.answer else ""}</div>'


def _opinions(view: View, number: int) -> str:
    assert view.answer is not None
    thumbs = "".join(
        _tool(sign, number, words, act="say", kind=kind, pressed=str(view.said == kind).lower())
        for kind, sign, words in (("good", "👍", "A good answer"), ("bad", "👎", "A bad answer"))
    )
    wrong = "".join(
        _tool(f"Citation [{c.number}] is wrong", number, act="say", kind="wrong citation", citation=str(c.number))
        for c in view.answer.citations
    )
    missed = "" if view.answer.abstained else _tool(
        "It should have said “not in these documents”", number, act="say", kind="should have abstained"
    )  # fmt: skip
    pick = _tool("Show the right passage …", number, pick="")
    said = f'<span class="said" role="status">{escape(SAID[view.said])} Thank you.</span>' if view.said in SAID else ""
    menu = (
        f'<details class="menu"><summary{attributes({"aria-label": f"Report a mistake in answer {number}"})}>Report'
        f'</summary><div class="choices">{wrong}{missed}{pick}</div></details>'
    )
    return f'<span class="opinions">{thumbs}{menu}</span>{said}'


def _tool(words: str, number: int, title: str | None = None, pressed: str | None = None, **data: str) -> str:
    """A quiet button; what it does stands in its data attributes."""
    named = {"type": "button", "class": "plain", "title": title, "aria-pressed": pressed, "data-turn": number}
    if title and not words.isalpha():
        named["aria-label"] = title
    return f"<button{attributes({**named, **{f'data-{key}': value for key, value in data.items()}})}>{words}</button>"
