"""OpenAI's chat protocol over one index, so that its clients take the index for a model. Retrieves and writes nothing.

The last user message is the question, the turns before are its history. The text carries the markers [1] [2]; each has
an annotation, and the field `footnote` of the reply says what the protocol has no place for: verdicts, confidence, and
whether the answer was withheld.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from index.errors import RagError
from rag.pipeline import CUT
from rag.serve.failures import RefusedError, body_of, status_of
from rag.serve.rest import answered, failing, note_answer, notes_of, unless_gone
from rag.serve.service import Service
from rag.serve.shapes import (
    LONGEST_QUESTION,
    Annotation,
    ChatChoice,
    ChatMessage,
    ChatReply,
    ChatRequest,
    ChatUsage,
    CheckedSentence,
    Disagreement,
    FootnoteOptions,
    FootnoteReply,
    Position,
    ReplyMessage,
    ServedModel,
    ServedModels,
    UrlCitation,
)
from rag.values import Answer, Citation, Conflict, Event, Final, TextDelta

PATIENCE = 2.0
"""Seconds to wait for the first word before the reply begins: an error until then gets its own HTTP status."""

BEAT = 10.0
"""Seconds of silence after which a comment is sent, so that nobody between takes the connection for dead."""

_MARKER = re.compile(r"\[(\d+)\]")
_RULE = "\n\n---\n"
_FOOTNOTES = re.compile(r"\n\n---\n(?:\[\d+\] [^\n]*(?:\n|\Z))+\Z")


def routes(service: Service) -> APIRouter:
    """/v1/chat/completions and /v1/models."""
    router = APIRouter(prefix="/v1", tags=["openai"])
    name = service.options.name
    served = ServedModel(id=name, created=service.started)

    @router.get("/models", responses=failing())
    async def models() -> ServedModels:
        """The index, as the one model there is."""
        return ServedModels(data=[served])

    @router.get("/models/{model:path}", responses=failing(404))
    async def model(model: str) -> ServedModel:
        """The index as a model."""
        _check_model(model, name)
        return served

    @router.post(
        "/chat/completions",
        response_model=ChatReply,
        responses={
            **failing(400, 404, 502),
            200: {"description": "A ChatReply, or with `stream` its chunks.", "content": {"text/event-stream": {}}},
        },
    )
    async def complete(request: Request, asked: ChatRequest) -> Any:
        """An answer in OpenAI's protocol, whole or streamed."""
        _check_model(asked.model, name)
        if asked.n not in (None, 1):
            raise RefusedError(400, f"n is {asked.n}; one reply is given.", "unsupported_value", "n")
        question, history = conversation(asked.messages)
        options = asked.footnote or FootnoteOptions()
        arguments = {"tokens": options.tokens, "where": options.where, "history": history}
        turn = _Turn(service, request, asked, options)
        if asked.stream:
            return await turn.streamed(service.workers.stream(service.answers(question, **arguments)))
        answer = await unless_gone(request, answered(service, question, arguments))
        return turn.whole(answer)

    return router


def _check_model(asked: str, name: str) -> None:
    if asked != name:
        said = f"The model {asked!r} does not exist here; this index is served as {name!r} (/v1/models lists it)."
        raise RefusedError(404, said, "model_not_found", "model")


def conversation(messages: Sequence[ChatMessage]) -> tuple[str, list[tuple[str, str]]]:
    """The question, and (question, answer) pairs before it. Raises RefusedError when there is no question."""
    turns = [(message.role, _text(message)) for message in messages if message.role in ("user", "assistant")]
    while turns and turns[-1][0] != "user":
        turns.pop()
    question = turns.pop()[1].strip() if turns else ""
    if not question:
        raise RefusedError(400, "No message of the user holds a question.", "no_question", "messages")
    if len(question) > LONGEST_QUESTION:
        said = f"The question has {len(question):,} characters; {LONGEST_QUESTION:,} are read."
        raise RefusedError(400, said, "question_too_long", "messages")
    history: list[tuple[str, str]] = []
    asked = ""
    for role, text in turns:
        if role == "user":
            asked = text
        elif asked:
            history.append((asked, _FOOTNOTES.sub("", text)))
            asked = ""
    return question, history


def _text(message: ChatMessage) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "input_text"):
            said = f"A message holds a part of type {part.type!r}; only text can be read."
            raise RefusedError(400, said, "unsupported_content", "messages")
    return "\n".join(part.text or "" for part in message.content)


def footnotes(citations: Iterable[Citation]) -> str:
    """The quotes as a block that ends a text, one line each; `conversation` takes it off again."""
    lines = [f"[{c.number}] {_title(c)}: “{' '.join(c.quote.split())}”" for c in citations]
    return _RULE + "\n".join(lines) if lines else ""


def annotated(text: str, citations: Sequence[Citation], base: str) -> list[Annotation]:
    """One for each marker in the text, in order. `base` is the server's own address."""
    known = {citation.number: citation for citation in citations}
    found = [(marker, known.get(int(marker[1]))) for marker in _MARKER.finditer(text) if len(marker[1]) < 6]
    return [
        Annotation(
            url_citation=UrlCitation(
                start_index=marker.start(), end_index=marker.end(), url=_url(citation, base), title=_title(citation)
            ),
            citation=citation,
        )
        for marker, citation in found
        if citation is not None
    ]


