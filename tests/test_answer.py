"""The front door over real weights: cited answers, abstention, streams, the model path behind a scripted server."""

import asyncio
import json
from pathlib import Path

import pytest
from conftest import SAMPLE
from scripted_server import Play, ScriptedServer

from index.errors import IndexMissingError
from rag import Answer, CitationEvent, Final, Rag, TextDelta
from rag.prompts import NOT_FOUND


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("sample") / "index")
    kb.sync(SAMPLE)
    return kb


def test_every_quote_is_the_text_it_points_to(kb: Rag) -> None:
    for question in ("Who was the last principal keeper?", "How many clear nights were there in 2023?"):
        answer = kb.ask(question)
        assert answer.citations
        for citation in answer.citations:
            assert kb.document(citation.doc).text[citation.start : citation.end] == citation.quote


def test_a_citation_into_a_pdf_names_its_page(kb: Rag) -> None:
    citation = kb.ask("How many clear nights were there in 2023?").citations[0]
    assert (citation.doc, citation.page) == ("holm-hill-report-2023.pdf", 1)
    assert "97 clear nights" in citation.quote


def test_markers_stand_in_the_text_in_order(kb: Rag) -> None:
    answer = kb.ask("Why does the lighthouse have a yellow band?")
    assert [answer.text.index(f"[{c.number}]") for c in answer.citations] == sorted(
        answer.text.index(f"[{c.number}]") for c in answer.citations
    )
    assert {sentence.verdict for sentence in answer.sentences} == {"supported"}


@pytest.mark.parametrize("question", ["What is the capital of Mongolia?", "How do I reset the password of my router?"])
def test_what_is_not_in_the_documents_is_not_answered(kb: Rag, question: str) -> None:
    answer = kb.ask(question)
    assert answer.abstained
    assert answer.citations == ()
    assert 0 <= answer.confidence < 0.6
    assert answer.passages


def test_sources_that_disagree_are_shown_side_by_side(kb: Rag) -> None:
    answer = kb.ask("In which year was the fog siren at Skarn Head silenced?")
    (conflict,) = answer.conflicts
    assert {value for value, _ in conflict.positions} == {"1988", "1991"}
    assert answer.headline == ""  # one value in bold would take a side
    assert all(cited for _, cited in conflict.positions)
    assert "disagree" in answer.text


def test_sources_that_agree_in_other_words_are_no_conflict(kb: Rag) -> None:
    assert kb.ask("On what date was the light of Skarn Head first lit?").conflicts == ()
    assert kb.ask("How much did the restoration of the tower cost?").conflicts == ()


def test_the_stream_ends_with_the_answer_that_ask_gives(kb: Rag) -> None:
    events = list(kb.stream("Who was the last principal keeper?"))
    assert isinstance(events[-1], Final)
    answer = events[-1].answer
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text
    assert tuple(event.citation for event in events if isinstance(event, CitationEvent)) == answer.citations
    assert kb.ask("Who was the last principal keeper?").text == answer.text


def test_an_answer_survives_json(kb: Rag) -> None:
    answer = kb.ask("In which year was the fog siren at Skarn Head silenced?")
    assert Answer.from_dict(json.loads(answer.to_json())) == answer


def test_it_works_inside_a_running_event_loop(kb: Rag) -> None:
    async def both() -> tuple[str, str]:
        events = [event async for event in kb.astream("Who was the last principal keeper?")]
        assert isinstance(events[-1], Final)
        return kb.ask("Who was the last principal keeper?").text, events[-1].answer.text

    one, two = asyncio.run(both())
    assert one == two


def test_asking_without_an_index_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="rag sync"):
        Rag(tmp_path / "none").ask("Anything?")


