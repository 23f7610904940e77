"""The system under test as a run sees it: search, ask, read. Keeps answers of paid models; scores nothing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evals.gold import Case
from evals.metrics.retrieval import Span
from rag.values import Answer, Passage

if TYPE_CHECKING:
    from index.documents import Document
    from index.embed import Embedder
    from index.store import Index


class Asked(Protocol):
    """What a run needs of a `Rag`: search, ask, and the text that citations point into."""

    def search(self, question: str, *, tokens: int) -> list[Passage]:
        """Passages of at most `tokens` cl100k tokens in sum."""

    def ask(self, question: str, *, history: Sequence[tuple[str, str]] = ()) -> Answer:
        """A cited answer."""

    def document(self, doc: str) -> Document:
        """A document with its extracted text."""


class Recalling:
    """An embedder that remembers the last single texts: a question is embedded once, not once a budget.

    Nothing else is changed, so the index it opens is that of the embedder within.
    """

    def __init__(self, inner: Embedder, keep: int = 16) -> None:
        self._inner, self._keep = inner, keep
        self._known: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """That of the embedder within."""
        return self._inner.fingerprint

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._inner.dim

    @property
    def window(self) -> int:
        """Longest text in tokens."""
        return self._inner.window

    @property
    def readings(self) -> Any:
        """How the embedder within reads texts piece by piece; None when it cannot."""
        return getattr(self._inner, "readings", None)

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Starts of the tokens."""
        return self._inner.token_starts(text)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors; a single text's may be one that was computed before."""
        if len(texts) != 1:
            return self._inner.encode(texts)
        with self._lock:
            known = self._known.get(texts[0])
        if known is None:
            known = self._inner.encode(texts)
            with self._lock:
                self._known[texts[0]] = known
                while len(self._known) > self._keep:
                    del self._known[next(iter(self._known))]
        return known.copy()


class Chunks:
    """Where an index's chunks begin and end in their documents, as they were when this was made."""

    def __init__(self, index: Index) -> None:
        self._places: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        with index.reading() as snapshot:
            bounds = np.searchsorted(snapshot.documents, np.arange(len(snapshot.docs) + 1))  # rows go by document
            for doc, first, last in zip(snapshot.docs, bounds[:-1], bounds[1:], strict=True):
                self._places[doc] = np.sort(snapshot.starts[first:last]), np.sort(snapshot.ends[first:last])

    def on(self, span: Span) -> list[Span]:
        """The chunks that touch a span, be it at the border. They follow each other and do not overlap."""
        doc, start, end = span
        starts, ends = self._places.get(doc, (np.empty(0, np.int64), np.empty(0, np.int64)))
        first, last = np.searchsorted(ends, start, "left"), np.searchsorted(starts, end, "right")
        return [(doc, int(starts[row]), int(ends[row])) for row in range(first, last)]


class AnswerStore:
    """Answers by what they depend on, one file each, so that a model is not paid twice for the same reply.

    The key covers question, history, settings, documents, the index's fingerprint and the program's own source.
    """

    def __init__(self, folder: Path, *parts: object) -> None:
        self._folder, self._parts = folder, parts

    def ask(self, case: Case, ask: Callable[[], Answer]) -> tuple[Answer, bool]:
        """The kept answer and True, or a new one and False."""
        key = json.dumps([*self._parts, case.question, case.history], sort_keys=True, default=str)
        file = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        try:
            return Answer.from_dict(json.loads(file.read_text("utf-8"))), True
        except (OSError, ValueError, KeyError, TypeError):  # missing or torn: ask
            answer = ask()
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        temporary.write_text(answer.to_json(), encoding="utf-8")
        temporary.replace(file)
        return answer, False


def asked(kb: Asked, case: Case) -> tuple[Answer, dict[str, float]]:
    """The answer to a case, after its history, and seconds by stage: the answer's own stages, `ask` for all of it."""
    history: list[tuple[str, str]] = []
    for question, said in case.history:
        history.append((question, kb.ask(question, history=history).text if said is None else said))
    clock = time.perf_counter()
    answer = kb.ask(case.question, history=history)
    total = time.perf_counter() - clock
    stages: dict[str, Any] = {stage: took for stage, took in answer.timings.items() if stage != "total"}
    return answer, {**stages, "ask": round(total, 6)}
