"""The `rag ui` command: checks where the page may listen and who may log in, then serves it. Shows nothing itself.

Gradio is imported only when it serves.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import logging
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from index.errors import MissingExtraError, RagError
from index.heap import one_heap
from rag.cli import index_option, open_rag

if TYPE_CHECKING:
    from rag.answer import Rag
    from ui.auth import Users
    from ui.server import Access

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others' need --auth.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--model", metavar="SPEC", help="Who answers: extract (default), openai-like:NAME@URL, ollama:NAME, ...")
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@click.option("--auth", is_flag=True, help="Ask for a name and a password; make users with --add-user.")
@click.option("--add-user", metavar="NAME", help="Add a user, or change the password of one, and end.")
@click.option("--remove-user", metavar="NAME", help="Take a user out, which logs them out, and end.")
@click.option("--users", type=_PATH, metavar="FILE", help="Where users are kept; default: users.txt in the index.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Another name of this machine; may be repeated.")
@click.option("--tls", nargs=2, type=_FILE, metavar="CERT KEY", help="Serve https with this certificate and its key.")
@click.option("--uploads", type=_PATH, metavar="FOLDER", help="Where uploads are kept; default: uploads in the index.")
@index_option
def ui(
    *,
    host: str,
    port: int,
    model: str | None,
    no_browser: bool,
    auth: bool,
    add_user: str | None,
    remove_user: str | None,
    users: Path | None,
    allow_host: tuple[str, ...],
    tls: tuple[Path, Path] | None,
    uploads: Path | None,
    index: Path | None,
) -> None:
    """Open the chat page: ask, read, and jump to the words behind each sentence."""
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("The chat page", "ui")
    one_heap()
    with open_rag(index, model=model) as kb:
        if add_user or remove_user:
            _change(_users(kb, users), add_user, remove_user)
            return
        address = _address(host, port, auth=auth)
        access = _access(address, allow_host, _users(kb, users) if auth else None)
        shown = f"[{address}]" if ":" in address else address
        url = f"http{'s' if tls else ''}://{shown}:{port}"
        with _listen(address, port) as listener:
            for line in _exposed(kb, address, access, encrypted=bool(tls)):
                click.echo(line, err=True)
            _serve(kb, listener, url, access, tls, uploads, browser=sys.stdout.isatty() and not no_browser)


# Users


def _users(kb: Rag, file: Path | None) -> Users:
    from ui.auth import Users

    return Users(file or kb.index.folder / "users.txt")


def _change(users: Users, add: str | None, remove: str | None) -> None:
    if remove:
        users.remove(remove)
        click.echo(f"{remove} was taken out of {users.file}.")
    if add:
        password = click.prompt(f"Password of {add}", hide_input=True, confirmation_prompt=True)
        click.echo(f"{add} {'is now in' if users.add(add, password) else 'has a new password in'} {users.file}.")


# Where the page listens


def _address(host: str, port: int, *, auth: bool) -> str:
    """The address behind `host`. Raises RagError where others could reach it and nobody has to log in."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if auth and address is None:
        raise RagError(
            f"--host {host} is not an address; expected one of this machine's, or 0.0.0.0 for all of them. Names under "
            "which the page shall answer go into --allow-host."
        )
    if not auth and (address is None or not address.is_loopback):
        raise RagError(
            f"--host {host} would let others reach the page, and whoever opens it can read every document. Let people "
            f"log in: rag ui --add-user NAME, then rag ui --host {host} --auth. Or tunnel from the other machine: "
            f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE, then open http://127.0.0.1:{port} there."
        )
    return str(address)


def _access(address: str, names: Sequence[str], users: Users | None) -> Access:
    """The names under which the page answers, and its users. Raises RagError when nobody could log in."""
    from ui.server import HOSTS, Access

    if users is not None and not users.names():
        raise RagError(f"There is no user in {users.file}, so nobody could log in. Type: rag ui --add-user NAME")
    for name in names:
        if "*" in name or "/" in name or not name.isprintable():
            raise RagError(f"--allow-host {name} is no name of a machine; expected one like footnote.example.org")
    own = ipaddress.ip_address(address)
    here = [socket.gethostname()] if own.is_unspecified else []
    shown = [] if own.is_unspecified else [f"[{address}]" if own.version == 6 else address]
    return Access(tuple(dict.fromkeys((*HOSTS, *shown, *here, *names))), users)


def _exposed(kb: Rag, address: str, access: Access, *, encrypted: bool) -> list[str]:
    """What others can reach, in sentences; nothing where nobody else can."""
    if ipaddress.ip_address(address).is_loopback:
        return []
    from ui.server import HOSTS

    names = ", ".join(name for name in access.hosts if name not in HOSTS) or "no name but this machine's own"
    who = access.users.names() if access.users else []
    count = len(kb.documents())
    lines = [
        f"Others can reach this page under: {names} (more: --allow-host NAME).",
        f"Whoever logs in ({', '.join(who)}) can read all {count} documents of {kb.index.folder}, ask, add files and "
        "web pages, and remove documents. Conversations are kept apart by user.",
    ]
    if not encrypted:
        lines.append(
            "Passwords and answers travel unencrypted; give --tls CERT KEY, or put a proxy with https in front."
        )
    return lines


def _listen(address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    except OSError as error:
        reason = error.strerror or error
        raise RagError(f"Port {port} of {address} cannot be used ({reason}). Choose another: --port N") from error


def _serve(
    kb: Rag,
    listener: socket.socket,
    url: str,
    access: Access,
    tls: tuple[Path, Path] | None,
    uploads: Path | None,
    *,
    browser: bool,
) -> None:
    import uvicorn

    from ui.app import build

    secured: dict[str, Any] = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]} if tls else {}
    app = build(kb, access, uploads=uploads)
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=1, **secured)
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
