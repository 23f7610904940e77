"""Conversations kept on the server: listed, found, renamed, deleted, reopened. Knows no page; asks nothing.

Each belongs to one user ("" where nobody logs in), and nobody else's name finds it. Of an answer everything is kept,
so that a conversation reopens as it was; `rag.chat` exports it.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from index.errors import RagError
from rag.display.prose import shortened
from rag.values import Answer
from ui.chatfile import ChatFile

LISTED = 500
"""Conversations listed at most; older ones are found by their words."""

FAILED = "failed"
"""The one key of what is kept in the place of an answer that did not come: the reason."""

_Row = tuple[Any, ...]
_TITLE = 80
_FIELDS = {field.name for field in dataclasses.fields(Answer)}


class ConversationError(RagError):
    """There is no such conversation, or not for this user."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation as listed. Times are seconds since 1970; `excerpt` shows the words that a search found."""

    id: str
    title: str
    created: float
    changed: float
    turns: int
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer, or why it `failed`; with neither, what was kept cannot be read by this version."""

    id: int
    question: str
    answer: Answer | None
    asked: float
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """A conversation with its turns, oldest first."""

    id: str
    title: str
    created: float
    changed: float
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A conversation that is in the file no more: its rows, the turns' and what was said of them, as they were."""

    title: str
    conversation: _Row
    turns: tuple[_Row, ...]
    words: tuple[_Row, ...]
    verdicts: tuple[_Row, ...]


