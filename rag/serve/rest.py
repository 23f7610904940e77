"""The plain REST API: search, ask, documents, sync. One function a route; the work is done in threads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Coroutine, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request

from index.catalog import DocumentInfo
from index.errors import DocumentError
from index.sync import SyncReport
from rag.serve.failures import RefusedError
from rag.serve.service import Service
from rag.serve.shapes import (
    AskRequest,
    DocumentEntry,
    Documents,
    DocumentText,
    ErrorReply,
    Failure,
    Found,
    Move,
    SearchRequest,
    SyncDone,
    SyncRequest,
)
from rag.values import Answer, Final

T = TypeVar("T")
Responses = dict[int | str, dict[str, Any]]

_SAID = {
    400: "The question, filter or body cannot be used.",
    401: "A key is needed, or this one is not known.",
    403: "This key may not do that, or the request comes from a page of another site.",
    404: "There is no such document or model.",
    409: "The index is being written to, or the change is larger than expected.",
    413: "The body is too large.",
    422: "A field is missing, unknown, or has the wrong type.",
    429: "Too many requests; Retry-After says when to try again.",
    502: "The language model failed.",
    503: "The index is missing or damaged, or the server is busy.",
}


def failing(*statuses: int) -> Responses:
    """The error replies of a route, for the OpenAPI page; those of every route included."""
    return {
        status: {"model": ErrorReply, "description": _SAID[status]}
        for status in (401, 403, 413, 422, 429, 503, *statuses)
    }


def notes_of(request: Request) -> dict[str, Any]:
    """What the log says of the request beside the usual."""
    notes: dict[str, Any] = request.state.notes
    return notes


def may_write(request: Request) -> None:
    """Raises RefusedError for a key that may not change the index."""
    if not request.state.may_write:
        said = "This key may search and ask, not change the index. One that may: rag serve --add-key NAME --may-write"
        raise RefusedError(403, said, "read_only_key")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client hangs up first."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RefusedError(499, "The client hung up.", "client_gone")
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await each


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def answered(service: Service, question: str, options: Mapping[str, Any]) -> Answer:
    """The answer to a question; cancelling stops the model."""
    stream = service.workers.stream(service.answers(question, **options))
    async with contextlib.aclosing(stream):
        async for event in stream:
            if isinstance(event, Final):
                return event.answer
    raise AssertionError("a stream ends with its answer")


def note_answer(service: Service, request: Request, answer: Answer) -> None:
    """Count an answer and say in the log how it ended."""
    service.metrics.answer(answer)
    notes_of(request).update(
        abstained=answer.abstained,
        confidence=round(answer.confidence, 3),
        citations=len(answer.citations),
        model=answer.model,
        tokens=[answer.usage.input_tokens, answer.usage.output_tokens],
    )
    if service.options.log_text:
        notes_of(request).update(question=answer.question, answer=answer.text)


def routes(service: Service) -> APIRouter:
    """The routes over one index."""
    router = APIRouter()

    @router.post("/search", responses=failing(400), tags=["questions"])
    async def search(request: Request, asked: SearchRequest) -> Found:
        """The passages that a question finds, best first."""
        found = await service.retrieve(asked.question, tokens=asked.tokens, k=asked.k, where=asked.where)
        notes_of(request).update(passages=len(found.passages))
        if service.options.log_text:
            notes_of(request).update(question=asked.question)
        return Found.model_construct(query=found.query, passages=list(found.passages), note=found.note)

    @router.post("/ask", responses=failing(400, 502), tags=["questions"])
    async def ask(request: Request, asked: AskRequest) -> Answer:
        """An answer whose every sentence is cited: `text[start:end]` of the document is the quote."""
        options = {"tokens": asked.tokens, "where": asked.where, "history": asked.history}
        answer = await unless_gone(request, answered(service, asked.question, options))
        note_answer(service, request, answer)
        return answer

    @router.get("/documents", responses=failing(), tags=["documents"])
    async def documents() -> Documents:
        """What is indexed, by name."""
        listed = await service.read(service.kb.documents)
        return Documents(documents=[_entry(info) for info in listed])

    @router.get("/documents/{doc:path}", responses=failing(404), tags=["documents"])
    async def document(
        doc: Annotated[str, Path(description="A name as /documents lists it.")],
        start: Annotated[int | None, Query(ge=0, le=2**31, description="First character of the text wanted.")] = None,
        end: Annotated[int | None, Query(ge=0, le=2**31, description="The character after the last.")] = None,
    ) -> DocumentText:
        """A document; with `start` or `end` also that range of its extracted text, into which citations point."""
        return await service.read(lambda: _document(service, doc, start, end))

    @router.delete("/documents/{doc:path}", responses=failing(404, 409), tags=["documents"])
    async def remove(request: Request, doc: Annotated[str, Path()]) -> SyncDone:
        """Take a document out of the index. Its file stays; a later sync of its folder adds it again."""
        may_write(request)
        return _done(await service.remove(doc))

    @router.post("/sync", responses=failing(400, 409), tags=["documents"])
    async def sync(request: Request, asked: SyncRequest | None = None) -> SyncDone:
        """Read again what was synced before. The reply comes when it is done; hanging up does not stop it."""
        may_write(request)
        asked = asked or SyncRequest()
        report = await service.sync(asked.targets, remove_most=asked.remove_most)
        counts = {name: len(getattr(report, name)) for name in ("added", "changed", "removed", "failed")}
        notes_of(request).update(counts, embedded=report.embedded)
        return _done(report)

    return router


def _entry(info: DocumentInfo) -> DocumentEntry:
    known = dataclasses.asdict(info)
    known.pop("path")  # a path says who the owner of the machine is
    return DocumentEntry(**known)


def _done(report: SyncReport) -> SyncDone:
    known = dataclasses.asdict(report)
    known["failed"] = [Failure(doc=doc, reason=reason) for doc, reason in report.failed]
    known["moved"] = [Move(before=before, after=after) for before, after in report.moved]
    return SyncDone(**known)


def _document(service: Service, doc: str, start: int | None, end: int | None) -> DocumentText:
    info = next((info for info in service.kb.documents() if info.doc == doc), None)
    if info is None:
        raise DocumentError(f"There is no document {doc!r} in the index; /documents lists them.")
    entry = _entry(info).model_dump()
    if start is None and end is None:
        return DocumentText(**entry)
    text = service.kb.document(doc).text
    first, last = min(start or 0, len(text)), min(len(text) if end is None else end, len(text))
    last = max(first, last)
    return DocumentText(**entry, start=first, end=last, text=text[first:last])
