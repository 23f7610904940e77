"""Drafted questions: those whose quote does not carry them are thrown away, the rest wait for a person."""

import json

import pytest
from scripted_server import ScriptedServer

from evals import SuiteError, load_suite, run
from evals.drafting import WINDOW, _windows, draft
from evals.replies import JsonModel
from rag.settings import Settings

GOOD = {"question": "When was the tower of Skarn Head lit?", "answer": "1868", "quote": "The tower was lit in 1868."}
INVENTED = {"question": "Who built it?", "answer": "Rae", "quote": "Rae built the tower."}
UNSAID = {"question": "How high is it?", "answer": "45 metres", "quote": "It is 44 metres high."}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "suite" / "docs").mkdir(parents=True)
    (tmp_path / "suite" / "docs" / "tower.txt").write_text("The tower was lit in 1868. It is 44 metres high.\n")
    return tmp_path / "suite"


def drafted(folder, *entries):
    with ScriptedServer(json.dumps({"questions": list(entries)})) as server:
        model = JsonModel(f"openai-like:tiny@{server.url}", Settings(), folder.parent / "kept")
        return draft(folder, model, 3)


def test_only_drafts_that_their_quote_carries_are_kept(folder):
    found = drafted(folder, GOOD, INVENTED, UNSAID)
    assert (found.added, found.refused) == (1, 2)
    (case,) = load_suite(folder).cases
    assert (case.split, case.evidence[0].span) == ("draft", ("tower.txt", 0, 26))


def test_a_reply_that_is_no_json_gives_no_draft(folder):
    with ScriptedServer("I would rather not.") as server:
        model = JsonModel(f"openai-like:tiny@{server.url}", Settings(), folder.parent / "kept")
        assert draft(folder, model).added == 0
    assert not (folder / "gold.jsonl").exists()


def test_a_suite_of_drafts_alone_cannot_be_run(folder, tmp_path):
    drafted(folder, GOOD)
    with pytest.raises(SuiteError, match="is a draft"):
        run(load_suite(folder), out=tmp_path / "run", kb=object())


def test_a_folder_without_documents_is_an_error(tmp_path):
    with pytest.raises(SuiteError, match="holds no document"):
        draft(tmp_path, object())


def test_long_documents_are_asked_about_all_over():
    parts = _windows("x" * (10 * WINDOW), 3)
    assert [len(window) for window, _ in parts] == [WINDOW] * 3
    assert [share for _, share in _windows("x" * 100, 3)] == [3]
    assert sum(share for _, share in _windows("x" * (2 * WINDOW), 5)) == 5
