"""What a person sets in the page: who answers, how much is read, when to abstain; and what then leaves the machine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from index.errors import RagError
from rag.answer import Rag
from rag.failures import is_loopback
from rag.settings import Settings

FEWEST_TOKENS, MOST_TOKENS = 200, 16_000
_ANSWER = 16
"""Tokens of the reply to a test: enough to see that it answers, little to pay."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """One person's settings; None means those that the page was started with."""

    model: str | None = None
    tokens: int | None = None
    min_confidence: float | None = None

    @classmethod
    def read(cls, kept: Any) -> Preferences:
        """Out of what a browser kept, which may be anything."""
        values = kept if isinstance(kept, dict) else {}
        model, tokens, least = (values.get(name) for name in ("model", "tokens", "min_confidence"))
        return cls(
            str(model).strip()[:500] if model else None,
            min(max(int(tokens), FEWEST_TOKENS), MOST_TOKENS) if isinstance(tokens, int | float) else None,
            min(max(float(least), 0.0), 1.0) if isinstance(least, int | float) else None,
        )

    def kept(self) -> dict[str, Any]:
        """For the browser to keep."""
        return {"model": self.model, "tokens": self.tokens, "min_confidence": self.min_confidence}

    def applied(self, kb: Rag) -> Rag:
        """The same index under these settings; the one that was given stays as it is."""
        if self.min_confidence is None:
            return kb
        other = copy.copy(kb)
        other.settings = replace(kb.settings, min_confidence=self.min_confidence)
        return other


def leaving(spec: str, settings: Settings) -> str:
    """What leaves this machine when `spec` answers, in so many words."""
    if spec == "extract":
        return "Nothing leaves this machine: answers are quoted from your documents, no language model is asked."
    kind, _, name = spec.partition(":")
    if kind == "hf":
        return f"Nothing leaves this machine: {name} runs inside this process."
    try:
        host = _host(spec, settings)
    except RagError as error:
        return f"Nothing is sent: this model cannot be asked. {error}"
    if host is None:
        return "Nothing leaves this machine: the model's server runs on it."
    return (
        f"To {host} go, with each question: the question, the passages found for it, and the questions and answers "
        "before it in the same conversation. Documents as a whole, your index and your feedback stay here."
    )


def _host(spec: str, settings: Settings) -> str | None:
    """Where the model's server is; None for this machine."""
    from rag.models import open_model

    base = str(getattr(open_model(spec, settings), "api_base", "") or "")
    return None if is_loopback(base) else urlsplit(base).hostname or "a server of the model's maker"


def probed(spec: str, settings: Settings, clock: Callable[[], float] = time.perf_counter) -> tuple[bool, str]:
    """Ask the model for a word: whether that worked, and what it said or what is wrong."""
    if spec == "extract":
        return True, "extract needs no model: it always works."
    from rag.models import open_model, stream

    began = clock()
    brief = replace(settings, max_output_tokens=_ANSWER, timeout=min(settings.timeout, 30.0))
    try:
        llm = open_model(spec, brief)
        said = "".join(stream(llm, [("user", "Reply with the word: ready")], brief)).strip()
    except RagError as error:
        return False, str(error)
    except Exception as error:  # a library's own error: its words are all there is to say
        return False, f"{type(error).__name__}: {error}"[:500]
    if not said:
        return False, "The model answered with nothing."
    return True, f"{spec.partition('@')[0]} answered “{said[:60]}” after {clock() - began:.1f} s."
