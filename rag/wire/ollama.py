"""Ollama's own protocol, /api/chat. Not its OpenAI-compatible one, which cannot set how much the model reads.

Left alone, Ollama cuts a prompt that exceeds the window it happens to run with, and says nothing. Here each request
asks for the window that it needs, and forbids the cut (`truncate`, `shift`; old releases pay no heed to these).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import PrivateAttr

from index.errors import ModelError
from rag.replies import message_tokens, patiently
from rag.settings import Settings
from rag.wire.served import APIError, Said, Served, parsed

STEP = 4096
"""Windows are multiples of it: Ollama loads a model anew, for seconds, whenever the window changes."""

MARGIN = 1.5
"""So many tokens for each of cl100k's: tokenizers differ, and room costs little memory."""


class Ollama(Served):
    """A model of an Ollama server."""

    protocol: ClassVar[str] = "Ollama"
    key_variable: ClassVar[str] = "OLLAMA_API_KEY"
    path: ClassVar[str] = "/api/chat"
    _shown: Mapping[str, Any] | None = PrivateAttr(default=None)

    def widest(self) -> int | None:
        """Tokens it can be made to read: what it was trained for, within the setting; None if nobody says.

        Raises ModelError if the server does not answer or lacks the model.
        """
        return min(filter(None, (self._trained() or self._configured(), self.context_window)), default=None)

    def num_ctx(self, messages: Sequence[tuple[str, str]]) -> int:
        """The window for these messages and the longest reply; the one that the model runs with, if that will do."""
        needed = round(MARGIN * message_tokens(messages)) + self.max_tokens
        stepped = -(-needed // STEP) * STEP
        return min(max(stepped, self._configured(), self._running()), self.widest() or stepped)

    def body(self, messages: Sequence[tuple[str, str]], streamed: bool) -> dict[str, Any]:
        """The request for a reply to (role, text) messages."""
        return {
            "model": self.model,
            "messages": [{"role": role, "content": text} for role, text in messages],
            "stream": streamed,
            "truncate": False,
            "shift": False,
            "options": {
                "temperature": self.temperature,
                "num_predict": self.max_tokens,
                "num_ctx": self.num_ctx(messages),
            },
            **self.additional_kwargs,
        }

    def heard(self, lines: Iterable[bytes], sent: Mapping[str, Any]) -> Iterator[Said]:
        """Every line is one JSON object."""
        return (self.whole(parsed(line), sent) for line in lines if line.strip())

    def whole(self, told: Mapping[str, Any], sent: Mapping[str, Any]) -> Said:
        """One object: a piece of the reply, or all of it."""
        if told.get("error"):
            raise APIError(told)
        message = told["message"]
        usage = None
        read, written = told.get("prompt_eval_count"), told.get("eval_count")
        if isinstance(read, int) and isinstance(written, int):
            usage = read, written
            self._uncut(read + written, sent["options"]["num_ctx"])
        ended = str(told.get("done_reason") or "stop") if told.get("done") else ""
        return Said(str(message.get("content") or ""), str(message.get("thinking") or ""), ended, usage)

    def _uncut(self, tokens: int, window: int) -> None:
        if tokens > window:  # only a server that forgot the beginning while it wrote counts so many
            raise ModelError(
                f"{self.model} read and wrote {tokens} tokens in a window of {window}: the beginning of its prompt was "
                "lost. Update Ollama, or lower `tokens`."
            )

    def _show(self) -> Mapping[str, Any]:
        if self._shown is None:
            self._shown = patiently(lambda: self.told("/api/show", {"model": self.model}), self, self.timeout)
        return self._shown

    def _trained(self) -> int:
        info = self._show().get("model_info")
        known = info if isinstance(info, Mapping) else {}
        lengths = [n for key, n in known.items() if str(key).endswith(".context_length") and isinstance(n, int)]
        return max(lengths, default=0)

    def _configured(self) -> int:
        """The window that its Modelfile sets."""
        found = re.search(r"^num_ctx\s+(\d+)", str(self._show().get("parameters", "")), re.MULTILINE)
        return int(found[1]) if found else 0

    def _running(self) -> int:
        """The window of the model as it is loaded now: another one would have it loaded anew."""
        try:
            loaded = self.told("/api/ps").get("models")
        except Exception:  # a hosted Ollama has no such page; it is a matter of speed only
            return 0
        names = (self.model, f"{self.model}:latest")
        entries = loaded if isinstance(loaded, list) else []
        lengths = [e.get("context_length") for e in entries if isinstance(e, Mapping) and e.get("name") in names]
        return max((n for n in lengths if isinstance(n, int)), default=0)


def open_ollama(name: str, base: str, key: str, settings: Settings) -> Ollama:
    """The model `name` at `base`, an address without a path of the protocol; nothing is sent yet."""
    return Ollama(name, base, {"authorization": f"Bearer {key}"} if key else {}, settings, None)
