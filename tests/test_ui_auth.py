"""Logging in: passwords as hashes, tries limited, sessions signed, and no route of the page open without one."""

import re
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("gradio", reason="the ui extra is not installed")
from conftest import WordHash
from starlette.testclient import TestClient

from rag import Rag, Settings
from rag.cli import main
from ui.app import build
from ui.auth import AuthError, Sessions, Tries, Users
from ui.server import COOKIE, Access, Doorkeeper, _own_path, user_of

BASE = "http://localhost:7860"
PASSWORD = "correct horse"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing")


@pytest.fixture
def users(tmp_path: Path) -> Users:
    users = Users(tmp_path / "users.txt")
    users.add("ada", PASSWORD)
    users.add("bob", "another horse")
    return users


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def page(kb: Rag, users: Users) -> Any:
    with TestClient(build(kb, Access(users=users)), base_url=BASE, follow_redirects=False) as client:
        yield client


def log_in(page: TestClient, name: str = "ada", password: str = PASSWORD, to: str = "/login") -> Any:
    return page.post(to, data={"name": name, "password": password})


# The file


def test_the_file_holds_no_password_and_only_its_owner_reads_it(users: Users) -> None:
    text = users.file.read_text()
    assert PASSWORD not in text
    assert re.fullmatch(r"(\w+:scrypt:32768:8:1:[0-9a-f]{32}:[0-9a-f]{64}\n){2}", text)
    assert stat.S_IMODE(users.file.stat().st_mode) == 0o600


def test_a_password_is_right_for_its_user_alone(users: Users) -> None:
    assert users.check("ada", PASSWORD)
    assert not users.check("ada", "another horse")
    assert not users.check("nobody", PASSWORD)
    assert not users.check("ada", "")


def test_letters_count_however_a_keyboard_composes_them(users: Users) -> None:
    users.add("eva", "caf\u00e9 au lait")
    assert users.check("eva", "cafe\u0301 au lait")


def test_an_unknown_name_takes_as_long_as_a_wrong_password(users: Users) -> None:
    def seconds(name: str) -> float:
        began = time.perf_counter()
        users.check(name, "wrong")
        return time.perf_counter() - began

    known, unknown = (sorted(seconds(name) for _ in range(5))[2] for name in ("ada", "nobody"))
    assert 0.5 < known / unknown < 2


def test_a_changed_file_counts_at_once(users: Users) -> None:
    other = Users(users.file)
    other.remove("bob")
    assert users.names() == ["ada"]
    other.add("ada", "a new password")
    assert not users.check("ada", PASSWORD)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ada\n", "x" * 65, "äda"])
def test_names_that_a_line_or_a_header_cannot_hold_are_refused(users: Users, name: str) -> None:
    with pytest.raises(AuthError, match="cannot be a user's name"):
        users.add(name, PASSWORD)


def test_short_passwords_are_refused(users: Users) -> None:
    with pytest.raises(AuthError, match="at least 8 characters"):
        users.add("eva", "1234567")


def test_a_foreign_line_is_named_not_skipped(users: Users) -> None:
    users.file.write_text("ada:scrypt:32768:8:1:00:00\neva:secret\n")
    with pytest.raises(AuthError, match=r"users\.txt:2 is not a user"):
        users.names()


def test_a_hash_broken_by_hand_lets_nobody_in(users: Users) -> None:
    users.file.write_text("ada:scrypt:3:8:1:abc:ab\n")
    assert not users.check("ada", PASSWORD)


# Tries


def test_ten_failed_tries_close_the_door_for_ten_minutes() -> None:
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    for _ in range(10):
        assert tries.wait("1.2.3.4", "ada") == 0
        tries.fail("1.2.3.4", "ada")
    assert tries.wait("1.2.3.4", "eva") == 600
    assert tries.wait("5.6.7.8", "ada") == 0
    now[0] = 601
    assert tries.wait("1.2.3.4", "ada") == 0


def test_many_addresses_cannot_share_the_guessing_of_one_name() -> None:
    tries = Tries()
    for number in range(30):
        tries.fail(f"10.0.0.{number}", "ada")
    assert tries.wait("10.0.1.1", "ada") > 0
    assert tries.wait("10.0.1.1", "bob") == 0


def test_failed_tries_do_not_fill_the_memory() -> None:
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    for number in range(6000):
        now[0] += 1
        tries.fail(f"address {number}", f"name {number}")
    assert len(tries._failed) < 10_001


# Sessions


def test_a_session_is_its_user_until_it_ends(users: Users) -> None:
    sessions = Sessions(users)
    cookie = sessions.begin("ada")
    assert sessions.user(cookie) == "ada"
    sessions.end(cookie)
    assert sessions.user(cookie) is None
    assert sessions.user(sessions.begin("ada")) == "ada"


