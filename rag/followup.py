"""A question that leans on the turns before it, rewritten by the model that will answer so that it stands alone.

Without a model the words of the question before are searched along with it (`rag.answer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from index.errors import ModelError
from rag.models import stream, usage_of
from rag.prompts import standalone_messages
from rag.settings import Settings
from rag.values import Usage

_LONGEST = 300
_TURNS = 3


def standalone(
    llm: Any, question: str, history: Sequence[tuple[str, str]], settings: Settings
) -> tuple[str | None, Usage]:
    """The question with what it refers to put in, or None when the model fails or writes no question; what it cost."""
    brief = replace(settings, max_output_tokens=min(100, settings.max_output_tokens))
    try:
        reply = stream(llm, standalone_messages(question, history[-_TURNS:]), brief)
        text = "".join(reply)
    except ModelError:
        return None, Usage()
    lines = [line.strip().strip("\"'“”`") for line in text.splitlines() if line.strip()]
    # Anything but one line is an answer, an apology or a model thinking aloud.
    return lines[0] if len(lines) == 1 and len(lines[0]) <= _LONGEST else None, usage_of(reply)
