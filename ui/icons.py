"""Signs of buttons as drawings in the text's own colour: no font has to know them, nothing is loaded."""

from __future__ import annotations

_THUMB = (
    "M2 7.5h2.5v6H2zM6 13.3V7.6l2.7-5.3c1 0 1.7.8 1.5 1.8L9.8 6.5h3.3c.9 0 1.5.8 1.3 1.7l-1 4c-.2.7-.8 1.3-1.6 1.3H7"
    "c-.4 0-.7-.1-1-.2z"
)


def _drawn(path: str, turned: bool = False) -> str:
    turn = ' transform="rotate(180 8 8)"' if turned else ""
    return (
        '<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.2"'
        f' stroke-linejoin="round" aria-hidden="true"><path{turn} d="{path}"/></svg>'
    )


UP = _drawn(_THUMB)
DOWN = _drawn(_THUMB, turned=True)