def test_forged_foreign_and_old_cookies_are_nobody(users: Users) -> None:
    sessions = Sessions(users)
    cookie = sessions.begin("ada")
    for forged in ("", "ada", cookie[:-2], cookie + "x", Sessions(users).begin("ada"), "a.b.c", "\0"):
        assert sessions.user(forged) is None
    old = Sessions(users, hours=-1)
    assert old.user(old.begin("ada")) is None


def test_a_new_password_and_a_removed_user_end_sessions(users: Users) -> None:
    sessions = Sessions(users)
    ada, bob = sessions.begin("ada"), sessions.begin("bob")
    users.add("ada", "a new password")
    users.remove("bob")
    assert sessions.user(ada) is None
    assert sessions.user(bob) is None


# The page


def test_every_route_but_the_log_in_is_closed(page: TestClient) -> None:
    """Those of Gradio as it is installed, whatever they are, with every method; and some that there are not."""
    paths = set()
    for route in _routes(page.app):
        paths.add(re.sub(r"\{[^}]*\}", "x", route))
    assert {"/gradio_api/queue/join", "/gradio_api/component_server", "/gradio_api/upload"} <= paths
    assert len(paths) > 30
    paths -= {"/login", "/logout"}  # Gradio has routes of these names, too; ours answer
    for path in sorted(paths | {"/", "/config", "/nowhere", "/gradio_api/file=/etc/passwd", "//login", "/login/x"}):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            reply = page.request(method, BASE + path)
            assert (path, method, reply.status_code) == (path, method, 401)


def _routes(app: Any) -> list[str]:
    """Every path of an application and of what is mounted in it."""
    found: list[str] = []
    for route in app.routes:
        inner = getattr(route, "app", None)
        path = getattr(route, "path", "")
        found += [path + each for each in _routes(inner)] if hasattr(inner, "routes") else [path]
        for each in getattr(getattr(route, "original_router", None), "routes", ()):
            found.append(path + each.path)
    return [path for path in found if path]


def test_a_browser_is_sent_to_the_log_in_and_back(page: TestClient) -> None:
    reply = page.get("/some/page?x=1&y=ä", headers={"accept": "text/html"})
    assert reply.status_code == 303
    form = page.get(reply.headers["location"])
    assert form.status_code == 200
    action = re.search(r'action="([^"]+)"', form.text)[1].replace("&amp;", "&")
    back = log_in(page, to=action)
    assert (back.status_code, back.headers["location"]) == (303, "/some/page?x=1&y=%C3%A4")
    assert page.get("/").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(page: TestClient) -> None:
    cookie = log_in(page).headers["set-cookie"]
    assert re.fullmatch(rf"{COOKIE}=[\w.\-]+; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax", cookie)


def test_over_https_the_cookie_stays_on_https(kb: Rag, users: Users) -> None:
    with TestClient(build(kb, Access(users=users)), base_url="https://localhost", follow_redirects=False) as page:
        assert log_in(page).headers["set-cookie"].endswith("; Secure")


