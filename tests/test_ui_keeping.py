"""A conversation that is kept, cut, and reopened with working citations after a restart; settings; copies."""

from pathlib import Path

import pytest
from conftest import WordHash

from index.errors import RagError
from rag import Rag, Settings
from ui.chat import Conversation, Wishes
from ui.conversations import ConversationError
from ui.desk import Desk
from ui.footnoted import footnoted
from ui.keeping import cut, keep, reopened
from ui.preferences import Preferences, leaving, probed
from ui.server import Access
from ui.talks import talks_html
from ui.turns import live, past


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def desk(kb: Rag) -> Desk:
    return Desk.over(kb, Access())


def asked(desk: Desk, conversation: Conversation, *questions: str, user: str = "") -> Conversation:
    for question in questions:
        cut(desk, user, conversation)
        list(conversation.ask(desk.kb, question))
        keep(desk, user, conversation)
    return conversation


def test_a_conversation_reopens_after_a_restart_as_it_was(desk: Desk, kb: Rag) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?", "When does the ferry sail?")
    again = reopened(Desk.over(kb, Access()), "", str(talk.id))
    assert [view.question for view in again.views] == ["Who was the last keeper?", "When does the ferry sail?"]
    assert past(again) == past(talk)
    assert live(again) == live(talk)
    start = kb.document("tower.md").text.index("The last keeper")
    assert f'data-doc="tower.md" data-start="{start}"' in past(again)


def test_a_citation_follows_its_words_when_the_document_changes(desk: Desk, kb: Rag, folder: Path) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?")
    text = (folder / "tower.md").read_text("utf-8")
    (folder / "tower.md").write_text("# A new beginning\n\nMore words.\n\n" + text, "utf-8")
    kb.sync(folder)
    start = kb.document("tower.md").text.index("The last keeper")
    assert f'data-doc="tower.md" data-start="{start}"' in live(reopened(desk, "", str(talk.id)))
    kb.remove("tower.md")
    assert "is no longer among the documents" in live(reopened(desk, "", str(talk.id)))


