"""Pages and sitemaps from a real HTTP server on the loopback; one public address is led there by a patched connect."""

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from index.errors import DocumentError, SettingsError
from index.web import Web, WebLimits, WebPage, is_url, normalised
from index.web.mediatypes import in_utf8, suffix_of
from index.web.network import gunzip, is_public
from index.web.sitemaps import entries

PUBLIC = "93.184.215.14"
Page = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Serves `pages` by path; anything else is a 404. `asked` holds method, path and headers of what came in."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                try:
                    site.pages.get(self.path, text("no such page", status=404))(self)
                except OSError:  # the client has seen enough
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                """A client that hangs up, as ours does, is no news."""

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def text(body: str | bytes, kind: str = "text/html", status: int = 200, **headers: str) -> Page:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = body.encode() if isinstance(body, str) else body
        handler.send_response(status)
        if kind:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def moved(to: str, status: int = 302) -> Page:
    return text("", status=status, Location=to)


def dripping(first: bytes, pause: float) -> Page:
    """An answer that starts at once and then goes on one byte after the other, each `pause` seconds late."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(first)
        handler.close_connection = True
        for _ in range(200):
            handler.wfile.write(b"x")
            time.sleep(pause)

    return answer


def sitemap(*urls: str) -> Page:
    return text(f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in urls)}</urlset>", "application/xml")


def sitemap_index(*urls: str) -> Page:
    inner = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return text(f"<sitemapindex>{inner}</sitemapindex>", "application/xml")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def limits(max_bytes: int = 1_000_000, seconds: float = 5.0, pages: int = 100, allow_private: bool = True) -> WebLimits:
    return WebLimits(max_bytes, seconds, pages, allow_private)


def fetched(url: str, **changes: object) -> WebPage:
    with Web(limits(**changes)) as web:
        page = web.fetch(url)
    assert page is not None
    return page


@pytest.fixture
def public_is_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections to the public address end at the loopback. Returns the list of addresses connected to."""
    connected: list[str] = []
    connect = socket.create_connection

    def led_here(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
        connected.append(address[0])
        return connect(("127.0.0.1", address[1]) if address[0] == PUBLIC else address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", led_here)
    return connected


# Addresses


def test_what_is_an_address() -> None:
    assert is_url("https://example.org")
    assert is_url("HTTP://x")
    assert not is_url("docs/http://x")
    assert not is_url("ftp://example.org")


@pytest.mark.parametrize(
    ("spelled", "normal"),
    [
        ("HTTP://Example.ORG:80", "http://example.org/"),
        ("https://example.org:443/a/../B?q=1&r=%2F#part", "https://example.org/B?q=1&r=%2F"),
        ("http://example.org:8080/a%2Fb", "http://example.org:8080/a%2Fb"),
        ("https://bücher.example/ä b", "https://xn--bcher-kva.example/%C3%A4%20b"),
        ("https://example.org?q", "https://example.org/?q"),
    ],
)
def test_one_spelling_for_one_page(spelled: str, normal: str) -> None:
    assert normalised(spelled) == normal
    assert normalised(normal) == normal


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ann:secret@example.org/", "name or password"),
        ("http://ann@example.org/", "name or password"),
        ("http:///page", "expected one like"),
        ("http://example.org:99999/", "expected one like"),
        ("file:///etc/passwd", "expected one like"),
        ("http://exa\nmple.org/", "not an address"),
    ],
)
def test_addresses_that_are_none(url: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason) as refused:
        normalised(url)
    assert "secret" not in str(refused.value)


# One page


def test_a_page(site: Site) -> None:
    site.pages["/a?q=1"] = text("<p>Hello</p>", "text/html; charset=utf-8", ETag='"e1"', Last_Modified="Mon")
    assert fetched(f"{site.url}/a?q=1#part") == WebPage(f"{site.url}/a?q=1", b"<p>Hello</p>", ".html", '"e1"', "Mon")
    sent = dict(site.asked)["/a?q=1"]
    assert sent["user-agent"] == "footnote-rag"
    assert sent["host"] == f"127.0.0.1:{site.port}"
    assert not {"cookie", "referer", "authorization"} & sent.keys()


