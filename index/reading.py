"""Documents read ahead of their use, those of risky kinds in child processes that can be killed. Not how they are read.

`python -m index.reading` is such a child: a request a line on standard input, an answer behind its length on standard
output, JSON both, so that nothing a document does to its reader can run code here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

from index import child
from index.documents import Document, read_document
from index.errors import DocumentError
from index.plan import Task
from index.readers import READERS, ReadOptions

Outcome = Document | DocumentError | None
"""None: a page that has not changed since it was last read."""

MEMORY = 4 << 30
"""Bytes of address space of a child, where the system can limit it: a hundred times a large document."""

_SIMPLE = {"text", "code"}
"""Readers that only decode: not worth a process."""

_AHEAD = 4


def read_all(
    jobs: Iterable[tuple[Task, Path | Outcome]], max_bytes: int, options: ReadOptions, seconds: float
) -> Iterator[tuple[Task, Outcome]]:
    """Each task with the document in its file, or the reason why there is none, in order; a file may take `seconds`.

    While the caller works on one document, children read the next ones. What is no path is passed on.
    """
    workers = max(1, min(4, (os.cpu_count() or 2) // 2))
    children = _Children(max_bytes, options, seconds)
    waiting: deque[tuple[Task, Callable[[], Outcome]]] = deque()
    pool = ThreadPoolExecutor(workers, "read")
    try:
        for task, found in jobs:
            if not isinstance(found, Path):
                waiting.append((task, partial(_same, found)))
            elif READERS[found.suffix.lower()].partition(":")[0] in _SIMPLE:
                waiting.append((task, partial(_read, found, task.doc, max_bytes, options)))
            else:
                waiting.append((task, pool.submit(children.read, found, task.doc).result))
            if len(waiting) > _AHEAD + workers:
                done, outcome = waiting.popleft()
                yield done, outcome()
        while waiting:
            done, outcome = waiting.popleft()
            yield done, outcome()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        children.kill()
        pool.shutdown()


def _same(outcome: Outcome) -> Outcome:
    return outcome


def _read(path: Path, doc: str, max_bytes: int, options: ReadOptions) -> Outcome:
    try:
        return read_document(path, doc, max_bytes, options)
    except DocumentError as error:
        return error
    except MemoryError:
        return DocumentError("needs more memory to be read than a document should")
    except RecursionError:
        return DocumentError("is nested too deeply to be read")


class _Children:
    """One child a thread, started when needed, started again when one had to be killed."""

    def __init__(self, max_bytes: int, options: ReadOptions, seconds: float) -> None:
        self._request = {"max_bytes": max_bytes, "password": options.password}
        self._seconds = seconds
        self._local = threading.local()
        self._alive: list[subprocess.Popen[bytes]] = []

    def read(self, path: Path, doc: str) -> Outcome:
        process = self._process()
        asked = json.dumps({**self._request, "path": str(path), "doc": doc}) + "\n"
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(self._seconds, end)
        alarm.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(asked.encode())
            process.stdin.flush()
            answer = json.loads(_answer(process.stdout))
        except (OSError, EOFError, ValueError):
            self._drop(process)
            if late.is_set():
                return DocumentError(f"takes longer than {self._seconds:g} s to read (read_seconds)")
            return DocumentError("its reader crashed or ran out of memory; the file is damaged or hostile")
        finally:
            alarm.cancel()
        if "failed" in answer:
            return DocumentError(answer["failed"])
        pages = tuple((start, end) for start, end in answer.pop("pages"))
        return Document(pages=pages, **answer)

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self._local, "process", None)
        if process is None:
            # A session of its own: Ctrl-C is for the parent, which ends its children itself.
            process = subprocess.Popen(
                child.command("index.reading"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=child.environment(), start_new_session=True,
            )  # fmt: skip
            self._local.process = process
            self._alive.append(process)
        return process

    def _drop(self, process: subprocess.Popen[bytes]) -> None:
        self._local.process = None
        with contextlib.suppress(ValueError):  # all were killed meanwhile
            self._alive.remove(process)
        _end(process)

    def kill(self) -> None:
        while self._alive:
            _end(self._alive.pop())


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def _answer(pipe: IO[bytes]) -> bytes:
    head = pipe.read(8)
    body = pipe.read(int.from_bytes(head, "big"))
    if len(head) < 8 or len(body) < int.from_bytes(head, "big"):
        raise EOFError
    return body


def _serve() -> None:
    """Read what is asked until standard input ends."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        options = ReadOptions(password=asked["password"])
        outcome = _read(Path(asked["path"]), asked["doc"], asked["max_bytes"], options)
        body = json.dumps(_plain(outcome)).encode()
        answers.write(len(body).to_bytes(8, "big") + body)
        answers.flush()


def _plain(outcome: Outcome) -> dict[str, Any]:
    if not isinstance(outcome, Document):
        return {"failed": str(outcome)}
    names = ("doc", "text", "pages", "title", "sha256", "meta")
    return {**{name: getattr(outcome, name) for name in names}, "meta": dict(outcome.meta)}


if __name__ == "__main__":
    _serve()
