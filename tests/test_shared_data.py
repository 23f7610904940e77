"""Real news articles as they came off the web; skipped where the data folder is absent."""

import json

import pytest
from conftest import SHARED

from rag import Rag

NEWS = SHARED / "news"
pytestmark = pytest.mark.skipif(not NEWS.is_dir(), reason="the shared news articles are not on this machine")


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("news") / "index")
    kb.sync(NEWS / "docs")
    return kb


def test_extracted_text_is_the_file(kb: Rag) -> None:
    for info in kb.documents():
        assert kb.document(info.doc).text == (NEWS / "docs" / info.doc).read_bytes().decode("utf-8")


def test_answers_are_in_the_cited_words_and_absent_ones_are_not_given(kb: Rag) -> None:
    missed = []
    for line in (NEWS / "gold.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        answer = kb.ask(case["question"])
        for citation in answer.citations:
            assert kb.document(citation.doc).text[citation.start : citation.end] == citation.quote
        quotes = " ".join(citation.quote for citation in answer.citations)
        right = any(gold in quotes for gold in case["answers"]) if case["answerable"] else answer.abstained
        if not right:
            missed.append(case["id"])
    assert len(missed) <= 1, missed  # of 27; one is allowed to rounding on another processor