def test_a_host_that_is_an_ipv6_address() -> None:
    try:
        site = Site("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    site.pages["/a"] = text("words")
    assert fetched(f"http://[::1]:{site.port}/a").data == b"words"
    assert dict(site.asked)["/a"]["host"] == f"[::1]:{site.port}"
    site.server.shutdown()
    site.server.server_close()


def test_a_page_that_is_still_the_same(site: Site) -> None:
    def page(handler: BaseHTTPRequestHandler) -> None:
        same = handler.headers["If-None-Match"] == '"e1"' or handler.headers["If-Modified-Since"] == "Mon"
        text("" if same else "new", status=304 if same else 200, ETag='"e1"')(handler)

    site.pages["/a"] = page
    site.pages["/stubborn"] = text("as ever", ETag='"e1"')
    with Web(limits()) as web:
        assert web.fetch(f"{site.url}/a", etag='"e1"') is None
        assert web.fetch(f"{site.url}/a", modified="Mon") is None
        assert web.fetch(f"{site.url}/a", etag='"e0"') is not None
        assert web.fetch(f"{site.url}/stubborn", etag='"e1"') is None


def test_a_304_that_nobody_asked_for_is_an_error(site: Site) -> None:
    site.pages["/a"] = text("", status=304)
    with pytest.raises(DocumentError, match="304 Not Modified"):
        fetched(f"{site.url}/a")


def test_a_foolish_etag_is_not_kept_and_an_odd_one_goes_back(site: Site) -> None:
    site.pages["/a"] = text("x", ETag="e" * 600)
    site.pages["/b"] = text("x", ETag='"é"')
    assert fetched(f"{site.url}/a").etag == ""
    page = fetched(f"{site.url}/b")
    with Web(limits()) as web:
        assert web.fetch(f"{site.url}/b", etag=page.etag) is None


@pytest.mark.parametrize(("status", "reason"), [(404, "404 Not Found"), (403, "403 Forbidden"), (599, "599")])
def test_one_bad_page_does_not_stop_the_rest(site: Site, status: int, reason: str) -> None:
    site.pages |= {"/bad": text("no", status=status), "/good": text("yes")}
    with Web(limits()) as web:
        with pytest.raises(DocumentError, match=reason):
            web.fetch(f"{site.url}/bad")
        assert web.fetch(f"{site.url}/good") is not None


def test_no_cookies_and_no_referer_after_a_redirect(site: Site) -> None:
    site.pages["/from"] = text("", status=302, Location="/to", Set_Cookie="who=you")
    site.pages["/to"] = text("there")
    with Web(limits()) as web:
        web.fetch(f"{site.url}/from")
        web.fetch(f"{site.url}/to")
    assert site.paths == ["/robots.txt", "/from", "/to", "/to"]
    assert not any({"cookie", "referer"} & headers.keys() for _, headers in site.asked)


def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nothing listens
    site.pages["/a"] = text("direct")
    assert fetched(f"{site.url}/a").data == b"direct"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Web(limits()) as web, pytest.raises(DocumentError, match=r"no connection to 127\.0\.0\.1: Connection refused"):
        web.fetch(f"http://127.0.0.1:{port}/")


def test_a_name_that_nobody_has() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with Web(limits(), nobody) as web, pytest.raises(DocumentError, match=r"nowhere\.example: Name or service"):
        web.fetch("http://nowhere.example/")


def test_an_answer_that_breaks_off(site: Site) -> None:
    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    site.pages["/a"] = broken
    with pytest.raises(DocumentError, match="broke off"):
        fetched(f"{site.url}/a")


# What kind of file it is


@pytest.mark.parametrize(
    ("kind", "path", "suffix"),
    [
        ("text/html; charset=x", "/", ".html"),
        ("Application/PDF", "/download", ".pdf"),
        ("text/plain", "/raw/readme.md", ".md"),
        ("text/plain", "/notes", ".txt"),
        ("application/octet-stream", "/Report.PDF", ".pdf"),
        ("", "/page.htm", ".htm"),
    ],
)
def test_the_type_of_a_page(site: Site, kind: str, path: str, suffix: str) -> None:
    site.pages[path] = text("words", kind)
    assert fetched(site.url + path).suffix == suffix


@pytest.mark.parametrize(("kind", "path"), [("image/png", "/a.pdf"), ("application/x-tar", "/a"), ("", "/a")])
def test_a_type_without_a_reader(site: Site, kind: str, path: str) -> None:
    site.pages[path] = text("words", kind)
    with pytest.raises(DocumentError, match=kind or "does not say what it is"):
        fetched(site.url + path)


def test_the_charset_of_the_header_decides_where_the_bytes_do_not(site: Site) -> None:
    words = "Zażółć gęślą jaźń"
    site.pages["/a"] = text(words.encode("iso8859-2"), "text/html; charset=ISO-8859-2")
    site.pages["/b"] = text(words, "text/html; charset=ISO-8859-2")  # a header that is wrong
    assert fetched(f"{site.url}/a").data.decode() == words
    assert fetched(f"{site.url}/b").data.decode() == words


def test_odd_charsets_leave_the_bytes_alone() -> None:
    for charset in ("punycode", "zip", "no-such", "utf-16"):
        assert in_utf8(b"caf\xe9", f"text/plain; charset={charset}", ".txt") == b"caf\xe9"
    assert in_utf8(b"%PDF\xe9", "text/plain; charset=latin-1", ".pdf") == b"%PDF\xe9"
    assert suffix_of("text/html; charset*1*=%%;;=\x00", "/") == ".html"


# Robots


def test_robots_forbid_and_allow(site: Site) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\n\nAllow: /open/\nDisallow: /", "text/plain")
    site.pages |= {"/open/a": text("in"), "/shut": text("out")}
    with Web(limits()) as web:
        assert web.fetch(f"{site.url}/open/a") is not None
        with pytest.raises(DocumentError, match=r"robots\.txt of .* does not allow footnote-rag"):
            web.fetch(f"{site.url}/shut")
    assert site.paths == ["/robots.txt", "/open/a"]  # read once, and the page not at all


def test_robots_that_name_us(site: Site) -> None:
    site.pages["/robots.txt"] = text("User-agent: footnote-rag\nDisallow: /\nUser-agent: *\nDisallow:", "text/plain")
    with pytest.raises(DocumentError, match="does not allow"):
        fetched(f"{site.url}/a")


def test_robots_are_asked_again_at_the_end_of_a_redirect(site: Site) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\nDisallow: /shut", "text/plain")
    site.pages |= {"/a": moved("/shut"), "/shut": text("out")}
    with pytest.raises(DocumentError, match="does not allow"):
        fetched(f"{site.url}/a")
    assert "/shut" not in site.paths


@pytest.mark.parametrize("status", [401, 404, 410])
def test_no_robots_txt_allows(site: Site, status: int) -> None:
    site.pages |= {"/robots.txt": text("no", status=status), "/a": text("in")}
    assert fetched(f"{site.url}/a").data == b"in"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_robots_txt_forbids(site: Site, status: int) -> None:
    site.pages |= {"/robots.txt": text("no", status=status), "/a": text("in")}
    with pytest.raises(DocumentError, match=rf"robots\.txt of .* cannot be read.*{status}"):
        fetched(f"{site.url}/a")


def test_a_robots_txt_that_never_ends_forbids_once_for_all_pages(site: Site) -> None:
    site.pages["/robots.txt"] = dripping(b"HTTP/1.1 200 OK\r\n\r\n", 0.05)
    start = time.monotonic()
    with Web(limits(seconds=0.4)) as web:
        for path in ("/a", "/b", "/c"):
            with pytest.raises(DocumentError, match=r"robots\.txt .*no whole answer within 0\.4 s"):
                web.fetch(site.url + path)
    assert time.monotonic() - start > 0.3
    assert site.paths == ["/robots.txt"]


@pytest.mark.parametrize("body", ["x" * 600_000, "User-agent: *\nCrawl-delay: ²"])
def test_a_robots_txt_that_makes_no_sense_forbids(site: Site, body: str) -> None:
    site.pages |= {"/robots.txt": text(body, "text/plain"), "/a": text("in")}
    with pytest.raises(DocumentError, match=r"robots\.txt of .* cannot be read"):
        fetched(f"{site.url}/a")


def test_the_crawl_delay_is_waited_for_and_is_no_part_of_the_time_of_a_page(site: Site) -> None:
    site.pages["/robots.txt"] = text("User-agent: *\nCrawl-delay: 1", "text/plain")
    site.pages |= {"/a": text("a"), "/b": text("b")}
    with Web(limits(seconds=0.8)) as web:
        start = time.monotonic()
        web.fetch(f"{site.url}/a")
        first = time.monotonic() - start
        web.fetch(f"{site.url}/b")
        second = time.monotonic() - start
    assert first < 0.8
    assert 1.0 <= second < 2.0


def test_a_crawl_delay_of_a_day_is_cut(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages |= {"/robots.txt": text("User-agent: *\nCrawl-delay: 86400", "text/plain"), "/a": text("a")}
    slept: list[float] = []
    monkeypatch.setattr("index.web.robots.time.sleep", slept.append)
    with Web(limits()) as web:
        web.fetch(f"{site.url}/a")
        web.fetch(f"{site.url}/a")
    assert slept[0] == 0
    assert 4 < slept[1] <= 5


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_gives_the_final_address(site: Site, status: int) -> None:
    site.pages |= {"/from": moved("sub/../to#part", status), "/to": text("there")}
    page = fetched(f"{site.url}/from")
    assert (page.url, page.data) == (f"{site.url}/to", b"there")


def test_redirects_that_lead_nowhere(site: Site) -> None:
    site.pages |= {"/a": moved("/b"), "/b": moved("/a")}
    site.pages |= {f"/{n}": moved(f"/{n + 1}") for n in range(9)}
    site.pages |= {"/none": text("", status=302), "/ftp": moved("ftp://127.0.0.1/x"), "/file": moved("file:///etc/x")}
    site.pages |= {"/secret": moved(f"http://me:pw@127.0.0.1:{site.port}/to"), "/junk": moved("http://[::1/")}
    expected = {"/a": "circle", "/0": "more than 5 times", "/none": "not where", "/ftp": "not read",
                "/file": "not read", "/secret": "name or password", "/junk": "not read"}  # fmt: skip
    with Web(limits()) as web:
        for path, reason in expected.items():
            with pytest.raises(DocumentError, match=reason):
                web.fetch(site.url + path)
    assert "/5" in site.paths
    assert "/6" not in site.paths


# Bounds


def test_too_big_with_and_without_a_length(site: Site) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        handler.close_connection = True
        while True:
            handler.wfile.write(b"x" * 65536)

    def huge(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n")
        time.sleep(2)  # nothing of it needs to come for it to be too big

    site.pages |= {"/said": huge, "/endless": endless, "/fits": text("x" * 100_000)}
    with Web(limits(max_bytes=100_000, seconds=1)) as web:
        for path in ("/said", "/endless"):
            with pytest.raises(DocumentError, match=r"over 0\.1 MB"):
                web.fetch(site.url + path)
        assert web.fetch(f"{site.url}/fits") is not None


def test_compressed_pages_and_bombs(site: Site) -> None:
    site.pages["/page"] = text(gzip.compress(b"<p>words</p>"), Content_Encoding="gzip")
    site.pages["/bomb"] = text(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    site.pages["/cut"] = text(gzip.compress(b"words" * 100)[:-9], Content_Encoding="gzip")
    site.pages["/brotli"] = text(b"\x0b\x02\x80", Content_Encoding="br")
    assert fetched(f"{site.url}/page").data == b"<p>words</p>"
    for path, reason in {
        "/bomb": "more than 1 MB when",
        "/cut": "damaged gzip",
        "/brotli": "compressed as 'br'",
    }.items():
        with pytest.raises(DocumentError, match=reason):
            fetched(site.url + path)


def test_a_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="more than 1 MB"):
            gunzip(bomb, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_gunzip_takes_what_fits_exactly() -> None:
    assert gunzip(gzip.compress(b"ab") + gzip.compress(b"c"), 3) == b"abc"
    assert gunzip(gzip.compress(b"ab") + bytes(8), 2) == b"ab"
    two = gzip.compress(b"ab") + gzip.compress(b"c")
    for data, reason in ((two, "more than"), (two[:-1], "too early"), (two + b"junk", "damaged"),
                         (gzip.compress(b"") * 200_000, "100 parts")):  # fmt: skip
        with pytest.raises(DocumentError, match=reason):
            gunzip(data, 3 if data != two else 2)


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"],
    ids=["status", "headers", "body"],
)
def test_a_byte_at_a_time_ends_in_time(site: Site, first: bytes) -> None:
    site.pages["/a"] = dripping(first or b"HTTP/1.1 200 ", 0.05)
    start = time.monotonic()
    with pytest.raises(DocumentError, match=r"no whole answer within 0\.5 s"):
        fetched(f"{site.url}/a", seconds=0.5)
    assert 0.4 < time.monotonic() - start < 5


def test_the_time_is_for_all_hops_together(site: Site) -> None:
    def slow(to: str) -> Page:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            time.sleep(0.25)
            moved(to)(handler)

        return answer

    site.pages |= {"/a": slow("/b"), "/b": slow("/c"), "/c": slow("/d"), "/d": text("late")}
    with pytest.raises(DocumentError, match=r"within 0\.6 s"):
        fetched(f"{site.url}/a", seconds=0.6)


def test_a_name_server_that_never_answers() -> None:
    never = threading.Event()

    def asleep(host: str, port: int) -> list[str]:
        never.wait(10)
        return []

    start = time.monotonic()
    with Web(limits(seconds=0.3), asleep) as web, pytest.raises(DocumentError, match=r"within 0\.3 s"):
        web.fetch("http://slow.example/")
    assert time.monotonic() - start < 5
    never.set()


def test_headers_without_end(site: Site) -> None:
    site.pages["/a"] = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000)
    with pytest.raises(DocumentError, match="broke off"):
        fetched(f"{site.url}/a")


# Private addresses


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 224.0.0.1 255.255.255.255 ::1 :: "
    "fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 "
    "64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1::1 2001:db8::1".split(),
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_not_read_unless_allowed(site: Site, host: str) -> None:
    site.pages["/a"] = text("secret")
    url = f"http://{host}:{site.port}/a"
    with pytest.raises(DocumentError, match="not a public address"):
        fetched(url, allow_private=False)
    assert site.asked == []
    assert fetched(url).data == b"secret"


def test_one_private_address_among_public_ones_is_enough(site: Site) -> None:
    with (
        Web(limits(allow_private=False), lambda host, port: [PUBLIC, "10.0.0.1"]) as web,
        pytest.raises(DocumentError, match=r"mixed\.example is at 10\.0\.0\.1, which is not a public address"),
    ):
        web.fetch(f"http://mixed.example:{site.port}/a")


def test_the_checked_address_is_the_one_connected_to(site: Site, public_is_here: list[str]) -> None:
    site.pages |= {"/robots.txt": text("", "text/plain"), "/a": text("words")}
    looked_up: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return [PUBLIC]

    with Web(limits(allow_private=False), resolve) as web:
        page = web.fetch(f"http://Good.example:{site.port}/a")
    assert page is not None
    assert page.url == f"http://good.example:{site.port}/a"
    assert dict(site.asked)["/a"]["host"] == f"good.example:{site.port}"
    assert looked_up == ["good.example"]  # one connection, kept alive from robots.txt on
    assert public_is_here == [PUBLIC]


def test_a_name_that_changes_its_address_between_two_requests(site: Site, public_is_here: list[str]) -> None:
    """DNS rebinding: public when robots.txt is read, private when the page is."""
    site.pages |= {"/robots.txt": text("", "text/plain", Connection="close"), "/a": text("secret")}
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    with (
        Web(limits(allow_private=False), lambda host, port: next(answers)) as web,
        pytest.raises(DocumentError, match=r"is at 127\.0\.0\.1, which is not a public address"),
    ):
        web.fetch(f"http://rebound.example:{site.port}/a")
    assert site.paths == ["/robots.txt"]
    assert public_is_here == [PUBLIC]


def test_a_redirect_into_the_private_network(site: Site, public_is_here: list[str]) -> None:
    site.pages |= {"/a": moved(f"http://inside.example:{site.port}/b"), "/b": text("secret")}
    hosts = {"outside.example": [PUBLIC], "inside.example": ["127.0.0.1"]}
    with (
        Web(limits(allow_private=False), lambda host, port: hosts[host]) as web,
        pytest.raises(DocumentError, match=r"inside\.example is at 127\.0\.0\.1"),
    ):
        web.fetch(f"http://outside.example:{site.port}/a")
    assert site.paths == ["/robots.txt", "/a"]


def test_an_address_that_refuses_gives_way_to_the_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages["/a"] = text("words")
    with Web(limits(), lambda host, port: ["::1", "127.0.0.1"]) as web:  # the server does not listen on ::1
        assert web.fetch(f"http://two.example:{site.port}/a") is not None


# TLS


@pytest.fixture
def secure_site(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site behind a certificate for good.example that is trusted."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=good.example", "-addext", "subjectAltName=DNS:good.example", "-keyout", key,
         "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return site


def test_certificates_are_checked_against_the_name(secure_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    secure_site.pages["/a"] = text("words")
    secure_site.pages["/down"] = moved(f"http://good.example:{secure_site.port}/a")
    good, other = f"https://good.example:{secure_site.port}", f"https://other.example:{secure_site.port}"
    with Web(limits(), lambda host, port: ["127.0.0.1"]) as web:
        assert web.fetch(f"{good}/a") is not None
        with pytest.raises(DocumentError, match=r"no secure connection to other\.example: Hostname mismatch"):
            web.fetch(f"{other}/a")
        with pytest.raises(DocumentError, match="from https down to http://"):
            web.fetch(f"{good}/down")
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        Web(limits(), lambda host, port: ["127.0.0.1"]) as web,
        pytest.raises(DocumentError, match=r"no secure connection to good\.example: self-signed certificate"),
    ):
        web.fetch(f"{good}/a")


def test_a_server_that_speaks_no_tls(site: Site) -> None:
    with pytest.raises(DocumentError, match=r"no secure connection to 127\.0\.0\.1"):
        fetched(f"https://127.0.0.1:{site.port}/a")


def test_certificates_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "nowhere.pem")
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        Web(limits())


# Sitemaps


def listed(url: str, **changes: object) -> tuple[list[str], list[str]]:
    with Web(limits(**changes)) as web:
        return web.addresses(url), web.notes


def test_a_page_stands_for_itself_and_is_read_once(site: Site) -> None:
    site.pages["/a"] = text("words", ETag='"e1"')
    with Web(limits()) as web:
        assert web.addresses(f"{site.url}/a#part") == [f"{site.url}/a"]
        page = web.fetch(f"{site.url}/a")
        assert page is not None
        assert page.data == b"words"
        assert site.paths == ["/robots.txt", "/a"]
        web.addresses(f"{site.url}/a")
        assert web.fetch(f"{site.url}/a", etag='"e1"') is None


def test_a_sitemap_lists_pages_of_its_host_once_each(site: Site) -> None:
    site.pages["/map"] = text(
        f"""
        <?xml version="1.0" encoding="UTF-8"?>
        <!-- a comment -->
        <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
          <url><loc> {site.url}/b?x=1&amp;y=2#part </loc>
            <image:image><image:loc>{site.url}/i.png</image:loc></image:image></url>
          <url><loc><![CDATA[{site.url}/a]]></loc><lastmod>2026-01-01</lastmod></url>
          <url><loc>{site.url}/a</loc></url>
          <url><loc>https://elsewhere.example/a</loc></url><url><loc>ftp://127.0.0.1/a</loc></url><url><loc/></url>
        </urlset>""",
        "text/plain",
    )
    pages, notes = listed(f"{site.url}/map")
    assert pages == [f"{site.url}/b?x=1&y=2", f"{site.url}/a"]
    assert notes == [f"{site.url}/map lists 3 addresses that are not on 127.0.0.1:{site.port}; they are left out"]


def test_a_sitemap_of_sitemaps_some_of_them_bad(site: Site) -> None:
    site.pages["/sitemap.xml"] = sitemap_index(*(f"{site.url}/{name}" for name in ("1.xml.gz", "2.xml", "3.xml", "4")))
    packed = gzip.compress(f"<urlset><url><loc>{site.url}/a</loc></url></urlset>".encode())
    site.pages["/1.xml.gz"] = text(packed, "application/gzip")
    site.pages["/3.xml"] = text(f"<urlset><url><loc>{site.url}/b</loc></url>", "application/xml")
    site.pages["/4"] = text("<!doctype html><p>a page</p>")
    pages, notes = listed(f"{site.url}/sitemap.xml")
    assert pages == [f"{site.url}/a", f"{site.url}/b"]
    assert [note.removeprefix(site.url)[:26] for note in notes] == [
        "/2.xml is read no further:", "/3.xml is read no further:", "/4 is read no further: not",
    ]  # fmt: skip


def test_a_sitemap_as_a_text_file(site: Site) -> None:
    lines = f"\ufeff{site.url}/a\r\n\r\n{site.url}/b\r\nhello\r\n"
    site.pages |= {"/sitemap.txt": text(lines, "text/plain"), "/notes.txt": text(lines, "text/plain")}
    assert listed(f"{site.url}/sitemap.txt")[0] == [f"{site.url}/a", f"{site.url}/b"]
    assert listed(f"{site.url}/notes.txt")[0] == [f"{site.url}/notes.txt"]


def test_at_most_so_many_pages(site: Site) -> None:
    site.pages["/sitemap.xml"] = sitemap(*(f"{site.url}/{n}" for n in range(5)))
    pages, notes = listed(f"{site.url}/sitemap.xml", pages=3)
    assert pages == [f"{site.url}/{n}" for n in range(3)]
    assert notes == [f"{site.url}/sitemap.xml lists more than 3 pages; the first ones are taken"]
    assert listed(f"{site.url}/sitemap.xml", pages=5) == ([f"{site.url}/{n}" for n in range(5)], [])


def test_sitemaps_in_a_circle_and_without_end(site: Site) -> None:
    site.pages["/circle"] = sitemap_index(f"{site.url}/circle", f"{site.url}/back")
    site.pages["/back"] = sitemap_index(f"{site.url}/circle")
    assert listed(f"{site.url}/circle") == ([], [])
    site.pages |= {f"/d{n}": sitemap_index(f"{site.url}/d{n + 1}") for n in range(9)}
    assert listed(f"{site.url}/d0")[1] == [f"{site.url}/d2 leads to 1 sitemaps too many; they are left out"]
    site.pages["/wide"] = sitemap_index(*(f"{site.url}/w{n}" for n in range(50)))
    site.pages |= {f"/w{n}": sitemap() for n in range(50)}
    assert listed(f"{site.url}/wide", pages=4)[1] == [
        f"{site.url}/wide leads to 46 sitemaps too many; they are left out"
    ]


BOMB = (
    '<!DOCTYPE urlset [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    ("doctype", "loc"),
    [
        (BOMB, "&i;"),
        ('<!DOCTYPE urlset [<!ENTITY f SYSTEM "file:///etc/passwd">]>', "&f;"),
        ('<!DOCTYPE urlset SYSTEM "http://127.0.0.1:9/x.dtd">', "x"),
    ],
)
def test_entities_are_refused(site: Site, doctype: str, loc: str) -> None:
    markup = f"<?xml version='1.0'?>{doctype}<urlset><url><loc>{loc}</loc></url></urlset>"
    site.pages["/sitemap.xml"] = text(markup, "application/xml")
    with pytest.raises(DocumentError, match="DOCTYPE"):
        listed(f"{site.url}/sitemap.xml")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<urlset><url><loc>http://a/", "well-formed"),
        (b"<urlset>" + b"<a>" * 1000, "inside each other"),
        (b"<?xml version='1.0' encoding='no-such'?><urlset/>", "well-formed"),
        (b"<urlset>\xff</urlset>", "well-formed"),
        (b"", ""),
    ],
)
def test_damaged_sitemaps(data: bytes, reason: str) -> None:
    if not reason:
        assert list(entries(data)) == []
        return
    with pytest.raises(DocumentError, match=reason):
        list(entries(data))


def test_an_address_without_end_is_passed_over() -> None:
    found = entries(b"<urlset><url><loc>http://a/" + b"x" * 3_000_000 + b"</loc></url><url><loc>b</loc></url></urlset>")
    assert [entry.url for entry in found] == ["b"]


def test_a_sitemap_that_is_a_bomb(site: Site) -> None:
    site.pages["/sitemap.xml.gz"] = text(gzip.compress(b"<urlset>" + bytes(50_000_000)), "application/gzip")
    with pytest.raises(DocumentError, match="more than 1 MB when decompressed"):
        listed(f"{site.url}/sitemap.xml.gz")
