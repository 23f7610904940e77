"""`rag serve` as OpenAI's clients see it: the real openai client against a real server."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from conftest import SAMPLE
from scripted_server import Play, ScriptedServer
from served import Served, served, wait_for

from rag import Rag, Settings
from rag.serve.completions import conversation, footnotes
from rag.serve.failures import RefusedError
from rag.serve.shapes import ChatMessage
from rag.values import Answer

SIREN = "In which year was the fog siren at Skarn Head silenced?"
NOWHERE = "What is the boiling point of tungsten hexafluoride?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat") / "index"
    with Rag(folder) as kb:
        kb.sync(SAMPLE)
    return folder


@pytest.fixture(scope="module")
def server(index: Path) -> Iterator[Served]:
    with served(Rag(index)) as running:
        yield running


def asked(question: str, **more: object) -> dict[str, object]:
    return {"model": "footnote", "messages": [{"role": "user", "content": question}], **more}


def test_the_index_is_the_one_model_there_is(server: Served) -> None:
    client = server.client()
    assert [model.id for model in client.models.list()] == ["footnote"]
    assert client.models.retrieve("footnote").owned_by == "footnote"


def test_a_reply_has_markers_annotations_and_verdicts(server: Served, index: Path) -> None:
    reply = server.client().chat.completions.create(**asked(SIREN))
    message = reply.choices[0].message
    assert (message.role, reply.choices[0].finish_reason) == ("assistant", "stop")
    assert re.search(r"The sources disagree: 1988 \[\d\]; 1991 \[\d\]", message.content)
    text_of = {info.doc: Rag(index).document(info.doc).text for info in Rag(index).documents()}
    for annotation in message.annotations:
        place, citation = annotation.url_citation, annotation.citation
        assert message.content[place.start_index : place.end_index] == f"[{citation['number']}]"
        assert text_of[citation["doc"]][citation["start"] : citation["end"]] == citation["quote"]
        shown = server.http.get(place.url).json()
        assert shown["text"] == citation["quote"]
    assert len(message.annotations) == message.content.count("[")
    told = reply.footnote
    assert (told["abstained"], told["answer"]) == (False, None)
    assert {sentence["verdict"] for sentence in told["sentences"]} == {"supported"}
    positions = [(position["value"], position["date"]) for position in told["conflicts"][0]["positions"]]
    assert positions == [("1988", ""), ("1991", "2023-03-09")]
    assert told["headline"] == ""
    assert reply.usage.total_tokens == 0


def test_a_streamed_reply_is_the_same_in_pieces(server: Served) -> None:
    client = server.client()
    whole = client.chat.completions.create(**asked(SIREN))
    chunks = list(client.chat.completions.create(**asked(SIREN, stream=True, stream_options={"include_usage": True})))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    cited = next(
        c.choices[0].delta.annotations for c in chunks if c.choices and hasattr(c.choices[0].delta, "annotations")
    )
    places = [annotation.model_dump() for annotation in whole.choices[0].message.annotations]
    assert [c["url_citation"] for c in cited] == [place["url_citation"] for place in places]
    told = next(chunk.footnote for chunk in chunks if hasattr(chunk, "footnote"))
    assert told["sentences"] == whole.footnote["sentences"]
    assert chunks[-1].usage.total_tokens == 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_an_answer_that_is_withheld_says_so_in_the_extension(server: Served) -> None:
    reply = server.client().chat.completions.create(**asked(NOWHERE))
    assert reply.footnote["abstained"] is True
    assert reply.footnote["confidence"] < 0.6
    assert reply.choices[0].message.annotations == []
    assert "do not seem to hold the answer" in reply.choices[0].message.content


def test_the_whole_answer_comes_when_it_is_asked_for(server: Served) -> None:
    body = {"footnote": {"answer": True, "where": {"doc": "fog-signal-memories.txt"}, "tokens": 300}}
    reply = server.client().chat.completions.create(**asked(SIREN), extra_body=body)
    answer = Answer.from_dict(reply.footnote["answer"])
    assert answer.text == reply.choices[0].message.content
    assert {passage.doc for passage in answer.passages} == {"fog-signal-memories.txt"}
    assert sum(passage.tokens for passage in answer.passages) <= 300


def test_footnotes_end_the_text_when_wanted_and_are_taken_off_the_history(server: Served) -> None:
    plain = server.client().chat.completions.create(**asked(SIREN)).choices[0].message.content
    body = {"footnote": {"footnotes": True}}
    noted = server.client().chat.completions.create(**asked(SIREN), extra_body=body).choices[0].message.content
    assert noted.startswith(f"{plain}\n\n---\n[1] fog-signal-memories.txt: “The siren was silenced in 1988")
    chunks = server.client().chat.completions.create(**asked(SIREN, stream=True), extra_body=body)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == noted
    messages = [("user", SIREN), ("assistant", noted), ("user", "And why?")]
    assert conversation([ChatMessage(role=r, content=t) for r, t in messages]) == ("And why?", [(SIREN, plain)])
    assert footnotes(()) == ""


def test_the_turns_before_are_the_history(server: Served) -> None:
    turns = [
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "Who was the last keeper of the lighthouse?"},
        {"role": "assistant", "content": "It was somebody. [1]"},
        {"role": "user", "content": [{"type": "text", "text": "When did he leave?"}]},
    ]
    body = {"footnote": {"answer": True}}
    reply = server.client().chat.completions.create(model="footnote", messages=turns, extra_body=body)
    assert reply.footnote["answer"]["question"] == "When did he leave?"
    assert "last keeper" in reply.footnote["answer"]["trace"]["query"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (asked(SIREN, n=2), 400, "unsupported_value"),
        ({**asked(SIREN), "model": "gpt-4o"}, 404, "model_not_found"),
        ({"model": "footnote", "messages": [{"role": "system", "content": "x"}]}, 400, "no_question"),
        ({"model": "footnote", "messages": [{"role": "user", "content": "?!"}]}, 400, "bad_query"),
        ({"model": "footnote", "messages": [{"role": "user", "content": "a" * 20_001}]}, 400, "question_too_long"),
        (
            {"model": "footnote", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "unsupported_content",
        ),
        ({"model": "footnote", "messages": []}, 400, "invalid_value"),
        (asked(SIREN, extra_body={"footnote": {"tokns": 5}}), 400, "invalid_value"),
        (asked(SIREN, extra_body={"footnote": {"where": {"colour": "red"}}}), 400, "bad_query"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_openais_shape(
    server: Served, request_: dict[str, object], status: int, code: str, stream: bool
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        server.client().chat.completions.create(**request_, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.body["message"]


def test_an_unknown_model_is_told_what_there_is(server: Served) -> None:
    with pytest.raises(openai.NotFoundError, match=r"'gpt-5'.*served as 'footnote'"):
        server.client().models.retrieve("gpt-5")


def test_a_part_of_a_message_that_is_no_text_is_refused_not_dropped() -> None:
    with pytest.raises(RefusedError, match="'input_audio'"):
        conversation([ChatMessage(role="user", content=[{"type": "input_audio"}])])


# With a language model behind it


def modelled(index: Path, url: str, **settings: object) -> Rag:
    return Rag(index, Settings(model=f"openai-like:tiny@{url}", **settings))


def test_a_models_words_come_as_they_are_written_and_its_tokens_are_counted(index: Path) -> None:
    play = Play("The siren fell silent in 1988 [b0.0].", pace=0.05, usage=(120, 9))
    with ScriptedServer(play) as model, served(modelled(index, model.url), name="isle") as server:
        began = time.monotonic()
        arrived = []
        options = {"stream": True, "stream_options": {"include_usage": True}}
        for chunk in server.client().chat.completions.create(**{**asked(SIREN, **options), "model": "isle"}):
            arrived.append((time.monotonic() - began, chunk))
        texts = [at for at, chunk in arrived if chunk.choices and chunk.choices[0].delta.content]
        assert len(texts) > 3
        assert texts[-1] - texts[0] > 0.1
        assert (arrived[-1][1].usage.prompt_tokens, arrived[-1][1].usage.completion_tokens) == (120, 9)
        page = server.http.get("/metrics").text
    assert 'rag_model_tokens_total{direction="written"} 9.0' in page
    assert 'rag_answers_total{outcome="answered"} 1.0' in page


def test_a_reply_that_was_cut_says_length(index: Path) -> None:
    play = Play("The siren fell silent in 1988 [b0.0]. It was", finish="length")
    with ScriptedServer(play) as model, served(modelled(index, model.url)) as server:
        reply = server.client().chat.completions.create(**asked(SIREN))
    assert reply.choices[0].finish_reason == "length"


def test_a_model_that_fails_is_a_502_before_the_first_word_and_an_error_in_the_stream_after(index: Path) -> None:
    with ScriptedServer(Play(status=400, said="no")) as model, served(modelled(index, model.url)) as server:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as caught:
                server.client().chat.completions.create(**asked(SIREN, stream=stream))
            assert (caught.value.status_code, caught.value.code) == (502, "model_failed")
    play = Play("The siren fell silent in 1988 and that was that for good.", drop=8, rudely=True)
    with (
        ScriptedServer(play) as model,
        served(modelled(index, model.url)) as server,
        pytest.raises(openai.APIError, match="in the middle of its reply"),
    ):
        list(server.client().chat.completions.create(**asked(SIREN, stream=True)))


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_stops_the_model(index: Path, stream: bool) -> None:
    play = Play("The siren fell silent. " * 200, pace=0.02)
    with ScriptedServer(play) as model, served(modelled(index, model.url)) as server:
        if stream:
            reply = server.client().chat.completions.create(**asked(SIREN, stream=True))
            next(iter(reply))
            wait_for(lambda: model.chats)
            reply.close()
        else:
            body = json.dumps(asked(SIREN))
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
            with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as line:
                line.sendall(f"{head}content-type: application/json\r\n\r\n{body}".encode())
                wait_for(lambda: model.chats)
        assert model.hung_up.wait(10)
        wait_for(lambda: server.service.workers.answers == 0)


def test_slow_models_hold_up_no_search(index: Path) -> None:
    written = threading.Event()

    def slowly(_: object) -> str:
        written.wait(60)
        return "At last [b0.0]."

    with ScriptedServer(slowly) as model, served(modelled(index, model.url)) as server:
        client = server.client(timeout=60)
        askers = [threading.Thread(target=client.chat.completions.create, kwargs=asked(SIREN)) for _ in range(8)]
        for asker in askers:
            asker.start()
        wait_for(lambda: len(model.chats) == 8)
        for _ in range(5):
            assert server.http.post("/search", json={"question": "keeper"}).status_code == 200
        assert server.service.workers.answers == 8
        written.set()
        for asker in askers:
            asker.join()


def test_a_silent_model_is_covered_by_comments(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.serve.completions.PATIENCE", 0.1)
    monkeypatch.setattr("rag.serve.completions.BEAT", 0.1)
    with ScriptedServer(Play("Slow [b0.0].", first=1.0)) as model, served(modelled(index, model.url)) as server:
        reply = server.http.post("/v1/chat/completions", json=asked(SIREN, stream=True))
    lines = [line for line in reply.text.splitlines() if line]
    assert json.loads(lines[0].removeprefix("data: "))["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert lines.count(": still at it") >= 3
    assert lines[-1] == "data: [DONE]"


def test_more_answers_than_can_wait_are_refused_in_words(index: Path) -> None:
    with ScriptedServer(Play("Slow.", first=3.0)) as model, served(modelled(index, model.url)) as server:
        server.service.workers._waiting = 1
        asker = threading.Thread(target=server.client().chat.completions.create, kwargs=asked(SIREN))
        asker.start()
        wait_for(lambda: server.service.workers.answers == 1)
        refused = server.http.post("/v1/chat/completions", json=asked(SIREN))
        asker.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
    assert refused.headers["retry-after"] == "1"
