"""A conversation over one index: turns that know those before them, kept, checked, exported. Shows nothing itself.

    chat = kb.chat()
    chat.ask("Who was the last keeper?"); chat.ask("When did he leave?")
    open("chat.md", "w").write(chat.to_markdown())

Each turn is a whole `Answer` with citations of its own, numbered from 1. They stay pointers into documents: `check`
says which of them still stand after a sync.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from index.documents import Document
from index.errors import DocumentError, RagError
from index.tokens import count_tokens
from rag.values import Answer, Citation, Event, Final
from rag.visible import printable

if TYPE_CHECKING:
    from rag.answer import Rag

FORMAT = "footnote-chat"
VERSION = 1

State = Literal["same", "moved", "changed", "gone"]

_MARKER = re.compile(r" ?\[(\d{1,4})\]")
# A quote this short may stand in a document by chance; it is found again only where it is unique.
_SHORT = 30
_STATES = {
    "moved": "the document has changed; these words now stand at {start}-{end}",
    "changed": "the document has changed and no longer has these words",
    "gone": "the document is no longer in the index",
}
_DOUBTS = {"partial": "Partly supported", "unsupported": "Not supported by its source", "uncited": "No source given"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the answer that it got."""

    question: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of a citation since it was given, in turn number `turn` (from 1).

    `same`: its words stand where it points. `moved`: elsewhere in the document, where `now` points. `changed`: the
    document no longer has them. `gone`: there is no such document. `now` is None for the last two.
    """

    turn: int
    citation: Citation
    state: State
    now: Citation | None


class Chat:
    """Turns over `kb`, oldest first.

    `model`, `tokens` and `where` are as in `Rag.ask` and hold for every turn that does not say otherwise;
    `history_tokens` bounds what of the turns before a model is shown (default: settings.history_tokens).
    """

    def __init__(
        self,
        kb: Rag,
        *,
        model: object | None = None,
        tokens: int | None = None,
        where: Mapping[str, Any] | None = None,
        history_tokens: int | None = None,
    ) -> None:
        self.kb = kb
        self.model, self.tokens, self.where = model, tokens, where
        self.history_tokens = kb.settings.history_tokens if history_tokens is None else history_tokens
        self._turns: list[Turn] = []

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns that were answered to the end."""
        return tuple(self._turns)

    def __len__(self) -> int:
        return len(self._turns)

    def ask(self, question: str, **options: Any) -> Answer:
        """A cited answer that knows the turns before; `options` are those of `Rag.ask`, for this turn alone."""
        for event in self.stream(question, **options):
            if isinstance(event, Final):
                return event.answer
        raise AssertionError("a stream ends with its answer")

    def stream(self, question: str, **options: Any) -> Iterator[Event]:
        """The events of `Rag.stream`. The turn counts once the last of them came; a dropped stream leaves none."""
        chosen = {"model": self.model, "tokens": self.tokens, "where": self.where, **options}
        for event in self.kb.stream(question, history=self.history(), **chosen):
            if isinstance(event, Final):
                self._turns.append(Turn(question, event.answer))
            yield event

    async def aask(self, question: str, **options: Any) -> Answer:
        """`ask` off the event loop's thread."""
        return await asyncio.to_thread(self.ask, question, **options)

    async def astream(self, question: str, **options: Any) -> AsyncIterator[Event]:
        """`stream` off the event loop's thread."""
        events = self.stream(question, **options)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    def history(self) -> list[tuple[str, str]]:
        """(question, answer) pairs, oldest first: the newest turns whose cl100k tokens together fit the budget.

        The newest turn is always among them, its answer cut to the budget if need be, since it is what a question
        most often leans on.
        """
        return recent([(turn.question, turn.answer.text) for turn in self._turns], self.history_tokens)

    def reset(self) -> None:
        """Forget every turn."""
        self._turns.clear()

    def check(self) -> list[Standing]:
        """Every citation of every turn against the documents as they are now."""
        documents: dict[str, Document | None] = {}
        standings = []
        for number, turn in enumerate(self._turns, 1):
            for citation in turn.answer.citations:
                if citation.doc not in documents:
                    documents[citation.doc] = _current(self.kb, citation.doc)
                standings.append(_standing(number, citation, documents[citation.doc]))
        return standings

    # Out and in

    def to_markdown(self) -> str:
        """The chat with one list of footnotes at its end; a footnote whose document has changed since says so.

        Nothing that documents or models say becomes an image, a link or HTML.
        """
        notes: dict[tuple[str, int, int], int] = {}
        lines: list[str] = []
        for turn in self._turns:
            numbers = {
                citation.number: notes.setdefault((citation.doc, citation.start, citation.end), len(notes) + 1)
                for citation in turn.answer.citations
            }
            lines += [f"## {_escaped(' '.join(turn.question.split()))}", "", _footnoted(turn.answer.text, numbers), ""]
            doubts = [s for s in turn.answer.sentences if s.verdict in _DOUBTS and not turn.answer.abstained]
            lines += [f"> {_DOUBTS[s.verdict]}: {_escaped(' '.join(s.text.split()))}\n" for s in doubts]
        for standing in self.check():
            span = (standing.citation.doc, standing.citation.start, standing.citation.end)
            if span in notes:
                lines.append(f"[^{notes.pop(span)}]: {_footnote(standing)}")
        return "\n".join(lines).rstrip() + "\n"

    def to_json(self, indent: int | None = None) -> str:
        """Everything, for `from_json`."""
        turns = [{"question": turn.question, "answer": turn.answer.to_dict()} for turn in self._turns]
        return json.dumps({"format": FORMAT, "version": VERSION, "turns": turns}, ensure_ascii=False, indent=indent)

    @classmethod
    def from_json(cls, kb: Rag, text: str, **options: Any) -> Chat:
        """A chat that goes on where `to_json` left off; `options` as for the class. Raises RagError on other text."""
        chat = cls(kb, **options)
        try:
            saved = json.loads(text)
            if saved["format"] != FORMAT or saved["version"] > VERSION:
                raise ValueError(f"format {saved['format']!r}, version {saved['version']!r}")
            chat._turns = [Turn(turn["question"], Answer.from_dict(turn["answer"])) for turn in saved["turns"]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RagError(f"This is no chat that to_json (in `rag chat`: /export FILE.json) wrote: {error}") from error
        return chat


def recent(turns: Sequence[tuple[str, str]], tokens: int) -> list[tuple[str, str]]:
    """The newest (question, answer) pairs that together fit `tokens`, without markers; see `Chat.history`."""
    pairs: list[tuple[str, str]] = []
    left = tokens
    for question, text in reversed(turns):
        said = _MARKER.sub("", text)
        cost = count_tokens(question) + count_tokens(said)
        if cost > left:
            if not pairs:
                pairs.append((question, _cut(said, max(0, left - count_tokens(question)))))
            break
        pairs.append((question, said))
        left -= cost
    return pairs[::-1]


def _cut(text: str, tokens: int) -> str:
    """The beginning of `text` that has at most `tokens` tokens, cut between words."""
    words = re.findall(r"\s*\S+", text)
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens("".join(words[:middle])) <= tokens else (low, middle - 1)
    return "".join(words[:low]).strip()


def _current(kb: Rag, doc: str) -> Document | None:
    try:
        return kb.document(doc)
    except DocumentError:
        return None


def _standing(turn: int, citation: Citation, document: Document | None) -> Standing:
    if document is None:
        return Standing(turn, citation, "gone", None)
    quote, text = citation.quote, document.text
    if text[citation.start : citation.end] == quote:
        return Standing(turn, citation, "same", citation)
    places = [found.start() for found in re.finditer(re.escape(quote), text)] if quote.strip() else []
    if not places or (len(quote) < _SHORT and len(places) > 1):
        return Standing(turn, citation, "changed", None)
    start = min(places, key=lambda place: abs(place - citation.start))
    page = next((n for n, (a, b) in enumerate(document.pages, 1) if a <= start < b), None)
    return Standing(
        turn, citation, "moved", Citation(citation.number, citation.doc, start, start + len(quote), page, quote)
    )


def _footnote(standing: Standing) -> str:
    citation = standing.citation
    page = f", page {citation.page}" if citation.page else ""
    now = standing.now
    told = _STATES.get(standing.state, "").format(start=now and now.start, end=now and now.end)
    place = f"{_escaped(citation.doc)}{page} ({citation.start}-{citation.end})"
    return f"{place}: “{_escaped(' '.join(citation.quote.split()))}”" + (f" ({told})" if told else "")


def _footnoted(text: str, numbers: Mapping[int, int]) -> str:
    """The answer's text as Markdown, its markers as footnotes; its emphasis and lists stay."""
    pieces: list[str] = []
    at = 0
    for found in _MARKER.finditer(text):
        number = numbers.get(int(found[1]))
        if number is not None:
            pieces += [_inert(text[at : found.start()]), f"[^{number}]"]
            at = found.end()
    return "".join([*pieces, _inert(text[at:])])


def _inert(text: str) -> str:
    return re.sub(r"([\\\[\]])", r"\\\1", printable(text).replace("&", "&amp;").replace("<", "&lt;"))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]#|~!])", r"\\\1", printable(text).replace("&", "&amp;").replace("<", "&lt;"))


__all__ = ["Chat", "Standing", "Turn"]
