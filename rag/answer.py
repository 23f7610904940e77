"""The pipeline: a question and an index in, a cited `Answer` out. `Rag` is the front door of the library.

Search, read, check: passages are retrieved, an answerer (extractive or a language model) cites them, every sentence
gets its verdict. Streamed and final answers are the same object.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.catalog import DocumentInfo
from index.chunks import header_row
from index.documents import Document
from index.errors import DocumentError, IndexMissingError
from index.plan import Plan
from index.readers import Meta
from index.snapshot import Snapshot
from index.store import Check, Index
from index.sync import Progress, SyncReport
from index.terms import STOP_WORDS, words_and_terms
from rag.abstain import THRESHOLD, confidence, evidence
from rag.conflicts import find_conflicts
from rag.extract import Candidate, choose_sentences, rank_sentences
from rag.question import follows_up, read_question
from rag.rerank import Reranker, open_reranker
from rag.retrieve import Retrieval, idf, retrieve
from rag.settings import Settings
from rag.support import support, supporting
from rag.values import (
    Answer,
    Citation,
    CitationEvent,
    Conflict,
    Event,
    Final,
    Passage,
    Sentence,
    Step,
    TextDelta,
    Trace,
    Usage,
    Verdict,
)
from rag.verifier import Verifier, open_verifier
from rag.visible import visible

if TYPE_CHECKING:
    from rag.chat import Chat
    from rag.context import Context, Source
    from rag.explain import Explanation

INDEX_FOLDER = ".rag"

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
    LlamaIndex `LLM`, anything with `score(question, texts)`, anything with `verdict(source, sentence)`.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        settings: Settings | None = None,
        *,
        embedder: object | None = None,
        model: object | None = None,
        reranker: object | None = None,
        verifier: object | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.index = Index(Path(folder) if folder is not None else find_index(), self.settings, embedder)
        self._model = model
        chosen = reranker or self.settings.rerank
        self.reranker: Reranker | None = open_reranker(chosen) if chosen else None
        checks = verifier or self.settings.verifier
        self.verifier: Verifier | None = open_verifier(checks) if checks else None

    # Documents

    def sync(
        self,
        *targets: str | Path,
        progress: Progress | None = None,
        confirm: Callable[[Plan], bool] | None = None,
    ) -> SyncReport:
        """Bring the index in step with folders, files or web addresses (none: all that were synced before).

        `confirm` is asked before more than half of a target's documents are removed; see `Index.sync`.
        """
        return self.index.sync(targets, progress, confirm)

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
        from rag.interop import documents_of

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
        return list(self.retrieve(question, tokens=tokens, k=k, where=where).passages)

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
        return retrieve(snapshot, self.index.embedder, question, **reranking, **options)

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
            query = self._query()
            self.found = self.kb._retrieve(snapshot, query, tokens=self.tokens, where=self.where)
            if query != self.question:  # the words of the whole thought, the kind of answer of the last question
                self.read = replace(read_question(query), expected=self.read.expected)
            frequencies = snapshot.frequencies(self.read.terms)
            weights = idf(frequencies, len(snapshot))
        yield self._step("search")
        self.ranked = rank_sentences(
            self.read, self.found.scores.vector, self.found.passages, self.kb.index.embedder, weights
        )
        self.confidence = confidence(evidence(self.read, self.ranked, self.found.passages, frequencies))
        yield self._step("read")
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
        text = "These documents do not seem to hold the answer."
        looked = ", ".join(dict.fromkeys(passage.doc for passage in self.found.passages[:3]))
        if looked:
            text += f" The nearest passages are in {looked}."
        yield TextDelta(text)
        yield self._final(text, (), (), abstained=True)

    def _quote(self) -> Generator[Event, None, None]:
        conflicts = find_conflicts(self.read, self.ranked, self.found.passages)
        chosen = choose_sentences(self.ranked, self.settings.max_sentences)
        numbers: dict[tuple[str, int, int], Citation] = {}

        def cite(candidate: Candidate) -> Citation:
            span = (candidate.doc, candidate.start, candidate.end)
            if span not in numbers:
                numbers[span] = Citation(len(numbers) + 1, *span, candidate.page, candidate.text)
            return numbers[span]

        pieces: list[str] = []
        said: list[Sentence] = []
        for candidate in chosen:
            citation = cite(candidate)
            verdict, held = support(candidate.text, [candidate.text])
            said.append(Sentence(candidate.text, (citation,), verdict, held))
            pieces.append(f"{_plain(candidate.text)} [{citation.number}]")
        found: list[Conflict] = []
        for aspect, positions in conflicts:
            cited = tuple((value, tuple(cite(candidate) for candidate in backed)) for value, backed in positions)
            found.append(Conflict(aspect, cited))
            sides = "; ".join(
                f"{_plain(value)} {''.join(f'[{c.number}]' for c in citations)}" for value, citations in cited
            )
            pieces.append(f"\n\nThe sources disagree: {sides}.")
        for citation in numbers.values():
            yield CitationEvent(citation)
        text = ""
        for piece in pieces:
            delta = piece if not text or piece.startswith("\n") else f" {piece}"
            text += delta
            yield TextDelta(delta)
        yield self._step("answer")
        yield self._final(text, tuple(said), tuple(numbers.values()), conflicts=tuple(found))

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
        sources = list(context.sources.values())
        quotes = [source.quote for source in sources]

        def mend(sentence: str) -> list[Source]:
            place = supporting(sentence, quotes)
            return [] if place is None else [sources[place]]

        cited = CitedText(context, self.question, mend)
        reply = stream(llm, self._prompt(context), self.settings)
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
            notes=_notes(cited.mended, reply.cut),
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
        notes: tuple[str, ...] = (),
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
                    Conflict(visible(each.aspect), tuple((visible(value), cited) for value, cited in each.positions))
                    for each in conflicts
                ),
                model=name,
                usage=self.usage + (usage or Usage()),
                timings=self.timings,
                trace=Trace(self.found.query, self.found.fates, dropped, (*filter(None, (self.found.note,)), *notes)),
            )
        )


def _notes(mended: int, cut: bool) -> tuple[str, ...]:
    notes = []
    if mended:
        notes.append(f"{mended} of the sentences came without a label; the source that carries them was found.")
    if cut:
        notes.append("The reply reached its longest length (max_output_tokens) and stops short.")
    return tuple(notes)


def _plain(text: str) -> str:
    """A quote as running text: white space squeezed, the source's own [3] written so that it is not taken for ours."""
    return re.sub(r"\[(\d+)\]", r"［\1］", " ".join(text.split()))


__all__ = ["Rag", "find_index"]