def test_a_question_written_anew_replaces_it_and_what_followed(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?", "When does the ferry sail?")
    talk.editing = 0
    assert "will be replaced" in past(talk)
    assert 'class="turn edited"' in live(talk)
    asked(desk, talk, "How high is the tower?")
    assert [view.question for view in talk.views] == ["How high is the tower?"]
    assert [view.question for view in reopened(desk, "", str(talk.id)).views] == ["How high is the tower?"]


def test_what_one_says_of_an_answer_is_there_when_it_reopens(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?")
    desk.feedback.give("", int(talk.views[0].row or 0), "wrong_citation", citation=1)
    page = live(reopened(desk, "", str(talk.id)))
    assert "You reported a wrong citation. Thank you." in page
    assert 'data-citation="1"' in page
    assert 'aria-pressed="true"' in page


def test_another_person_does_not_find_it(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?", user="ann")
    with pytest.raises(ConversationError):
        reopened(desk, "bob", str(talk.id))
    assert "No conversations yet" in talks_html(desk.conversations.recent("bob"))


def test_an_answer_that_cannot_be_kept_stays_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> str:
        raise RagError("The disk is full.")

    monkeypatch.setattr(type(desk.conversations), "create", full)
    page = live(asked(desk, Conversation(), "Who was the last keeper?"))
    assert "Ewan Brough" in page
    assert "This turn was not kept: The disk is full." in page


def test_a_turn_is_kept_once(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?")
    keep(desk, "", talk)
    assert len(reopened(desk, "", str(talk.id)).views) == 1


def test_a_question_that_failed_reopens_with_its_reason_and_is_asked_again(desk: Desk, kb: Rag) -> None:
    talk = Conversation()
    list(talk.ask(kb, "Who was the last keeper?", Wishes(model="openai-like:m@http://127.0.0.1:9/v1")))
    keep(desk, "", talk)
    again = reopened(desk, "", str(talk.id))
    assert "127.0.0.1:9" in live(again)
    assert live(again) == live(talk)
    assert 'data-act="retry"' in live(again)
    assert 'data-act="say"' not in live(again)
    again.editing = 0
    asked(desk, again, "Who was the last keeper?")
    assert "Ewan Brough" in live(again)
    assert live(reopened(desk, "", str(talk.id))) == live(again)


def test_a_question_that_is_too_long_is_not_kept(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who? " * 1000)
    assert "please shorten it" in live(talk)
    assert talk.id is None


def test_an_answer_of_another_version_can_be_asked_again(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who was the last keeper?")
    with desk.conversations.file.writing() as db:
        db.execute("UPDATE turns SET answer = '{}'")
    page = live(reopened(desk, "", str(talk.id)))
    assert "kept by another version" in page
    assert 'data-act="retry"' in page


def test_where_nothing_is_indexed_nothing_is_kept(tmp_path: Path, words: WordHash) -> None:
    desk = Desk.over(Rag(tmp_path / "none", embedder=words), Access())
    talk = asked(desk, Conversation(), "Anything?")
    assert "rag sync FOLDER" in live(talk)
    assert talk.id is None
    assert not (tmp_path / "none").exists()


def test_wishes_reach_the_search(desk: Desk) -> None:
    talk = Conversation()
    list(talk.ask(desk.kb, "Where do birds nest?", Wishes(where={"doc": ["ferry.txt"]})))
    answer = talk.views[0].answer
    assert answer is not None
    assert {passage.doc for passage in answer.passages} == {"ferry.txt"}


def test_the_list_marks_what_is_open_and_escapes_titles(desk: Desk) -> None:
    talk = asked(desk, Conversation(), "Who <b>was</b> the last keeper?")
    page = talks_html(desk.conversations.recent(), talk.id)
    assert "Who &lt;b&gt;was&lt;/b&gt; the last keeper?" in page
    assert page.count('aria-current="true"') == 1
    assert f'href="conversations/{talk.id}.md"' in page
    assert "<h2>Today</h2>" in page


def test_a_copy_carries_its_footnotes(desk: Desk) -> None:
    answer = desk.kb.ask("Who was the last keeper?")
    copied = footnoted(answer)
    assert copied.startswith(answer.text)
    assert "[1] The tower: “The last keeper was Ewan Brough.”" in copied


# Settings of a person


def test_what_a_browser_kept_is_read_whatever_it_is() -> None:
    assert Preferences.read(Preferences("ollama:x", 900, 0.3).kept()) == Preferences("ollama:x", 900, 0.3)
    for nonsense in (None, 5, "x", [], {}, {"model": [], "tokens": "many", "min_confidence": {}}):
        assert Preferences.read(nonsense) == Preferences()
    assert Preferences.read({"tokens": 10**9, "min_confidence": -4}) == Preferences(None, 16_000, 0.0)


def test_a_threshold_holds_for_one_person_only(kb: Rag) -> None:
    strict = Preferences(min_confidence=0.99).applied(kb)
    assert strict.ask("What colour is the harbour office?").abstained
    assert not kb.ask("What colour is the harbour office?").abstained
    assert Preferences().applied(kb) is kb


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("extract", "Nothing leaves this machine: answers are quoted"),
        ("hf:/models/tiny", "Nothing leaves this machine: /models/tiny runs inside this process."),
        ("ollama:qwen", "Nothing leaves this machine: the model's server runs on it."),
        ("openai-like:m@http://localhost:8000/v1", "Nothing leaves this machine: the model's server runs on it."),
        ("openai-like:m@https://api.example.com/v1", "To api.example.com go, with each question"),
        ("openai:gpt", "OPENAI_API_KEY is not set"),
        ("nonsense", "is not understood"),
    ],
)
def test_what_leaves_the_machine_is_said_in_so_many_words(spec: str, said: str) -> None:
    assert said in leaving(spec, Settings())


def test_a_model_is_tried_and_what_is_wrong_is_said() -> None:
    assert probed("extract", Settings())[0]
    good, words = probed("openai-like:m@http://127.0.0.1:9/v1", Settings(timeout=2.0))
    assert not good
    assert "127.0.0.1:9" in words
    good, words = probed("openai:gpt", Settings())
    assert not good
    assert "OPENAI_API_KEY" in words
