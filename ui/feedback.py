"""What people say of answers, kept beside them, and given out as the lines that `rag eval new SUITE --feedback` reads.

Knows nothing of `evals`: the file is the interface. Deleting a conversation deletes what was said of it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from index.errors import RagError
from rag.answer import Rag
from ui.chatfile import ChatFile
from ui.conversations import FAILED, ConversationError

Kind = Literal["up", "down", "wrong_citation", "should_abstain", "passage"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LONGEST_PASSAGE = 4000
"""Characters of a passage that somebody picks: a page, not a document."""

# Saying the one takes back the other.
_AGAINST: Mapping[str, tuple[str, ...]] = {
    "up": ("down", "should_abstain"),
    "down": ("up",),
    "should_abstain": ("up", "passage"),
    "passage": ("should_abstain",),
}


class FeedbackError(RagError):
    """This cannot be said of this answer."""


@dataclass(frozen=True, slots=True)
class Span:
    """The words of a document that somebody picked: text[start:end] == quote."""

    doc: str
    start: int
    end: int
    page: int | None
    quote: str


@dataclass(frozen=True, slots=True)
class Given:
    """One thing that was said: `citation` is the number called wrong, `span` the passage that would have been right."""

    kind: Kind
    citation: int | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """Lines for `rag eval new`, and how many answers were judged without telling what would be right."""

    lines: tuple[str, ...] = ()
    untold: int = 0

    @property
    def text(self) -> str:
        """The file."""
        return "".join(f"{line}\n" for line in self.lines)


class Feedback:
    """What was said of the answers of one file, for any number of threads. Every method raises ChatFileError."""

    def __init__(self, file: ChatFile) -> None:
        self.file = file

    def give(self, user: str, turn: int, kind: str, *, citation: int | None = None, span: Span | None = None) -> None:
        """Keep it; said twice it counts once. Raises ConversationError for a turn that is not this user's.

        FeedbackError: no such kind, a wrong citation without the number of one that the answer has, no passage.
        """
        if kind not in KINDS:
            raise FeedbackError(f"Nobody can say {kind!r:.40} of an answer; expected one of: {', '.join(KINDS)}.")
        if kind == "passage" and span is None:
            raise FeedbackError("The right passage is missing: mark its words in the source first.")
        with self.file.writing() as db:
            answer = _answer(db, user, turn)
            if kind == "wrong_citation" and citation not in {c["number"] for c in answer.get("citations", ())}:
                raise FeedbackError(f"The answer has no citation {citation}.")
            gone = [(turn, other) for other in _AGAINST.get(kind, ())]
            db.executemany("DELETE FROM verdicts WHERE turn = ? AND kind = ?", gone)
            written = "" if kind != "passage" or span is None else json.dumps(_plain(span), ensure_ascii=False)
            number = citation if kind == "wrong_citation" else 0
            row = (turn, kind, number, written, time.time())
            db.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", row)

    def take_back(self, user: str, turn: int, kind: str, *, citation: int | None = None) -> None:
        """As if it had not been said; without a number every citation's. Raises ConversationError."""
        with self.file.writing() as db:
            _answer(db, user, turn)
            rest, values = (" AND citation = ?", [citation]) if citation is not None else ("", [])
            db.execute(f"DELETE FROM verdicts WHERE turn = ? AND kind = ?{rest}", [turn, kind, *values])

    def given(self, user: str, conversation: str) -> dict[int, list[Given]]:
        """What was said of each turn of a conversation, by the turn's number."""
        found: dict[int, list[Given]] = {}
        with self.file.reading() as db:
            for turn, said in _said(db, user, conversation):
                found.setdefault(turn, []).append(said)
        return found

    def export(self, user: str | None = "") -> Export:
        """Everything said by a user (None: by all) that tells what would have been right, oldest first.

        One line an answer: {"answer", "good", "history", "evidence"?, "wrong_citations"?, "should_abstain"?}.
        """
        lines: list[str] = []
        untold = 0
        with self.file.reading() as db:
            for line in _judged(db, user) if db is not None else ():
                if line.tells:
                    lines.append(json.dumps(line.plain(), ensure_ascii=False))
                else:
                    untold += 1
        return Export(tuple(lines), untold)


