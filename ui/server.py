"""What stands between the network and the page: host names, headers, where a request may come from, who has logged in.

Plain ASGI around the whole application, so that it holds for every route of Gradio and for every one to come. Knows
nothing of what the page shows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from rag.display.prose import escape
from ui.auth import Sessions, Tries, Users

if TYPE_CHECKING:
    from fastapi import FastAPI

# Gradio's page compiles templates and styles itself at run time, hence the two 'unsafe'. What matters is that nothing
# is loaded from, sent to or framed by another place: even a slip in escaping has nowhere to carry a document.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: with it a browser sends the Origin "null" with the page's own forms.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
REPORT = "/report"
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
    " allow-scripts"
)
"""For the report of an eval run, the one page that ours shows in a frame: it loads nothing, reaches nothing of us."""

HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names under which the page answers; others mean that some web page has pointed its own name at this machine."""

USER_HEADER = "x-footnote-user"
"""Carries the name of who has logged in to the handlers. What a client sends under this name is thrown away."""

COOKIE = "footnote"
_LOGIN, _LOGOUT = "/login", "/logout"
_LONGEST_FORM = 10_000

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who reaches the page: the names under which it answers, and the users who may log in (None: no log-in)."""

    hosts: Sequence[str] = HOSTS
    users: Users | None = None


def guard(app: FastAPI, access: Access) -> None:
    """Put the checks around an application; nothing that is added to it later is outside of them."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    # The last one added is the outermost: refusals carry the headers too.
    app.add_middleware(Doorkeeper, users=access.users)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(access.hosts), www_redirect=False)
    app.add_middleware(SecurityHeaders)


def user_of(request: Any) -> str:
    """Who sent a request that Gradio or FastAPI hands to a handler; "" where nobody has to log in."""
    return str(request.headers.get(USER_HEADER, "")) if request is not None else ""


class SecurityHeaders:
    """Adds HEADERS to every reply; plain ASGI, so that streamed replies stay streamed."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on; the reply comes back with the headers."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = {"content-security-policy": REPORT_POLICY} if path == REPORT else {}
                ours = [(name.encode(), value.encode()) for name, value in (HEADERS | policy).items()]
                theirs = [pair for pair in message.get("headers", ()) if pair[0].decode().lower() not in HEADERS]
                message["headers"] = [*theirs, *ours]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Doorkeeper:
    """Refuses what other web pages send, and, where there are users, everything of somebody who has not logged in."""

    def __init__(self, app: App, users: Users | None = None, tries: Tries | None = None) -> None:
        self.app = app
        self.users = users
        self.sessions = Sessions(users) if users else None
        self.tries = tries or Tries()
        self._one_by_one = threading.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the request on under the user's name, or answer it with the log-in page or a refusal."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        from starlette.requests import HTTPConnection

        scope["headers"] = [pair for pair in scope["headers"] if pair[0].lower() != USER_HEADER.encode()]
        connection = HTTPConnection(scope)
        if _comes_from_elsewhere(connection):
            await _refuse(scope, receive, send, 403, "This request comes from another web page.")
            return
        if self.sessions is None:
            await self.app(scope, receive, send)
            return
        user = self.sessions.user(connection.cookies.get(COOKIE, ""))
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if scope["type"] == "http" and path in {_LOGIN, _LOGOUT}:
            await (self._login if path == _LOGIN else self._logout)(scope, receive, send)
        elif user is not None:
            scope["headers"] = [*scope["headers"], (USER_HEADER.encode(), user.encode())]
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET" and _is_page(connection):
            wanted = quote(path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""))
            await _redirect(scope, receive, send, f"{_LOGIN}?next={wanted}")
        else:
            await _refuse(scope, receive, send, 401, "Log in first: open the page in a browser.")

    async def _login(self, scope: Message, receive: Receive, send: Send) -> None:
        from starlette.requests import Request

        request = Request(scope, receive)
        wanted = _own_path(request.query_params.get("next", "/"))
        if request.method != "POST":
            await _answer(scope, receive, send, 200, _login_page(wanted))
            return
        try:
            form = await _form(request)
        except ValueError:
            await _answer(scope, receive, send, 400, _login_page(wanted, "That was not a log-in."))
            return
        # gradio_client says "username", and wants a reply that is no redirection.
        name = form.get("name") or form.get("username", "")
        status, problem, headers = await self._tried(request, name, form.get("password", ""))
        if problem:
            await _answer(scope, receive, send, status, _login_page(wanted, problem), headers)
        elif "username" in form:
            await _answer(scope, receive, send, 200, "", self._cookie(scope, name))
        else:
            await _redirect(scope, receive, send, wanted, self._cookie(scope, name))

    async def _tried(self, request: Any, name: str, password: str) -> tuple[int, str, dict[str, str]]:
        """Status, what to tell the person (nothing when let in), headers."""
        import anyio.to_thread

        address = request.client.host if request.client else ""
        right, wait = await anyio.to_thread.run_sync(self._checked, address, name, password)
        if wait:
            minutes = f"{-(-wait // 60)} minute" + ("s" if wait > 60 else "")
            return 429, f"Too many tries. Wait {minutes}.", {"retry-after": str(wait)}
        return (200, "", {}) if right else (401, "The name or the password is not right.", {})

    def _checked(self, address: str, name: str, password: str) -> tuple[bool, int]:
        """Whether the password is right, and the seconds to wait before one is looked at."""
        assert self.users is not None
        # One after the other, each counted before the next: many wrong tries at once are as many tries, while many
        # people who come in from one address at once are all let in.
        with self._one_by_one:
            wait = self.tries.wait(address, name)
            if wait > 0:
                return False, int(wait) + 1
            right = self.users.check(name, password)
            if right:
                self.tries.succeed(address)
            else:
                self.tries.fail(address, name)
            return right, 0

    def _cookie(self, scope: Message, name: str) -> dict[str, str]:
        assert self.sessions is not None
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        made = f"{COOKIE}={self.sessions.begin(name)}; Max-Age={self.sessions.seconds}"
        return {"set-cookie": f"{made}; Path=/; HttpOnly; SameSite=Lax{secure}"}

    async def _logout(self, scope: Message, receive: Receive, send: Send) -> None:
        from starlette.requests import Request

        assert self.sessions is not None
        if scope["method"] != "POST":
            await _refuse(scope, receive, send, 405, "Logging out is a POST.")
            return
        self.sessions.end(Request(scope).cookies.get(COOKIE, ""))
        gone = f"{COOKIE}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
        await _redirect(scope, receive, send, _LOGIN, {"set-cookie": gone})


def _comes_from_elsewhere(connection: Any) -> bool:
    """Whether a browser says that another site's page sends this, and it could change something."""
    if connection.scope["type"] == "http" and connection.scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return False
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != connection.headers.get("host", "").lower()


