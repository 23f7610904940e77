"""The commands `rag serve` and `rag mcp`: check where they may listen, then serve. Web packages load when they run."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import logging
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from index.errors import IndexMissingError, MissingExtraError, RagError
from index.heap import one_heap
from rag.cli import index_option, open_rag

if TYPE_CHECKING:
    from rag.answer import Rag

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_MODEL_HELP = "Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ..."


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need API keys.")
@click.option(
    "--port", default=8600, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--model", metavar="SPEC", help=_MODEL_HELP)
@click.option("--name", default="footnote", show_default=True, help="Under which /v1/models lists the index.")
@click.option(
    "--footnotes", is_flag=True, help="End chat replies with their quotes, for front ends without annotations."
)
@click.option(
    "--rate", default=600, show_default=True, type=click.IntRange(0), help="Requests a minute a client; 0: any."
)
@click.option("--body-kb", default=1024, show_default=True, type=click.IntRange(1), help="Largest request.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Another name under which it is reached (a proxy's).")
@click.option("--log-text", is_flag=True, help="Also log questions and answers.")
@click.option("--add-key", metavar="NAME", help="Make an API key, print it once, and end.")
@click.option("--may-write", is_flag=True, help="The new key may also sync and remove documents.")
@click.option("--remove-key", metavar="NAME", help="Forget an API key, and end.")
@click.option("--list-keys", is_flag=True, help="Print the names of the API keys, and end.")
@index_option
def serve(
    host: str, port: int, model: str | None, name: str, footnotes: bool, rate: int, body_kb: int,
    allow_host: tuple[str, ...], log_text: bool, add_key: str | None, may_write: bool, remove_key: str | None,
    list_keys: bool, index: Path | None,
) -> None:  # fmt: skip
    """Serve the index over HTTP: OpenAI's chat protocol, a REST API with a page of it at /docs, metrics."""
    if add_key or remove_key or list_keys:
        _change_keys(index, add_key, remove_key, may_write)
        return
    _need("serve", "The server", "fastapi", "uvicorn", "prometheus_client", "limits", "fastapi_offline")
    address, local = _address(host)
    one_heap()
    with open_rag(index, model=model) as kb:
        _check(kb)
        from rag.serve.keys import FILE, KeyFile

        if not local and not KeyFile(kb.index.folder / FILE).all():
            raise RagError(
                f"--host {host} lets others reach the index, so it needs an API key. Type: rag serve --add-key NAME"
            )
        from rag.serve.app import build
        from rag.serve.service import Options

        hosts = ("*",) if not local and not allow_host else (*_LOCAL, host, *allow_host)
        options = Options(
            name=name, footnotes=footnotes, rate=rate, body_kb=body_kb, need_key=not local, log_text=log_text,
            hosts=hosts,
        )  # fmt: skip
        with _listen(address, port) as listener:
            url = _url(address, listener)
            click.echo(f"{url}  (OpenAI clients: base URL {url}/v1, model {name}; the API: {url}/docs; Ctrl+C ends it)")
            _run(build(kb, options), listener)


def _change_keys(index: Path | None, add: str | None, remove: str | None, may_write: bool) -> None:
    from rag.answer import find_index
    from rag.serve.keys import FILE, KeyFile

    folder = index or find_index()
    if not (folder / "manifest.json").exists():
        raise IndexMissingError(f"There is no index at {folder}. Make one: rag sync FOLDER")
    keys = KeyFile(folder / FILE)
    if remove:
        keys.remove(remove)
        click.echo(f"The key {remove!r} is no longer known.")
    if add:
        click.echo(keys.add(add, may_write=may_write))
        click.echo("Shown once; only its hash is kept. Clients send it as: Authorization: Bearer KEY", err=True)
    if not add and not remove:
        for key in keys.all():
            click.echo(f"{key.name}  made {key.made}, {'may write' if key.may_write else 'read only'}")


@click.command()
@click.option("--http", "over_http", is_flag=True, help="Streamable HTTP on this machine instead of standard input.")
@click.option("--port", default=8601, show_default=True, type=click.IntRange(0, 65535), help="Port for --http.")
@click.option("--model", metavar="SPEC", help=_MODEL_HELP)
@index_option
def mcp(over_http: bool, port: int, model: str | None, index: Path | None) -> None:
    """Offer the index to agents over MCP: the tools search, ask, documents and document."""
    _need("mcp", "The MCP server", "mcp", "uvicorn")
    with open_rag(index, model=model) as kb:
        _check(kb)
        from rag.serve.tools import build

        server = build(kb)
        threading.Thread(target=_warm, args=(kb,), daemon=True).start()
        if not over_http:
            with contextlib.suppress(KeyboardInterrupt):
                server.run("stdio")
            return
        with _listen("127.0.0.1", port) as listener:
            click.echo(f"{_url('127.0.0.1', listener)}/mcp  (Ctrl+C ends it)")
            _run(server.streamable_http_app(), listener)


def _check(kb: Rag) -> None:
    if not kb.index.exists():
        raise IndexMissingError(f"There is no index at {kb.index.folder}. Make one: rag sync FOLDER")
    kb.index.catalog.generation()


def _warm(kb: Rag) -> None:
    with contextlib.suppress(RagError):
        if kb.documents():
            kb.search("warm-up", k=1)


def _need(extra: str, feature: str, *packages: str) -> None:
    if any(importlib.util.find_spec(package) is None for package in packages):
        raise MissingExtraError(feature, extra)


def _address(host: str) -> tuple[str, bool]:
    """The address to listen on, and whether only this machine can reach it."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        raise RagError(f"--host {host} is no address; expected one such as 127.0.0.1 or 0.0.0.0.") from None
    return str(address), address.is_loopback


def _listen(address: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=1024)
    except OSError as error:
        reason = error.strerror or error
        raise RagError(f"Port {port} of {address} cannot be used ({reason}). Choose another: --port N") from error


def _url(address: str, listener: socket.socket) -> str:
    return f"http://{f'[{address}]' if ':' in address else address}:{listener.getsockname()[1]}"


def _run(app: Any, listener: socket.socket) -> None:
    import uvicorn

    from rag.serve.logs import write_to_stderr

    write_to_stderr()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").addFilter(lambda record: not server.should_exit)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
