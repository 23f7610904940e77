"""Conversations kept on the server: found, reopened with citations that hold, apart by user, safe under threads."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import WordHash

from index.store import forget
from rag import Answer, Rag, Settings
from ui.chatfile import NAME, ChatFile, ChatFileError
from ui.conversations import ConversationError, Conversations
from ui.feedback import Feedback
from ui.reopening import at_present, chat_of


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def kept(tmp_path: Path) -> Conversations:
    return Conversations(ChatFile(tmp_path / ".rag" / NAME))


def answer(text: str = "Ewan Brough.", question: str = "Who?") -> Answer:
    return Answer(question, text, (), (), (), False, 0.5)


def one(kept: Conversations, *questions: str, user: str = "", text: str = "Ewan Brough.") -> str:
    id = kept.create(user)
    for question in questions:
        kept.append(user, id, question, answer(text, question))
    return id


def titles(listed: Any) -> list[str]:
    return [each.title for each in listed]


# Keeping


def test_a_turn_comes_back_as_it_was(kept: Conversations, kb: Rag) -> None:
    given = kb.ask("Who was the last keeper?")
    id = kept.create()
    turn = kept.append("", id, "Who was the last keeper?", given)
    saved = Conversations(ChatFile(kept.file.file)).load("", id)
    assert saved.title == "Who was the last keeper?"
    assert [(t.id, t.question, t.answer) for t in saved.turns] == [(turn, "Who was the last keeper?", given)]


def test_a_question_that_failed_comes_back_with_its_reason(kept: Conversations, kb: Rag) -> None:
    id = kept.create()
    failed = kept.append("", id, "Who <was> it?", 'The key was refused: "no \ud83d".')
    kept.append("", id, "Who else?", answer())
    first, second = kept.load("", id).turns
    assert (first.id, first.answer, first.failed) == (failed, None, 'The key was refused: "no ?".')
    assert (second.answer, second.failed) == (answer(), "")
    assert [each.excerpt for each in kept.search("", "<was>")] == ["Who <was> it?"]
    assert kept.search("", "refused") == []
    assert [turn.question for turn in chat_of(kb, kept.load("", id)).turns] == ["Who else?"]
    feedback = Feedback(kept.file)
    with pytest.raises(ConversationError):
        feedback.give("", failed, "up")
    feedback.give("", second.id, "up")
    assert json.loads(feedback.export().text)["history"] == []


def test_looking_makes_no_file(kept: Conversations) -> None:
    assert kept.recent() == []
    assert kept.search("", "tower") == []
    with pytest.raises(ConversationError):
        kept.load("", "x")
    assert not kept.file.file.parent.exists()


def test_the_file_is_its_owners(kept: Conversations) -> None:
    one(kept, "Who?")
    assert stat.S_IMODE(kept.file.file.stat().st_mode) == 0o600


def test_the_one_used_last_comes_first_and_empty_ones_are_not_listed(kept: Conversations) -> None:
    first, _second = one(kept, "First?"), one(kept, "Second?")
    kept.create()
    kept.append("", first, "And then?", answer())
    assert [(each.title, each.turns) for each in kept.recent()] == [("First?", 2), ("Second?", 1)]


def test_a_title_is_the_first_question_until_somebody_gives_another(kept: Conversations) -> None:
    id = one(kept, "Who was the last keeper of the tower, " + "and when " * 30 + "?")
    assert len(kept.recent()[0].title) < 90
    assert kept.rename("", id, "  Keepers \n of the tower ") == "Keepers of the tower"
    kept.append("", id, "And before?", answer())
    assert titles(kept.recent()) == ["Keepers of the tower"]
    with pytest.raises(ConversationError, match="needs a title"):
        kept.rename("", id, " \n ")


def test_asking_again_drops_what_it_replaces(kept: Conversations) -> None:
    id = kept.create()
    first, second = (kept.append("", id, question, answer()) for question in ("Frist?", "Second?"))
    kept.cut("", id, second)
    assert [turn.id for turn in kept.load("", id).turns] == [first]
    kept.cut("", id, first)
    kept.append("", id, "First?", answer())
    assert titles(kept.recent()) == ["First?"]
    assert kept.search("", "frist") == kept.search("", "second") == []


def test_what_is_deleted_is_found_by_nothing_and_left_nowhere(kept: Conversations) -> None:
    id = one(kept, "Where are the puffins?", text="In burrows, says zyzzyva.")
    kept.delete("", id)
    assert kept.recent() == kept.search("", "zyzzyva") == []
    with kept.file.reading() as db:
        assert db is not None
        for table in ("conversations", "turns", "words", "verdicts"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_what_was_deleted_is_brought_back_as_it_was(kept: Conversations) -> None:
    feedback = Feedback(kept.file)
    id = one(kept, "Where are the puffins?", "And the terns?", user="ann", text="In burrows, says zyzzyva.")
    kept.rename("ann", id, "Birds")
    before = kept.load("ann", id)
    feedback.give("ann", before.turns[1].id, "up")
    deleted = kept.delete("ann", id)
    other = one(kept, "In between?", user="bob")
    kept.restore(deleted)
    assert kept.load("ann", id) == before
    assert [kind.kind for kind in feedback.given("ann", id)[before.turns[1].id]] == ["up"]
    assert titles(kept.search("ann", "zyzzyva birds")) == ["Birds"]
    assert titles(kept.recent("bob")) == ["In between?"]
    assert [turn.question for turn in kept.load("bob", other).turns] == ["In between?"]
    kept.append("ann", id, "And then?", answer())
    assert titles(kept.recent("ann")) == ["Birds"]
    with pytest.raises(ConversationError, match="there again"):
        kept.restore(deleted)


@pytest.mark.parametrize("text", ["half \ud83d a pair", "nul \0 byte", "🗼" * 50, "'; DROP TABLE turns; --", '"'])
def test_any_text_is_kept(kept: Conversations, text: str) -> None:
    id = one(kept, f"Is it {text}?", text=text)
    assert kept.load("", id).turns[0].answer is not None
    kept.search("", text)
    kept.rename("", id, text)


# Finding


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("keeper", ["Who was the keeper?"]),
        ("KEEP", ["Who was the keeper?"]),
        ("zurich", ["Zürich?"]),
        ("北京", ["Zürich?"]),
        ("eeper brough", ["Who was the keeper?"]),
        ("keeper zurich", []),
        ("brough", ["Zürich?", "Who was the keeper?"]),
        ("", ["Zürich?", "Who was the keeper?"]),
        ('"keeper', []),
        ("keep*", []),
        ("NEAR(keeper", []),
    ],
)
def test_words_find_conversations(kept: Conversations, words: str, found: list[str]) -> None:
    one(kept, "Who was the keeper?")
    one(kept, "Zürich?", text="Von 北京 nach Brough.")
    assert titles(kept.search("", words)) == found


def test_a_word_of_the_title_and_one_of_an_answer_find_it_together(kept: Conversations) -> None:
    kept.rename("", one(kept, "Who?"), "Towers")
    assert titles(kept.search("", "tower ewan")) == ["Towers"]


def test_a_search_shows_the_words_that_it_found(kept: Conversations) -> None:
    one(kept, "Who?", text="A long beginning that says nothing of it at all, and then ßtraße and Ewan Brough follow.")
    (found,) = kept.search("", "brough")
    assert found.excerpt == "… nothing of it at all, and then ßtraße and Ewan Brough follow."


# Apart by user


def test_nobody_reaches_another_ones_conversation(kept: Conversations) -> None:
    id = one(kept, "Secret?", user="ada")
    assert kept.recent("bob") == kept.search("bob", "secret") == kept.recent("") == []
    for reach in (
        lambda: kept.load("bob", id),
        lambda: kept.append("bob", id, "?", answer()),
        lambda: kept.rename("bob", id, "mine"),
        lambda: kept.cut("bob", id, 0),
        lambda: kept.delete("bob", id),
    ):
        with pytest.raises(ConversationError, match="There is no conversation"):
            reach()
    assert titles(kept.recent("ada")) == ["Secret?"]


# Many at once


def test_many_threads_lose_nothing(kept: Conversations) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            id = kept.create(f"user {number % 4}")
            for turn in range(10):
                kept.append(f"user {number % 4}", id, f"question {number} {turn}", answer())
                kept.search(f"user {number % 4}", "question")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for user in range(4):
        assert [each.turns for each in kept.recent(f"user {user}")] == [10] * 4


def test_two_processes_may_keep_at_once(kept: Conversations) -> None:
    script = (
        "import sys; from pathlib import Path; from rag import Answer; from ui.chatfile import ChatFile\n"
        "from ui.conversations import Conversations\n"
        "kept = Conversations(ChatFile(Path(sys.argv[1]))); id = kept.create()\n"
        "for n in range(50): kept.append('', id, f'question {n}', Answer('', 'a', (), (), (), False, .5))\n"
    )
    one(kept, "Who?")
    ours = kept.create()
    with subprocess.Popen([sys.executable, "-c", script, str(kept.file.file)]) as other:
        for number in range(50):
            kept.append("", ours, f"question {number}", answer())
        assert other.wait(60) == 0
    assert sorted(each.turns for each in kept.recent()) == [1, 50, 50]


# Files that cannot be used


def told(kept: Conversations) -> str:
    with pytest.raises(ChatFileError) as caught:
        kept.recent()
    with pytest.raises(ChatFileError):
        kept.create()
    return str(caught.value)


def test_a_damaged_file_is_named_and_left_as_it_is(kept: Conversations) -> None:
    kept.file.file.parent.mkdir()
    kept.file.file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    before = kept.file.file.read_bytes()
    assert "is damaged" in told(kept)
    assert kept.file.file.read_bytes() == before


def test_damage_inside_is_an_error_too(kept: Conversations) -> None:
    for number in range(60):
        one(kept, f"Question {number}?", text="words " * 200)
    kept.file.close()
    data = bytearray(kept.file.file.read_bytes())
    data[4096 * 3 :] = os.urandom(len(data) - 4096 * 3)
    kept.file.file.write_bytes(data)
    with pytest.raises(ChatFileError, match="is damaged"):
        _ = [kept.load("", each.id) for each in kept.recent()]


def test_a_newer_file_asks_for_the_newer_program(kept: Conversations) -> None:
    one(kept, "Who?")
    kept.file.close()
    with sqlite3.connect(kept.file.file) as db:
        db.execute("PRAGMA user_version = 99")
    assert "newer version (schema 99, this one knows 1)" in told(kept)


def test_another_programs_file_is_not_written_to(kept: Conversations) -> None:
    kept.file.file.parent.mkdir()
    with sqlite3.connect(kept.file.file) as db:
        db.execute("CREATE TABLE theirs (x)")
    assert "another program's file" in told(kept)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChatFileError, match="cannot be written"):
        Conversations(ChatFile(tmp_path / "file" / NAME)).create()


def test_a_file_that_was_moved_away_is_begun_anew(kept: Conversations, tmp_path: Path) -> None:
    one(kept, "Old?")
    for file in kept.file.file.parent.glob(f"{NAME}*"):
        file.rename(tmp_path / file.name)
    one(kept, "New?")
    assert titles(kept.recent()) == ["New?"]


def test_an_answer_of_another_version_is_shown_as_far_as_it_is_understood(kept: Conversations) -> None:
    id = one(kept, "Who?", "When?")
    with kept.file.writing() as db:
        row = json.loads(db.execute("SELECT answer FROM turns ORDER BY number").fetchone()[0])
        db.execute("UPDATE turns SET answer = ? WHERE number = 1", (json.dumps({**row, "hue": "blue"}),))
        db.execute("UPDATE turns SET answer = '{\"text\": 1}' WHERE number = 2")
    first, second = kept.load("", id).turns
    assert first.answer == answer(question="Who?")
    assert second.answer is None


# The index


def test_no_rebuild_of_the_index_touches_it(kept: Conversations, kb: Rag, folder: Path) -> None:
    one(kept, "Who?")
    kb.index.rebuild_vectors()
    kb.close()
    forget(kb.index.folder)
    assert not (kb.index.folder / "catalog.sqlite3").exists()
    assert titles(kept.recent()) == ["Who?"]
    kb.sync(folder)
    assert titles(kept.recent()) == ["Who?"]


def test_it_is_no_document_of_a_folder_around_it(kept: Conversations, kb: Rag, tmp_path: Path) -> None:
    one(kept, "Who?")
    kb.sync(tmp_path)
    assert {info.path for info in kb.documents()} == {str(file) for file in (tmp_path / "docs").rglob("*.*")}


# Reopening


def test_a_kept_answer_of_unchanged_documents_is_itself(kb: Rag) -> None:
    given = kb.ask("Who was the last keeper?")
    reopened = at_present(kb, given)
    assert reopened.answer is given
    assert reopened.notes == ()


def test_citations_follow_their_words_through_a_changed_document(kb: Rag, folder: Path) -> None:
    given = kb.ask("Who was the last keeper?")
    tower = folder / "tower.md"
    tower.write_text("Some lines were put before all of this.\n\n" + tower.read_text("utf-8"), "utf-8")
    kb.sync(folder)
    now = at_present(kb, given).answer
    moved = [c for c in now.citations if c.doc == "tower.md"]
    assert moved
    assert [c.start for c in moved] != [c.start for c in given.citations if c.doc == "tower.md"]
    cited = [*now.citations, *(c for s in now.sentences for c in s.citations)]
    assert all(kb.document(c.doc).text[c.start : c.end] == c.quote for c in cited)
    assert all(kb.document(p.doc).text[p.start : p.end] == p.text for p in now.passages)


def test_a_citation_whose_words_are_gone_points_at_nothing_and_says_so(kb: Rag, folder: Path) -> None:
    given = kb.ask("Who was the last keeper?")
    number = next(c.number for c in given.citations if "Ewan Brough" in c.quote)
    (folder / "tower.md").write_text("The tower was sold.\n", "utf-8")
    kb.sync(folder)
    reopened = at_present(kb, given)
    lost = next(c for c in reopened.answer.citations if c.number == number)
    assert (lost.start, lost.end, lost.page) == (0, 0, None)
    assert f"tower.md has changed since, and no longer holds the words of [{number}]." in reopened.notes


def test_a_citation_of_a_removed_document_says_so(kb: Rag) -> None:
    given = kb.ask("Who was the last keeper?")
    kb.remove("tower.md")
    assert any("is no longer among the documents" in note for note in at_present(kb, given).notes)


def test_a_conversation_is_a_chat_to_export_and_to_go_on_with(kept: Conversations, kb: Rag) -> None:
    id = kept.create()
    kept.append("", id, "Who was the last keeper?", kb.ask("Who was the last keeper?"))
    chat = chat_of(kb, kept.load("", id))
    assert "[^1]: tower.md" in chat.to_markdown()
    chat.ask("When did he leave?")
    assert len(chat.turns) == 2