def picked(kb: Rag, doc: str, start: int, end: int) -> Span:
    """The words of a document between two places, as a browser names them. Raises FeedbackError, DocumentError."""
    document = kb.document(doc)
    start, end = max(0, start), min(end, len(document.text))
    # A mark made with the mouse often begins or ends in the white space beside the words.
    quote = document.text[start:end]
    start += len(quote) - len(quote.lstrip())
    quote = quote.strip()
    if not quote:
        raise FeedbackError("The marked place holds no words.")
    if len(quote) > LONGEST_PASSAGE:
        raise FeedbackError(f"The mark is longer than {LONGEST_PASSAGE:,} characters; mark only the words that tell.")
    pages = [(number, last) for number, (first, last) in enumerate(document.pages, 1) if first <= start < last]
    page, last = pages[0] if pages else (None, len(document.text))
    if start + len(quote) > last:
        raise FeedbackError("The marked passage runs over the end of its page; mark words of one page.")
    return Span(doc, start, start + len(quote), page, quote)


@dataclass(slots=True)
class _Line:
    answer: dict[str, Any]
    history: list[list[str]]
    said: list[Given] = field(default_factory=list)

    @property
    def tells(self) -> bool:
        """Whether it follows what would have been right: praise, a passage, or that nothing was to be said."""
        return bool({given.kind for given in self.said} & {"up", "passage", "should_abstain"})

    def plain(self) -> dict[str, Any]:
        kinds = {given.kind for given in self.said}
        line: dict[str, Any] = {"answer": self.answer, "good": "up" in kinds, "history": self.history}
        spans = [_plain(given.span) for given in self.said if given.span]
        wrong = sorted(given.citation for given in self.said if given.citation)
        more = {"evidence": spans, "wrong_citations": wrong, "should_abstain": "should_abstain" in kinds}
        return line | {key: value for key, value in more.items() if value}


def _plain(span: Span) -> dict[str, Any]:
    return {"doc": span.doc, "quote": span.quote, "start": span.start, "end": span.end, "page": span.page}


def _answer(db: sqlite3.Connection, user: str, turn: int) -> dict[str, Any]:
    row = db.execute(
        "SELECT t.answer FROM turns t JOIN conversations c ON c.number = t.conversation"
        " WHERE t.number = ? AND c.user = ?",
        (turn, user),
    ).fetchone()
    answer = dict(json.loads(row[0])) if row else {FAILED: ""}
    if FAILED in answer:
        raise ConversationError("This answer is no longer kept; its conversation may have been deleted.")
    return answer


def _said(db: sqlite3.Connection | None, user: str, conversation: str) -> Iterator[tuple[int, Given]]:
    if db is None:
        return
    rows = db.execute(
        "SELECT v.turn, v.kind, v.citation, v.span FROM verdicts v JOIN turns t ON t.number = v.turn"
        " JOIN conversations c ON c.number = t.conversation WHERE c.user = ? AND c.id = ? ORDER BY v.turn, v.given",
        (user, conversation),
    )
    for turn, kind, citation, span in rows:
        yield int(turn), Given(kind, citation or None, Span(**json.loads(span)) if span else None)


def _judged(db: sqlite3.Connection, user: str | None) -> Iterator[_Line]:
    owned = "" if user is None else " WHERE user = ?"
    names = [] if user is None else [user]
    for number, owner, id in db.execute(f"SELECT number, user, id FROM conversations{owned} ORDER BY number", names):
        said: dict[int, list[Given]] = {}
        for turn, given in _said(db, owner, id):
            said.setdefault(turn, []).append(given)
        if not said:
            continue
        history: list[list[str]] = []
        rows = db.execute(
            "SELECT number, question, answer FROM turns WHERE conversation = ? ORDER BY number", (number,)
        )
        for turn, question, kept in rows:
            answer = dict(json.loads(kept))
            if FAILED in answer:  # nothing that the next question could lean on
                continue
            if turn in said:
                yield _Line(answer, list(history), said[turn])
            history.append([question, str(answer.get("text", ""))])
