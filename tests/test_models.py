"""Specs, keys, windows and costs of models; a tiny random one in this process. For servers' protocols: test_wire.py."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_server import Play, ScriptedServer

from index.errors import ModelError, SettingsError
from rag import models
from rag.context import Context, Source
from rag.models import check_fit, context_window, model_name, open_model, stream, usage_of
from rag.prompts import NOT_FOUND, SYSTEM, is_refusal, messages
from rag.settings import Settings

ASKED = [("system", "Be brief."), ("user", "How high is the tower?")]
SECRET = "sk-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "OLLAMA_HOST",
        "OPENAI_LIKE_API_KEY",
        "OLLAMA_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    models._told.clear()  # a later server may get the port of an earlier one


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer("The tower is 30 m high [b1.1].") as running:
        yield running


def opened(server: ScriptedServer, settings: Settings | None = None):
    return open_model(f"openai-like:tiny@{server.url}", settings or Settings())


def said(server: ScriptedServer, *script: str | Play, settings: Settings | None = None) -> str:
    server.script.extend(script)
    settings = settings or Settings()
    return "".join(stream(opened(server, settings), ASKED, settings))


# Specs


@pytest.mark.parametrize(
    "spec", ["", "gpt-4o", "openai:", "bedrock:claude", "openai-like:tiny", "openai-like:@http://x"]
)
def test_a_malformed_spec_names_the_forms(spec):
    with pytest.raises(ModelError, match="openai-like:NAME@BASE_URL"):
        open_model(spec, Settings())


def test_an_object_that_is_no_llm_is_refused_and_one_that_is_comes_back_as_it_is(server):
    with pytest.raises(ModelError, match="expected one of"):
        open_model(42, Settings())
    llm = opened(server)
    assert open_model(llm, Settings()) is llm


@pytest.mark.parametrize(
    ("spec", "variable"),
    [("openai:gpt-4o-mini", "OPENAI_API_KEY"), ("anthropic:claude-haiku-4-5", "ANTHROPIC_API_KEY")],
)
def test_a_missing_key_is_named(spec, variable):
    with pytest.raises(ModelError, match=f"export {variable}="):
        open_model(spec, Settings())


def test_the_key_is_sent_but_stands_in_no_repr(server, monkeypatch):
    monkeypatch.setenv("OPENAI_LIKE_API_KEY", SECRET)
    llm = opened(server)
    "".join(stream(llm, ASKED, Settings()))
    assert server.chats[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(llm) + str(llm) + llm.to_json()


@pytest.mark.parametrize(
    ("spec", "variable", "address", "key"),
    [
        ("openai:gpt-4o-mini", "OPENAI_BASE_URL", "{url}", "OPENAI_API_KEY"),
        ("openai:a-name-of-tomorrow", "OPENAI_BASE_URL", "{url}", "OPENAI_API_KEY"),
        ("anthropic:claude-haiku-4-5", "ANTHROPIC_BASE_URL", "{root}", "ANTHROPIC_API_KEY"),
        ("ollama:qwen3", "OLLAMA_HOST", "{root}", None),
    ],
)
def test_every_vendor_streams_from_the_address_in_its_variable(server, monkeypatch, spec, variable, address, key):
    monkeypatch.setenv(variable, address.format(url=server.url, root=server.root))
    if key:
        monkeypatch.setenv(key, SECRET)
    llm = open_model(spec, Settings())
    assert "".join(stream(llm, ASKED, Settings())) == "The tower is 30 m high [b1.1]."
    assert server.chats[0].body["model"] == spec.partition(":")[2] == model_name(llm)
    assert server.chats[0].body["stream"] is True


def test_a_bare_host_means_v1(server):
    llm = open_model(f"openai-like:tiny@{server.root}", Settings())
    assert "".join(stream(llm, ASKED, Settings())).startswith("The tower")


def test_ollama_host_may_lack_scheme_and_name_the_listening_address(server, monkeypatch):
    port = server.root.rpartition(":")[2]
    monkeypatch.setenv("OLLAMA_HOST", f"0.0.0.0:{port}")
    assert open_model("ollama:qwen3", Settings()).api_base == f"http://127.0.0.1:{port}"
    monkeypatch.setenv("OLLAMA_HOST", "https://models.example/ollama/v1")
    assert open_model("ollama:qwen3", Settings()).api_base == "https://models.example:443/ollama"


# What is sent


def test_the_sources_come_first_and_the_question_after_them(server):
    source = Source("b1.1", "a.md", 0, 20, None, "The tower is 30 m high.")
    context = Context("b1: a.md\n[b1.1] The tower is 30 m high.", {"b1.1": source})
    asked = messages(context, "How high is it?", [("Is there a tower?", "Yes [1], there is [2].")])
    "".join(stream(opened(server), asked, Settings()))
    sent = server.chats[0].body["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert sent[0]["content"] == SYSTEM
    assert NOT_FOUND in SYSTEM
    assert sent[2]["content"] == "Yes, there is."
    assert sent[3]["content"].index("[b1.1] The tower") < sent[3]["content"].index("How high is it?")
    assert sent[3]["content"].endswith("Question: How high is it?")


def test_the_request_is_deterministic_and_bounded(server):
    said(server, settings=Settings(max_output_tokens=50))
    body = server.chats[0].body
    assert (body["temperature"], body["max_tokens"], body["stream_options"]) == (0.0, 50, {"include_usage": True})


def test_a_refusal_is_known_with_and_without_its_full_stop():
    assert is_refusal(NOT_FOUND)
    assert is_refusal(f" {NOT_FOUND.rstrip('.')} [1]\n")
    assert not is_refusal(f"{NOT_FOUND} But the tower is 30 m high.")


# What comes back


def test_thoughts_are_left_out(server):
    assert said(server, "<think>Hm, <b> 30?\n\nYes.</think>\n\nIt is 30 m.") == "It is 30 m."
    assert said(server, "<thin ice is dangerous.") == "<thin ice is dangerous."


def test_a_price_of_the_user_comes_before_ours_and_an_unknown_one_gives_no_cost(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    server.default = Play("Yes.", usage=(1_000_000, 100_000))
    reply = stream(open_model("openai:gpt-4o-mini-2024-07-18", Settings()), ASKED, Settings(), window=9999)
    "".join(reply)
    assert usage_of(reply).cost == pytest.approx(0.15 + 0.06)
    assert usage_of(reply, prices={"gpt-4o-mini": (1.0, 2.0)}).cost == pytest.approx(1.2)
    reply.llm.model, reply.llm.api_base = "unheard-of", "https://models.example/v1"
    assert usage_of(reply).cost is None


def test_it_works_inside_a_running_event_loop(server):
    async def ask() -> str:
        return said(server)

    assert asyncio.run(ask()) == "The tower is 30 m high [b1.1]."


# What goes wrong


def test_nobody_listening_is_told_with_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    llm = open_model(f"openai-like:tiny@http://me:{SECRET}@127.0.0.1:{port}/v1", Settings(context_window=4096))
    with pytest.raises(ModelError, match=f"No model server answers at http://127.0.0.1:{port}/v1"):
        "".join(stream(llm, ASKED, Settings(context_window=4096)))
    with pytest.raises(ModelError, match="Start the server"):
        context_window(llm, Settings())


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        ("Unknown parameter: stream_options", "stream_options"),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
    ],
)
def test_an_optional_parameter_that_the_server_minds_is_left_out(server, words, left_out):
    assert said(server, Play(status=400, said=words)).startswith("The tower")
    assert left_out in server.chats[0].body
    assert left_out not in server.chats[1].body


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionResetError("gone"), "mine broke off before its first word"),
        (TimeoutError(), "mine fell silent before its first word"),
        (RuntimeError(f"bad luck with {SECRET}"), "mine failed with RuntimeError: bad luck with ***"),
    ],
)
def test_the_error_of_any_llm_object_becomes_a_sentence(error, sentence, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    with pytest.raises(ModelError, match=re.escape(sentence)):
        "".join(stream(own_llm([], error), ASKED, Settings()))


def test_any_llm_object_streams_even_one_that_gives_only_the_text_so_far():
    assert list(stream(own_llm(["The ", "The tower"]), ASKED, Settings())) == ["The ", "tower"]


def own_llm(texts: list[str], error: Exception | None = None):
    """An LLM object of a user: a model of LlamaIndex's with its own way to stream."""
    from llama_index.core.llms import ChatMessage, ChatResponse, MockLLM

    class Own(MockLLM):
        model: str = "mine"

        def stream_chat(self, messages, **_):
            def chunks():
                for text in texts:
                    yield ChatResponse(message=ChatMessage(role="assistant", content=text))
                if error:
                    raise error

            return chunks()

    return Own()


