"""The list of conversations: titles, when each was used, and what one can do with it. Keeps nothing itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

from rag.display.prose import attributes, escape
from ui.conversations import Listed


def talks_html(listed: Sequence[Listed], current: str | None = None, words: str = "") -> str:
    """Conversations, the latest first, under the day on which they were used last."""
    if not listed:
        return (
            f'<p class="soft">{"No conversation holds these words." if words.strip() else "No conversations yet."}</p>'
        )
    now = time.time()
    parts = []
    for day, group in groupby(listed, key=lambda talk: _day(talk.changed, now)):
        rows = "".join(_row(talk, talk.id == current) for talk in group)
        parts.append(f"<h2>{day}</h2><ul>{rows}</ul>")
    return "".join(parts)


def _day(then: float, now: float) -> str:
    day, today = time.localtime(then), time.localtime(now)
    if day[:3] == today[:3]:
        return "Today"
    if day[:3] == time.localtime(now - 86400)[:3]:
        return "Yesterday"
    return time.strftime("%B %Y", day)


def _row(talk: Listed, current: bool) -> str:
    open_it = {"type": "button", "class": "talk", "data-act": "open", "data-id": talk.id}
    here = {"aria-current": "true"} if current else {}
    excerpt = f'<span class="excerpt">{escape(talk.excerpt)}</span>' if talk.excerpt not in ("", talk.title) else ""
    label = attributes({"aria-label": f"More for the conversation {talk.title}"})
    plain = {"type": "button", "class": "plain", "data-id": talk.id}
    rename = attributes({**plain, "data-rename": talk.title})
    delete = attributes({**plain, "class": "plain danger", "data-act": "delete"})
    exports = "".join(
        f'<a class="plain" download{attributes({"href": f"conversations/{talk.id}.{kind}"})}>{words}</a>'
        for kind, words in (("md", "Export as Markdown"), ("json", "Export as JSON"))
    )
    return (
        f'<li><button{attributes({**open_it, **here})}><span class="name">{escape(talk.title)}</span>{excerpt}</button>'
        f'<details class="menu"><summary{label}>⋯</summary><div class="choices"><button{rename}>Rename</button>'
        f"{exports}<button{delete}>Delete</button></div></details></li>"
    )
