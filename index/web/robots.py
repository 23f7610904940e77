"""What a site asks of robots: which pages not to read, how long to wait. As urllib.robotparser understands robots.txt.

That is: the first rule that matches counts, and * or $ inside a path have no meaning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from index.errors import DocumentError

if TYPE_CHECKING:
    from urllib.robotparser import RobotFileParser

    from index.web.network import Reply

AGENT = "footnote-rag"
"""The name that robots.txt knows us by, and the User-Agent of every request."""

_LONGEST_WAIT = 5.0
"""Seconds: a longer Crawl-delay is not waited for."""


class Robots:
    """The rules of every site met so far, each read once. `read` gets an address and follows redirects."""

    def __init__(self, read: Callable[[str], Reply]) -> None:
        self._read = read
        self._rules: dict[str, RobotFileParser | DocumentError] = {}
        self._last: dict[str, float] = {}

    def admit(self, url: str) -> None:
        """Return when the page may be read, after the wait the site asks for. Raises DocumentError when it may not."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._rules:
            self._rules[site] = self._load(site, parts.netloc)
        rules = self._rules[site]
        if isinstance(rules, DocumentError):
            raise type(rules)(*rules.args)
        if not rules.can_fetch(AGENT, url):
            raise DocumentError(f"robots.txt of {parts.netloc} does not allow {AGENT} to read it")
        wait = min(float(rules.crawl_delay(AGENT) or 0), _LONGEST_WAIT)
        time.sleep(max(0.0, self._last.get(site, -math.inf) + wait - time.monotonic()))
        self._last[site] = time.monotonic()

    def _load(self, site: str, host: str) -> RobotFileParser | DocumentError:
        from urllib.robotparser import RobotFileParser

        from index.web.network import UnreachableError

        blocked = f"robots.txt of {host} cannot be read, so nothing else is"
        try:
            reply = self._read(f"{site}/robots.txt")
        except UnreachableError as error:  # not about robots.txt
            return error
        except DocumentError as error:
            return DocumentError(f"{blocked}: {error}")
        if reply.status == 429 or not (reply.status == 200 or 400 <= reply.status < 500):
            return DocumentError(f"{blocked}: the server says {reply.status}")
        rules = RobotFileParser()
        lines = reply.data.decode("utf-8-sig", "replace").splitlines()
        try:
            rules.parse(line for line in lines if line.strip())  # an empty line would end a group that goes on
        except ValueError as error:
            return DocumentError(f"{blocked}: {error}")
        return rules
