"""One spec string -> a LlamaIndex `LLM`, and how much it can read. How replies are read is in `rag.replies`.

Ollama and Anthropic are spoken to in their own protocols (`rag.wire`), every other server in OpenAI's; that needs no
package per vendor. Keys are read from the environment when a model is opened, live inside the HTTP client only, and are
in no error and no repr.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from index.errors import ModelError
from rag.failures import called, is_loopback, reachable, where
from rag.replies import Reply, message_tokens, note_response, usage_of
from rag.settings import Settings

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["Reply", "check_fit", "context_window", "model_name", "open_model", "prompt_tokens", "stream", "usage_of"]

FORMS = (
    "extract, openai:NAME, anthropic:NAME, ollama:NAME, openai-like:NAME@BASE_URL (such as "
    "openai-like:qwen3@http://127.0.0.1:8000/v1), hf:PATH_OR_NAME, or a LlamaIndex LLM object"
)
SMALLEST_WINDOW = 4096
"""Assumed where nobody says: Ollama's default on most machines, and the least that is common."""

_RETRIES = 2
_CONNECT_SECONDS = 10.0
_ASK_SECONDS = 5.0
_REMEMBER_SECONDS = 300.0  # a server may be started anew with another window
_told: dict[tuple[str, str], tuple[float, int | None]] = {}
# Other tokenizers than cl100k, which counts here, need up to so many more tokens for the same prose.
_TOKENIZER_MARGIN = 1.1
_WINDOW_KEYS = ("max_model_len", "loaded_context_length", "context_length", "context_window", "max_context_length")


def open_model(spec: str | object, settings: Settings) -> LLM:
    """The model that `spec` names; nothing is sent to it yet. A LlamaIndex LLM object is given back as it is.

    Raises ModelError for a malformed spec, a missing key, or a model folder that cannot be read.
    """
    if not isinstance(spec, str):
        return _checked(spec)
    kind, _, name = spec.strip().partition(":")
    name = name.strip()
    if kind == "extract":
        raise ModelError("`extract` answers without a language model; there is none to open.")
    if kind not in ("openai", "anthropic", "ollama", "openai-like", "hf") or not name:
        raise ModelError(f"The model spec {spec!r} is not understood; expected one of: {FORMS}.")
    if kind == "openai":
        base = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return _openai(name, base, _key("OPENAI_API_KEY", spec), settings)
    if kind == "anthropic":
        from rag.wire.anthropic import open_anthropic

        return open_anthropic(name, _anthropic_base(), _key("ANTHROPIC_API_KEY", spec), settings)
    if kind == "ollama":
        from rag.wire.ollama import open_ollama

        return open_ollama(name, _ollama_base(), os.environ.get("OLLAMA_API_KEY", "").strip(), settings)
    if kind == "openai-like":
        name, base = _name_and_base(spec, name)
        return _openai_like(name, base, os.environ.get("OPENAI_LIKE_API_KEY") or "none", settings)
    from rag.hf import open_hf

    return open_hf(name, settings)


def model_name(llm: LLM) -> str:
    """What to call the model in answers and errors."""
    try:
        return str(llm.metadata.model_name)
    except ValueError:  # LlamaIndex's OpenAI knows no window for a new name, and therefore no metadata
        return called(llm)


def context_window(llm: LLM, settings: Settings) -> int:
    """Tokens that the model can read and write together.

    Ollama's is set with each request: it is what the model was trained for, within the setting. Of others, in this
    order: the setting; what the LLM object declares; what its server says (vLLM and others in /v1/models, llama.cpp in
    /props, Ollama behind an `openai-like:` in /api/show and /api/ps), remembered for some minutes; else
    `SMALLEST_WINDOW`. Raises ModelError if the server cannot be reached.
    """
    widest = getattr(llm, "widest", None)
    if callable(widest):
        return min(filter(None, (widest(), settings.context_window)), default=SMALLEST_WINDOW)
    if settings.context_window is not None:
        return settings.context_window
    declared = _declared_window(llm)
    base = getattr(llm, "api_base", None)
    if declared > SMALLEST_WINDOW or not base or not hasattr(llm, "_get_client"):
        return declared or SMALLEST_WINDOW
    key, now = (str(base), called(llm)), time.monotonic()
    if key not in _told or now - _told[key][0] > _REMEMBER_SECONDS:
        _told[key] = (now, _told_window(llm, str(base).rstrip("/")))
    return _told[key][1] or declared or SMALLEST_WINDOW