class Conversations:
    """All conversations in one file, for any number of threads. Every method raises ChatFileError."""

    def __init__(self, file: ChatFile) -> None:
        self.file = file

    def create(self, user: str = "", title: str = "") -> str:
        """A new one, listed from its first turn on; without a title it takes its first question's words."""
        id, now = secrets.token_urlsafe(12), time.time()
        with self.file.writing() as db:
            # What was begun and never used, long enough ago that nobody is still typing.
            db.execute(
                "DELETE FROM conversations WHERE user = ? AND changed < ? AND named = 0"
                " AND number NOT IN (SELECT conversation FROM turns)",
                (user, now - 86400),
            )
            row = (id, user, bool(_title(title)), now, now)
            done = db.execute(
                "INSERT INTO conversations (id, user, title, named, created, changed) VALUES (?, ?, '', ?, ?, ?)", row
            )
            _set_title(db, int(done.lastrowid or 0), _title(title))
        return id

    def append(self, user: str, id: str, question: str, answer: Answer | str) -> int:
        """Keep a turn, of a question that failed the reason; returns its number. Raises ConversationError."""
        now = time.time()
        kept, text = (_failed(answer), "") if isinstance(answer, str) else (answer.to_json(), answer.text)
        with self.file.writing() as db:
            number, named = _found(db, user, id)
            done = db.execute(
                "INSERT INTO turns (conversation, question, answer, asked) VALUES (?, ?, ?, ?)",
                (number, _clean(question), _clean(kept), now),
            )
            turn = int(done.lastrowid or 0)
            db.execute("INSERT INTO words (rowid, folded) VALUES (?, ?)", (turn, folded(f"{question}\n{text}")))
            others = db.execute("SELECT count(*) FROM turns WHERE conversation = ? AND number != ?", (number, turn))
            if not named and others.fetchone()[0] == 0:
                _set_title(db, number, _title(question))
            db.execute("UPDATE conversations SET changed = ? WHERE number = ?", (now, number))
        return turn

    def cut(self, user: str, id: str, turn: int) -> None:
        """Drop a turn and those after it: what asking again or otherwise replaces. Raises ConversationError."""
        with self.file.writing() as db:
            number, _ = _found(db, user, id)
            gone = [row[0] for row in db.execute(
                "SELECT number FROM turns WHERE conversation = ? AND number >= ?", (number, turn)
            )]  # fmt: skip
            _drop(db, gone)

    def recent(self, user: str = "", limit: int = LISTED) -> list[Listed]:
        """The user's conversations that have a turn, the one used last first."""
        with self.file.reading() as db:
            if db is None:
                return []
            rows = db.execute(f"{_LISTED} ORDER BY c.changed DESC LIMIT ?", (user, limit))
            return [Listed(*row) for row in rows]

    def search(self, user: str, words: str, limit: int = 50) -> list[Listed]:
        """The user's conversations that hold every word, whole or in part, in questions, answers or title.

        Case and accents do not count. The one used last comes first; no word finds them all.
        """
        wanted = folded(words).split()[:20]
        with self.file.reading() as db:
            if db is None:
                return []
            found: set[int] | None = None
            for word in wanted:
                holding = set(_holding(db, user, word))
                found = holding if found is None else found & holding
            listed = {int(row[-1]): Listed(*row[:-1]) for row in db.execute(_NUMBERED, (user,))}
            kept = [number for number in listed if found is None or number in found][:limit]
            return [
                dataclasses.replace(listed[number], excerpt=_excerpt(db, number, wanted)) if wanted else listed[number]
                for number in kept
            ]

    def load(self, user: str, id: str) -> Saved:
        """One conversation whole. Raises ConversationError."""
        with self.file.reading() as db:
            if db is None:
                raise _unknown(id)
            number, _ = _found(db, user, id)
            head = "SELECT title, created, changed FROM conversations WHERE number = ?"
            title, created, changed = db.execute(head, (number,)).fetchone()
            rows = db.execute(
                "SELECT number, question, answer, asked FROM turns WHERE conversation = ? ORDER BY number", (number,)
            )
            return Saved(id, title, created, changed, tuple(_turn(*row) for row in rows))

    def rename(self, user: str, id: str, title: str) -> str:
        """Give it another title, which stays; returns the title as kept. Raises ConversationError."""
        kept = _title(title)
        if not kept:
            raise ConversationError("A conversation needs a title.")
        with self.file.writing() as db:
            number, _ = _found(db, user, id)
            _set_title(db, number, kept)
            db.execute("UPDATE conversations SET named = 1 WHERE number = ?", (number,))
        return kept

    def delete(self, user: str, id: str) -> Deleted:
        """Take it out of the file, with what was said of its answers; `restore` undoes it. Raises ConversationError."""
        with self.file.writing() as db:
            number, _ = _found(db, user, id)

            def rows(query: str) -> tuple[_Row, ...]:
                return tuple(db.execute(query, (number,)))

            mine = "(SELECT number FROM turns WHERE conversation = ?)"
            (head,) = rows(f"SELECT {_HEAD} FROM conversations WHERE number = ?")
            deleted = Deleted(
                head[2], head,
                rows("SELECT number, question, answer, asked FROM turns WHERE conversation = ?"),
                rows(f"SELECT rowid, folded FROM words WHERE rowid IN {mine}"),
                rows(f"SELECT turn, kind, citation, span, given FROM verdicts WHERE turn IN {mine}"),
            )  # fmt: skip
            _drop(db, [turn[0] for turn in deleted.turns])
            db.execute("DELETE FROM words WHERE rowid = ?", (-number,))
            db.execute("DELETE FROM conversations WHERE number = ?", (number,))
        return deleted

    def restore(self, deleted: Deleted) -> None:
        """As if it had not been deleted. Raises ConversationError when it is there already."""
        with self.file.writing() as db:
            if db.execute("SELECT 1 FROM conversations WHERE id = ?", deleted.conversation[:1]).fetchone():
                raise ConversationError(f"“{deleted.title}” is there again.")
            done = db.execute(f"INSERT INTO conversations ({_HEAD}) VALUES (?, ?, ?, ?, ?, ?)", deleted.conversation)
            number = int(done.lastrowid or 0)  # its old one may be another's by now; those of turns never are
            _set_title(db, number, deleted.title)
            db.executemany(
                f"INSERT INTO turns (conversation, number, question, answer, asked) VALUES ({number}, ?, ?, ?, ?)",
                deleted.turns,
            )
            db.executemany("INSERT INTO words (rowid, folded) VALUES (?, ?)", deleted.words)
            db.executemany(
                "INSERT INTO verdicts (turn, kind, citation, span, given) VALUES (?, ?, ?, ?, ?)", deleted.verdicts
            )