def test_a_model_answers_with_our_citations(kb: Rag) -> None:
    with ScriptedServer(
        "The last keeper was Ewan Brough [b1.1]. He flew to the Moon [b1.1]. Pigs fly [b99.9]."
    ) as server:
        spec = f"openai-like:test@{server.url}"
        events = list(kb.stream("Who was the last principal keeper?", model=spec))
        assert isinstance(events[-1], Final)
        answer = events[-1].answer
    assert answer.text == "The last keeper was Ewan Brough [1]. He flew to the Moon [1]. Pigs fly."
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text
    assert answer.trace.dropped_labels == ("b99.9",)
    assert [sentence.verdict for sentence in answer.sentences][1:] == ["unsupported", "uncited"]
    (citation,) = answer.citations
    assert kb.document(citation.doc).text[citation.start : citation.end] == citation.quote
    assert answer.usage.output_tokens > 0
    assert answer.model == spec


def test_a_follow_up_is_rewritten_by_the_model_and_searched_so(kb: Rag) -> None:
    before = [("Who was the last principal keeper of Skarn Head?", "Ewan Brough [1].")]
    with ScriptedServer("It was 1994 [b1.1].") as server:
        server.script = ["When did Ewan Brough, the last keeper, leave Skarn Head?", "He left in 1994 [b1.1]."]
        answer = kb.ask("When did he leave?", model=f"openai-like:test@{server.url}", history=before)
        asked = [request.body["messages"][-1]["content"] for request in server.requests if request.body]
    assert answer.trace.query == "When did Ewan Brough, the last keeper, leave Skarn Head?"
    assert answer.question == "When did he leave?"
    assert "New question: When did he leave?" in asked[0]
    assert asked[1].endswith("Question: When did he leave?")
    assert answer.usage.output_tokens > 10  # both replies are counted


@pytest.mark.parametrize("reply", ["Sure! Here it is:\nWhen did he leave?", "x" * 400, ""])
def test_a_rewrite_that_is_no_question_is_not_used(kb: Rag, reply: str) -> None:
    with ScriptedServer(NOT_FOUND) as server:
        server.script = [reply]
        answer = kb.ask(
            "When did he leave?",
            model=f"openai-like:test@{server.url}",
            history=[("Who was the last keeper?", "Ewan.")],
        )
    assert answer.trace.query == "Who was the last keeper? When did he leave?"


def test_a_follow_up_without_a_model_carries_the_question_before(kb: Rag) -> None:
    answer = kb.ask("When did he leave?", history=[("Who was the last keeper of Skarn Head?", "Ewan Brough [1].")])
    assert answer.trace.query == "Who was the last keeper of Skarn Head? When did he leave?"
    assert kb.ask("When did Ewan Brough leave?", history=[("What is a kittiwake?", "A gull.")]).trace.query == (
        "When did Ewan Brough leave?"
    )


def test_a_model_that_finds_nothing_abstains(kb: Rag) -> None:
    with ScriptedServer(NOT_FOUND) as server:
        answer = kb.ask("Who was the last principal keeper?", model=f"openai-like:test@{server.url}")
    assert answer.abstained
    assert answer.citations == ()


def test_a_model_that_cites_nothing_is_mended_by_what_carries_each_sentence(kb: Rag) -> None:
    with ScriptedServer(
        "The lamp was first lit on October 3, 1868 by Duncan Rae. He was a kind man. Pigs fly."
    ) as server:
        answer = kb.ask("When was the lamp of Skarn Head first lit?", model=f"openai-like:test@{server.url}")
    assert answer.text.startswith("The lamp was first lit on October 3, 1868 by Duncan Rae [1]. ")
    assert [sentence.verdict for sentence in answer.sentences] == ["supported", "uncited", "uncited"]
    (citation,) = answer.citations
    assert "3 October 1868" in citation.quote
    assert "1 of the sentences came without a label" in answer.trace.notes[-1]


def test_a_reply_that_was_cut_says_so(kb: Rag) -> None:
    with ScriptedServer(Play("The last keeper was Ewan Brough [b1.1]. He", finish="length")) as server:
        answer = kb.ask("Who was the last principal keeper?", model=f"openai-like:test@{server.url}")
    assert "stops short" in answer.trace.notes[-1]
