"""The interface for programs: gradio_client asks the served page, gets the whole answer, and reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import serving
from conftest import WordHash

from rag import Answer, Rag, Settings
from ui.auth import Users
from ui.server import Access

pytest.importorskip("gradio", reason="the ui extra is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:::gradio")

KEEPER = "Who was the last keeper?"


@pytest.fixture
def kb(folder: Path, tmp_path: Path, words: WordHash) -> Rag:
    kb = Rag(tmp_path / ".rag", Settings(min_confidence=0.0), embedder=words)
    kb.sync(folder)
    return kb


@pytest.fixture
def url(kb: Rag) -> Iterator[str]:
    with serving(kb) as url:
        yield url


def client(url: str, **options: Any) -> Any:
    from gradio_client import Client

    return Client(url, verbose=False, **options)


def test_a_program_asks_and_gets_the_whole_answer(url: str, kb: Rag) -> None:
    given = Answer.from_dict(client(url).predict(KEEPER, api_name="/ask"))
    assert given.text == kb.ask(KEEPER).text
    assert all(kb.document(c.doc).text[c.start : c.end] == c.quote for c in given.citations)


def test_nothing_but_ask_is_public(url: str) -> None:
    own = client(url)
    assert list(own.view_api(return_format="dict")["named_endpoints"]) == ["/ask"]
    assert own.view_api(return_format="dict")["unnamed_endpoints"] == {}
    for name in ("/opened", "/keep", "/stop", "/act", "/open"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            own.predict("x", api_name=name)


@pytest.mark.parametrize("question", ["", "   ", "x" * 5000])
def test_no_question_is_an_error_with_a_sentence(url: str, question: str) -> None:
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match="A question has 1 to 4,000 characters"):
        client(url).predict(question, api_name="/ask")


def test_a_program_logs_in_as_gradio_client_does(kb: Rag, tmp_path: Path) -> None:
    from gradio_client.exceptions import AuthenticationError

    users = Users(tmp_path / "users.txt")
    users.add("ada", "correct horse")
    with serving(kb, access=Access(users=users)) as url:
        with pytest.raises(AuthenticationError):
            client(url, auth=("ada", "wrong password"))
        with pytest.raises(ValueError, match=r"401|Unauthorized|login"):
            client(url)
        own = client(url, auth=("ada", "correct horse"))
        assert "Ewan Brough" in own.predict(KEEPER, api_name="/ask")["text"]


def test_asking_this_way_keeps_no_conversation(url: str, kb: Rag) -> None:
    client(url).predict(KEEPER, api_name="/ask")
    assert not (kb.index.folder / "chat.sqlite3").exists()
