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
        who = holder(folder) or "another process"
        raise IndexLockedError(
            f"{who[0].upper()}{who[1:]} is writing to {folder}; try again when it is done."
        ) from None
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


def holder(folder: Path) -> str:
    """Who holds the index's lock, or died with it; "" when nobody left a note."""
    try:
        held = json.loads((folder / "lock.json").read_text("utf-8"))
        return f"process {held['pid']} on {held['host']} (since {held['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
