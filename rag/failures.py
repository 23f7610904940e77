"""What went wrong between us and a model's server: one plain sentence, and whether another try helps. Calls nobody.

Errors are told apart by what they carry (an HTTP status, a cause's class name), not by their own class: any LlamaIndex
`LLM` may have raised them, with whatever SDK it uses. No key gets into a sentence.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from index.errors import ModelError

RETRY_WAITS = (0.5, 2.0)
"""Seconds before the second and the third try; a server's Retry-After counts instead, up to `LONGEST_WAIT`."""

LONGEST_WAIT = 20.0

_LOST = ("RemoteProtocolError", "ConnectionError", "ReadError", "APIConnectionError", "IncompleteRead")
_SLOW = ("TimeoutException", "TimeoutError", "APITimeoutError")
_MALFORMED = ("JSONDecodeError", "TypeError", "AttributeError", "KeyError", "ValidationError", "ValueError")


def wait_before_retry(error: Exception, tries: int, llm: Any) -> float | None:
    """Seconds to wait before the next try, `tries` being done; None: another try is of no use.

    Where the server only minds an optional parameter, `llm` goes on without it.
    """
    status = _status(error)
    if status in (400, 422) and tries <= len(RETRY_WAITS) and _conceded(error, llm):
        return 0.0
    if tries > len(RETRY_WAITS):
        return None
    if status is not None:
        if status != 429 and status < 500:
            return None
        asked = _retry_after(error)
        return RETRY_WAITS[tries - 1] if asked is None else asked if asked <= LONGEST_WAIT else None
    lost = _is(error, "ConnectError", *_LOST) and not _is(error, "gaierror", *_SLOW)
    return RETRY_WAITS[0] if lost and tries == 1 else None


def _conceded(error: Exception, llm: Any) -> bool:
    """Whether the server names an optional parameter that it will not take, and `llm` now does without."""
    said = _server_words(error)
    extra = getattr(llm, "additional_kwargs", None)
    if not isinstance(extra, dict):
        return False
    if "stream_options" in said and extra.pop("stream_options", None):
        return True
    if "max_completion_tokens" in said and getattr(llm, "max_tokens", None):
        extra["max_completion_tokens"], llm.max_tokens = llm.max_tokens, None
        return True
    if "temperature" in said and getattr(llm, "temperature", None) == 0.0:
        llm.temperature = 1.0
        return True
    return False


def reachable(error: Exception, llm: Any) -> None:
    """Raise ModelError if `error` means that nobody answers there; any other answer shows that somebody does."""
    if _status(error) is None and _is(error, "ConnectError", "ConnectTimeout", "ConnectionError"):
        raise ModelError(_unreached(error, llm)) from None


def explained(error: Exception, llm: Any, tries: int, begun: bool, timeout: float) -> str:
    """What happened and what to do, in a sentence or two; `begun`: text had come, `timeout`: the limit in seconds."""
    name, at = called(llm), _place(llm)
    status = _status(error)
    if status is not None:
        return _status_explained(status, error, llm, tries)
    if _is(error, "ConnectError", "ConnectTimeout"):
        return _unreached(error, llm)
    when = "in the middle of its reply" if begun else "before its first word"
    if _is(error, *_SLOW):
        todo = (
            "Ask again."
            if begun
            else "Raise `timeout`, lower `tokens` so that it has less to read, or choose a smaller model."
        )
        said = f"{name}{at} fell silent {when}: nothing came for {timeout:g} s. {todo}"
    elif _is(error, *_LOST):
        said = f"{name}{at} broke off {when}: the connection was lost. Look at the server's log, then ask again."
    elif _is(error, "APIError"):
        said = f"{name}{at} reported an error while it wrote: {_server_words(error) or 'it gave no reason'}"
    elif _is(error, *_MALFORMED):
        todo = f"Check that the address speaks {_protocol(llm)}'s protocol."
        said = f"{name}{at} sent what is no chat reply ({type(error).__name__}). {todo}"
    else:
        said = f"{name}{at} failed with {type(error).__name__}: {_without_keys(str(error))}"
    return said


