"""Evidence that comes as bare texts, without documents: each distinct text becomes a document of its own. No format."""

from __future__ import annotations

from typing import Any

from evals.formats import quote_at


class Contexts:
    """Names texts in the order in which they come: context-0001.txt and on."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def evidence(self, texts: list[str]) -> list[dict[str, Any]]:
        """Evidence rows that are those texts as wholes; empty ones are nothing."""
        return [quote_at(self._name(text), text, 0, len(text)) for text in texts if text.strip()]

    def texts(self) -> dict[str, str]:
        """The documents by name."""
        return {name: text for text, name in self._names.items()}

    def _name(self, text: str) -> str:
        return self._names.setdefault(text, f"context-{len(self._names) + 1:04d}.txt")
