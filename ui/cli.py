"""The `rag ui` command: checks where the page may listen, then serves it. Gradio is imported only when it runs."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from index.errors import MissingExtraError, RagError
from rag.cli import index_option, open_rag

if TYPE_CHECKING:
    from rag.answer import Rag


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; only this machine's own.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--model", metavar="SPEC", help="Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ...")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@index_option
def ui(host: str, port: int, model: str | None, no_browser: bool, index: Path | None) -> None:
    """Open the chat page: ask, read, and jump to the words behind each sentence."""
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("The chat page", "ui")
    address = _loopback(host, port)
    url = f"http://{f'[{address}]' if ':' in address else address}:{port}"
    with _listen(address, port) as listener, open_rag(index, model=model) as kb:
        _serve(kb, listener, url, browser=sys.stdout.isatty() and not no_browser)


def _loopback(host: str, port: int) -> str:
    """The address behind `host` if only this machine can reach it; raises RagError otherwise."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise RagError(
            f"--host {host} would let others reach the page, and password protection is not built yet: whoever opens "
            f"the page can read every document. From another machine, tunnel instead: "
            f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE, then open http://127.0.0.1:{port} there."
        )
    return str(address)


def _listen(address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        reason = error.strerror or error
        raise RagError(f"Port {port} of {address} cannot be used ({reason}). Choose another: --port N") from error


def _serve(kb: Rag, listener: socket.socket, url: str, *, browser: bool) -> None:
    import uvicorn

    from ui.app import build

    config = uvicorn.Config(build(kb), log_level="warning", server_header=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    # An open page holds a connection; that it is cut when the person ends the server is no error to report.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
    threading.Thread(target=_warm, args=(kb,), daemon=True).start()
    click.echo(f"{url}  (Ctrl+C ends it)")
    if browser:
        import webbrowser

        # The socket already listens: the browser waits in line until the server takes over.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _warm(kb: Rag) -> None:
    """Load the query encoder while the person still reads, so that the first answer is as quick as the others."""
    with contextlib.suppress(RagError):
        if kb.documents():
            kb.search("warm-up", k=1)