def _status_explained(status: int, error: Exception, llm: Any, tries: int) -> str:
    name, at = called(llm), _place(llm)
    said = _server_words(error)
    times = "once" if tries == 1 else f"{tries} times"
    if status in (401, 403):
        what = f"The server{at} refused the key ({status}). Check {_key_variable(llm)}."
    elif status == 404:
        pull = f" If it is not there yet, type: ollama pull {name}" if _is_ollama(llm) else ""
        what = f"There is no model {name!r}{at}, or the address is wrong (404). Check both.{pull}"
    elif status == 429:
        what = f"{name}{at} takes no more requests, or its quota is spent (429, {times}). Wait, then ask again."
    elif status >= 500:
        what = f"The server{at} failed ({status}, {times}). Look at its log, or ask again later."
    elif re.search(r"context|prompt is too long", said, re.IGNORECASE):
        what = f"The prompt is too long for {name} ({status}). Lower `tokens`, or set `context_window`."
    else:
        what = f"The server{at} rejected the request ({status})."
    return f"{what} It says: {said}" if said else what


def _unreached(error: BaseException, llm: Any) -> str:
    at = _place(llm)
    if _is(error, "gaierror"):
        return f"The host of {called(llm)}{at} cannot be found. Check the address and the network."
    start = "Type: ollama serve" if _is_ollama(llm) else "Start the server, or check the address in the model spec."
    return f"No model server answers{at}. {start}"


def called(llm: Any) -> str:
    """The model's name."""
    return str(getattr(llm, "model", None) or getattr(llm, "model_name", None) or type(llm).__name__)


def _place(llm: Any) -> str:
    base = getattr(llm, "api_base", None)
    return f" at {where(str(base))}" if base else ""


def _protocol(llm: Any) -> str:
    return str(getattr(llm, "protocol", "OpenAI"))


def _is_ollama(llm: Any) -> bool:
    return _protocol(llm) == "Ollama" or ":11434" in str(getattr(llm, "api_base", ""))


def where(url: str) -> str:
    """The URL without a user name and password that may be in it."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", url)


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _key_variable(llm: Any) -> str:
    if own := getattr(llm, "key_variable", None):
        return str(own)
    if "anthropic" in str(getattr(llm, "api_base", "")) or called(llm).startswith("claude"):
        return "ANTHROPIC_API_KEY"
    return "OPENAI_LIKE_API_KEY" if "OpenAILike" in type(llm).__name__ else "OPENAI_API_KEY"


def _status(error: BaseException) -> int | None:
    found = (getattr(e, "status_code", None) for e in _chain(error))
    return next((s for s in found if isinstance(s, int) and s >= 400), None)


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks us to wait, which it may say as a date."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    said = str(headers.get("retry-after", ""))
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None


def _server_words(error: Exception) -> str:
    """What the server said of it, short, on one line, with nothing that could be a key."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        inner = body.get("error")
        body = (inner.get("message") if isinstance(inner, Mapping) else _unwrapped(inner)) or body.get("message")
    said = " ".join(str(body or getattr(error, "message", "")).split())
    return _without_keys(said[:300])


def _unwrapped(said: object) -> object:
    """What another server's error says, which Ollama passes on as it came: JSON in a string."""
    try:
        inner = json.loads(said)["error"]["message"] if isinstance(said, str) else said
    except (ValueError, TypeError, KeyError):
        return said
    return inner


def _without_keys(text: str) -> str:
    for variable, value in os.environ.items():
        if len(value) >= 8 and variable.endswith(("KEY", "TOKEN", "SECRET")):
            text = text.replace(value, "***")
    return re.sub(r"\b(?:sk|pk|key)-[\w*-]{4,}|(?<=Bearer )\S+", "***", text)


def _is(error: BaseException, *names: str) -> bool:
    """Whether the error, a class that it derives from, or one of its causes has one of these names."""
    return any(kind.__name__ in names for each in _chain(error) for kind in type(each).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    for _ in range(8):  # chains are short; one that bites its tail must not hang us
        if each is None:
            return
        yield each
        # Not __context__: that may be whatever the caller is just handling. httpcore keeps the cause in its arguments.
        each = each.__cause__ or next((arg for arg in each.args if isinstance(arg, BaseException)), None)
