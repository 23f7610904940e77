"""The front door of the library: `Rag` holds an index and hands questions to the pipeline. Knows no prompt, no score.

Everything it returns is a plain value; everything heavy is loaded by what needs it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.catalog import DocumentInfo
from index.documents import Document
from index.errors import DocumentError, MissingExtraError
from index.plan import Plan
from index.readers import Meta
from index.snapshot import Snapshot
from index.store import Check, Index
from index.sync import Progress, SyncReport
from rag.pipeline import Pipeline
from rag.rerank import Reranker, open_reranker
from rag.retrieve import Retrieval, retrieve
from rag.settings import Settings
from rag.values import (
    Answer,
    Event,
    Final,
    Passage,
    Passages,
)
from rag.verifier import Verifier, open_verifier

if TYPE_CHECKING:
    from rag.chat import Chat
    from rag.explain import Explanation

INDEX_FOLDER = ".rag"


def find_index(start: Path | None = None) -> Path:
    """The nearest `.rag` in `start` (default: the current folder) or above it; where there is none, `start`/.rag."""
    start = start or Path.cwd()
    for folder in (start, *start.parents):
        if (folder / INDEX_FOLDER / "manifest.json").exists():
            return folder / INDEX_FOLDER
    return start / INDEX_FOLDER


class Rag:
    """Questions and answers over one index.

    `folder` is the index (default: the nearest `.rag` upward); it is made by the first `sync` or `add`, not before.
    `embedder`, `model`, `reranker` and `verifier` take objects of your own: anything with `encode(texts)`, any
    LlamaIndex `LLM`, anything with `score(question, texts)`, anything with `verdict(source, sentence)`. LlamaIndex node
    postprocessors drop and reorder the passages found.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        settings: Settings | None = None,
        *,
        embedder: object | None = None,
        model: object | None = None,
        reranker: object | None = None,
        postprocessors: Sequence[object] = (),
        verifier: object | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.index = Index(Path(folder) if folder is not None else find_index(), self.settings, embedder)
        self._model = model
        self._postprocessors = postprocessors
        chosen = reranker or self.settings.rerank
        self.reranker: Reranker | None = open_reranker(chosen) if chosen else None
        checks = verifier or self.settings.verifier
        self.verifier: Verifier | None = open_verifier(checks) if checks else None

    @classmethod
    def from_chroma(cls, path: str | Path, collection: str, folder: str | Path | None = None, **options: Any) -> Rag:
        """Index the documents of a Chroma collection that LlamaIndex filled; the collection is only read.

        Their text is put together from their chunks and embedded anew. What is lost is said by a warning: offsets
        point into that text, not into the files that LlamaIndex read. `folder` and `options` are those of `Rag`. Raises
        RagError when there is no such collection.
        """
        import warnings

        from rag.adapters.collections import documents_in

        documents, notes = documents_in(Path(path), collection)
        kb = cls(folder, **options)
        kb.index.add_documents(documents)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return kb

    # Documents

    def sync(
        self,
        *targets: str | Path,
        progress: Progress | bool | None = None,
        confirm: Callable[[Plan], bool] | None = None,
        planned: Callable[[Plan], object] | None = None,
    ) -> SyncReport:
        """Bring the index in step with folders, files or web addresses (none: all that were synced before).

        `progress=True` draws a bar in a terminal or a notebook. `confirm` is asked before more than half of a target's
        documents are removed, `planned` is told of each target's plan; see `Index.sync`.
        """
        if not isinstance(progress, bool):
            return self.index.sync(targets, progress, confirm, planned)
        from rag.progress import progress_bar

        with progress_bar() if progress else nullcontext() as bar:
            return self.index.sync(targets, bar, confirm, planned)

    def plan(self, *targets: str | Path) -> list[Plan]:
        """What `sync` would do, one plan a target; nothing is written."""
        return self.index.plan(targets)

    def watch(
        self,
        *targets: str | Path,
        report: Callable[[SyncReport], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Sync, then follow the folders until `stop` is set; `report` is called after each sync that did something."""
        from index.watch import watch

        watch(self.index, [Path(target) for target in targets], report, stop)

    def add(self, text: str | object, doc: str | None = None, meta: Meta | None = None) -> SyncReport:
        """Index a string under the name `doc`, or what a LlamaIndex reader returned: a document or a list of them."""
        if isinstance(text, str):
            if not doc:
                raise DocumentError("A text needs a name. Type: kb.add(text, doc='notes/today.txt')")
            return self.index.add(text, doc, meta)
        from rag.adapters.documents import documents_of

        return self.index.add_documents(documents_of(text, doc, meta))

    def remove(self, *docs: str) -> SyncReport:
        """Take documents out of the index."""
        return self.index.remove(docs)

    def documents(self) -> list[DocumentInfo]:
        """What is indexed, by name."""
        return self.index.documents()

    def document(self, doc: str) -> Document:
        """A document with its extracted text, into which every span points."""
        return self.index.document(doc)

    def verify(self) -> list[Check]:
        """Whether the parts of the index are sound and agree."""
        return self.index.verify()

    def close(self) -> None:
        """Let go of the index's files."""
        self.index.close()

    def __enter__(self) -> Rag:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Questions

    def search(
        self,
        question: str,
        *,
        tokens: int | None = None,
        k: int | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> list[Passage]:
        """Passages, best first: at most `tokens` cl100k tokens in sum, or `k` chunks; default: settings.tokens."""
        return Passages(self.retrieve(question, tokens=tokens, k=k, where=where).passages)

    def retrieve(
        self,
        question: str,
        *,
        tokens: int | None = None,
        k: int | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Retrieval:
        """`search` with the fate of every candidate. Raises IndexMissingError, QueryError."""
        if tokens is None and k is None:
            tokens = self.settings.tokens
        with self.index.reading() as snapshot:
            return self._retrieve(snapshot, question, tokens=tokens, k=k, where=where)

    def _retrieve(self, snapshot: Snapshot, question: str, **options: Any) -> Retrieval:
        reranking: dict[str, Any] = {"reranker": self.reranker, "rerank_ms": self.settings.rerank_ms}
        found = retrieve(snapshot, self.index.embedder, question, **reranking, **options)
        if not self._postprocessors:
            return found
        from rag.adapters.llamaindex import postprocess

        kept = postprocess(self._postprocessors, question, found.passages)
        note = "" if kept or not found.passages else "The node postprocessors left no passage."
        return replace(found, passages=tuple(kept), note=" ".join(filter(None, (found.note, note))))

    def explain(
        self,
        question: str,
        *,
        doc: str,
        phrase: str,
        tokens: int | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Explanation:
        """Why a phrase of a document was found or not. Raises DocumentError for a name that is not indexed."""
        from rag.explain import explain

        with self.index.reading() as snapshot:
            found = self._retrieve(snapshot, question, tokens=tokens or self.settings.tokens, where=where)
            return explain(snapshot, self.index.embedder, found, doc, phrase)

    def ask(
        self,
        question: str,
        *,
        model: object | None = None,
        tokens: int | None = None,
        where: Mapping[str, Any] | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """A cited answer. `model` is a spec or a LlamaIndex LLM; `history` holds (question, answer) pairs before."""
        for event in self.stream(question, model=model, tokens=tokens, where=where, history=history):
            if isinstance(event, Final):
                return event.answer
        raise AssertionError("a stream ends with its answer")

    def stream(
        self,
        question: str,
        *,
        model: object | None = None,
        tokens: int | None = None,
        where: Mapping[str, Any] | None = None,
        history: Sequence[tuple[str, str]] = (),
    ) -> Iterator[Event]:
        """The answer as it comes; the last event carries the same answer that `ask` returns."""
        return Pipeline(self, question, model or self._model or self.settings.model, tokens, where, history).run()

    def chat(
        self,
        *,
        model: object | None = None,
        tokens: int | None = None,
        where: Mapping[str, Any] | None = None,
        history_tokens: int | None = None,
    ) -> Chat:
        """A conversation, in which a question may lean on those before it; the options hold for all its turns."""
        from rag.chat import Chat

        return Chat(self, model=model, tokens=tokens, where=where, history_tokens=history_tokens)

    # Notebooks

    def show(self, question: str, **options: Any) -> Answer:
        """Ask, and show the answer in the notebook as it comes; options as of `ask`. Needs IPython's display."""
        from rag.display.live import show

        return show(self.stream(question, **options))

    def plot_map(self, question: str | None = None) -> Any:
        """A map of the corpus: every chunk's embedding in two dimensions, and what a question finds, as a matplotlib
        figure. Raises MissingExtraError."""
        from rag.display.figures import corpus_map

        return corpus_map(self, question)

    def __repr__(self) -> str:
        state = f"{len(self.documents())} documents" if self.index.exists() else "no index yet"
        return f"<Rag at {self.index.folder}: {state}>"

    def _repr_html_(self) -> str:
        from rag.display.notebook import index_html

        return index_html(self)

    # Other frameworks

    def as_retriever(self, **options: Any) -> Any:
        """A LlamaIndex retriever; `options` are those of `search`."""
        from rag.adapters.llamaindex import PassageRetriever

        return PassageRetriever(self, options)

    def as_query_engine(self, **options: Any) -> Any:
        """A LlamaIndex query engine with our citations in the metadata of its responses; options as of `ask`."""
        from rag.adapters.llamaindex import AnswerEngine

        return AnswerEngine(kb=self, options=options)

    def as_tool(self, name: str = "documents", description: str | None = None, **options: Any) -> Any:
        """A LlamaIndex tool for agents; options as of `ask`."""
        from rag.adapters.llamaindex import tool

        return tool(self, name, description, options)

    def as_langchain_retriever(self, **options: Any) -> Any:
        """A LangChain retriever; `options` are those of `search`. Raises MissingExtraError."""
        try:
            from rag.adapters.langchain import PassageRetriever
        except ImportError as error:
            raise MissingExtraError("A LangChain retriever", "langchain") from error
        return PassageRetriever(kb=self, options=options)

    async def aask(self, question: str, **options: Any) -> Answer:
        """`ask` off the event loop's thread."""
        return await asyncio.to_thread(self.ask, question, **options)

    async def astream(self, question: str, **options: Any) -> AsyncIterator[Event]:
        """`stream` off the event loop's thread."""
        events = self.stream(question, **options)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event


__all__ = ["Rag", "find_index"]
