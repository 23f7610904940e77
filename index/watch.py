"""Follow folders: a sync at once and one after every burst of changes. Holds no lock between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from index.errors import IndexLockedError, MissingExtraError
from index.store import Index
from index.sync import SyncReport

_QUIET_MS = 300
"""A burst of changes ends when nothing has changed for this long: editors write a file in several steps."""


def watch(
    index: Index,
    targets: Sequence[Path],
    report: Callable[[SyncReport], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Sync `targets` (none: every folder synced before) until `stop` is set or the process is interrupted.

    `report` is called after the first sync and after each that did something. What else is writing is waited for.
    Raises MissingExtraError without watchfiles, and what `Index.sync` raises.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise MissingExtraError("watching folders", "watch") from error

    stop = stop or threading.Event()
    targets = list(targets) or [Path(root) for root in index.catalog.roots() if "://" not in root]
    here = index.folder

    def counts(change: watchfiles.Change, path: str) -> bool:
        return not Path(path).is_relative_to(here)

    said = report or (lambda done: None)
    folders = {target if target.is_dir() else target.parent for target in targets}
    # The watcher's first step returns after half a second at the latest: it runs before the first sync, so that no
    # change falls between them.
    changes = watchfiles.watch(
        *folders, watch_filter=counts, step=50, debounce=_QUIET_MS, stop_event=stop, yield_on_timeout=True,
        rust_timeout=500, raise_interrupt=True,
    )  # fmt: skip
    first = True
    for changed in changes:
        if changed or first:
            done = _patiently(index, targets, stop)
            if done is not None and (first or did_something(done)):
                said(done)
            first = False


def did_something(report: SyncReport) -> bool:
    """Whether a sync changed the index."""
    return bool(report.added or report.changed or report.moved or report.removed)


def _patiently(index: Index, targets: Sequence[Path], stop: threading.Event) -> SyncReport | None:
    while not stop.is_set():
        try:
            return index.sync([target for target in targets if target.exists()])
        except IndexLockedError:
            time.sleep(1)
    return None
