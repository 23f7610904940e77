"""A line in which questions wait for their turn, first come first served. Knows no questions, only iterators.

Each state of an answer is made in a thread of the line's own: however many models are slow, the threads that serve the
page stay free.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

LOOK = 1.0
"""Seconds between two words to somebody who waits."""


class Line:
    """At most `places` are served at a time. Belongs to one event loop."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = places
        self._waiting: deque[asyncio.Event] = deque()
        self._threads = anyio.CapacityLimiter(places)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def served(
        self, begin: Callable[[], Generator[T, None, None]], wait: Callable[[int], T]
    ) -> AsyncGenerator[T, None]:
        """What `begin()` yields, when it is its turn; until then `wait(n)`, where n are before it.

        When this is closed, what was begun is closed too, and the next one begins.
        """
        turn = asyncio.Event()
        if self._free:
            self._free -= 1
            turn.set()
        else:
            self._waiting.append(turn)
        try:
            while not turn.is_set():
                yield wait(self._waiting.index(turn))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(turn.wait(), LOOK)
            async with contextlib.aclosing(self._states(begin())) as states:
                async for state in states:
                    yield state
        finally:
            self._leave(turn)

    async def _states(self, states: Generator[T, None, None]) -> AsyncGenerator[T, None]:
        try:
            while (state := await anyio.to_thread.run_sync(next, states, None, limiter=self._threads)) is not None:
                yield state
        finally:
            states.close()

    def _leave(self, turn: asyncio.Event) -> None:
        if not turn.is_set():
            self._waiting.remove(turn)
        elif self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1
