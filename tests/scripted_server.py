"""A model server that plays a script: real HTTP on the loopback, OpenAI's chat protocol, streamed or not. No mock.

    with ScriptedServer("The tower is 30 m [b1.1].") as server:
        llm = open_model(f"openai-like:tiny@{server.url}", Settings())

`script` holds what the next chat requests get, in order; after it every request gets the default. A step is a text, a
function of the request's messages that gives the text, or a `Play`. `requests` records what came in.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Text = str | Callable[[list[dict[str, str]]], str]


@dataclass(frozen=True)
class Play:
    """One answer of the server.

    `status` other than 200 answers with `said` as OpenAI's error; `raw` is sent as it stands, with `kind` as its type.
    `silence` seconds pass before the headers, `first` before the first piece, `pace` between pieces; after `drop`
    pieces the connection is cut, `rudely` where a chunked body was still open, else as if all were well.
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
        return "\n".join(message["content"] for message in self.body["messages"])


class ScriptedServer:
    """The server; `url` is the base URL of its protocol, `root` the address without /v1."""

    def __init__(self, default: Text | Play = "A reply.") -> None:
        self.default = default
        self.script: list[Text | Play] = []
        self.pages: dict[str, Any] = {"/v1/models": {"object": "list", "data": [{"id": "tiny", "max_model_len": 8192}]}}
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
        return [request for request in self.requests if request.path == "/v1/chat/completions"]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


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
        if self.path != "/v1/chat/completions":
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

    def _send(self, status: int, page: Any, headers: Mapping[str, str] | None = None) -> None:
        body = page if isinstance(page, bytes) else json.dumps(page).encode()
        self.send_response(status)
        for key, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _play(self, play: Play, body: dict[str, Any]) -> None:
        time.sleep(play.silence)
        if play.status != 200:
            self._send(play.status, {"error": {"message": play.said, "type": "scripted"}}, play.headers)
            return
        if play.raw is not None:
            self._send(200, play.raw, {"content-type": play.kind})
            return
        text = play.text if isinstance(play.text, str) else play.text(body["messages"])
        usage = play.usage and {
            "prompt_tokens": play.usage[0], "completion_tokens": play.usage[1], "total_tokens": sum(play.usage)
        }  # fmt: skip
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": play.finish, "message": {"role": "assistant", "content": text}}
            self._send(200, _chunk("chat.completion", body, [choice], usage))
            return
        self._stream(play, text, body, usage if body.get("stream_options", {}).get("include_usage") else None)

    def _stream(self, play: Play, text: str, body: dict[str, Any], usage: Any) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        if not play.rudely:
            # The end of the connection is then the end of the reply, so a lost one looks whole.
            self.send_header("connection", "close")
        else:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        time.sleep(play.first)
        for number, piece in enumerate(pieces(text)):
            if number == play.drop:
                return
            self._event(play, _chunk("chat.completion.chunk", body, [_delta({"content": piece}, None)]))
            time.sleep(play.pace)
        if play.drop is not None:
            return
        self._event(play, _chunk("chat.completion.chunk", body, [_delta({}, play.finish)]))
        if usage:
            self._event(play, _chunk("chat.completion.chunk", body, [], usage))
        self._event(play, "[DONE]")
        if play.rudely:
            self.wfile.write(b"0\r\n\r\n")

    def _event(self, play: Play, data: Any) -> None:
        line = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line) if play.rudely else line)
        self.wfile.flush()


def _delta(delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(kind: str, body: dict[str, Any], choices: list[Any], usage: Any = None) -> dict[str, Any]:
    chunk = {"id": "c1", "object": kind, "created": 1, "model": body["model"], "choices": choices}
    return {**chunk, "usage": usage} if usage else chunk
