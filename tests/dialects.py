"""How a chat reply is said in OpenAI's, Ollama's and Anthropic's protocol. Sends nothing: `scripted_server` does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

Usage = tuple[int, int] | None


class Dialect(Protocol):
    """One protocol; `body` is the request."""

    kind: str
    """Content type of a stream."""

    def error(self, status: int, said: str) -> dict[str, Any]: ...
    def whole(self, body: Any, text: str, finish: str, usage: Usage) -> dict[str, Any]: ...
    def opening(self, body: Any, usage: Usage) -> Iterator[bytes]: ...
    def piece(self, body: Any, text: str) -> bytes: ...
    def ping(self, body: Any) -> bytes: ...
    def ending(self, body: Any, finish: str, usage: Usage) -> Iterator[bytes]: ...


class OpenAi:
    kind = "text/event-stream"

    def error(self, status: int, said: str) -> dict[str, Any]:
        return {"error": {"message": said, "type": "scripted"}}

    def whole(self, body: Any, text: str, finish: str, usage: Usage) -> dict[str, Any]:
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        return self._chunk("chat.completion", body, [choice], usage)

    def opening(self, body: Any, usage: Usage) -> Iterator[bytes]:
        yield from ()

    def piece(self, body: Any, text: str) -> bytes:
        return self._event(self._chunk("chat.completion.chunk", body, [self._delta({"content": text}, None)]))

    def ping(self, body: Any) -> bytes:
        return self._event(self._chunk("chat.completion.chunk", body, [self._delta({}, None)]))

    def ending(self, body: Any, finish: str, usage: Usage) -> Iterator[bytes]:
        yield self._event(self._chunk("chat.completion.chunk", body, [self._delta({}, finish)]))
        if usage and body.get("stream_options", {}).get("include_usage"):
            yield self._event(self._chunk("chat.completion.chunk", body, [], usage))
        yield b"data: [DONE]\n\n"

    def _event(self, data: Any) -> bytes:
        return b"data: %b\n\n" % dumped(data)

    def _delta(self, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "finish_reason": finish}

    def _chunk(self, kind: str, body: Any, choices: list[Any], usage: Usage = None) -> dict[str, Any]:
        chunk = {"id": "c1", "object": kind, "created": 1, "model": body["model"], "choices": choices}
        if usage:
            counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
            chunk["usage"] = counts
        return chunk


class Ollama:
    kind = "application/x-ndjson"

    def error(self, status: int, said: str) -> dict[str, Any]:
        return {"error": said}

    def whole(self, body: Any, text: str, finish: str, usage: Usage) -> dict[str, Any]:
        return {**self._said(body, text), "done": True, "done_reason": finish, **self._counts(usage)}

    def opening(self, body: Any, usage: Usage) -> Iterator[bytes]:
        yield from ()

    def piece(self, body: Any, text: str) -> bytes:
        return dumped(self._said(body, text)) + b"\n"

    def ping(self, body: Any) -> bytes:
        return self.piece(body, "")

    def ending(self, body: Any, finish: str, usage: Usage) -> Iterator[bytes]:
        yield dumped(self.whole(body, "", finish, usage)) + b"\n"

    def _said(self, body: Any, text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"model": body["model"], "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}

    def _counts(self, usage: Usage) -> dict[str, int]:
        return {"prompt_eval_count": usage[0], "eval_count": usage[1]} if usage else {}


TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


class Anthropic:
    kind = "text/event-stream"

    def error(self, status: int, said: str) -> dict[str, Any]:
        kind = TYPES.get(status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}

    def whole(self, body: Any, text: str, finish: str, usage: Usage) -> dict[str, Any]:
        content = [{"type": "text", "text": text}]
        return {**self._message(body, usage), "content": content, "stop_reason": REASONS[finish]}

    def opening(self, body: Any, usage: Usage) -> Iterator[bytes]:
        # The input is counted at once, the output when it is there: here it is still one token.
        yield self._event("message_start", message=self._message(body, usage and (usage[0], 1)))
        yield self._event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield self.ping(body)

    def piece(self, body: Any, text: str) -> bytes:
        return self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def ping(self, body: Any) -> bytes:
        return self._event("ping")

    def ending(self, body: Any, finish: str, usage: Usage) -> Iterator[bytes]:
        yield self._event("content_block_stop", index=0)
        delta = {"stop_reason": REASONS[finish], "stop_sequence": None}
        yield self._event("message_delta", delta=delta, **({"usage": {"output_tokens": usage[1]}} if usage else {}))
        yield self._event("message_stop")

    def _event(self, kind: str, **data: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumped({"type": kind, **data}))

    def _message(self, body: Any, usage: Usage) -> dict[str, Any]:
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
        counts = {
            "input_tokens": usage[0], "output_tokens": usage[1],
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        } if usage else None  # fmt: skip
        return {**message, "stop_reason": None, "stop_sequence": None, **({"usage": counts} if counts else {})}


DIALECTS: dict[str, Dialect] = {"/v1/chat/completions": OpenAi(), "/api/chat": Ollama(), "/v1/messages": Anthropic()}


def dumped(data: Any) -> bytes:
    """JSON with every character as it is, so that one may be cut in the middle."""
    return json.dumps(data, ensure_ascii=False).encode()
