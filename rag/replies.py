"""A model's reply, streamed, with time limits, retries and plain errors. Opens no model and reads no label.

Retries come only before the first piece of text, so nothing is ever said twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

from index.errors import ModelError, RagError
from rag.failures import called, explained, is_loopback, wait_before_retry
from rag.settings import Settings
from rag.values import Usage

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

T = TypeVar("T")

# US dollars per million tokens (read, written), list prices as published by mid 2026. Override: settings.prices.
PRICES: Mapping[str, tuple[float, float]] = {
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5.2": (1.75, 14.0),
    "o4-mini": (1.1, 4.4),
    "claude-3-5-haiku": (0.8, 4.0),
    "claude-3-7-sonnet": (3.0, 15.0),
    "claude-sonnet-4": (3.0, 15.0),
    "claude-sonnet-4-5": (3.0, 15.0),
    "claude-sonnet-4-6": (3.0, 15.0),
    "claude-haiku-4-5": (1.0, 5.0),
}


class Reply(Iterator[str]):
    """The reply to (role, text) messages: pieces of text as they come. Thoughts (<think>...</think>) are left out.

    Nothing is sent before the first piece is asked for. Reading raises ModelError, which says what happened and what
    to do. Close it, or drop it, to stop the model: the connection is closed at once.

    `text` is what was given so far; `input_tokens` and `output_tokens` are as the server reports them, None if it does
    not; `cut` says that the reply reached its longest length and stops short.
    """

    def __init__(self, llm: LLM, messages: Sequence[tuple[str, str]], settings: Settings) -> None:
        self.text = ""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cut = False
        self.llm = llm
        self.messages = tuple(messages)
        self.prices: Mapping[str, tuple[float, float]] | None = settings.prices
        self._settings = settings
        self._ended = ""  # the reason that the server gave for the end
        self._protocol = False  # whether chunks carry such reasons at all
        self._pieces = self._tried()

    def __next__(self) -> str:
        return next(self._pieces)

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the model."""
        self._pieces.close()

    def _tried(self) -> Generator[str, None, None]:
        for tries in count(1):
            try:
                yield from self._once()
                return
            except RagError:
                raise
            except Exception as error:
                wait = _wait(error, self.llm, tries, bool(self.text), self._settings.timeout)
            time.sleep(wait)

    def _once(self) -> Iterator[str]:
        from llama_index.core.llms import ChatMessage

        chunks = self.llm.stream_chat([ChatMessage(role=role, content=text) for role, text in self.messages])
        thoughts = _Thoughts()
        responses: list[Any] = []
        received = seen = 0
        alive = time.monotonic()
        try:
            for chunk in _watched(chunks, responses):
                seen += 1
                piece = self._noted(chunk, received)
                received += len(piece)
                now = time.monotonic()
                if piece or chunk.additional_kwargs.get("thinking_delta"):
                    alive = now
                elif now - alive > self._settings.timeout:  # chunks come, but nothing is in them
                    raise TimeoutError
                if shown := thoughts.shown(piece):
                    self.text += shown
                    yield shown
        finally:
            # LlamaIndex's generator keeps the connection in a reference cycle, which may live on for long.
            for response in responses:
                response.close()
        if not seen:
            raise ValueError("nothing came")
        if self._protocol and not self._ended:
            raise ConnectionError("the stream ended without a reason")
        if not self.text.strip():
            raise ModelError(self._nothing())

    def _noted(self, chunk: Any, received: int) -> str:
        """The text of a chunk; what else it tells is kept."""
        told = chunk.additional_kwargs
        if isinstance(told.get("prompt_tokens"), int) and isinstance(told.get("completion_tokens"), int):
            self.input_tokens, self.output_tokens = told["prompt_tokens"], told["completion_tokens"]
        choices = getattr(chunk.raw, "choices", None)
        if isinstance(choices, list):
            self._protocol = True
            for choice in choices:
                self._ended = getattr(choice, "finish_reason", None) or self._ended
        self.cut = self._ended == "length"
        if chunk.delta is not None:
            return str(chunk.delta)
        return str(chunk.message.content or "")[received:]  # some LLM objects give only the text so far

    def _nothing(self) -> str:
        name = called(self.llm)
        if self.cut:
            most = self._settings.max_output_tokens
            return f"{name} spent all {most} tokens before its first word. Raise `max_output_tokens`: it thinks first."
        if self._ended == "content_filter":
            return f"The content filter of {name} refused the question or the sources. Ask otherwise, or another model."
        return f"{name} replied without a word. Ask again, or choose another model."


