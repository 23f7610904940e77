"""The pipeline: a question and an index in, a cited `Answer` out. `Rag` is the front door of the library.

Search, read, check: passages are retrieved, an answerer (extractive or a language model) cites them, every sentence
gets its verdict. Streamed and final answers are the same object.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.catalog import DocumentInfo
from index.chunks import header_row
from index.documents import Document
from index.errors import DocumentError, IndexMissingError, MissingExtraError
from index.plan import Plan
from index.readers import Meta
from index.snapshot import Snapshot
from index.store import Check, Index
from index.sync import Progress, SyncReport
from index.terms import STOP_WORDS, words_and_terms
from rag.abstain import THRESHOLD, confidence, evidence, not_found
from rag.clues import read_asked
from rag.conflicts import CONSIDERED, find_conflicts, told_apart
from rag.extract import Candidate, choose_sentences, rank_sentences
from rag.headline import CONFIDENT, cell_of, headline
from rag.question import follows_up, read_question
from rag.quoted import is_row, row_of
from rag.rerank import Reranker, open_reranker
from rag.retrieve import Retrieval, idf, retrieve
from rag.settings import Settings
from rag.support import support
from rag.values import (
    Answer,
    Citation,
    CitationEvent,
    Conflict,
    Event,
    Final,
    Passage,
    Passages,
    Sentence,
    Step,
    TextDelta,
    Trace,
    Usage,
    Verdict,
)
from rag.verifier import Verifier, open_verifier
from rag.visible import visible
from rag.windows import Span

if TYPE_CHECKING:
    from rag.chat import Chat
    from rag.context import Context
    from rag.explain import Explanation

INDEX_FOLDER = ".rag"
CUT = "The reply reached its longest length and stops short."

# Questions before that are searched along with one that leans on them, when no model rewrites it.
_LEANING = 3


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
    ) -> SyncReport:
        """Bring the index in step with folders, files or web addresses (none: all that were synced before).

        `progress=True` draws a bar in a terminal or a notebook. `confirm` is asked before more than half of a target's
        documents are removed; see `Index.sync`.
        """
        if not isinstance(progress, bool):
            return self.index.sync(targets, progress, confirm)
        from rag.progress import progress_bar

        with progress_bar() if progress else nullcontext() as bar:
            return self.index.sync(targets, bar, confirm)

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
        return _Turn(self, question, model or self._model or self.settings.model, tokens, where, history).run()

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


class _Turn:
    """One question on its way to an answer: what the stages hand on to each other."""

    def __init__(
        self,
        kb: Rag,
        question: str,
        model: object,
        tokens: int | None,
        where: Mapping[str, Any] | None,
        history: Sequence[tuple[str, str]],
    ) -> None:
        self.kb, self.model, self.where, self.history = kb, model, where, history
        self.settings = kb.settings
        self.tokens = tokens or kb.settings.tokens
        self.question = question
        self.timings: dict[str, float] = {}
        self.usage = Usage()
        self.began = time.perf_counter()

    def run(self) -> Iterator[Event]:
        """Search, read, then quote or write."""
        if not self.kb.index.exists():
            raise IndexMissingError(f"There is no index at {self.kb.index.folder}. Make one: rag sync FOLDER")
        self.read = read_question(self.question)
        with self.kb.index.reading() as snapshot:
            steps = [self._search(snapshot), self._rank(snapshot)]
        yield from steps
        threshold = self.settings.min_confidence
        if self.confidence < (THRESHOLD if threshold is None else threshold):
            ending = self._abstain()
        else:
            ending = self._quote() if self.model == "extract" else self._write()
        with closing(ending):  # whoever drops this stream stops the model behind it at once
            for event in ending:
                if not isinstance(event, TextDelta):
                    yield event
                elif shown := visible(event.text):
                    yield TextDelta(shown)

    def _search(self, snapshot: Snapshot) -> Step:
        query = self._query()
        self.found = self.kb._retrieve(snapshot, query, tokens=self.tokens, where=self.where)
        if query != self.question:  # the words of the whole thought, the kind of answer of the last question
            last = self.read
            self.read = replace(read_question(query), expected=last.expected, focus=last.focus, voice=last.voice)
        self.frequencies = snapshot.frequencies(self.read.terms)
        return self._step("search")

    def _rank(self, snapshot: Snapshot) -> Step:
        """Sentences in order, how sure the best one is, and what is known of the documents they come from."""
        rows = {doc: snapshot.docs.index(doc) for doc in {passage.doc for passage in self.found.passages}}
        embedder = self.kb.index.embedder
        self.asked = read_asked(self.read, self.found.scores.vector, idf(self.frequencies, len(snapshot)), embedder)
        self.ranked = rank_sentences(
            self.read, self.asked, self.found.passages, embedder, lambda doc: snapshot.document_text(rows[doc])
        )
        self.confidence = confidence(evidence(self.read, self.ranked, self.found.passages, self.frequencies))
        self.texts = {c.doc: snapshot.document_text(rows[c.doc]) for c in self.ranked[:CONSIDERED]}
        self.dates = {doc: str(snapshot.meta[row].get("date") or "") for doc, row in rows.items()}
        return self._step("read")

    def _query(self) -> str:
        """The question; one that leans on the turns before it as the model rewrites it, without a model together with
        the last question that stands alone."""
        if not self.history or not follows_up(self.read):
            return self.question
        if self.model != "extract":
            from rag.followup import standalone

            rewritten, self.usage = standalone(self._llm, self.question, self.history, self.settings)
            if rewritten:
                return rewritten
        before = [question for question, _ in self.history[-_LEANING:]]
        roots = [place for place, question in enumerate(before) if not follows_up(read_question(question))]
        chain = before[roots[-1] if roots else 0 :]
        # What stood between is left out, unless the question has no word of its own ("And why?").
        own = any(word not in STOP_WORDS for word, _ in words_and_terms(self.question))
        return " ".join([*(chain[:1] if own else chain), self.question])

    @cached_property
    def _llm(self) -> Any:
        from rag.models import open_model

        return open_model(self.model, self.settings)

    def _step(self, name: str) -> Step:
        now = time.perf_counter()
        self.timings[name] = round(now - self.began - sum(self.timings.values()), 4)
        return Step(name, self.timings[name])

    # The three endings

    def _abstain(self) -> Generator[Event, None, None]:
        text = not_found(self.read, self.frequencies, [passage.doc for passage in self.found.passages])
        yield TextDelta(text)
        yield self._final(text, (), (), abstained=True)

    def _quote(self) -> Generator[Event, None, None]:
        conflicts = find_conflicts(self.read, self.asked, self.ranked, self.found.passages)
        chosen = choose_sentences(self.read, self.ranked, self.settings.max_sentences)
        short = visible(self._headline(chosen[0])) if chosen else ""
        numbers: dict[Span, Citation] = {}

        def cite(candidate: Candidate) -> Citation:
            if candidate.span not in numbers:
                numbers[candidate.span] = Citation(len(numbers) + 1, *candidate.span, candidate.page, candidate.text)
            return numbers[candidate.span]

        pieces: list[str] = []
        said: list[Sentence] = []
        for candidate in chosen:
            citation = cite(candidate)
            verdict, held = support(candidate.text, [candidate.text])
            said.append(Sentence(candidate.text, (citation,), verdict, held))
            told = row_of(self.texts[candidate.doc], candidate.start, candidate.text)
            pieces.append(f"{told} [{citation.number}]")
        if short:
            pieces.insert(0, f"**{short}** [1]\n\n")
        found: list[Conflict] = []
        for aspect, positions in conflicts:
            cited = tuple((value, tuple(cite(candidate) for candidate in backed)) for value, backed in positions)
            found.append(Conflict(aspect, cited, self._dated(cited)))
            pieces.append(f"\n\n{told_apart(found[-1])}")
        for citation in numbers.values():
            yield CitationEvent(citation)
        text = ""
        for piece in pieces:
            delta = piece if not text or text.endswith("\n") or piece.startswith("\n") else f" {piece}"
            text += delta
            yield TextDelta(delta)
        yield self._step("answer")
        yield self._final(text, tuple(said), tuple(numbers.values()), conflicts=tuple(found), headline=short)

    def _headline(self, best: Candidate) -> str:
        if self.confidence < CONFIDENT:
            return ""
        if is_row(best.text):
            return cell_of(self.read, best.text, header_row(self.texts[best.doc], best.start))
        return headline(self.read, best, self.asked)

    def _dated(self, positions: Sequence[tuple[str, tuple[Citation, ...]]]) -> tuple[str, ...]:
        """When the documents of each position are from; empty when none says."""
        dates = [sorted({self.dates.get(c.doc, "") for c in cited} - {""}) for _, cited in positions]
        return tuple(", ".join(found) for found in dates) if any(dates) else ()

    def _write(self) -> Generator[Event, None, None]:
        from rag.citations import CitedText
        from rag.context import build_context, sentence_spans
        from rag.models import stream, usage_of
        from rag.prompts import is_refusal

        llm = self._llm
        texts = {doc: self.kb.document(doc).text for doc in {passage.doc for passage in self.found.passages}}
        context = build_context(
            self.found.passages, sentence_spans, lambda passage: header_row(texts[passage.doc], passage.start)
        )
        cited = CitedText(context, self.question)
        # Closed here: dropped, it lives on in a reference cycle, and the model would go on writing for nobody.
        with stream(llm, self._prompt(context), self.settings) as reply:
            for delta in reply:
                yield from cited.feed(delta)
        yield from cited.close()
        yield self._step("write")
        said = tuple(
            Sentence(text, citations, *self._judged(text, [citation.quote for citation in citations]))
            for text, citations in cited.sentences
        )
        yield self._step("check")
        yield self._final(
            cited.text,
            said,
            cited.citations,
            abstained=is_refusal(cited.text) and not cited.citations,
            usage=usage_of(reply),
            dropped=tuple(cited.dropped),
            note=CUT if reply.cut else "",
        )

    def _judged(self, sentence: str, quotes: Sequence[str]) -> tuple[Verdict, float]:
        return support(sentence, quotes, self.kb.index.embedder, self.kb.verifier)

    def _prompt(self, context: Context) -> list[tuple[str, str]]:
        """What is said to the model; of the turns before as many as its window has room for, the newest first."""
        from rag.models import context_window, prompt_tokens
        from rag.prompts import messages

        history = list(self.history)
        room = context_window(self._llm, self.settings) - self.settings.max_output_tokens
        while history and prompt_tokens(self._llm, messages(context, self.question, history)) > room:
            history.pop(0)
        return messages(context, self.question, history)

    def _final(
        self,
        text: str,
        sentences: tuple[Sentence, ...],
        citations: tuple[Citation, ...],
        *,
        abstained: bool = False,
        conflicts: tuple[Conflict, ...] = (),
        usage: Usage | None = None,
        dropped: tuple[str, ...] = (),
        headline: str = "",
        note: str = "",
    ) -> Final:
        self.timings["total"] = round(time.perf_counter() - self.began, 4)
        name = self.model if isinstance(self.model, str) else type(self.model).__name__
        return Final(
            Answer(
                question=self.question,
                text=visible(text),
                sentences=tuple(replace(sentence, text=visible(sentence.text)) for sentence in sentences),
                citations=citations,
                passages=self.found.passages,
                abstained=abstained,
                confidence=self.confidence,
                conflicts=tuple(
                    Conflict(
                        visible(each.aspect),
                        tuple((visible(value), cited) for value, cited in each.positions),
                        tuple(map(visible, each.dates)),
                    )
                    for each in conflicts
                ),
                model=name,
                usage=self.usage + (usage or Usage()),
                timings=self.timings,
                trace=Trace(self.found.query, self.found.fates, dropped, tuple(filter(None, (self.found.note, note)))),
                headline=headline,
            )
        )


__all__ = ["Rag", "find_index"]
