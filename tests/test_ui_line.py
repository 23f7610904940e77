"""The line of questions: so many at a time, the others in order; who leaves makes room; threads are its own."""

import asyncio
import threading
import time
from collections.abc import Generator
from contextlib import aclosing

import pytest

from ui import line as line_module
from ui.line import Line


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "LOOK", 0.01)


class Work:
    """Answers that take a while; notes who began, who ended, and how many ran at once."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self.order: list[int] = []
        self.closed: list[int] = []
        self.threads: set[str] = set()
        self.now = self.most = 0
        self.lock = threading.Lock()

    def begin(self, name: int) -> Generator[str, None, None]:
        with self.lock:
            self.order.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            for piece in range(3):
                time.sleep(self.seconds)
                yield f"{name}.{piece}"
        finally:
            with self.lock:
                self.now -= 1
                self.closed.append(name)


async def _served(line: Line, work: Work, name: int) -> list[str]:
    async with aclosing(line.served(lambda: work.begin(name), lambda before: f"wait {before}")) as states:
        return [state async for state in states]


def test_so_many_at_a_time_and_the_others_in_order() -> None:
    work = Work()

    async def people() -> list[list[str]]:
        line = Line(4)
        done = await asyncio.gather(*(_served(line, work, name) for name in range(20)))
        assert len(line) == 0
        return done

    done = asyncio.run(people())
    assert work.most <= 4
    # Those that are served at once may swap: each begins in a thread of its own.
    assert sorted(work.order) == list(range(20))
    assert all(abs(at - name) < 4 for at, name in enumerate(work.order))
    for name, states in enumerate(done):
        assert states[-3:] == [f"{name}.0", f"{name}.1", f"{name}.2"]
    assert done[4][0] == "wait 0"
    assert done[19][0] == "wait 15"


def test_who_leaves_while_waiting_or_being_served_makes_room() -> None:
    work = Work()

    async def people() -> list[str]:
        line = Line(1)
        first, second, third = (
            line.served(lambda name=name: work.begin(name), lambda before: f"wait {before}") for name in range(3)
        )
        assert await anext(first) == "0.0"
        assert await anext(second) == "wait 0"
        assert await anext(third) == "wait 1"
        await second.aclose()
        assert await anext(third) == "wait 0"
        await first.aclose()
        return [state async for state in third]

    assert asyncio.run(people())[-3:] == ["2.0", "2.1", "2.2"]
    assert work.order == [0, 2]
    assert work.closed == [0, 2]


def test_an_error_of_an_answer_makes_room_too() -> None:
    def broken() -> Generator[str, None, None]:
        raise ZeroDivisionError
        yield ""

    async def people() -> list[str]:
        line = Line(1)
        with pytest.raises(ZeroDivisionError):
            await anext(line.served(broken, str))
        return await _served(line, Work(), 7)

    assert asyncio.run(people()) == ["7.0", "7.1", "7.2"]


def test_slow_answers_leave_the_threads_of_the_page_free() -> None:
    async def people() -> float:
        line = Line(60)
        slow = [asyncio.create_task(_served(line, Work(0.3), name)) for name in range(60)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        from anyio.to_thread import run_sync

        await run_sync(time.sleep, 0)
        took = time.monotonic() - began
        await asyncio.gather(*slow)
        return took

    assert asyncio.run(people()) < 0.2
