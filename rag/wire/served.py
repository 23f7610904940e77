"""A model behind its server's own chat protocol, as LlamaIndex has models. What such a protocol says is not here.

Requests, time limits and what is no reply at all; retries and sentences are those of `rag.replies` and `rag.failures`.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from pydantic import Field, PrivateAttr

from rag.failures import is_loopback
from rag.replies import note_response, patiently
from rag.settings import Settings

CONNECT_SECONDS = 10.0
_LONGEST_LINE = 1 << 23


class APIError(Exception):
    """What a server says went wrong: instead of a reply (`status_code`), or, None, in the middle of one.

    It is named, and carries, what SDKs name theirs and put into it: that is how `rag.failures` reads it.
    """

    def __init__(self, body: object, status_code: int | None = None, response: httpx.Response | None = None) -> None:
        super().__init__(f"the server reports an error ({status_code or 'in its reply'})")
        self.body = body
        self.status_code = status_code
        self.response = response


@dataclass(frozen=True, slots=True)
class Said:
    """What one event of a stream, or a whole reply, says. `ended` is OpenAI's word for why the reply ends here."""

    text: str = ""
    thought: str = ""
    ended: str = ""
    usage: tuple[int, int] | None = None


class Served(CustomLLM):  # type: ignore[misc]
    """A chat model on a server. The key lives in the HTTP client's headers only: in no repr, copy or JSON."""

    model: str
    api_base: str
    context_window: int | None
    max_tokens: int
    timeout: float
    temperature: float = 0.0
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    """More fields of each request."""

    protocol: ClassVar[str]
    key_variable: ClassVar[str]
    path: ClassVar[str]
    _client: httpx.Client = PrivateAttr()

    def __init__(
        self, name: str, base: str, headers: Mapping[str, str], settings: Settings, window: int | None
    ) -> None:
        super().__init__(
            model=name,
            api_base=base,
            context_window=settings.context_window or window,
            max_tokens=settings.max_output_tokens,
            timeout=settings.timeout,
        )
        self._client = httpx.Client(
            headers={"content-type": "application/json", **headers},
            # Any gap in the stream counts; a host that does not even connect is not worth that long.
            timeout=httpx.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout)),
            trust_env=not is_loopback(base),  # a proxy for the outside world cannot reach this machine
            follow_redirects=False,  # they would take the key elsewhere
            event_hooks={"response": [note_response]},
        )

    @abstractmethod
    def body(self, messages: Sequence[tuple[str, str]], streamed: bool) -> dict[str, Any]:
        """The request for a reply to (role, text) messages."""

    @abstractmethod
    def heard(self, lines: Iterable[bytes], sent: Mapping[str, Any]) -> Iterator[Said]:
        """What the lines of a streamed reply to `sent` say, one after the other."""

    @abstractmethod
    def whole(self, told: Mapping[str, Any], sent: Mapping[str, Any]) -> Said:
        """What a reply says that came in one piece."""

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks of every model; nobody is called for it."""
        known = {"context_window": self.context_window} if self.context_window else {}
        return LLMMetadata(**known, num_output=self.max_tokens, is_chat_model=True, model_name=self.model)

    def stream_chat(self, messages: Sequence[ChatMessage], **_: Any) -> Iterator[ChatResponse]:
        """The reply as it comes. Closing it hangs up. Errors are left to `rag.replies.Reply`, which knows them."""
        sent = self.body(_pairs(messages), True)
        text = ended = ""
        seen = False
        with self._client.stream("POST", f"{self.api_base}{self.path}", content=json.dumps(sent)) as response:
            _succeeded(response)
            for said in self.heard(_lines(response), sent):
                seen = True
                text += said.text
                ended = said.ended or ended
                yield _chunk(text, said)
        if seen and not ended:
            raise ConnectionError("the stream ended without a reason")

    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """The reply in one piece. Raises ModelError."""

        def asked() -> ChatResponse:
            sent = self.body(_pairs(messages), False)
            said = self.whole(self.told(self.path, sent), sent)
            return _chunk(said.text, said)

        return patiently(asked, self, self.timeout)

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[CompletionResponse]:
        """The reply to one message of a user, as it comes."""
        for part in self.stream_chat([ChatMessage(role="user", content=prompt)]):
            yield CompletionResponse(text=part.message.content or "", delta=part.delta)

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        """The reply to one message of a user."""
        return CompletionResponse(text=self.chat([ChatMessage(role="user", content=prompt)]).message.content or "")

    def told(self, path: str, body: object = None) -> Mapping[str, Any]:
        """The JSON object that the server answers with there; posted to if there is a body."""
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        response = self._client.request(method, f"{self.api_base}{path}", content=content)
        _succeeded(response)
        return parsed(response.content)


def parsed(text: bytes) -> Mapping[str, Any]:
    """A JSON object. Raises ValueError for anything else."""
    told = json.loads(text.decode("utf-8"))
    if not isinstance(told, Mapping):
        raise ValueError("no JSON object")
    return told


def _pairs(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role.value, message.content or "") for message in messages]


def _chunk(text: str, said: Said) -> ChatResponse:
    """Said in LlamaIndex's way, the end as OpenAI tells it: `Reply` reads every model alike."""
    more: dict[str, Any] = {"thinking_delta": said.thought} if said.thought else {}
    if said.usage:
        more |= {"prompt_tokens": said.usage[0], "completion_tokens": said.usage[1]}
    return ChatResponse(
        message=ChatMessage(role="assistant", content=text),
        delta=said.text,
        raw=SimpleNamespace(choices=[SimpleNamespace(finish_reason=said.ended or None)]),
        additional_kwargs=more,
    )


def _succeeded(response: httpx.Response) -> None:
    if response.is_success:
        return
    if response.status_code < 400:
        raise ValueError(f"it sends us elsewhere ({response.status_code})")
    response.read()
    try:
        body: object = json.loads(response.content)
    except ValueError:
        body = response.text
    raise APIError(body, response.status_code, response)


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Lines, decoded only when whole. httpx's own also end at U+0085 and U+2028, which may stand in a text."""
    held = b""
    for part in response.iter_bytes():
        *whole, held = (held + part).split(b"\n")
        yield from whole
        if len(held) > _LONGEST_LINE:
            raise ValueError("a line without end")
    yield held
