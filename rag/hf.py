"""A Hugging Face model in this process, behind LlamaIndex's `LLM`. Speaks to no server and caches no weights itself.

Written here because the ready-made HuggingFaceLLM cannot be stopped while it writes and needs accelerate.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from index.errors import ModelError
from rag.settings import Settings

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

_STOP_SECONDS = 5.0


class HfModel:
    """A tokenizer and a causal language model on the best device here: CUDA in bfloat16 where it can, else the CPU.

    `name` is a folder or a name on the hub; what the local cache holds is used without asking the network. Code that
    comes with a model is never run. Raises ModelError if it cannot be loaded.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        import torch

        self.name = name
        self.timeout = settings.timeout
        cuda = torch.cuda.is_available()
        self.device = "cuda" if cuda else "cpu"
        dtype = torch.float32 if not cuda else torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        self.tokenizer, model = _loaded(name, dtype)
        self.model = model.to(self.device).eval()
        config = self.model.config.get_text_config()
        self.window = int(getattr(config, "max_position_embeddings", 0) or 0)
        # Greedy, whatever the model's own generation settings say: the same question gives the same answer.
        own = self.model.generation_config
        own.do_sample, own.temperature, own.top_p, own.top_k = False, None, None, None
        if own.pad_token_id is None:
            own.pad_token_id = own.eos_token_id[0] if isinstance(own.eos_token_id, list) else own.eos_token_id
        self._turn = threading.Lock()  # one answer at a time: two would share the memory and both be slow

    def encoded(self, messages: Sequence[tuple[str, str]]) -> Any:
        """Token ids of the chat, a tensor of shape (1, tokens), ending where the model is to begin."""
        chat = [{"role": role, "content": text} for role, text in messages]
        if not self.tokenizer.chat_template:  # a base model: the plain words, a blank line between
            text = "\n\n".join(text for _, text in messages) + "\n\nAnswer:"
            return self.tokenizer(text, return_tensors="pt").input_ids
        options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
        try:
            return self.tokenizer.apply_chat_template(chat, **options).input_ids
        except Exception as error:
            # Some templates (Gemma, early Mistral) raise on a system message: it then opens the next turn.
            if len(chat) < 2 or chat[0]["role"] != "system":
                raise ModelError(f"The chat template of {self.name} failed: {error}") from error
            joined = [{**chat[1], "content": f"{chat[0]['content']}\n\n{chat[1]['content']}"}, *chat[2:]]
            return self.tokenizer.apply_chat_template(joined, **options).input_ids

    def stream(self, ids: Any, most: int) -> Generator[str, None, int]:
        """Text for the token ids, `most` tokens at most; returns how many it wrote. Closing it stops the model."""
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        stop = threading.Event()
        written = 0

        class Stopped(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                nonlocal written
                written = int(input_ids.shape[1] - ids.shape[1])
                return torch.full((input_ids.shape[0],), stop.is_set(), dtype=torch.bool, device=input_ids.device)

        streamer = TextIteratorStreamer(
            self.tokenizer, skip_prompt=True, timeout=self.timeout, skip_special_tokens=True
        )
        failed: list[Exception] = []

        def write() -> None:
            try:
                with self._turn, torch.inference_mode():
                    if not stop.is_set():
                        self.model.generate(
                            inputs=ids.to(self.device),
                            attention_mask=torch.ones_like(ids).to(self.device),
                            max_new_tokens=most,
                            streamer=streamer,
                            stopping_criteria=StoppingCriteriaList([Stopped()]),
                        )
            except Exception as error:
                failed.append(error)
                streamer.on_finalized_text("", stream_end=True)

        thread = threading.Thread(target=write, name=f"hf:{self.name}", daemon=True)
        thread.start()
        try:
            yield from (piece for piece in streamer if piece)
        except queue.Empty:
            raise TimeoutError(f"no token for {self.timeout:g} s") from None
        finally:
            stop.set()
            thread.join(_STOP_SECONDS)
        if failed:
            said = f"{type(failed[0]).__name__}: {failed[0]}"
            raise ModelError(f"{self.name} failed while it wrote: {said}") from failed[0]
        return written


def open_hf(name: str, settings: Settings) -> LLM:
    """The model behind LlamaIndex's `LLM`, with `prompt_tokens(messages)` for an exact count."""
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
    from llama_index.core.llms import CustomLLM

    loaded = HfModel(name, settings)
    most = settings.max_output_tokens

    class Hf(CustomLLM):  # type: ignore[misc]
        """Chat and completion of one in-process model."""

        model: str = name

        @property
        def metadata(self) -> Any:
            window = loaded.window or settings.context_window or 4096
            return LLMMetadata(context_window=window, num_output=most, is_chat_model=True, model_name=name)

        def prompt_tokens(self, messages: Sequence[tuple[str, str]]) -> int:
            """Tokens of the prompt, by the model's own tokenizer and chat template."""
            return int(loaded.encoded(messages).shape[1])

        def stream_chat(self, messages: Sequence[ChatMessage], **_: Any) -> Iterator[ChatResponse]:
            ids = loaded.encoded([(m.role.value, m.content or "") for m in messages])
            text, written = "", 0

            def pieces() -> Iterator[str]:
                nonlocal written
                written = yield from loaded.stream(ids, most)

            for piece in pieces():
                text += piece
                yield ChatResponse(message=ChatMessage(role="assistant", content=text), delta=piece)
            # The end as servers tell it, so that a reply that was cut is known here too.
            end = SimpleNamespace(finish_reason="length" if written >= most else "stop")
            yield ChatResponse(
                message=ChatMessage(role="assistant", content=text),
                delta="",
                raw=SimpleNamespace(choices=[end]),
                additional_kwargs={"prompt_tokens": int(ids.shape[1]), "completion_tokens": written},
            )

        def chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:
            last = ChatResponse(message=ChatMessage(role="assistant", content=""))
            for last in self.stream_chat(messages, **options):  # noqa: B007
                pass
            return last

        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[CompletionResponse]:
            text = ""
            for part in self.stream_chat([ChatMessage(role="user", content=prompt)]):
                text += part.delta or ""
                yield CompletionResponse(text=text, delta=part.delta)

        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="".join(part.delta or "" for part in self.stream_complete(prompt)))

    return Hf()


def _loaded(name: str, dtype: Any) -> tuple[Any, Any]:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _read(str(folder), dtype, True)
    if name.startswith((".", "/", "~")):
        raise ModelError(f"There is no folder {name} with a model; expected hf:PATH or hf:OWNER/NAME.")
    try:
        return _read(name, dtype, True)  # asking the hub first would take most of a minute without a network
    except ModelError:
        _reach_hub(name)
        logging.getLogger(__name__).info("%s is not in the local cache; asking the Hugging Face hub", name)
        return _read(name, dtype, False)


def _reach_hub(name: str) -> None:
    """Raise ModelError at once where the hub cannot be found; its own client would try for most of a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or ""
    if constants.HF_HUB_OFFLINE or getproxies():  # offline it fails at once; a proxy finds hosts that we do not
        return
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        raise ModelError(
            f"The model hf:{name} is not in the local cache, and {host} cannot be reached to fetch it. Connect to a "
            "network, or give a folder: hf:PATH."
        ) from None


def _read(name: str, dtype: Any, local: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
        return tokenizer, AutoModelForCausalLM.from_pretrained(name, dtype=dtype, local_files_only=local)
    except Exception as error:
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ModelError(f"The model hf:{name} cannot be loaded: {said[0]}") from error
