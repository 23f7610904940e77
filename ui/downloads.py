"""Conversations and feedback as files to download, as plain routes beside Gradio's. Shows nothing.

GET /conversations/ID.md, /conversations/ID.json, /feedback.jsonl; each gives what belongs to who has logged in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from index.errors import RagError
from ui.conversations import ConversationError, Conversations
from ui.feedback import Feedback
from ui.reopening import chat_of
from ui.server import user_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from rag.answer import Rag

_KINDS = {"md": "text/markdown", "json": "application/json"}

File = tuple[str, str, str]
"""Name, media type, text."""


def add_downloads(app: FastAPI, kb: Rag, conversations: Conversations, feedback: Feedback) -> None:
    """Add the routes; before Gradio is mounted at /, which would swallow them."""

    async def conversation(request: Any) -> Any:
        id, kind = request.path_params["id"], request.path_params["kind"]

        def file() -> File:
            if kind not in _KINDS:
                raise ConversationError(f"There is no export as {kind!r:.20}; expected one of: {', '.join(_KINDS)}.")
            saved = conversations.load(user_of(request), id)
            chat = chat_of(kb, saved)
            text = chat.to_markdown() if kind == "md" else chat.to_json(indent=1)
            return f"{saved.title}.{kind}", _KINDS[kind], text

        return await _sent(file)

    async def judged(request: Any) -> Any:
        return await _sent(lambda: ("feedback.jsonl", "application/jsonl", feedback.export(user_of(request)).text))

    app.router.add_route("/conversations/{id:str}.{kind:str}", conversation, methods=["GET"])
    app.router.add_route("/feedback.jsonl", judged, methods=["GET"])


async def _sent(file: Callable[[], File]) -> Any:
    """The file as a download, or the reason why there is none."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response

    try:
        name, kind, text = await run_in_threadpool(file)
    except RagError as error:
        return JSONResponse({"detail": str(error)}, 404 if isinstance(error, ConversationError) else 503)
    plain = re.sub(r'[\x00-\x1f\x7f/\\<>:"|?*]', "-", name).strip(". ")
    headers = {"content-disposition": f"attachment; filename*=utf-8''{quote(plain)}", "cache-control": "no-store"}
    return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)
