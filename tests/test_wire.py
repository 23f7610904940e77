"""Every path of a model behind a server, in each of the three protocols: OpenAI's, Ollama's, Anthropic's."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from conftest import SAMPLE
from scripted_server import Play, ScriptedServer

from index.errors import ModelError
from index.tokens import count_tokens
from rag import Final, Rag, TextDelta, models
from rag.models import context_window, open_model, stream, usage_of
from rag.replies import Reply, message_tokens
from rag.settings import Settings

ASKED = [("system", "Be brief."), ("user", "How high is the tower?")]
TOWER = "The tower is 30 m high [b1.1]."
SECRET = "sk-live-0123456789abcdef"
PROTOCOLS = ("openai-like", "ollama", "anthropic")
NATIVE = PROTOCOLS[1:]
NAMES = {"openai-like": "OpenAI", "ollama": "Ollama", "anthropic": "Anthropic"}
KEYS = {"openai-like": "OPENAI_LIKE_API_KEY", "ollama": "OLLAMA_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
NOW = {"retry-after": "0"}


class Wire:
    """A scripted server and the model `tiny` on it, spoken to in one protocol."""

    def __init__(self, protocol: str, server: ScriptedServer) -> None:
        self.protocol, self.server = protocol, server

    @property
    def spec(self) -> str:
        return f"openai-like:tiny@{self.server.url}" if self.protocol == "openai-like" else f"{self.protocol}:tiny"

    def opened(self, settings: Settings | None = None):
        return open_model(self.spec, settings or Settings())

    def reply(self, *script: str | Play, settings: Settings | None = None) -> Reply:
        self.server.script.extend(script)
        settings = settings or Settings()
        return stream(self.opened(settings), ASKED, settings)

    def said(self, *script: str | Play, settings: Settings | None = None) -> str:
        return "".join(self.reply(*script, settings=settings))

    def refused(self, *script: str | Play, settings: Settings | None = None) -> str:
        with pytest.raises(ModelError) as caught:
            self.said(*script, settings=settings)
        return str(caught.value)

    def whole(self, *script: str | Play, settings: Settings | None = None):
        """The reply of one that is not streamed."""
        from llama_index.core.llms import ChatMessage

        self.server.script.extend(script)
        return self.opened(settings).chat([ChatMessage(role=role, content=text) for role, text in ASKED])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    models._told.clear()  # a later server may get the port of an earlier one
    for name in KEYS.values():
        monkeypatch.delenv(name, raising=False)
    with ScriptedServer(TOWER) as running:
        monkeypatch.setenv("OLLAMA_HOST", running.root)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.root)
        monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
        yield running


@pytest.fixture(params=PROTOCOLS)
def wire(request: pytest.FixtureRequest, server: ScriptedServer) -> Wire:
    return Wire(request.param, server)


@pytest.fixture(params=NATIVE)
def native(request: pytest.FixtureRequest, server: ScriptedServer) -> Wire:
    return Wire(request.param, server)


@pytest.fixture
def ollama(server: ScriptedServer) -> Wire:
    return Wire("ollama", server)


@pytest.fixture
def anthropic(server: ScriptedServer) -> Wire:
    return Wire("anthropic", server)


# What comes back


def test_a_reply_comes_in_pieces_while_the_server_still_writes(wire):
    began, times = time.monotonic(), []
    reply = wire.reply(Play("One two three four five six.", pace=0.05))
    for _ in reply:
        times.append(time.monotonic() - began)
    assert reply.text == "One two three four five six."
    assert len(times) > 3
    assert times[-1] - times[0] > 0.1
    (chat,) = wire.server.chats
    assert (chat.body["model"], chat.body["stream"]) == ("tiny", True)


def test_a_reply_in_one_piece_is_the_same(wire):
    assert wire.whole().message.content == TOWER == wire.said()
    assert not wire.server.chats[0].body.get("stream")


def test_a_character_cut_in_the_middle_is_put_together(wire):
    text = "Grüße aus 東京 \u0085 \u2028 🗼."  # the two in the middle end a line elsewhere, but not in JSON
    assert wire.said(Play(text, shattered=True)) == text
    assert wire.said(Play(text, shattered=True, rudely=True)) == text


def test_usage_is_what_the_server_reports(wire):
    reply = wire.reply(Play("Yes.", usage=(123, 4)))
    assert "".join(reply) == reply.text == "Yes."
    usage = usage_of(reply)
    assert (usage.input_tokens, usage.output_tokens, usage.cost) == (123, 4, 0.0)
    told = wire.whole(Play("Yes.", usage=(123, 4))).additional_kwargs
    assert (told["prompt_tokens"], told["completion_tokens"]) == (123, 4)


def test_usage_is_counted_where_the_server_reports_none(wire):
    reply = wire.reply()
    "".join(reply)
    usage = usage_of(reply)
    assert usage.output_tokens == count_tokens(reply.text)
    assert usage.input_tokens == message_tokens(ASKED)


def test_a_reply_at_its_longest_length_says_so(wire):
    reply = wire.reply(Play("Half a", finish="length"))
    assert "".join(reply) == "Half a"
    assert reply.cut


def test_closing_the_reply_hangs_up(wire):
    reply = wire.reply(Play("word " * 400, pace=0.02))
    next(reply)
    reply.close()
    assert wire.server.hung_up.wait(2)


def test_dropping_the_generator_around_a_reply_hangs_up(wire):
    def shown() -> Iterator[str]:
        yield from wire.reply(Play("word " * 400, pace=0.02))

    words = shown()
    next(words)
    words.close()
    assert wire.server.hung_up.wait(2)


# What goes wrong


@pytest.mark.parametrize("play", [Play(silence=2.5), Play(first=2.5), Play(first=2.5, pings=True)])
def test_silence_before_the_first_word_ends_at_the_time_limit(wire, play):
    began = time.monotonic()
    error = wire.refused(play, settings=Settings(timeout=1.0))
    assert "before its first word: nothing came for 1 s. Raise `timeout`" in error
    assert time.monotonic() - began < 2.4


@pytest.mark.parametrize("pings", [False, True])
def test_silence_in_the_middle_ends_at_the_time_limit(wire, pings):
    play = Play("one two", pace=2.5, pings=pings)
    assert "in the middle of its reply: nothing came for 1 s." in wire.refused(play, settings=Settings(timeout=1.0))


@pytest.mark.parametrize("rudely", [True, False])
def test_a_reply_that_breaks_off_is_no_reply(wire, rudely):
    error = wire.refused(Play("one two three four five", drop=3, rudely=rudely))
    assert "broke off in the middle of its reply" in error
    assert len(wire.server.chats) == 1


def test_a_connection_lost_before_the_first_word_is_tried_once_more(wire):
    assert wire.said(Play("x", drop=0, rudely=True)) == TOWER
    error = wire.refused(*[Play("x", drop=0, rudely=True)] * 3)
    assert "broke off before its first word: the connection was lost" in error
    assert len(wire.server.chats) == 4


def test_nobody_listening_is_told_with_the_address(wire, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("OLLAMA_HOST", address)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
    spec = f"openai-like:tiny@{address}" if wire.protocol == "openai-like" else wire.spec
    settings = Settings(context_window=4096)
    with pytest.raises(ModelError, match=f"No model server answers at {address}") as caught:
        "".join(stream(open_model(spec, settings), ASKED, settings))
    assert ("Type: ollama serve" in str(caught.value)) == (wire.protocol == "ollama")


def test_a_refused_key_names_the_variable_and_hides_the_key(wire, monkeypatch):
    monkeypatch.setenv(KEYS[wire.protocol], SECRET)
    error = wire.refused(Play(status=401, said=f"Incorrect API key provided: {SECRET}"))
    assert f"refused the key (401). Check {KEYS[wire.protocol]}." in error
    assert SECRET not in error
    assert len(wire.server.chats) == 1


def test_an_unknown_model_is_named(wire):
    error = wire.refused(Play(status=404, said="model not found"))
    assert error.startswith("There is no model 'tiny' at http://127.0.0.1")
    assert error.endswith("It says: model not found")
    assert ("type: ollama pull tiny" in error) == (wire.protocol == "ollama")


def test_a_busy_server_is_asked_again_when_it_says(wire):
    began = time.monotonic()
    assert wire.said(Play(status=429, headers={"retry-after": "0.8"})) == TOWER
    assert time.monotonic() - began >= 0.8  # our own first wait is half a second
    assert len(wire.server.chats) == 2


def test_the_time_to_ask_again_may_be_a_date(wire):
    soon = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
    began = time.monotonic()
    assert wire.said(*[Play(status=503, headers={"retry-after": soon})] * 2) == TOWER
    assert time.monotonic() - began < 2.4  # our own waits are 2.5 s together
    far = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert "(503, once)" in wire.refused(Play(status=503, headers={"retry-after": far}))


def test_a_server_that_stays_busy_is_given_up(wire):
    error = wire.refused(*[Play(status=429, headers=NOW)] * 5)
    assert "takes no more requests, or its quota is spent (429, 3 times)" in error
    assert len(wire.server.chats) == 3


def test_a_long_retry_after_is_not_waited_for(wire):
    assert "(429, once)" in wire.refused(Play(status=429, headers={"retry-after": "3600"}))


@pytest.mark.parametrize("status", [500, 503, 529])
def test_a_failing_server_is_asked_again_and_given_up_after_three_times(wire, status):
    failing = Play(status=status, said="out of memory", headers=NOW)
    assert wire.said(failing, failing) == TOWER
    error = wire.refused(*[failing] * 3)
    assert f"({status}, 3 times)" in error
    assert error.endswith("It says: out of memory")
    assert len(wire.server.chats) == 6


@pytest.mark.parametrize(
    "words", ["maximum context length is 2048 tokens", "prompt is too long: 210000 tokens > 200000 maximum"]
)
def test_a_prompt_that_the_server_finds_too_long_says_what_to_lower(wire, words):
    assert f"Lower `tokens`, or set `context_window`. It says: {words}" in wire.refused(Play(status=400, said=words))


@pytest.mark.parametrize(
    "raw",
    [b"{not json}", b'{"choices": null}', b"[1, 2]", b'"text"', b"\xff\xfe", b"<html><body>Hi</body></html>", b""],
)
def test_what_is_no_chat_reply_is_told_plainly(wire, raw):
    line = raw + b"\n" if wire.protocol == "ollama" or raw.startswith(b"<") else b"data: " + raw + b"\n\n"
    error = wire.refused(Play(raw=line if raw else b""))
    assert "no chat reply" in error
    assert f"Check that the address speaks {NAMES[wire.protocol]}'s protocol." in error


def test_an_error_inside_the_stream_is_passed_on(wire):
    line = {
        "openai-like": b'data: {"error": {"message": "the GPU fell out"}}\n\n',
        "ollama": b'{"error": "the GPU fell out"}\n',
        "anthropic": b'data: {"type": "error", "error": {"type": "x", "message": "the GPU fell out"}}\n\n',
    }[wire.protocol]
    assert "reported an error while it wrote: the GPU fell out" in wire.refused(Play(raw=line))


def test_an_empty_reply_is_an_error_that_knows_its_reason(wire):
    assert "replied without a word" in wire.refused(Play(""))
    assert "Raise `max_output_tokens`" in wire.refused(Play("<think>So much to think", finish="length"))


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (Play(status=401, said="no"), "refused the key (401)"),
        (Play(status=429, headers=NOW), "(429, 3 times)"),
        (Play(status=500, headers=NOW), "(500, 3 times)"),
        (Play(silence=1.5), "fell silent before its first word"),
        (Play("one two three", drop=1), "broke off before its first word"),
        (Play(raw=b"<html>", kind="text/html"), "sent what is no chat reply (JSONDecodeError)"),
        (Play(raw=b'{"choices": null}'), "sent what is no chat reply (KeyError)"),
        (Play(raw=b'{"type": "error", "error": {"message": "the GPU fell out"}}'), "the GPU fell out"),
    ],
)
def test_what_goes_wrong_with_a_reply_in_one_piece(native, play, words):
    with pytest.raises(ModelError) as caught:
        native.whole(*[play] * 3, settings=Settings(timeout=1.0))
    assert words in str(caught.value)


def test_a_reply_in_one_piece_is_asked_for_again_too(native):
    assert native.whole(Play(status=429, headers=NOW), Play(status=500, headers=NOW)).message.content == TOWER
    assert native.opened().complete("How high?").text == TOWER
    assert next(part.delta for part in native.opened().stream_complete("How high?") if part.delta) == "The"


# What is sent


def test_keys_go_to_the_server_and_nowhere_else(native, monkeypatch):
    monkeypatch.setenv(KEYS[native.protocol], SECRET)
    llm = native.opened()
    "".join(stream(llm, ASKED, Settings()))
    headers = native.server.chats[0].headers
    if native.protocol == "anthropic":
        assert (headers["x-api-key"], headers["anthropic-version"]) == (SECRET, "2023-06-01")
        assert "authorization" not in headers
    else:
        assert headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(llm) + str(llm) + llm.to_json() + repr(vars(llm))
    assert SECRET.encode() not in pickle.dumps(llm)


def test_half_a_character_in_a_question_does_not_stop_it(native):
    assert "".join(stream(native.opened(), [("user", "How high \udc80?")], Settings())) == TOWER


def test_a_redirect_is_not_followed_with_the_key(native):
    away = Play(status=307, headers={"location": "http://127.0.0.1:1/elsewhere"})
    assert "sent what is no chat reply" in native.refused(away)


def test_a_key_with_a_strange_character_is_not_tried(anthropic, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-live\n0123456789")
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY holds a character that stands in no key"):
        anthropic.opened()


def test_no_proxy_stands_between_this_machine_and_itself(native, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert native.said() == TOWER


def test_classes_of_vendors_are_loaded_only_when_a_model_is_opened():
    script = "import sys, rag.models, rag.replies; print([m for m in ('httpx', 'rag.wire') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Anthropic


def test_anthropic_gets_the_system_beside_the_messages_and_no_empty_one(anthropic):
    asked = [("system", "Be brief."), ("user", "Hello?"), ("assistant", ""), ("user", "How high?")]
    "".join(stream(anthropic.opened(Settings(max_output_tokens=50)), asked, Settings(max_output_tokens=50)))
    (chat,) = anthropic.server.chats
    assert chat.path == "/v1/messages"
    assert chat.body == {
        "model": "tiny",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hello?"}, {"role": "user", "content": "How high?"}],
        "stream": True,
        "system": "Be brief.",
        "temperature": 0.0,
    }


def test_anthropic_counts_what_it_read_from_a_cache_or_put_into_one(anthropic):
    events = [
        b'{"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1, '
        b'"cache_creation_input_tokens": 20, "cache_read_input_tokens": 100}}}',
        b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Yes."}}',
        b'{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}',
        b'{"type": "message_stop"}',
    ]
    reply = anthropic.reply(Play(raw=b"".join(b"event: e\ndata: %b\n\n" % event for event in events)))
    assert "".join(reply) == "Yes."
    assert (reply.input_tokens, reply.output_tokens) == (125, 7)


@pytest.mark.parametrize(("kind", "status"), [("overloaded_error", 529), ("api_error", 500), ("rate_limit_error", 429)])
def test_anthropic_overloaded_within_the_stream_is_asked_again(anthropic, kind, status, monkeypatch):
    monkeypatch.setattr("rag.failures.RETRY_WAITS", (0.01, 0.01))
    failing = Play(raw=b'data: {"type": "error", "error": {"type": "%b", "message": "Full"}}\n\n' % kind.encode())
    assert anthropic.said(failing, failing) == TOWER
    assert f"({status}, 3 times)" in anthropic.refused(*[failing] * 3)


def test_a_model_that_minds_the_temperature_gets_none(anthropic):
    assert anthropic.said(Play(status=400, said="`temperature` is deprecated for this model.")) == TOWER
    assert ["temperature" in chat.body for chat in anthropic.server.chats] == [True, False]


def test_a_refusal_of_anthropics_is_told_apart(anthropic):
    assert "content filter of tiny refused" in anthropic.refused(Play("", finish="content_filter"))


# Ollama's window


def trained(wire: Wire, tokens: int, parameters: str = "", running: int = 0) -> None:
    loaded = [{"name": "tiny:latest", "context_length": running}] if running else []
    wire.server.pages = {
        "/api/show": {"model_info": {"qwen3.context_length": tokens}, "parameters": parameters},
        "/api/ps": {"models": loaded},
    }


def asked_for(wire: Wire, words: int = 5, settings: Settings | None = None) -> int:
    settings = settings or Settings()
    "".join(stream(wire.opened(settings), [("user", "tower " * words)], settings))
    body = wire.server.chats[-1].body
    assert (body["truncate"], body["shift"]) == (False, False)
    return body["options"]["num_ctx"]


def test_ollama_is_given_the_window_that_the_prompt_needs(ollama):
    trained(ollama, 131072)
    assert asked_for(ollama) == 4096
    assert asked_for(ollama, words=5000) == 12288  # 1.5 times 5,000 and 700 for the reply, in steps of 4,096
    assert asked_for(ollama, settings=Settings(max_output_tokens=5000)) == 8192


def test_ollama_keeps_the_window_it_runs_with_if_that_will_do(ollama):
    trained(ollama, 131072, running=32768)
    assert asked_for(ollama) == 32768
    trained(ollama, 131072, "stop  x\nnum_ctx    16384")
    assert asked_for(ollama) == 16384


def test_ollamas_window_is_bounded_by_its_training_and_by_the_setting(ollama):
    trained(ollama, 6000, running=4096)
    assert context_window(ollama.opened(), Settings()) == 6000
    assert asked_for(ollama, words=3000) == 6000
    narrow = Settings(context_window=5000)
    assert context_window(ollama.opened(narrow), narrow) == 5000
    assert asked_for(ollama, words=3000, settings=narrow) == 5000
    wide = Settings(context_window=100_000)
    assert context_window(ollama.opened(wide), wide) == 6000
    chats = len(ollama.server.chats)
    with pytest.raises(ModelError, match="tiny reads 6000: it would be cut"):
        stream(ollama.opened(), [("user", "tower " * 6000)], Settings())
    assert len(ollama.server.chats) == chats


def test_an_ollama_that_does_not_say_what_it_was_trained_for_is_taken_for_small(ollama):
    ollama.server.pages = {"/api/show": {}}
    assert context_window(ollama.opened(), Settings()) == 4096
    assert asked_for(ollama) == 4096
    assert context_window(ollama.opened(), Settings(context_window=9000)) == 9000


def test_a_model_that_ollama_lacks_is_known_before_anything_is_asked(ollama):
    ollama.server.pages = {}
    error = ollama.refused()
    assert "There is no model 'tiny'" in error
    assert "ollama pull tiny" in error
    assert not ollama.server.chats


def test_ollamas_own_refusal_to_cut_the_prompt_is_understood(ollama):
    inner = '{"error":{"code":400,"message":"request (8889 tokens) exceeds the available context size (4096 tokens)"}}'
    assert ollama.refused(Play(status=400, said=inner)) == (
        "The prompt is too long for tiny (400). Lower `tokens`, or set `context_window`. "
        "It says: request (8889 tokens) exceeds the available context size (4096 tokens)"
    )


def test_an_ollama_that_forgot_the_beginning_while_it_wrote_is_found_out(ollama):
    error = ollama.refused(Play("Yes.", usage=(4000, 700)))
    assert "read and wrote 4700 tokens in a window of 4096: the beginning of its prompt was lost" in error


def test_the_thoughts_of_ollamas_models_are_signs_of_life_and_no_text(ollama):
    thought = b'{"message": {"content": "", "thinking": "Hm"}, "done": false}\n'
    said = b'{"message": {"content": "Yes."}, "done": true, "done_reason": "stop"}\n'
    assert ollama.said(Play(raw=thought + said)) == "Yes."


# Answers


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("sample") / "index")
    kb.sync(SAMPLE)
    return kb


def test_an_answer_is_cited_and_the_stream_is_the_answer(wire, kb):
    wire.server.default = Play("The last keeper was Ewan Brough [b1.1]. Pigs fly [b99.9].", usage=(900, 20))
    events = list(kb.stream("Who was the last principal keeper?", model=wire.spec))
    assert isinstance(events[-1], Final)
    answer = events[-1].answer
    assert answer.text == "The last keeper was Ewan Brough [1]. Pigs fly."
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == answer.text
    (citation,) = answer.citations
    assert kb.document(citation.doc).text[citation.start : citation.end] == citation.quote
    assert answer.trace.dropped_labels == ("b99.9",)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (900, 20)
    again = kb.ask("Who was the last principal keeper?", model=wire.spec)
    assert (again.text, again.citations, again.sentences) == (answer.text, answer.citations, answer.sentences)
    assert answer.model == wire.spec


def test_a_conversation_goes_on_with_any_of_them(wire, kb):
    wire.server.script = [
        "Ewan Brough was the last keeper [b1.1].",
        "When did Ewan Brough, the last keeper, leave Skarn Head?",
        "He left in 1994 [b1.1].",
    ]
    chat = kb.chat(model=wire.spec)
    chat.ask("Who was the last principal keeper of Skarn Head?")
    answer = chat.ask("When did he leave?")
    assert answer.text == "He left in 1994 [1]."
    assert answer.trace.query == "When did Ewan Brough, the last keeper, leave Skarn Head?"
