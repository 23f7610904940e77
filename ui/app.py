"""The web application: the page, mounted behind the checks of `ui.server`, and the routes beside it. Shows nothing."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from rag.answer import Rag
from ui.desk import Desk
from ui.downloads import add_downloads
from ui.server import Access, guard

if TYPE_CHECKING:
    from fastapi import FastAPI


def build(kb: Rag, access: Access | None = None, *, uploads: Path | None = None, runs: Path | None = None) -> FastAPI:
    """The whole application over one index. Needs the `ui` extra; starts no server.

    `access` says who reaches it (default: this machine only), `uploads` where files are kept (default: in the index),
    `runs` where eval runs lie (default: ./runs).
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported, which reads it
    import gradio as gr
    from fastapi import FastAPI

    from ui.page import blocks
    from ui.routes import add_routes

    desk = Desk.over(kb, access or Access(), uploads, runs)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guard(app, access or Access())
    add_downloads(app, kb, desk.conversations, desk.feedback)
    add_routes(app, desk)
    plain_fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.mount_gradio_app(  # type: ignore[no-any-return]
        app,
        blocks(desk),
        path="/",
        theme=gr.themes.Base(**plain_fonts),
        head=f"<style>{files('ui').joinpath('style.css').read_text('utf-8')}</style>",
        favicon_path=str(files("ui").joinpath("favicon.svg")),
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=1,  # files come through a route of our own, which keeps their folders' names
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
    )
