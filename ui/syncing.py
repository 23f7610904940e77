"""A sync as a generator of plain values: its plans, how far it is, then what it did. Knows no Gradio, draws nothing."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from index.errors import RagError
from index.plan import Plan
from index.sync import SyncReport
from rag.answer import Rag

INTERVAL = 0.2
"""Seconds between two states."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done, items done, items in all; `plans` are those made so far, one a target."""

    what: str
    done: int = 0
    total: int = 0
    plans: tuple[Plan, ...] = ()


def syncing(kb: Rag, *targets: str) -> Iterator[Progress | SyncReport | RagError]:
    """Bring the index in step with `targets` (none: all that were synced before); ends with a report or an error.

    The work goes on in its own thread when nobody looks any more: half a sync helps no one.
    """
    said: queue.SimpleQueue[Progress | SyncReport | RagError] = queue.SimpleQueue()
    latest = Progress("Looking at the files")

    def progress(what: str, done: int, total: int) -> None:
        nonlocal latest
        latest = Progress(what, done, total, latest.plans)

    def planned(plan: Plan) -> None:
        nonlocal latest
        latest = replace(latest, plans=(*latest.plans, plan))
        said.put(latest)  # shown even where what follows takes no time

    def run() -> None:
        try:
            said.put(kb.sync(*targets, progress=progress, planned=planned))
        except RagError as error:
            said.put(error)
        except Exception:
            _log.exception("a sync failed")
            words = "Something failed that should not have. The terminal behind this page has the details."
            said.put(RagError(words))

    threading.Thread(target=run, name="sync", daemon=True).start()
    yield latest
    while True:
        try:
            state = said.get(timeout=INTERVAL)
        except queue.Empty:
            state = latest
        yield state
        if not isinstance(state, Progress):
            return
