"""What every request passes on its way in and out, as plain ASGI: its id, the log, the keys, the limits.

Plain ASGI, so that streamed replies stay streamed and a client that hangs up is noticed.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from index.errors import RagError
from rag.serve.failures import body
from rag.serve.keys import KeyFile
from rag.serve.logs import logger, place_of
from rag.serve.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")
"""Paths that need no key: they show nothing of what is indexed."""

_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_METHODS = {"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"}
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}


class Watch:
    """The outermost: gives each request an id, logs and counts it, and turns what nobody expected into a 500."""

    def __init__(self, app: App, metrics: Metrics, *, log_text: bool) -> None:
        self.app, self.metrics, self.log_text = app, metrics, log_text

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass it on, and look at what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        notes: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=request_id, notes=notes)
        began, status = time.perf_counter(), 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                theirs = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                ours = {**HEADERS, "x-request-id": request_id}
                message["headers"] = [*theirs, *((name.encode(), value.encode()) for name, value in ours.items())]
            await send(message)

        self.metrics.under_way.inc()
        try:
            await self.app(scope, receive, marked)
        except Exception as error:
            notes.update(error=type(error).__name__, at=place_of(error))
            if self.log_text:
                notes["said"] = str(error)
            if not status:
                said = body(500, f"Something failed that should not have. The server's log has it as {request_id}.")
                await JSONResponse(said, 500)(scope, receive, marked)
            else:
                raise  # the reply has begun: only cutting it says that it is not whole
        finally:
            self.metrics.under_way.dec()
            self._note(scope, notes, request_id, status, time.perf_counter() - began)

    def _note(self, scope: Message, notes: dict[str, Any], request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or "(none)"
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"  # a label must not grow without end
        self.metrics.request(route, method, status, seconds)
        level = logger.error if status >= 500 or not status else logger.info
        fields = {"request_id": request_id, "method": scope["method"], "route": route, "status": status}
        level("request", extra={"fields": {**fields, "seconds": round(seconds, 4), **notes}})


def _request_id(scope: Message) -> str:
    given = _header(scope, b"x-request-id")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


class Gate:
    """Lets in whom it may: no page of another site, with a key where one is needed, not too often, not too much."""

    def __init__(self, app: App, keys: KeyFile, *, need_key: bool, rate: int, body_kb: int) -> None:
        self.app, self.keys, self.need_key, self.body_bytes = app, keys, need_key, body_kb * 1024
        self._rate = RateLimitItemPerMinute(rate) if rate else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass it on, or say why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self.app(scope, self._bounded(receive), send)

    def _refused(self, scope: Message) -> JSONResponse | None:
        notes = scope["state"]["notes"]
        origin = _header(scope, b"origin")
        if origin and urlsplit(origin).netloc != _header(scope, b"host"):
            return _refusal(403, f"Pages of {origin} may not ask this server.", "foreign_origin")
        try:
            known = self.keys.all()
            key = self.keys.find(_secret(scope)) if known else None
        except RagError as error:
            return _refusal(503, str(error), "keys_damaged")
        who = f"key:{key.name}" if key else f"address:{_network(scope)}"
        notes["who"] = who
        scope["state"]["may_write"] = key.may_write if key else not (known or self.need_key)
        if scope["path"] in ("/healthz", "/readyz"):  # whoever looks after the server may look often
            return None
        if self._rate is not None and not self._limiter.hit(self._rate, who):
            return self._too_often(who)
        if key is None and (known or self.need_key) and not scope["path"].startswith(OPEN):
            return _no_key(_secret(scope))
        if _length(scope) > self.body_bytes:
            return _refusal(413, _too_large(self.body_bytes), "too_large")
        return None

    def _too_often(self, who: str) -> JSONResponse:
        assert self._rate is not None
        again = max(1, round(self._limiter.get_window_stats(self._rate, who).reset_time - time.time() + 0.5))
        said = f"More than {self._rate.amount} requests in a minute. Try again in {again} s."
        return _refusal(429, said, "rate_limited", {"retry-after": str(again)})

    def _bounded(self, receive: Receive) -> Receive:
        """`receive` that gives up on a body which turns out longer than was said."""
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.body_bytes:
                raise HTTPException(413, _too_large(self.body_bytes))
            return message

        return bounded


def _no_key(given: str) -> JSONResponse:
    said = "This key is not known." if given else "A key is needed: send the header Authorization: Bearer KEY."
    said += " Whoever runs the server makes one: rag serve --add-key NAME"
    return _refusal(401, said, "invalid_api_key", {"www-authenticate": "Bearer"})


def _refusal(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body(status, message, code), status, headers)


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit // 1024} kB (--body-kb)."


def _secret(scope: Message) -> str:
    kind, _, secret = _header(scope, b"authorization").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


def _length(scope: Message) -> int:
    said = _header(scope, b"content-length")
    return int(said) if said.isdecimal() else 0


def _network(scope: Message) -> str:
    """The client's address; of IPv6 the /64 that one household or machine has."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name), "")
