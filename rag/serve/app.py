"""Wires the routes over one index to a web application. Starts no server and decides nothing of what is answered."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from index.errors import RagError
from rag.answer import Rag
from rag.serve import completions, health, pages, rest
from rag.serve.failures import body, body_of, headers_of, status_of
from rag.serve.gates import Gate, Watch
from rag.serve.keys import FILE, KeyFile
from rag.serve.service import Options, Service

_ABOUT = """\
Questions to one index of documents. Every sentence of an answer is cited to the exact characters that support it:
`GET /documents/{doc}?start=…&end=…` gives the quoted words. Failures have the shape of OpenAI's error object.
"""


def build(kb: Rag, options: Options | None = None) -> FastAPI:
    """The application over one index. Needs the `serve` extra."""
    options = options or Options()
    service = Service(kb, options)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=service.warm_up, daemon=True).start()
        yield
        service.kb.close()

    app = FastAPI(
        title="footnote",
        version=version("footnote-rag"),
        description=_ABOUT,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(completions.routes(service))
    app.include_router(rest.routes(service))
    app.include_router(health.routes(service))
    app.include_router(pages.routes())
    app.add_exception_handler(RagError, _failed)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    # The last one added is the outermost.
    keys = KeyFile(kb.index.folder / FILE)
    app.add_middleware(Gate, keys=keys, need_key=options.need_key, rate=options.rate, body_kb=options.body_kb)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(options.hosts), www_redirect=False)
    app.add_middleware(Watch, metrics=service.metrics, log_text=options.log_text)
    return app


async def _failed(request: Request, error: Any) -> JSONResponse:
    request.state.notes["error"] = type(error).__name__
    return JSONResponse(body_of(error), status_of(error), headers_of(error))


async def _refused(request: Request, error: Any) -> JSONResponse:
    headers = dict(error.headers or {})
    if error.status_code == 405:  # Starlette names the methods of the first route of the path alone
        known = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path_format", ""), {})
        headers["allow"] = ", ".join(sorted(method.upper() for method in known)) or headers.get("allow", "")
    return JSONResponse(body(error.status_code, str(error.detail)), error.status_code, headers)


async def _invalid(request: Request, error: Any) -> JSONResponse:
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part != "body")
    status = 400 if request.url.path.startswith("/v1/") else 422
    said = f"{place or 'The body'}: {found['msg']}"
    return JSONResponse(body(status, said, "invalid_value", place or None), status)