def stream(llm: LLM, messages: Sequence[tuple[str, str]], settings: Settings, window: int | None = None) -> Reply:
    """The reply to (role, text) messages, an iterator of text pieces; see `Reply`.

    Raises ModelError at once if the prompt would be cut (`check_fit`).
    """
    check_fit(llm, messages, settings, window)
    return Reply(llm, messages, settings)


def check_fit(llm: LLM, messages: Sequence[tuple[str, str]], settings: Settings, window: int | None = None) -> int:
    """Tokens of the prompt. Raises ModelError if it and the longest reply exceed the window and would be cut.

    Exact for `hf:`; else cl100k tokens and a tenth, since the model's own tokenizer is not known.
    """
    window = window or context_window(llm, settings)
    prompt = prompt_tokens(llm, messages)
    if prompt + settings.max_output_tokens > window:
        raise ModelError(
            f"The prompt has about {prompt} tokens and the reply may take {settings.max_output_tokens}, but "
            f"{model_name(llm)} reads {window}: it would be cut. Lower `tokens` (now {settings.tokens}) or "
            "`max_output_tokens`, or set `context_window` if the model reads more."
        )
    return prompt


def prompt_tokens(llm: LLM, messages: Sequence[tuple[str, str]]) -> int:
    """Tokens of the prompt: exact for `hf:`, else cl100k tokens and a tenth."""
    exact = getattr(llm, "prompt_tokens", None)
    return int(exact(messages)) if callable(exact) else round(_TOKENIZER_MARGIN * message_tokens(messages))


def _checked(spec: object) -> LLM:
    if callable(getattr(spec, "stream_chat", None)) and hasattr(spec, "metadata"):
        return spec
    raise ModelError(f"A {type(spec).__name__} is no model; expected one of: {FORMS}.")


def _key(variable: str, spec: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(f"The model {spec} needs a key, but {variable} is not set. Type: export {variable}=...")
    if not key.isascii() or not key.isprintable():
        raise ModelError(f"{variable} holds a character that stands in no key. Type: export {variable}=...")
    return key


def _anthropic_base() -> str:
    root = (os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com").rstrip("/")
    return root if root.endswith("/v1") else f"{root}/v1"


def _ollama_base() -> str:
    host = os.environ.get("OLLAMA_HOST", "").strip() or "127.0.0.1:11434"
    parts = urlsplit(host if "://" in host else f"http://{host}")
    # A server listens on 0.0.0.0; nobody can be called there.
    name = "127.0.0.1" if parts.hostname in (None, "0.0.0.0") else parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80 if "://" in host else 11434)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}{path}"


