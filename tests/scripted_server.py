"""A model server that plays a script: real HTTP on the loopback, streamed or not. No mock.

    with ScriptedServer("The tower is 30 m [b1.1].") as server:
        llm = open_model(f"openai-like:tiny@{server.url}", Settings())

The path chooses the protocol: OpenAI's, Ollama's or Anthropic's (see `dialects`), and the same script is said in it.
`script` holds what the next chat requests get, in order; after it every request gets the default. A step is a text, a
function of the request's messages that gives the text, or a `Play`. `requests` records what came in.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dialects import DIALECTS

Text = str | Callable[[list[dict[str, str]]], str]


@dataclass(frozen=True)
class Play:
    """One answer of the server.

    `status` other than 200 answers with `said` as the protocol's error; `raw` is sent as it stands, with `kind` as its
    type. `silence` seconds pass before the headers, `first` before the first piece, `pace` between pieces; with
    `pings`, signs of life without a word come meanwhile. After `drop` pieces the connection is cut, `rudely` where a
    chunked body was still open, else as if all were well; a reply in one piece is cut in the middle. `shattered` sends
    a byte at a time. `finish` is OpenAI's word for the reason of the end.
    """

    text: Text = "A reply."
    status: int = 200
    said: str = "an error"
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    kind: str = "text/event-stream"
    silence: float = 0.0
    first: float = 0.0
    pace: float = 0.0
    drop: int | None = None
    rudely: bool = False
    pings: bool = False
    shattered: bool = False
    finish: str = "stop"
    usage: tuple[int, int] | None = None


@dataclass(frozen=True)
class Request:
    """What came in: `headers` in lower case, `body` parsed."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        return "\n".join(message["content"] for message in spoken(self.body))


class ScriptedServer:
    """The server; `url` is the base URL of OpenAI's protocol, `root` the address without /v1."""

    def __init__(self, default: Text | Play = "A reply.") -> None:
        self.default = default
        self.script: list[Text | Play] = []
        self.pages: dict[str, Any] = {
            "/v1/models": {"object": "list", "data": [{"id": "tiny", "max_model_len": 8192}]},
            "/api/show": {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}},
            "/api/ps": {"models": []},
        }
        self.requests: list[Request] = []
        self.hung_up = threading.Event()
        """Set once a client went away while a reply was being written."""
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat requests among `requests`."""
        return [request for request in self.requests if request.path in DIALECTS]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def spoken(body: dict[str, Any]) -> list[dict[str, str]]:
    """The messages of a request, the system's first, wherever its protocol puts that."""
    system = [{"role": "system", "content": body["system"]}] if "system" in body else []
    return [*system, *body["messages"]]


def pieces(text: str) -> Iterator[str]:
    """Text cut as a model would: a word or so at a time, labels in the middle too."""
    return (found[0] for found in re.finditer(r"\s*\w{1,5}|\s*\W", text))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: ScriptedServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._take(None)
        self._page()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._take(body)
        if self.path not in DIALECTS:
            self._page()
            return
        server = self.server.script
        step = server.script.pop(0) if server.script else server.default
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._play(step if isinstance(step, Play) else Play(step), body)
            return
        self.server.script.hung_up.set()
        self.close_connection = True

    def _take(self, body: Any) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.server.script.requests.append(Request(self.path, headers, body))

    def _page(self) -> None:
        page = self.server.script.pages.get(self.path)
        self._send(404 if page is None else 200, {"error": {"message": "no such page"}} if page is None else page)

    def _send(self, status: int, page: Any, headers: Mapping[str, str] | None = None, cut: bool = False) -> None:
        body = page if isinstance(page, bytes) else json.dumps(page).encode()
        self.send_response(status)
        for key, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _play(self, play: Play, body: dict[str, Any]) -> None:
        dialect = DIALECTS[self.path]
        time.sleep(play.silence)
        if play.status != 200:
            self._send(play.status, dialect.error(play.status, play.said), play.headers)
            return
        if play.raw is not None:
            self._send(200, play.raw, {"content-type": play.kind})
            return
        text = play.text if isinstance(play.text, str) else play.text(spoken(body))
        if body.get("stream"):
            self._stream(play, text, body)
            return
        time.sleep(play.first)
        self._send(200, dialect.whole(body, text, play.finish, play.usage), cut=play.drop is not None)

    def _stream(self, play: Play, text: str, body: dict[str, Any]) -> None:
        dialect = DIALECTS[self.path]
        self.send_response(200)
        self.send_header("content-type", dialect.kind)
        if not play.rudely:
            # The end of the connection is then the end of the reply, so a lost one looks whole.
            self.send_header("connection", "close")
        else:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        self._events(play, dialect.opening(body, play.usage))
        self._wait(play, play.first, dialect.ping(body))
        for number, piece in enumerate(pieces(text)):
            if number == play.drop:
                return
            self._events(play, [dialect.piece(body, piece)])
            self._wait(play, play.pace, dialect.ping(body))
        if play.drop is not None:
            return
        self._events(play, dialect.ending(body, play.finish, play.usage))
        if play.rudely:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, play: Play, seconds: float, ping: bytes) -> None:
        until = time.monotonic() + seconds
        while play.pings and time.monotonic() < until:
            self._events(play, [ping])
            time.sleep(0.1)
        time.sleep(max(0.0, until - time.monotonic()))

    def _events(self, play: Play, events: Iterable[bytes]) -> None:
        for event in events:
            for part in (event[i : i + 1] for i in range(len(event))) if play.shattered else (event,):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if play.rudely else part)
                self.wfile.flush()
