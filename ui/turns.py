"""Turns as articles of the page: the question, the answer as far as it has come, and what one can do with it."""

from __future__ import annotations

from rag.display.prose import attributes, escape
from rag.values import Answer
from ui.chat import Conversation, View
from ui.footnoted import footnoted
from ui.icons import DOWN, UP

SAID = {
    "up": "You called this a good answer.",
    "down": "You called this a bad answer.",
    "wrong_citation": "You reported a wrong citation.",
    "should_abstain": "You said that it should have abstained.",
    "passage": "You showed the right passage.",
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
    copy = (
        _tool("Copy", number, "Copy the answer with its footnotes", copy=footnoted(view.answer)) if view.answer else ""
    )
    again = _tool("Retry", number, "Ask this again", act="retry") + _tool(
        "Edit", number, "Write the question anew", act="edit"
    )
    if view.answer and view.answer.abstained:
        again += _tool("Answer anyway", number, "Ask this again, and show the best there is", act="retry", anyway="1")
    opinions = _opinions(view, view.answer, number) if view.answer and view.row is not None else ""
    return f'<div class="tools">{copy}{again}{opinions}</div>'


def _opinions(view: View, answer: Answer, number: int) -> str:
    """Thumbs, and a menu of what may be wrong; what was said is said back."""
    kinds = {given.kind for given in view.said}
    wrong = {given.citation for given in view.said if given.kind == "wrong_citation"}
    thumbs = "".join(
        _tool(sign, number, words, act="say", kind=kind, pressed=kind in kinds)
        for kind, sign, words in (("up", UP, "A good answer"), ("down", DOWN, "A bad answer"))
    )
    choices = [
        _tool(
            f"Citation [{c.number}] is wrong", number, act="say", kind="wrong_citation", citation=str(c.number),
            pressed=c.number in wrong,
        )
        for c in answer.citations
    ]  # fmt: skip
    if not answer.abstained:
        words = "It should have said “not in these documents”"
        choices.append(_tool(words, number, act="say", kind="should_abstain", pressed="should_abstain" in kinds))
    choices.append(_tool("Show the right passage …", number, pick=view.question))
    label = attributes({"aria-label": f"Report a mistake in answer {number}"})
    menu = (
        f'<details class="menu"><summary{label}>Report</summary><div class="choices">{"".join(choices)}</div></details>'
    )
    said = " ".join(words for kind, words in SAID.items() if kind in kinds)
    thanks = f'<span class="said" role="status">{escape(said)} Thank you.</span>' if said else ""
    note = f'<span class="said warning" role="alert">{escape(view.note)}</span>' if view.note else ""
    return f'<span class="opinions">{thumbs}{menu}</span>{note or thanks}'


def _tool(words: str, number: int, title: str | None = None, pressed: bool | None = None, **data: str) -> str:
    """A quiet button; what it does stands in its data attributes."""
    named: dict[str, str | int | None] = {"type": "button", "class": "plain", "title": title, "data-turn": number}
    if pressed is not None:
        named["aria-pressed"] = named["data-pressed"] = str(pressed).lower()
    if title and not words.isalpha():
        named["aria-label"] = title
    return f"<button{attributes({**named, **{f'data-{key}': value for key, value in data.items()}})}>{words}</button>"
