"""Pages of the web: a page or a sitemap's pages to bytes and the kind of file they are. Knows nothing of the index.

A fetch obeys robots.txt, stays on public addresses at every hop unless told otherwise, keeps no cookies, and is bounded
in bytes and seconds. Proxies from the environment are not used (`index.web.network` says why).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from index.errors import DocumentError
from index.web.mediatypes import in_utf8, suffix_of
from index.web.robots import AGENT, Robots
from index.web.sitemaps import entries, is_sitemap

if TYPE_CHECKING:
    from index.web.network import Reply, Resolver

_HOPS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_ROBOTS_BYTES = 500 * 1024
"""What RFC 9309 wants to be read of a robots.txt; a longer one is a fault of the site."""

_SITEMAP_DEPTH = 3
_SITEMAP_LINES = 50_000
"""Addresses of one sitemap, by the protocol."""


@dataclass(frozen=True, slots=True)
class WebLimits:
    """`max_bytes` of one page, decompressed; `seconds` for one page, all in; most `pages` taken from one sitemap."""

    max_bytes: int
    seconds: float
    pages: int
    allow_private: bool
    """Whether addresses inside a private network, this machine among them, may be read."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page: `url` it came from in the end, `suffix` of its kind of file; `etag` and `modified` as sent, or ""."""

    url: str
    data: bytes
    suffix: str
    etag: str
    modified: str


def is_url(target: str) -> bool:
    """Whether a target is an address of the web and not a path."""
    return re.match(r"https?://", target, re.IGNORECASE) is not None


def normalised(url: str) -> str:
    """One spelling for one page: host in lower case and ASCII, no default port, no fragment, / for no path.

    Raises DocumentError for what is no http(s) address, and for one that carries a name or password.
    """
    import httpx

    try:
        parts = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise DocumentError(f"not an address: {error}") from error
    if parts.userinfo:
        raise DocumentError("an address with a name or password in it is not read; leave out what stands before the @")
    if parts.scheme not in {"http", "https"} or not parts.raw_host.strip(b".") or (parts.port or 1) > 65535:
        raise DocumentError(f"{url[:200]!r} is not an address; expected one like https://example.org/page")
    return str(parts.copy_with(raw_path=parts.raw_path, fragment=None))