def _url(citation: Citation, base: str) -> str:
    return f"{base}documents/{quote(citation.doc)}?start={citation.start}&end={citation.end}"


def _title(citation: Citation) -> str:
    return f"{citation.doc}, page {citation.page}" if citation.page else citation.doc


def extension(answer: Answer, *, whole: bool) -> FootnoteReply:
    """What the protocol has no place for."""
    return FootnoteReply(
        abstained=answer.abstained,
        confidence=answer.confidence,
        headline=answer.headline,
        model=answer.model,
        sentences=[
            CheckedSentence(
                text=s.text, verdict=s.verdict, support=s.support, citations=[c.number for c in s.citations]
            )
            for s in answer.sentences
        ],
        conflicts=[
            Disagreement(
                aspect=conflict.aspect,
                positions=[
                    Position(value=value, citations=[c.number for c in cited], date=date)
                    for (value, cited), date in zip(conflict.positions, _dates(conflict), strict=True)
                ],
            )
            for conflict in answer.conflicts
        ],
        timings=answer.timings,
        answer=answer.to_dict() if whole else None,
    )


def _dates(conflict: Conflict) -> Sequence[str]:
    return conflict.dates or ("",) * len(conflict.positions)


class _Turn:
    """One request on its way to its reply, whole or in chunks."""

    def __init__(self, service: Service, request: Request, asked: ChatRequest, options: FootnoteOptions) -> None:
        self.service, self.request, self.asked, self.options = service, request, asked, options
        self.id = f"chatcmpl-{request.state.request_id}"
        self.created = int(time.time())
        wanted = options.footnotes
        self.footnotes = service.options.footnotes if wanted is None else wanted
        self.usage = bool(asked.stream_options and asked.stream_options.include_usage)

    def whole(self, answer: Answer) -> ChatReply:
        """The reply in one piece."""
        note_answer(self.service, self.request, answer)
        content = answer.text + (footnotes(answer.citations) if self.footnotes else "")
        message = ReplyMessage(content=content, annotations=self._annotations(answer))
        return ChatReply(
            id=self.id,
            created=self.created,
            model=self.asked.model,
            choices=[ChatChoice(message=message, finish_reason=_reason(answer))],
            usage=_usage(answer),
            footnote=extension(answer, whole=self.options.answer),
        )

    async def streamed(self, events: AsyncGenerator[Event]) -> StreamingResponse:
        """The reply as it comes. An error in its first moments is raised; a later one is sent."""
        waiting = asyncio.ensure_future(_first(events))
        try:
            await unless_gone(self.request, _patient(waiting))
        except BaseException:
            await _stopped(waiting, events)
            raise
        return StreamingResponse(self._lines(waiting, events), media_type="text/event-stream")

    async def _lines(self, waiting: asyncio.Future[Event | None], events: AsyncGenerator[Event]) -> AsyncIterator[str]:
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=BEAT)
                if not done:
                    yield ": still at it\n\n"
                    continue
                event = waiting.result()
                if event is None:
                    break
                waiting = asyncio.ensure_future(_next(events))
                for line in self._said(event):
                    yield line
            yield "data: [DONE]\n\n"
        except RagError as error:
            notes_of(self.request).update(error=type(error).__name__, failed=status_of(error))
            yield _data(body_of(error))
        finally:
            await _stopped(waiting, events)

    def _said(self, event: Event) -> Iterable[str]:
        if isinstance(event, TextDelta):
            yield self._chunk({"content": event.text})
        elif isinstance(event, Final):
            answer = event.answer
            note_answer(self.service, self.request, answer)
            if self.footnotes and (block := footnotes(answer.citations)):
                yield self._chunk({"content": block})
            cited = [annotation.model_dump() for annotation in self._annotations(answer)]
            told = extension(answer, whole=self.options.answer).model_dump()
            yield self._chunk({"annotations": cited}, footnote=told)
            yield self._chunk({}, _reason(answer))
            if self.usage:
                yield self._chunk(None, usage=_usage(answer).model_dump())

    def _chunk(self, delta: dict[str, Any] | None, reason: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
        chunk = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.asked.model}
        return _data({**chunk, "choices": choices, **({"usage": None} if self.usage else {}), **more})

    def _annotations(self, answer: Answer) -> list[Annotation]:
        return annotated(answer.text, answer.citations, str(self.request.base_url))


async def _first(events: AsyncGenerator[Event]) -> Event | None:
    """The first event that says something."""
    async for event in events:
        if isinstance(event, TextDelta | Final):
            return event
    return None


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


async def _patient(waiting: asyncio.Future[Event | None]) -> None:
    """Return when the first word is there or will take longer; raise what went wrong until then."""
    done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
    for each in done:
        each.result()


async def _stopped(waiting: asyncio.Future[Event | None], events: AsyncGenerator[Event]) -> None:
    """Stop the model. Where the client has gone this is cancelled itself at each wait; the first cancel does it all."""
    waiting.cancel()
    with contextlib.suppress(BaseException):
        await waiting
    with contextlib.suppress(BaseException):
        await events.aclose()


def _data(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _reason(answer: Answer) -> Any:
    return "length" if CUT in answer.trace.notes else "stop"


def _usage(answer: Answer) -> ChatUsage:
    read, written = answer.usage.input_tokens, answer.usage.output_tokens
    return ChatUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