_HEAD = "id, user, title, named, created, changed"
_COLUMNS = "c.id, c.title, c.created, c.changed, (SELECT count(*) FROM turns t WHERE t.conversation = c.number) AS n"
_WHERE = "FROM conversations c WHERE c.user = ? AND n > 0"
_LISTED = f"SELECT {_COLUMNS}, '' {_WHERE}"
_NUMBERED = f"SELECT {_COLUMNS}, '', c.number {_WHERE} ORDER BY c.changed DESC"


def folded(text: str) -> str:
    """Letters as they are compared: without case, accents and forms of compatibility."""
    plain = unicodedata.normalize("NFKD", _clean(text)).casefold()
    return "".join(char for char in plain if not unicodedata.combining(char))


def _clean(text: str) -> str:
    """Half a surrogate pair, which no database can keep, becomes a question mark; so does NUL, at which SQLite ends."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _title(text: str) -> str:
    return shortened(_clean(text), _TITLE)


def _unknown(id: str) -> ConversationError:
    return ConversationError(f"There is no conversation {id!r:.40}; it may have been deleted.")


def _found(db: sqlite3.Connection, user: str, id: str) -> tuple[int, bool]:
    row = db.execute("SELECT number, named FROM conversations WHERE id = ? AND user = ?", (id, user)).fetchone()
    if row is None:
        raise _unknown(id)
    return int(row[0]), bool(row[1])


def _set_title(db: sqlite3.Connection, number: int, title: str) -> None:
    # The row of a title in `words` has its conversation's number, negative; turns have their own.
    db.execute("UPDATE conversations SET title = ? WHERE number = ?", (title, number))
    db.execute("DELETE FROM words WHERE rowid = ?", (-number,))
    db.execute("INSERT INTO words (rowid, folded) VALUES (?, ?)", (-number, folded(title)))


def _drop(db: sqlite3.Connection, turns: Iterable[int]) -> None:
    rows = [(turn,) for turn in turns]
    db.executemany("DELETE FROM words WHERE rowid = ?", rows)
    db.executemany("DELETE FROM turns WHERE number = ?", rows)


def _holding(db: sqlite3.Connection, user: str, word: str) -> Iterable[int]:
    # Trigrams find words of three letters and more; shorter ones, as Chinese words are, are looked for in every row.
    test, value = ("words MATCH ?", _quoted(word)) if len(word) > 2 else ("instr(folded, ?) > 0", word)
    rows = db.execute(
        f"SELECT c.number FROM words w LEFT JOIN turns t ON t.number = w.rowid"
        f" JOIN conversations c ON c.number = coalesce(t.conversation, -w.rowid) WHERE {test} AND c.user = ?",
        (value, user),
    )
    return (int(row[0]) for row in rows)


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _failed(reason: str) -> str:
    return json.dumps({FAILED: reason}, ensure_ascii=False)


def _turn(number: int, question: str, kept: str, asked: float) -> Turn:
    answer = _restored(kept)
    failed = "" if answer or not kept.startswith(f'{{"{FAILED}"') else str(json.loads(kept)[FAILED])
    return Turn(number, question, answer, asked, failed)


def _excerpt(db: sqlite3.Connection, number: int, wanted: Sequence[str]) -> str:
    """Some words around the first place that holds a wanted word; "" when only the title does."""
    for question, answer in db.execute(
        "SELECT question, answer FROM turns WHERE conversation = ? ORDER BY number", (number,)
    ):
        restored = _restored(answer)
        for text in (question, restored.text if restored else ""):
            line = " ".join(text.split())
            at = min((place for word in wanted if (place := _place(line, word)) >= 0), default=-1)
            if at >= 0:
                start = line.rfind(" ", 0, max(at - 40, 0)) + 1 if at > 40 else 0
                return ("… " if start else "") + shortened(line[start:], 120)
    return ""


def _place(line: str, word: str) -> int:
    """Where a folded word begins in a line that is not folded; -1 for nowhere."""
    at = folded(line).find(word)
    if at < 0:
        return -1
    # Folding changes lengths, so the place is found by folding beginnings of the line.
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(folded(line[:middle])) <= at else (low, middle - 1)
    return low


def _restored(kept: str) -> Answer | None:
    """An answer of this version or another one, as far as it can be understood."""
    try:
        data = json.loads(kept)
        return Answer.from_dict({key: value for key, value in data.items() if key in _FIELDS})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