class Web:
    """Reads pages one after the other, for one thread, as a context manager.

    `notes` collects what a person should know and no page failed for: parts of a sitemap that were left out.
    `resolve` is for tests.
    """

    def __init__(self, limits: WebLimits, resolve: Resolver | None = None) -> None:
        from index.web.network import Network, look_up

        self.limits = limits
        self.notes: list[str] = []
        self._network = Network(limits.allow_private, resolve or look_up)
        self._robots = Robots(lambda url: self._follow(url, {}, min(_ROBOTS_BYTES, limits.max_bytes), polite=False))
        self._held: dict[str, Reply] = {}

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.close()

    def fetch(self, url: str, etag: str = "", modified: str = "") -> WebPage | None:
        """A page, or None when the server says it is still the one of `etag` or `modified`. Raises DocumentError."""
        url = normalised(url)
        known = {"If-None-Match": etag, "If-Modified-Since": modified}
        headers = {name: value for name, value in known.items() if value}
        reply = self._held.pop(url, None) or self._get(url, headers)
        etag_now, modified_now = reply.headers.get("etag", ""), reply.headers.get("last-modified", "")
        if reply.status == 304 or (etag and etag_now == etag):
            return None
        kind = reply.headers.get("content-type", "")
        suffix = suffix_of(kind, urlsplit(reply.url).path)
        data = in_utf8(reply.data, kind, suffix)
        return WebPage(reply.url, data, suffix, _short(etag_now), _short(modified_now))

    def addresses(self, target: str) -> list[str]:
        """The pages that a target stands for: itself, or the pages of its own host that it lists if it is a sitemap.

        The target is read to find out; when it is a page, the next fetch of it returns what was read. Raises
        DocumentError when it cannot be read; a sitemap inside a sitemap that cannot be is a note.
        """
        url = normalised(target)
        reply = self._get(url, {})
        listing = self._listing(reply)
        if listing is None:
            self._held = {url: reply}
            return [url]
        self.notes.clear()
        found: dict[str, None] = {}
        for page in self._pages(reply.url, listing, {url, reply.url}, 1):
            if page not in found and len(found) == self.limits.pages:
                self.notes.append(f"{url} lists more than {self.limits.pages} pages; the first ones are taken")
                break
            found[page] = None
        return list(found)

    def _listing(self, reply: Reply) -> bytes | None:
        """The sitemap that a reply holds, decompressed, or None when it holds something else."""
        from index.web.network import gunzip

        packed = reply.data.startswith(b"\x1f\x8b")
        data = gunzip(reply.data, self.limits.max_bytes) if packed else reply.data
        return data if is_sitemap(data, urlsplit(reply.url).path) else None

    def _pages(self, sitemap: str, listing: bytes, seen: set[str], depth: int) -> Iterator[str]:
        """Addresses of pages on the sitemap's host, those of inner sitemaps in their place. `seen` are sitemaps met."""
        host, elsewhere, too_many = urlsplit(sitemap).netloc, 0, 0
        for entry in islice(entries(listing), _SITEMAP_LINES):
            url = _on_host(entry.url, host)
            if not url:
                elsewhere += 1
            elif not entry.is_sitemap:
                yield url
            elif url not in seen and (depth == _SITEMAP_DEPTH or len(seen) > self.limits.pages):
                too_many += 1
            elif url not in seen:
                seen.add(url)
                yield from self._inner_pages(url, host, seen, depth + 1)
        if elsewhere:
            self.notes.append(f"{sitemap} lists {elsewhere} addresses that are not on {host}; they are left out")
        if too_many:
            self.notes.append(f"{sitemap} leads to {too_many} sitemaps too many; they are left out")

    def _inner_pages(self, url: str, host: str, seen: set[str], depth: int) -> Iterator[str]:
        try:
            reply = self._get(url, {})
            listing = self._listing(reply)
            if listing is None or urlsplit(reply.url).netloc != host:
                raise DocumentError(f"not a sitemap of {host}")
            yield from self._pages(reply.url, listing, seen, depth)
        except DocumentError as error:
            self.notes.append(f"{url} is read no further: {error}")

    def _get(self, url: str, headers: Mapping[str, str]) -> Reply:
        """The answer at the end of the redirects: 200, or 304 if `headers` ask for it."""
        reply = self._follow(url, headers, self.limits.max_bytes, polite=True)
        if reply.status == 200 or (reply.status == 304 and headers):
            return reply
        phrase = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else "a status that is none"
        raise DocumentError(f"the server says {reply.status} {phrase}")

    def _follow(self, url: str, headers: Mapping[str, str], most: int, *, polite: bool) -> Reply:
        met, left = [url], self.limits.seconds
        while True:
            if polite:
                self._robots.admit(url)
            start = time.monotonic()
            try:
                lines = {"User-Agent": AGENT, "Accept": "text/html, */*;q=0.8", **headers}
                reply = self._network.get(url, lines, most, start + left)
            except TimeoutError:
                raise DocumentError(f"no whole answer within {self.limits.seconds:g} s") from None
            left -= time.monotonic() - start  # waiting for robots.txt does not count
            if reply.status not in _REDIRECTS:
                return reply
            url = _redirected(reply)
            if url in met:
                raise DocumentError(f"redirects in a circle, by way of {url[:200]}")
            if len(met) > _HOPS:
                raise DocumentError(f"redirects more than {_HOPS} times")
            met.append(url)


def _short(header: str) -> str:
    return header if len(header) <= 512 else ""  # what the index keeps is no place for a server's data


def _redirected(reply: Reply) -> str:
    """Where a redirect leads, normalised. Raises DocumentError when it is not to be followed."""
    import httpx

    location = reply.headers.get("location", "").encode("latin-1").decode("utf-8", "replace").strip()
    if not location:
        raise DocumentError(f"the server says {reply.status} but not where to look instead")
    try:
        url = normalised(str(httpx.URL(reply.url).join(location)))
    except (httpx.InvalidURL, ValueError, DocumentError) as error:
        raise DocumentError(f"redirects to what is not read: {error}") from error
    if reply.url.startswith("https:") and not url.startswith("https:"):
        raise DocumentError(f"redirects from https down to {url[:200]}")
    return url


def _on_host(url: str, host: str) -> str:
    """The address, normalised, or "" when it is on another host or none at all."""
    try:
        url = normalised(url)
    except DocumentError:
        return ""
    return url if urlsplit(url).netloc == host else ""
