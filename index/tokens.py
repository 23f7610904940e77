"""Counts cl100k_base tokens, the unit of every budget. Not the embedder's tokens, which `Embedder.token_starts` gives.

The vocabulary is read from the copy inside the llama-index-core wheel, so that counting never reaches for a network
(tiktoken itself would download it) and never touches the user's cache.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import RagError

if TYPE_CHECKING:
    import tiktoken

# File name and SHA-256 of cl100k_base.tiktoken and its pattern, as tiktoken_ext.openai_public defines them.
_FILE = "_static/tiktoken_cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)


@functools.cache
def _encoding() -> tiktoken.Encoding:
    import tiktoken

    spec = importlib.util.find_spec("llama_index.core")  # locates the package without executing it
    if spec is None or spec.origin is None:
        raise RagError("llama-index-core is not installed; expected its tokenizer file. Type: pip install footnote-rag")
    data = (Path(spec.origin).parent / _FILE).read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise RagError("The cl100k_base file of llama-index-core is damaged. Reinstall llama-index-core.")
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}
    return tiktoken.Encoding("cl100k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def count_tokens(text: str) -> int:
    """Number of cl100k_base tokens of `text`; special tokens in the text count as the plain characters they are."""
    return len(_encoding().encode_ordinary(text))


def count_each(texts: Sequence[str]) -> list[int]:
    """`count_tokens` of every text, in parallel threads."""
    return [len(ids) for ids in _encoding().encode_ordinary_batch(list(texts), num_threads=2)]