def _name_and_base(spec: str, text: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+?)@(https?://[^\s/]+)(/\S*)?", text)
    if found is None:
        raise ModelError(
            f"The model spec {where(spec)!r} lacks its server; expected openai-like:NAME@BASE_URL with a BASE_URL such "
            "as http://127.0.0.1:8000/v1."
        )
    name, server, path = found.groups(default="")
    return name, server + (path.rstrip("/") or "/v1")  # a bare host means the usual /v1


def _openai(name: str, base: str, key: str, settings: Settings) -> LLM:
    from llama_index.llms.openai import OpenAI

    try:
        llm = OpenAI(**_arguments(name, base, key, settings))
        if not llm.metadata.is_chat_model:
            raise ModelError(f"{name} of OpenAI is no chat model; choose one that is.")
    except ValueError:  # a model newer than LlamaIndex's table
        return _openai_like(name, base, key, settings)
    return llm


def _openai_like(name: str, base: str, key: str, settings: Settings) -> LLM:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(
        **_arguments(name, base, key, settings),
        is_chat_model=True,
        context_window=settings.context_window or SMALLEST_WINDOW,
    )


def _arguments(name: str, base: str, key: str, settings: Settings) -> dict[str, Any]:
    import httpx
    import openai

    # Any gap in the stream counts against `timeout`; a host that does not even connect is not worth that long.
    timeout = httpx.Timeout(settings.timeout, connect=min(_CONNECT_SECONDS, settings.timeout))
    shared: dict[str, Any] = {"api_key": key, "base_url": base, "timeout": timeout, "max_retries": 0}
    proxied = not is_loopback(base)  # a proxy for the outside world cannot reach this machine
    return {
        "model": name,
        "api_base": base,
        "api_key": "held by the client",  # this field is printed by repr()
        "temperature": 0.0,
        "max_tokens": settings.max_output_tokens,
        "max_retries": _RETRIES,
        "timeout": settings.timeout,
        "additional_kwargs": {"stream_options": {"include_usage": True}},
        "openai_client": openai.OpenAI(
            **shared,
            http_client=openai.DefaultHttpxClient(
                timeout=timeout, trust_env=proxied, event_hooks={"response": [note_response]}
            ),
        ),
        "async_openai_client": openai.AsyncOpenAI(
            **shared, http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, trust_env=proxied)
        ),
    }


def _declared_window(llm: LLM) -> int:
    try:
        return int(llm.metadata.context_window or 0)
    except ValueError:
        return 0


def _told_window(llm: Any, base: str) -> int | None:
    root = base.removesuffix("/v1")
    listed = _asked(llm, f"{base}/models", must_answer=True)
    entries = [e for e in _items(listed.get("data")) if e.get("id") == llm.model] or _items(listed.get("data"))[:1]
    for entry in entries:
        meta = entry.get("meta")
        told = [entry.get(key) for key in _WINDOW_KEYS] + [meta.get("n_ctx") if isinstance(meta, Mapping) else None]
        if window := _first_number(told):
            return window
    if base.startswith("https:"):  # a hosted service; llama.cpp and Ollama are called by plain http
        return None
    props = _asked(llm, f"{root}/props")
    generation = props.get("default_generation_settings")
    slot = generation.get("n_ctx") if isinstance(generation, Mapping) else None
    return _first_number([slot, props.get("n_ctx")]) or _ollama_window(llm, root)


def _ollama_window(llm: Any, root: str) -> int | None:
    """What Ollama runs the model with; the length it was trained for is no window, longer prompts are cut silently."""
    shown = _asked(llm, f"{root}/api/show", {"model": llm.model})
    found = re.search(r"^num_ctx\s+(\d+)", str(shown.get("parameters", "")), re.MULTILINE)
    if found:
        return int(found[1])
    running = _items(_asked(llm, f"{root}/api/ps").get("models")) if shown else []
    names = (llm.model, f"{llm.model}:latest")
    return _first_number([e.get("context_length") for e in running if e.get("name") in names])


def _asked(llm: Any, url: str, body: object = None, must_answer: bool = False) -> Mapping[str, Any]:
    """What the model's server says there, {} if it has nothing to say; with the model's own client and key."""
    client = llm._get_client()
    options = {"timeout": _ASK_SECONDS, "max_retries": 0}
    try:
        if body is None:
            told = client.get(url, cast_to=object, options=options)
        else:
            told = client.post(url, cast_to=object, body=body, options=options)
    except Exception as error:
        if must_answer:
            reachable(error, llm)
        return {}
    return told if isinstance(told, Mapping) else {}


def _items(told: object) -> list[Mapping[str, Any]]:
    return [e for e in told if isinstance(e, Mapping)] if isinstance(told, list) else []


def _first_number(told: Sequence[object]) -> int | None:
    return next((n for n in told if isinstance(n, int) and n > 0), None)
