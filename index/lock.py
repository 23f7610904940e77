"""The one-writer rule: a lock file that dies with its process, and a note beside it that says who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from index.errors import IndexLockedError, RagError


@contextlib.contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """The index's lock for as long as the block runs. Raises IndexLockedError at once when another has it."""
    from filelock import FileLock, Timeout

    note = folder / "lock.json"
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise IndexLockedError(f"{_holder(note)} is writing to {folder}; try again when it is done.") from None
    except OSError as error:
        raise RagError(f"{folder} cannot be written to: {error.strerror}.") from error
    try:
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with contextlib.suppress(OSError):  # only tells others; a full disk shows itself soon enough
            note.write_text(json.dumps(mine), "utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        held = json.loads(note.read_text("utf-8"))
        return f"Process {held['pid']} on {held['host']} (since {held['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "Another process"
