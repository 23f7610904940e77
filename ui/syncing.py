"""A sync as a generator of plain values: how far it is, then what it did. Knows no Gradio, draws nothing."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from index.errors import RagError
from index.sync import SyncReport
from rag.answer import Rag

INTERVAL = 0.2
"""Seconds between two states."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done, items done, items in all."""

    what: str
    done: int = 0
    total: int = 0


def syncing(kb: Rag, *targets: str) -> Iterator[Progress | SyncReport | RagError]:
    """Bring the index in step with `targets` (none: all that were synced before); ends with a report or an error.

    The work goes on in its own thread when nobody looks any more: half a sync helps no one.
    """
    return _followed(lambda report: kb.sync(*targets, progress=report), "Looking at the files")


def _followed(
    work: Callable[[Callable[[str, int, int], None]], SyncReport], what: str
) -> Iterator[Progress | SyncReport | RagError]:
    ended: queue.SimpleQueue[SyncReport | RagError] = queue.SimpleQueue()
    latest = [Progress(what)]

    def run() -> None:
        try:
            ended.put(work(lambda what, done, total: latest.__setitem__(0, Progress(what, done, total))))
        except RagError as error:
            ended.put(error)
        except Exception:
            _log.exception("a sync failed")
            words = "Something failed that should not have. The terminal behind this page has the details."
            ended.put(RagError(words))

    threading.Thread(target=run, name="sync", daemon=True).start()
    yield latest[0]
    while True:
        try:
            yield ended.get(timeout=INTERVAL)
            return
        except queue.Empty:
            yield latest[0]