# The window


def test_the_window_is_the_setting_else_what_the_server_says_else_4096(server):
    assert context_window(opened(server), Settings(context_window=1234)) == 1234
    assert context_window(opened(server), Settings()) == 8192


@pytest.mark.parametrize(
    ("pages", "window"),
    [
        ({}, 4096),
        ({"/v1/models": {"data": [{"id": "tiny", "meta": {"n_ctx_train": 131072}}]}}, 4096),
        ({"/props": {"default_generation_settings": {"n_ctx": 6144}}}, 6144),
        (
            {"/api/show": {"parameters": "stop  x\nnum_ctx    16384", "model_info": {"llama.context_length": 131072}}},
            16384,
        ),
        (
            {"/api/show": {"model_info": {}}, "/api/ps": {"models": [{"name": "tiny:latest", "context_length": 5000}]}},
            5000,
        ),
        ({"/api/show": {"model_info": {"llama.context_length": 131072}}, "/api/ps": {"models": []}}, 4096),
        ({"/v1/models": "not what was expected"}, 4096),
    ],
)
def test_the_window_is_the_one_the_server_runs_with(server, pages, window):
    server.pages = pages
    assert context_window(opened(server), Settings()) == window


def test_a_prompt_that_would_be_cut_raises_before_anything_is_asked(server):
    long = [("user", "tower " * 8000)]
    with pytest.raises(ModelError, match="tiny reads 8192: it would be cut"):
        stream(opened(server), long, Settings())
    assert not server.chats
    assert check_fit(opened(server), ASKED, Settings()) < 30


