"""What went wrong as an HTTP status and OpenAI's error object. The sentence is the one that the command line prints."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from index.errors import (
    DocumentError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    ModelError,
    QueryError,
    RagError,
)
from rag.serve.workers import BusyError


class RefusedError(RagError):
    """A request that is refused with a status of its own; `param` names the field that is to blame."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


_KINDS: tuple[tuple[type[RagError], int, str], ...] = (
    (QueryError, 400, "bad_query"),
    (DocumentError, 404, "document_not_found"),
    (IndexLockedError, 409, "index_locked"),
    (IndexMissingError, 503, "no_index"),
    (IndexMismatchError, 503, "index_mismatch"),
    (IndexDamagedError, 503, "index_damaged"),
    (BusyError, 503, "busy"),
    (ModelError, 502, "model_failed"),
    (RagError, 500, "failed"),
)


def status_of(error: RagError) -> int:
    """The HTTP status."""
    if isinstance(error, RefusedError):
        return error.status
    return next(status for kind, status, _ in _KINDS if isinstance(error, kind))


def body_of(error: RagError) -> dict[str, Any]:
    """OpenAI's error object around the error's sentence."""
    if isinstance(error, RefusedError):
        return body(error.status, str(error), error.code, error.param)
    status, code = next((status, code) for kind, status, code in _KINDS if isinstance(error, kind))
    return body(status, str(error), code)


def body(status: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """OpenAI's error object."""
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(status)
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    code = code or HTTPStatus(status).phrase.lower().replace(" ", "_")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def headers_of(error: RagError) -> dict[str, str]:
    """Headers that belong to the status."""
    return {"retry-after": "1"} if isinstance(error, BusyError) else {}
