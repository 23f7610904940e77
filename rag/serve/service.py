"""What the routes share: the index, the threads, the counters, and one write at a time. Knows no route."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from index.errors import RagError
from index.plan import Plan
from index.sync import SyncReport
from rag.answer import Rag
from rag.retrieve import Retrieval
from rag.serve.failures import RefusedError
from rag.serve.metrics import Metrics
from rag.serve.workers import Workers
from rag.values import Event

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an index is served; what it says and finds is in `rag.Settings`."""

    name: str = "footnote"
    """Under which /v1/models lists the index."""

    footnotes: bool = False
    """Whether chat replies end with their quotes, for front ends that show no annotations."""

    rate: int = 600
    """Requests a minute for each key or address, 0 for no limit: ten a second is a busy program, more a runaway one."""

    body_kb: int = 1024
    """Largest request: a long conversation is a hundredth of that."""

    need_key: bool = False
    """Whether a key is needed even where none was made: on an address that others can reach."""

    log_text: bool = False
    """Whether the log holds questions and the words of unexpected errors."""

    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names under which the server answers; another one is a web page that pointed its own name at this machine."""


class Service:
    """One index on offer. Reads are many, writes one at a time."""

    def __init__(self, kb: Rag, options: Options) -> None:
        self.kb, self.options = kb, options
        self.metrics = Metrics()
        self.workers = Workers()
        self.metrics.watch_answers(lambda: self.workers.answers)
        self.started = int(time.time())
        self._writing = ""
        self.warm = False
        """Whether the question encoder is loaded, so that the first question is as quick as the others."""

    def warm_up(self) -> None:
        """Load what a question needs."""
        with contextlib.suppress(RagError):
            if self.state() is not None:
                self.kb.search("warm-up", k=1)
        self.warm = True

    async def retrieve(self, question: str, **options: Any) -> Retrieval:
        """A search, in a thread."""
        found = await self.workers.search(self.kb.retrieve, question, **options)
        self.metrics.stages("search", found.timings)
        return found

    def answers(self, question: str, **options: Any) -> Callable[[], Iterator[Event]]:
        """What `Workers.stream` begins: the events of an answer."""
        return lambda: self.kb.stream(question, **options)

    async def read(self, job: Callable[[], T]) -> T:
        """Something short that looks at the index, in a thread."""
        return await self.workers.search(job)

    def state(self) -> tuple[int, int, int] | None:
        """Generation, documents, chunks; None without an index. Raises RagError when it cannot be read."""
        if not self.kb.index.exists():
            return None
        with self.kb.index.reading() as snapshot:
            return snapshot.generation, len(snapshot.docs), len(snapshot)

    async def sync(self, targets: Sequence[str], *, remove_most: bool) -> SyncReport:
        """Sync what was synced before, or those of it that are named. Raises RefusedError, IndexLockedError."""
        known = await self.read(self.kb.index.catalog.roots)
        for target in targets:
            if target not in known:
                raise RefusedError(
                    403,
                    f"{target!r} was not synced before; over HTTP only that is read again. On the server's machine, "
                    f"type: rag sync {target}",
                    "unknown_target",
                    "targets",
                )
        confirm = None if remove_most else _refuse_most
        return await self._alone("a sync", lambda: self.kb.sync(*targets, confirm=confirm))

    async def remove(self, doc: str) -> SyncReport:
        """Take a document out of the index. Raises DocumentError, RefusedError, IndexLockedError."""
        return await self._alone("a removal", lambda: self.kb.remove(doc))

    async def _alone(self, what: str, job: Callable[[], T]) -> T:
        """Run a write, or refuse while one that came over HTTP runs; other processes are held off by the lock."""
        if self._writing:
            raise RefusedError(409, f"This server is busy with {self._writing}. Try again when it is done.", "writing")
        self._writing = f"{what} that began at {time.strftime('%H:%M:%S')}"

        def alone() -> T:
            try:
                return job()
            finally:
                self._writing = ""

        return await self.workers.write(alone)

    def close(self) -> None:
        """Let go of the index."""
        self.kb.close()


def _refuse_most(plan: Plan) -> bool:
    raise RefusedError(
        409,
        f"{len(plan.removed)} documents of {plan.target} are no longer there, more than half. Nothing was changed. If "
        'they are to be removed, send {"remove_most": true}.',
        "would_remove_most",
        "remove_most",
    )
