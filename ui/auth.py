"""Who may open the page: a file of users with hashed passwords, a limit on tries, signed sessions. Serves no route.

Passwords are kept as scrypt hashes only, and compared in constant time; a name that does not exist costs as much time
as a wrong password, so that neither can be told from the other.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from index.errors import RagError

SHORTEST_PASSWORD = 8
SESSION_HOURS = 12
"""After a working day one logs in again; a forgotten browser does not stay open for ever."""

_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
# 32 MB and about 0.1 s a try, the interactive cost that RFC 7914's authors give, doubled once.
_N, _R, _P = 1 << 15, 8, 1
_MEMORY = 128 * _N * _R * 2


class AuthError(RagError):
    """The users' file, a name or a password is not fit for use."""


class Users:
    """A text file, one `name:scrypt:n:r:p:salt:hash` a line, read again when it changed. Only its owner can read it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, str] = {}
        self._nobody = _hashed(secrets.token_hex(16))

    def names(self) -> list[str]:
        """Everybody in the file; nobody when there is none. Raises AuthError for a line that is not one of ours."""
        return sorted(self._read())

    def add(self, name: str, password: str) -> bool:
        """Write the user, a known one with the new password. Returns whether the name is new."""
        if not _NAME.fullmatch(name):
            raise AuthError(
                f"{name!r:.80} cannot be a user's name; expected up to 64 letters, digits or any of . _ @ + -"
            )
        if len(password) < SHORTEST_PASSWORD:
            raise AuthError(f"The password is too short; expected at least {SHORTEST_PASSWORD} characters.")
        known = self._read()
        self._write({**known, name: _hashed(password)})
        return name not in known

    def remove(self, name: str) -> None:
        """Take the user out, which ends the user's sessions."""
        known = self._read()
        if name not in known:
            raise AuthError(f"There is no user {name!r:.80} in {self.file}; it holds: {', '.join(known) or 'nobody'}.")
        self._write({key: value for key, value in known.items() if key != name})

    def check(self, name: str, password: str) -> bool:
        """Whether this is the user's password; takes the same time whether or not there is such a user."""
        stored = self._read().get(name)
        right = _matches(password, stored or self._nobody)
        return right and stored is not None

    def mark(self, name: str) -> str | None:
        """What changes with the user's password, None for a name that is not in the file. Tells nothing of either."""
        stored = self._read().get(name)
        return None if stored is None else hashlib.sha256(stored.encode()).hexdigest()[:16]

    def _read(self) -> dict[str, str]:
        try:
            stat = self.file.stat()
            with self._lock:
                if self._stamp != (stat.st_mtime_ns, stat.st_size):
                    self._known = _parsed(self.file)
                    self._stamp = (stat.st_mtime_ns, stat.st_size)
                return dict(self._known)
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise AuthError(f"The users' file {self.file} cannot be read: {error}") from error

    def _write(self, known: dict[str, str]) -> None:
        text = "".join(f"{name}:{stored}\n" for name, stored in known.items())
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # mkstemp: nobody else can read it from the first byte on.
            handle, part = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
            os.replace(part, self.file)
        except OSError as error:
            raise AuthError(f"The users' file {self.file} cannot be written: {error}") from error
        with self._lock:
            self._stamp = None


def _parsed(file: Path) -> dict[str, str]:
    known: dict[str, str] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        name, _, stored = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        if not _NAME.fullmatch(name) or not re.fullmatch(r"scrypt:\d+:\d+:\d+:[0-9a-f]+:[0-9a-f]+", stored):
            raise AuthError(f"{file}:{number} is not a user; write users with: rag ui --add-user NAME")
        known[name] = stored
    return known


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt:{_N}:{_R}:{_P}:{salt.hex()}:{_digest(password, salt, _N, _R, _P).hex()}"


def _matches(password: str, stored: str) -> bool:
    _, n, r, p, salt, digest = stored.split(":")
    try:
        found = _digest(password, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, bytes.fromhex(digest))
    except ValueError:  # a line that somebody changed by hand: numbers out of range, half a byte
        return False


def _digest(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # One spelling for what keyboards of different systems send for the same letters.
    plain = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(plain, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


@dataclass(slots=True)
class Tries:
    """Failed log-ins of late. Ten from one address, or thirty for one name from anywhere, close the door a while."""

    seconds: float = 600.0
    from_address: int = 10
    for_name: int = 30
    clock: Callable[[], float] = time.monotonic
    _failed: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, address: str, name: str) -> float:
        """Seconds until another try is listened to; 0 when it is at once."""
        with self._lock:
            return max(self._left(f"address {address}", self.from_address), self._left(f"name {name}", self.for_name))

    def fail(self, address: str, name: str) -> None:
        """Count a try that failed."""
        with self._lock:
            now = self.clock()
            for key in (f"address {address}", f"name {name:.64}"):
                self._failed.setdefault(key, []).append(now)
            if len(self._failed) > 10_000:  # forget what no longer counts, before it fills the memory
                since = now - self.seconds
                self._failed = {key: times for key, times in self._failed.items() if times[-1] > since}

    def succeed(self, address: str) -> None:
        """The person at this address has shown who they are."""
        with self._lock:
            self._failed.pop(f"address {address}", None)

    def _left(self, key: str, most: int) -> float:
        now = self.clock()
        times = [at for at in self._failed.get(key, ()) if at > now - self.seconds]
        return times[-most] + self.seconds - now if len(times) >= most else 0.0


class Sessions:
    """Cookies that say who logged in, signed with a key that lives as long as the server: a restart ends them all."""

    def __init__(self, users: Users, hours: float = SESSION_HOURS) -> None:
        from itsdangerous import URLSafeTimedSerializer

        self.users = users
        self.seconds = int(hours * 3600)
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="session")
        self._ended: set[str] = set()

    def begin(self, name: str) -> str:
        """The cookie of a user who has just shown the password."""
        return str(self._signer.dumps([name, self.users.mark(name), secrets.token_hex(8)]))

    def user(self, cookie: str) -> str | None:
        """Whose cookie it is; None when it is forged, old, ended, or the user is gone or has another password."""
        from itsdangerous import BadData

        try:
            name, mark, ticket = self._signer.loads(cookie, max_age=self.seconds)
        except (BadData, ValueError, TypeError):
            return None
        known = self.users.mark(name)
        return name if known is not None and known == mark and ticket not in self._ended else None

    def end(self, cookie: str) -> None:
        """The cookie is worth nothing from now on."""
        if self.user(cookie) is not None:
            self._ended.add(self._signer.loads(cookie)[2])
