"""Small parts that every room is made of: plain HTML, scripts, what a click in HTML told the server."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import gradio as gr

from rag.display.prose import escape

QUIET: Mapping[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For every listener: no veil over what is shown, no public API."""

AT_ONCE: Mapping[str, Any] = {**QUIET, "queue": False}
"""For what takes milliseconds and must not wait behind answers."""

UNDOABLE = 600
"""Seconds for which what was removed can be brought back."""


def html(value: str, name: str, code: str | None = None, functions: list[Any] | None = None) -> gr.HTML:
    """HTML of our own, all of it escaped where it comes from others; `code` runs once it is there."""
    return gr.HTML(value, elem_id=name, apply_default_css=False, js_on_load=code, server_functions=functions)


def script(*names: str) -> str:
    """JavaScript files one after the other, as one function body."""
    return "\n".join(files("ui").joinpath("scripts", name).read_text("utf-8") for name in names)


def done(words: str, undo: bool = False) -> str:
    """A quiet line that says what was done, and offers to undo it."""
    button = ' <button type="button" class="plain" data-act="undo">Undo</button>' if undo else ""
    return f'<p class="done" role="status">{escape(words)}{button}</p>'


def told(event: gr.EventData) -> dict[str, str]:
    """The data attributes of what was clicked; anything may come from a browser."""
    data = event._data
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}
