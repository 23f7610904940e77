"""The routes beside the page: pages of PDFs, files, uploads, exports, eval reports. Each hands out what is ours only.

No annotations from __future__ here: FastAPI reads the types of parameters.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import DocumentError, RagError
from rag.display.prose import escape
from ui.desk import Desk
from ui.opening import opened_file, sheet
from ui.reports import report

if TYPE_CHECKING:
    from fastapi import FastAPI

_YEAR = "private, max-age=31536000, immutable"


def add_routes(app: "FastAPI", desk: Desk) -> None:
    """Put the routes in front of whatever is mounted later."""
    from fastapi import Request
    from fastapi.responses import FileResponse, HTMLResponse, Response

    def plainly(work: Callable[[], Any]) -> Any:
        """The reply of `work`, or the reason why there is none."""
        try:
            return work()
        except RagError as error:
            return Response(str(error), 404, media_type="text/plain; charset=utf-8")

    @app.get("/sheet")
    def get_sheet(doc: str, page: int, v: str = "") -> Any:
        kept = {"cache-control": _YEAR if v else "no-store"}  # v: the document's version
        return plainly(lambda: Response(sheet(desk.kb, doc, page), media_type="image/png", headers=kept))

    @app.get("/file")
    def get_file(doc: str) -> Any:
        def send() -> Any:
            found = opened_file(desk.kb, doc)
            how = "inline" if found.inline else "attachment"
            return FileResponse(
                found.path, media_type=found.media_type, filename=found.name, content_disposition_type=how
            )

        return plainly(send)

    @app.get("/report")
    def get_report(run: str, base: str = "") -> Any:
        try:
            return HTMLResponse(report(desk.runs, run, base), headers={"cache-control": "no-store"})
        except RagError as error:
            return HTMLResponse(f"<!doctype html><title>No report</title><p>{escape(error)}</p>", 404)

    @app.post("/upload")
    async def post_upload(request: Request, name: str) -> Any:
        from anyio.to_thread import run_sync

        try:
            path = await _received(request, desk.uploads.limits.file_bytes)
        except DocumentError as error:
            return {"refused": str(error)}
        try:
            done = await run_sync(partial(desk.uploads.add, [(name, path)]))
        except RagError as error:
            return {"refused": str(error)}
        finally:
            path.unlink(missing_ok=True)
        return {
            "saved": list(done.saved),
            "existing": list(done.existing),
            "refused": "".join(r for _, r in done.refused),
        }


async def _received(request: Any, most: int) -> Path:
    """The body in a file of its own, which the caller deletes. Raises DocumentError when it is too large."""
    handle, name = tempfile.mkstemp(prefix="footnote-upload-")
    size = 0
    try:
        with os.fdopen(handle, "wb") as out:
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise DocumentError(f"larger than {most / 1e6:.0f} MB (max_file_mb)")
                out.write(piece)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