def test_a_wrong_password_and_a_wrong_name_read_the_same(page: TestClient) -> None:
    wrong, unknown = log_in(page, password="wrong"), log_in(page, name="nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text == unknown.text
    assert "The name or the password is not right." in wrong.text
    assert "set-cookie" not in wrong.headers


def test_after_ten_wrong_tries_even_the_right_one_waits(page: TestClient) -> None:
    for _ in range(10):
        log_in(page, password="wrong")
    reply = log_in(page)
    assert reply.status_code == 429
    assert 590 <= int(reply.headers["retry-after"]) <= 601
    assert "Too many tries. Wait 10 minutes." in reply.text


def test_many_wrong_tries_at_once_are_counted_and_many_right_ones_are_let_in(users: Users) -> None:
    from concurrent.futures import ThreadPoolExecutor

    door = Doorkeeper(lambda *_: None, users)  # type: ignore[arg-type, return-value]
    with ThreadPoolExecutor(15) as pool:
        good = list(pool.map(lambda _: door._checked("1.2.3.4", "ada", PASSWORD), range(15)))
        bad = list(pool.map(lambda _: door._checked("1.2.3.4", "ada", "wrong"), range(15)))
    assert good == [(True, 0)] * 15
    assert sum(wait == 0 for _, wait in bad) == 10


def test_logging_out_ends_the_session_on_the_server_too(page: TestClient) -> None:
    log_in(page)
    cookie = page.cookies[COOKIE]
    assert page.get("/logout").status_code == 405
    reply = page.post("/logout")
    assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    page.cookies.set(COOKIE, cookie)
    assert page.get("/config").status_code == 401


def test_a_long_or_broken_form_is_refused(page: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert page.post("/login", content=b"name=" + b"x" * 20_000, headers=headers).status_code == 400
    assert page.post("/login", content=b"name=\xff", headers=headers).status_code == 400
    assert page.post("/login", content=b"&".join([b"a=b"] * 50), headers=headers).status_code == 400
    assert page.post("/login", content=b"").status_code == 401


def test_the_log_in_page_loads_nothing_and_repeats_nothing_as_markup(page: TestClient) -> None:
    text = page.get('/login?next=/"><script>alert(1)</script>').text
    assert "<script" not in text
    assert re.findall(r"""(?:src|href)=\S+|url\(|@import""", text) == ['href="data:,">']


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\r\nset-cookie: x=y"]
)
def test_after_the_log_in_one_stays_here(wanted: str) -> None:
    assert _own_path(wanted) == "/"


def test_the_name_reaches_the_handlers_and_cannot_be_made_up(users: Users) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def who(request: Any) -> Any:
        return PlainTextResponse(user_of(request))

    def client(people: Users | None) -> TestClient:
        app = Doorkeeper(Starlette(routes=[Route("/who", who)]), people)
        return TestClient(app, base_url=BASE, headers={"X-Footnote-User": "bob"}, follow_redirects=False)

    page = client(users)
    log_in(page)
    assert page.get("/who").text == "ada"
    assert client(None).get("/who").text == ""


def test_a_websocket_needs_a_session_too(users: Users) -> None:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocketDisconnect

    async def open_socket(socket: Any) -> None:
        await socket.accept()
        await socket.close()

    page = TestClient(Doorkeeper(Starlette(routes=[WebSocketRoute("/ws", open_socket)]), users), base_url=BASE)
    with pytest.raises(WebSocketDisconnect), page.websocket_connect("ws://localhost:7860/ws"):
        pass
    log_in(page)
    with page.websocket_connect("ws://localhost:7860/ws"):
        pass


# Other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": BASE}, 200),
        ({"sec-fetch-site": "same-origin", "origin": BASE}, 200),
        ({}, 200),
    ],
)
def test_other_web_pages_change_nothing_even_without_a_log_in(kb: Rag, headers: dict[str, str], status: int) -> None:
    with TestClient(build(kb), base_url=BASE) as page:
        body = {"data": [None], "fn_index": 0, "session_hash": "x"}
        assert page.post("/gradio_api/queue/join", json=body, headers=headers).status_code == status


# The command


def rag(*arguments: str, typed: str = "") -> Any:
    return CliRunner().invoke(main, ["ui", *arguments], input=typed)


def test_users_are_made_and_taken_out_on_the_command_line(tmp_path: Path) -> None:
    made = rag("--index", str(tmp_path / ".rag"), "--add-user", "ada", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert "ada is now in" in made.output
    assert PASSWORD not in made.output
    users = Users(tmp_path / ".rag" / "users.txt")
    assert users.check("ada", PASSWORD)
    again = rag("--index", str(tmp_path / ".rag"), "--add-user", "ada", typed="new password\nnew password\n")
    assert "ada has a new password" in again.output
    assert rag("--index", str(tmp_path / ".rag"), "--remove-user", "ada").exit_code == 0
    assert users.names() == []


def test_making_users_makes_no_index(tmp_path: Path) -> None:
    rag("--index", str(tmp_path / ".rag"), "--add-user", "ada", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert [file.name for file in (tmp_path / ".rag").iterdir()] == ["users.txt"]


def test_auth_without_users_says_how_to_make_one(tmp_path: Path) -> None:
    result = rag("--index", str(tmp_path / ".rag"), "--auth")
    assert result.exit_code == 1
    assert "nobody could log in. Type: rag ui --add-user NAME" in result.output


def test_a_host_name_is_no_address_to_listen_on(tmp_path: Path) -> None:
    assert "is not an address" in rag("--index", str(tmp_path / ".rag"), "--auth", "--host", "example.com").output


def test_the_page_says_what_others_can_reach(kb: Rag, users: Users) -> None:
    from ui.cli import _access, _exposed

    access = _access("192.168.1.7", ["footnote.example.org"], users)
    told = " ".join(_exposed(kb, "192.168.1.7", access, encrypted=False))
    for part in ("192.168.1.7, footnote.example.org", "ada, bob", "all 3 documents", "unencrypted"):
        assert part in told
    assert "unencrypted" not in " ".join(_exposed(kb, "192.168.1.7", access, encrypted=True))
    assert _exposed(kb, "127.0.0.1", Access(), encrypted=False) == []


def test_the_page_answers_under_given_names_only(kb: Rag, users: Users) -> None:
    from ui.cli import _access

    access = _access("192.168.1.7", ["footnote.example.org"], users)
    with TestClient(build(kb, access), base_url=BASE) as page:
        for host, status in {"footnote.example.org": 200, "192.168.1.7:7860": 200, "evil.example": 400}.items():
            assert page.get("/login", headers={"host": host}).status_code == status


def test_a_name_for_everything_is_no_name(users: Users) -> None:
    from index.errors import RagError
    from ui.cli import _access

    with pytest.raises(RagError, match="is no name of a machine"):
        _access("0.0.0.0", ["*"], users)