def patiently(ask: Callable[[], T], llm: LLM, timeout: float) -> T:
    """What `ask` gives, tried again where that helps. Raises ModelError as a `Reply` does."""
    tries = 0
    while True:
        tries += 1
        try:
            return ask()
        except RagError:
            raise
        except Exception as error:
            wait = _wait(error, llm, tries, False, timeout)
        time.sleep(wait)


def _wait(error: Exception, llm: LLM, tries: int, begun: bool, timeout: float) -> float:
    """Seconds to wait before another try. Raises ModelError where there is none to make."""
    wait = None if begun else wait_before_retry(error, tries, llm)
    if wait is None:
        raise ModelError(explained(error, llm, tries, begun, timeout)) from None  # the cause may quote a key
    return wait


_opened: ContextVar[list[Any] | None] = ContextVar("opened", default=None)


def note_response(response: Any) -> None:
    """An httpx hook: remembers the HTTP response behind the reply that is being opened, so that it can be closed."""
    responses = _opened.get()
    if responses is not None:
        responses.append(response)


def _watched(chunks: Iterator[Any], responses: list[Any]) -> Iterator[Any]:
    """The chunks; whatever HTTP response the first of them opens is in `responses`."""
    chunks = iter(chunks)
    token = _opened.set(responses)
    try:
        first = list(islice(chunks, 1))
    finally:
        _opened.reset(token)
    yield from first
    yield from chunks


class _Thoughts:
    """Leaves out <think>...</think> at the start of a reply, and the white space before its first word."""

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def shown(self, piece: str) -> str:
        if self._state == "past":
            return piece
        self._held = (self._held + piece).lstrip()
        if self._state == "start" and self._held:
            if len(self._held) < len("<think>") and "<think>".startswith(self._held):
                return ""
            self._state = "inside" if self._held.startswith("<think>") else "after"
        if self._state == "inside":
            _, end, rest = self._held.partition("</think>")
            if not end:
                return ""
            self._state, self._held = "after", rest.lstrip()
        if self._held:
            self._state = "past"
        return self._held


def usage_of(spent: Reply, prices: Mapping[str, tuple[float, float]] | None = None) -> Usage:
    """Tokens and cost of a reply that has ended: as its server reports them, else counted as cl100k tokens.

    `prices`, in US dollars per million tokens (read, written) by model name, come before settings.prices, and those
    before `PRICES`; a name also stands for its dated versions. A model on this machine costs nothing; where no price is
    known the cost is None.
    """
    read, written = spent.input_tokens, spent.output_tokens
    if read is None or written is None:
        read, written = message_tokens(spent.messages), _count(spent.text)
    base = getattr(spent.llm, "api_base", None)
    local = is_loopback(str(base)) if base else hasattr(spent.llm, "prompt_tokens")
    price = _price(called(spent.llm), {**PRICES, **(spent.prices or {}), **(prices or {})}) or (
        (0.0, 0.0) if local else None
    )
    cost = None if price is None else (read * price[0] + written * price[1]) / 1e6
    return Usage(read, written, cost)


def message_tokens(messages: Sequence[tuple[str, str]]) -> int:
    """cl100k tokens of the messages, with the few that a chat format adds to each."""
    return 3 + sum(4 + _count(text) for _, text in messages)


def _count(text: str) -> int:
    from index.tokens import count_tokens

    return count_tokens(text)


def _price(name: str, prices: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    undated = re.sub(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest|0)$", "", name)
    return prices.get(name) or prices.get(undated)
