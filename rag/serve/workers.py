"""Threads for searching, for answering and for writing, apart, so that a slow model never holds up a search.

The threads stay for good: the catalog keeps a connection for each that has read it. They are daemons: a model that is
silent does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, TypeVar

from index.errors import RagError

T = TypeVar("T")

SEARCHING = 4
"""Searches are computing, and take turns at the snapshot: more threads than a few only wait."""

ANSWERING = 32
"""Answers mostly wait for a model."""

WAITING = 128
"""Answers that may be under way or in line; more would wait longer than their clients."""


class BusyError(RagError):
    """Too many answers are under way."""


class _Pool:
    """Daemon threads that take jobs from one queue; started as they are needed."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job`, which must not raise, in a thread."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._idle.release()


class Workers:
    """The three pools, used from one event loop."""

    def __init__(self, searching: int = SEARCHING, answering: int = ANSWERING, waiting: int = WAITING) -> None:
        self._searching = _Pool("search", searching)
        self._answering = _Pool("answer", answering)
        self._writing = _Pool("write", 1)
        self._waiting = waiting
        self.answers = 0
        """Answers under way or in line."""

    async def search(self, job: Callable[..., T], *args: Any, **options: Any) -> T:
        """The result of something short that reads the index."""
        return await _result(self._searching, lambda: job(*args, **options))

    async def write(self, job: Callable[..., T], *args: Any) -> T:
        """The result of a write. A caller that goes away does not stop it."""
        return await _result(self._writing, lambda: job(*args))

    async def stream(self, begin: Callable[[], Iterator[T]]) -> AsyncGenerator[T]:
        """What the iterator yields, as it comes. Leaving early closes the iterator at its next step.

        Raises BusyError when too many are under way, and whatever the iterator raises.
        """
        if self.answers >= self._waiting:
            raise BusyError(f"{self.answers} answers are under way. Ask again in a moment.")
        loop, items, gone = asyncio.get_running_loop(), asyncio.Queue[tuple[str, Any]](), threading.Event()

        def put(kind: str, item: Any = None) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(items.put_nowait, (kind, item))

        def pump() -> None:
            try:
                if not gone.is_set():
                    _forward(begin(), put, gone)
            except BaseException as error:
                put("error", error)
            put("end")

        self.answers += 1
        try:
            self._answering.submit(pump)
            while True:
                kind, item = await items.get()
                if kind == "end":
                    return
                if kind == "error":
                    raise item
                yield item
        finally:
            self.answers -= 1
            gone.set()


def _forward(iterator: Iterator[T], put: Callable[..., None], gone: threading.Event) -> None:
    try:
        for item in iterator:
            if gone.is_set():
                return
            put("item", item)
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


async def _result(pool: _Pool, job: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not future.done():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def run() -> None:
        result: Any = None
        failed: BaseException | None = None
        try:
            if not future.cancelled():
                result = job()
        except BaseException as error:
            failed = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failed)

    pool.submit(run)
    return await future
