"""Anthropic's own protocol, /v1/messages. Asks for text only: no tools, no thinking, no prompt cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rag.settings import Settings
from rag.wire.served import APIError, Said, Served, parsed

VERSION = "2023-06-01"
"""The only one; newer things are asked for by fields."""

WINDOW = 200_000
"""What every Claude model since version 2.1 reads at least."""

_ENDS = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}
# What an error inside a stream would have been before it.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
# Tokens read from a cache or put into one are not among `input_tokens`.
_READ = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


class Anthropic(Served):
    """A model of Anthropic's, or of a server that speaks like it."""

    protocol: ClassVar[str] = "Anthropic"
    key_variable: ClassVar[str] = "ANTHROPIC_API_KEY"
    path: ClassVar[str] = "/messages"

    def body(self, messages: Sequence[tuple[str, str]], streamed: bool) -> dict[str, Any]:
        """The request for a reply to (role, text) messages."""
        system = "\n\n".join(text for role, text in messages if role == "system")
        said = [(role, text) for role, text in messages if role != "system" and text.strip()]  # empty ones are refused
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [{"role": role, "content": text} for role, text in said],
            "stream": streamed,
            **({"system": system} if system else {}),
            **({"temperature": self.temperature} if self.temperature != 1.0 else {}),  # some models mind the field
            **self.additional_kwargs,
        }

    def heard(self, lines: Iterable[bytes], sent: Mapping[str, Any]) -> Iterator[Said]:
        """Server-sent events; each says its type in its data too."""
        counts: dict[str, Any] = {}
        for line in lines:
            if line.startswith(b"data:"):
                yield _event(parsed(line[5:]), counts)

    def whole(self, told: Mapping[str, Any], sent: Mapping[str, Any]) -> Said:
        """A message."""
        if told["type"] == "error":
            raise _failed(told)
        text = "".join(block["text"] for block in told["content"] if block["type"] == "text")
        return Said(text, ended=_end(told), usage=_usage(told.get("usage") or {}))


def _event(event: Mapping[str, Any], counts: dict[str, Any]) -> Said:
    """What an event says; the tokens that it counts are put to `counts`, where later ones come before earlier ones."""
    kind = event["type"]
    if kind == "error":
        raise _failed(event)
    if kind == "content_block_delta":
        delta = event["delta"]
        return Said(str(delta.get("text") or ""), str(delta.get("thinking") or ""))
    if kind == "message_start":
        _count(counts, event["message"])
    if kind == "message_delta":
        _count(counts, event)
        return Said(ended=_end(event["delta"]), usage=_usage(counts))
    return Said()  # a ping, the bounds of blocks, and whatever will be invented


def _count(counts: dict[str, Any], told: Mapping[str, Any]) -> None:
    counts.update({key: n for key, n in (told.get("usage") or {}).items() if isinstance(n, int)})


def _usage(counts: Mapping[str, Any]) -> tuple[int, int] | None:
    read = [n for n in map(counts.get, _READ) if isinstance(n, int)]
    written = counts.get("output_tokens")
    return (sum(read), written) if read and isinstance(written, int) else None


def _end(told: Mapping[str, Any]) -> str:
    reason = str(told.get("stop_reason") or "")
    return _ENDS.get(reason, "stop") if reason else ""


def _failed(event: Mapping[str, Any]) -> APIError:
    error = event.get("error")
    return APIError(event, _STATUSES.get(str(error.get("type"))) if isinstance(error, Mapping) else None)


def open_anthropic(name: str, base: str, key: str, settings: Settings) -> Anthropic:
    """The model `name` at `base`, which ends in /v1; nothing is sent yet."""
    return Anthropic(name, base, {"x-api-key": key, "anthropic-version": VERSION}, settings, WINDOW)
