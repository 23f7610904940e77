"""One HTTP request over a guarded network: the address that was checked is the one connected to, and time is bounded.

Not redirects, robots or what a page is: `index.web` has those. It stands on httpcore, a layer below httpx.Client, where
there are no cookies, netrc, Referer and proxies from the environment to turn off. Proxies are left out on purpose: a
proxy looks names up itself, and the check of addresses would be void. Certificates are checked against certifi's list,
or against SSL_CERT_FILE or SSL_CERT_DIR where these are set.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

from index.errors import DocumentError, SettingsError

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text. Raises OSError when there are none."""

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_MEMBERS = 100
"""Parts of a gzip file. Each costs a copy of what follows it: millions of empty ones would take very long."""


class UnreachableError(DocumentError):
    """There is no talking to the host at all: no such name, not a public address, refused, no trust."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `url` it came from, header names in lower case, `data` decompressed (empty if not a 200)."""

    url: str
    status: int
    headers: Mapping[str, str]
    data: bytes


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; the IPv4 address inside an IPv6 one decides for it.

    >>> [is_public(each) for each in ("93.184.215.14", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1")]
    [True, False, False, False]
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if within is not None:
            return is_public(str(within))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast


def look_up(host: str, port: int) -> list[str]:
    """The system's resolver, each address once."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def gunzip(data: bytes, most: int) -> bytes:
    """Decompress to at most `most` bytes. Raises DocumentError for more, and for what is no whole gzip file."""
    out = bytearray()
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            out += member.decompress(data, most + 1 - len(out))
        except zlib.error as error:
            raise DocumentError(f"damaged gzip data: {error}") from error
        if len(out) > most:
            raise DocumentError(f"more than {most / 1e6:g} MB when decompressed")
        if not member.eof:
            raise DocumentError("damaged gzip data: it ends too early")
        data = member.unused_data.lstrip(b"\0")  # a file may be filled up with zeros
        if not data:
            return bytes(out)
    raise DocumentError(f"gzip data in more than {_MEMBERS} parts")


class Network:
    """GET requests to checked addresses, connections kept alive between them. For one thread."""

    def __init__(self, allow_private: bool, resolve: Resolver = look_up) -> None:
        import httpx

        self._backend = _Guard(allow_private, resolve)
        try:
            context = httpx.create_ssl_context()
        except OSError as error:
            raise SettingsError(f"no certificates in what SSL_CERT_FILE or SSL_CERT_DIR names: {error}") from error
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=self._backend)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def get(self, url: str, headers: Mapping[str, str], most: int, until: float) -> Reply:
        """One answer without following redirects, `most` bytes at most, complete before `until` (time.monotonic).

        Raises TimeoutError, UnreachableError, and DocumentError for an answer that breaks off, is too big or damaged.
        """
        import httpx

        self._backend.until = until
        parts = httpx.URL(url)
        target = httpcore.URL(
            scheme=parts.raw_scheme, host=parts.raw_host, port=parts.port, target=parts.raw_path
        )  # taken apart once: two parsers of one address may disagree about its host
        lines = {"Host": parts.netloc.decode("ascii"), "Accept-Encoding": "gzip", **headers}
        encoded = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in lines.items()]
        try:
            with self._pool.stream("GET", target, headers=encoded) as answer:
                known = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                data = _body(answer.iter_stream(), known, most) if answer.status == 200 else b""
                return Reply(url, answer.status, known, data)
        except httpcore.TimeoutException:
            raise TimeoutError from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise DocumentError(f"the answer broke off: {error or 'the connection was closed'}") from error


def _body(pieces: Iterable[bytes], headers: Mapping[str, str], most: int) -> bytes:
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip"}:
        raise DocumentError(f"comes compressed as {coding[:40]!r}, expected gzip or nothing")
    length = headers.get("content-length", "")
    too_big = f"over {most / 1e6:g} MB, the most that is read"
    if length.isdecimal() and int(length[:20]) > most:
        raise DocumentError(too_big)
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > most:
            raise DocumentError(too_big)
    return gunzip(bytes(data), most) if coding.endswith("gzip") and data else bytes(data)


class _Guard(httpcore.NetworkBackend):
    """Looks a name up once, refuses it if any of its addresses is not public, connects to exactly these addresses."""

    def __init__(self, allow_private: bool, resolve: Resolver) -> None:
        self.until = 0.0
        self._allow_private = allow_private
        self._resolve = resolve
        self._tcp = httpcore.SyncBackend()

    def left(self) -> float:
        """Seconds left. Raises httpcore.TimeoutException when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException
        return left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        problem: Exception | None = None
        for tried, address in enumerate(addresses):
            share = self.left() / (len(addresses) - tried)  # one address that never answers must not take all the time
            try:
                return _Timed(self._tcp.connect_tcp(address, port, share, local_address, socket_options), self.left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        if isinstance(problem, httpcore.ConnectTimeout):
            raise problem
        reason = getattr(problem and problem.__cause__, "strerror", None) or problem
        raise UnreachableError(f"no connection to {host}: {reason}") from problem

    def _addresses(self, host: str, port: int) -> list[str]:
        found = _in_time(lambda: list(self._resolve(host, port)), self.left())
        if isinstance(found, (OSError, UnicodeError)):
            raise UnreachableError(
                f"no address is known for {host}: {getattr(found, 'strerror', None) or found}"
            ) from found
        if isinstance(found, Exception):
            raise found
        if not found:
            raise UnreachableError(f"no address is known for {host}")
        inner = [] if self._allow_private else [address for address in found if not is_public(address)]
        if inner:
            raise UnreachableError(
                f"{host} is at {inner[0]}, which is not a public address; web_private allows private ones"
            )
        return found[:8]


def _in_time(call: Callable[[], list[str]], seconds: float) -> list[str] | Exception:
    """What `call` returned or raised. The system's look-up takes no time limit: it runs where it can be left alone."""
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(call())
        except Exception as error:  # handed to the caller, not swallowed
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout from None


class _Timed(httpcore.NetworkStream):
    """A connection whose every wait ends when the time of the request is over, however often a byte comes in."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream = stream
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left)
        except httpcore.ConnectError as error:
            cause = error.__cause__
            reason = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or error
            raise UnreachableError(f"no secure connection to {server_hostname}: {reason}") from error

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
