"""One question on its way to a cited `Answer`: search, read, then abstain, quote or write, and check.

An answerer (extractive or a language model) cites passages, every sentence gets its verdict. Streamed and final answers
are the same object.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from index.chunks import header_row
from index.errors import IndexMissingError
from index.snapshot import Snapshot
from index.terms import STOP_WORDS, words_and_terms
from rag.abstain import THRESHOLD, confidence, evidence, not_found
from rag.clues import read_asked
from rag.conflicts import CONSIDERED, find_conflicts, told_apart
from rag.extract import Candidate, choose_sentences, rank_sentences
from rag.headline import CONFIDENT, cell_of, headline
from rag.question import follows_up, read_question
from rag.quoted import is_row, row_of
from rag.scoring import idf
from rag.support import support, supporting
from rag.values import (
    Answer,
    Citation,
    CitationEvent,
    Conflict,
    Event,
    Final,
    Sentence,
    Step,
    TextDelta,
    Trace,
    Usage,
    Verdict,
)
from rag.visible import visible
from rag.windows import Span

if TYPE_CHECKING:
    from rag.answer import Rag
    from rag.context import Context, Source

CUT = "The reply reached its longest length and stops short."

# Questions before that are searched along with one that leans on them, when no model rewrites it.
_LEANING = 3


class Pipeline:
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
        sides = [backed[0] for _, positions in conflicts for _, backed in positions]
        chosen = choose_sentences(self.read, self.ranked, self.settings.max_sentences, sides)
        # Above sources that disagree, one value in bold would take a side.
        short = visible(self._headline(chosen[0])) if chosen and not conflicts else ""
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
        sources = list(context.sources.values())
        quotes = [source.quote for source in sources]

        def mend(sentence: str) -> list[Source]:
            place = supporting(sentence, quotes)
            return [] if place is None else [sources[place]]

        cited = CitedText(context, self.question, mend)
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
        headline: str = "",
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
                trace=Trace(self.found.query, self.found.fates, dropped, (*filter(None, (self.found.note,)), *notes)),
                headline=headline,
            )
        )


def _notes(mended: int, cut: bool) -> tuple[str, ...]:
    notes = []
    if mended:
        notes.append(f"{mended} of the sentences came without a label; the source that carries them was found.")
    if cut:
        notes.append(CUT)
    return tuple(notes)
