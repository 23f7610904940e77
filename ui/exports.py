"""What the page gives away to keep: a conversation as Markdown or JSON, feedback as lines for `rag eval new`."""

from __future__ import annotations

import json
import re
import time

from index.errors import RagError
from ui.conversations import Saved
from ui.desk import Desk
from ui.footnoted import footnoted


def exported(desk: Desk, user: str, what: str, id: str) -> tuple[str, str, str]:
    """File name, media type and text. `what`: "md" or "json" of conversation `id`, or "feedback". Raises RagError."""
    if what == "feedback":
        return "feedback.jsonl", "application/x-ndjson", desk.feedback.export(user).text
    if what not in ("md", "json"):
        raise RagError(f"There is no export {what!r:.40}; known: md, json, feedback.")
    saved = desk.conversations.load(user, id)
    name = re.sub(r"[^\w -]+", "", saved.title)[:60].strip() or "conversation"
    if what == "md":
        return f"{name}.md", "text/markdown; charset=utf-8", markdown(saved)
    return f"{name}.json", "application/json", as_json(saved)


def markdown(saved: Saved) -> str:
    """A heading for each question, its answer, its footnotes."""
    asked = time.strftime("%Y-%m-%d %H:%M", time.localtime(saved.created))
    turns = [
        f"## {turn.question}\n\n{footnoted(turn.answer) if turn.answer else '(This answer cannot be read any more.)'}\n"
        for turn in saved.turns
    ]
    return "\n".join([f"# {saved.title}\n\n{asked}\n", *turns])


def as_json(saved: Saved) -> str:
    """Everything of the conversation; answers as `Answer.from_dict` restores them."""
    turns = [
        {"question": turn.question, "asked": turn.asked, "answer": turn.answer.to_dict() if turn.answer else None}
        for turn in saved.turns
    ]
    whole = {"title": saved.title, "created": saved.created, "changed": saved.changed, "turns": turns}
    return json.dumps(whole, ensure_ascii=False, indent=2)