def _is_page(connection: Any) -> bool:
    """Whether a browser wants to show the reply as a page, rather than a script or a program reading it."""
    return "text/html" in connection.headers.get("accept", "")


def _own_path(wanted: str) -> str:
    """A path of this page to go to; anything that could lead elsewhere becomes the front page."""
    plain = wanted.startswith("/") and wanted[1:2] not in {"/", "\\"} and wanted.isprintable()
    return wanted if plain and not urlsplit(wanted).netloc else "/"


async def _form(request: Any) -> dict[str, str]:
    """A short form as a dict. Raises ValueError for one that is too long or not text."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            raise ValueError("too long")
    fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10)
    return {name: values[-1] for name, values in fields.items()}


def _login_page(wanted: str, problem: str = "") -> str:
    page = files("ui").joinpath("login.html").read_text("utf-8")
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    action = _LOGIN if wanted == "/" else f"{_LOGIN}?next={quote(wanted)}"
    return page.replace("{problem}", told).replace("{action}", escape(action))


async def _answer(
    scope: Message, receive: Receive, send: Send, status: int, page: str, headers: dict[str, str] | None = None
) -> None:
    from starlette.responses import HTMLResponse

    reply = HTMLResponse(page, status, headers={"cache-control": "no-store", **(headers or {})})
    await reply(scope, receive, send)


async def _redirect(
    scope: Message, receive: Receive, send: Send, to: str, headers: dict[str, str] | None = None
) -> None:
    from starlette.responses import Response

    at = quote(scope.get("root_path", "") + to, safe="/?&=%:@+,;~")
    reply = Response(status_code=303, headers={"location": at, "cache-control": "no-store", **(headers or {})})
    await reply(scope, receive, send)


async def _refuse(scope: Message, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    from starlette.responses import Response

    body = json.dumps({"detail": reason})
    reply = Response(body, status, media_type="application/json", headers={"cache-control": "no-store"})
    await reply(scope, receive, send)
