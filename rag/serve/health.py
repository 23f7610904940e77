"""How the server does: alive, ready, and its counters for Prometheus. Repairs nothing and shows no document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from index.errors import RagError
from rag.serve.rest import failing
from rag.serve.service import Service
from rag.serve.shapes import Health


def routes(service: Service) -> APIRouter:
    """/healthz, /readyz and /metrics."""
    router = APIRouter(tags=["server"])

    @router.get("/healthz", responses=failing())
    async def healthz() -> Health:
        """The process lives."""
        return Health(status="ok")

    @router.get("/readyz", responses={503: {"model": Health, "description": "Not ready."}})
    async def readyz() -> Any:
        """The index can be read and questions be embedded."""
        try:
            state = await service.read(service.state)
            reason = "" if service.warm and state else "The model is being loaded." if state else "There is no index."
        except RagError as error:
            reason = str(error)
        health = Health(status="not ready" if reason else "ok", reason=reason)
        return JSONResponse(health.model_dump(), 503 if reason else 200)

    @router.get("/metrics", response_class=Response, responses=failing())
    async def metrics() -> Response:
        """For Prometheus."""
        try:
            state = await service.read(service.state)
        except RagError:
            state = None
        return Response(service.metrics.page(state), media_type=CONTENT_TYPE_LATEST)

    return router
