"""API keys: who may come in, kept as hashes in a file of the index's folder. Knows no HTTP.

A key is 256 random bits, so that a plain SHA-256 is as good as a slow hash: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from index.errors import RagError

FILE = "keys.json"
_NAME = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Without `may_write` it can search and ask, not sync or remove."""

    name: str
    sha256: str
    made: str
    may_write: bool = False


class KeyFile:
    """The keys in one file, read again whenever it changes; no file means no keys."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self._lock = threading.Lock()

    def all(self) -> tuple[Key, ...]:
        """All keys. Raises RagError when the file cannot be read: nobody may then come in."""
        with self._lock:
            try:
                stat = self.file.stat()
            except FileNotFoundError:
                self._seen, self._keys = None, ()
                return ()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._keys, self._seen = self._read(), seen
            return self._keys

    def _read(self) -> tuple[Key, ...]:
        try:
            return tuple(Key(**row) for row in json.loads(self.file.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RagError(f"{self.file} cannot be read ({error}). Delete it and add the keys anew.") from error

    def find(self, secret: str) -> Key | None:
        """The key that `secret` is, or None."""
        digest = _digest(secret)
        found = None
        for key in self.all():  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def add(self, name: str, *, may_write: bool = False) -> str:
        """A new key, returned this once. Raises RagError for a name that is taken or no name."""
        if not _NAME.fullmatch(name):
            raise RagError(f"{name!r} is no name for a key; expected up to 64 letters, digits, . _ @ -")
        if any(key.name == name for key in self.all()):
            raise RagError(f"There is a key {name!r} already. To replace it, type: rag serve --remove-key {name}")
        secret = f"rag-{secrets.token_urlsafe(32)}"
        made = time.strftime("%Y-%m-%dT%H:%M:%S")
        self._write([*self.all(), Key(name, _digest(secret), made, may_write)])
        return secret

    def remove(self, name: str) -> None:
        """Forget a key; a running server refuses it from the next request on. Raises RagError for an unknown name."""
        kept = [key for key in self.all() if key.name != name]
        if len(kept) == len(self.all()):
            names = ", ".join(key.name for key in self.all()) or "none"
            raise RagError(f"There is no key {name!r}; known: {names}.")
        self._write(kept)

    def _write(self, keys: list[Key]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump([asdict(key) for key in keys], file, indent=2)
        os.replace(part, self.file)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