# In this process


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 100 thousand weights with a byte-level tokenizer trained on one sentence."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>", "<|user|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    raw.train_from_iterator(["How high is the tower? The tower is 30 m high."] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<|user|>{{ m.content }}{% endfor %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, pad_token_id=0, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_in_this_process_streams_and_counts_exactly(tiny):
    settings = Settings(max_output_tokens=12)
    llm = open_model(f"hf:{tiny}", settings)
    assert context_window(llm, settings) == 512
    reply = stream(llm, ASKED, settings)
    assert len(list(reply)) > 1
    assert reply.cut
    assert reply.input_tokens == check_fit(llm, ASKED, settings)
    assert reply.output_tokens == 12
    assert usage_of(reply).cost == 0.0
    again = stream(llm, ASKED, settings)
    assert "".join(again) == reply.text
    assert llm.complete("How high?").text


def test_a_model_in_this_process_stops_when_its_reply_is_closed(tiny):
    settings = Settings(max_output_tokens=400)
    llm = open_model(f"hf:{tiny}", settings)
    reply = stream(llm, ASKED, settings)
    next(reply)
    reply.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hf:")]


def test_a_prompt_too_long_for_a_model_in_this_process_raises(tiny):
    settings = Settings(max_output_tokens=20)
    with pytest.raises(ModelError, match="reads 512: it would be cut"):
        stream(open_model(f"hf:{tiny}", settings), [("user", "tower " * 600)], settings)


def test_a_folder_without_a_model_is_named(tmp_path):
    for spec in (f"hf:{tmp_path}", f"hf:{tmp_path}/missing"):
        with pytest.raises(ModelError, match=str(tmp_path)):
            open_model(spec, Settings())


def test_prices_are_settings(server, monkeypatch):
    server.script.append(Play("Yes.", usage=(1_000_000, 500_000)))
    settings = Settings.from_dict({"prices": {"tiny": [2, 4.0]}})
    reply = stream(opened(server, settings), ASKED, settings)
    assert "".join(reply) == "Yes."
    assert usage_of(reply).cost == 4.0
    with pytest.raises(SettingsError, match="two numbers"):
        Settings.from_dict({"prices": {"tiny": 2}})


def test_turns_before_give_way_where_the_window_is_small(server):
    from rag.answer import Rag

    kb = Rag("index", Settings(min_confidence=0, context_window=1200, max_output_tokens=100))
    kb.add("The tower was built in 1868. It is 34 metres high.", "tower.txt")
    history = [(f"Question {n} of the tower?", "It was so and so. " * 40) for n in range(6)]
    answer = kb.ask("When was the tower built?", model=f"openai-like:tiny@{server.url}", history=history)
    assert answer.sentences
    asked = [m["content"] for m in server.chats[-1].body["messages"] if m["role"] == "user"]
    assert 1 < len(asked) < 7
    assert asked[-2] == "Question 5 of the tower?"
