"""The two chunkers of "Evaluating Chunking Strategies for Retrieval" (Smith & Troynikov 2024), for parity of figures.

Not the product's chunker. RecursiveTokenChunker is LangChain's recursive splitter with the separators and quirks of the
published package (chunking_evaluation, MIT): pieces are stripped and looked up again in the text, so that a chunk of
repeated text counts at its first copy, and without a final full stop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

Length = Callable[[str], int]

SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ", "")


def recursive(text: str, size: int, overlap: int, length: Length) -> list[str]:
    """RecursiveTokenChunker: split at the first separator that occurs, merge up to `size`, recurse into the rest."""
    return _recursive(text, SEPARATORS, size, overlap, length)


def windows(text: str, size: int, overlap: int) -> list[str]:
    """FixedTokenChunker ("TokenText"): windows of cl100k tokens."""
    encoding = _cl100k()
    ids = encoding.encode(text, disallowed_special=())
    chunks = []
    for start in range(0, len(ids), size - overlap):
        chunks.append(encoding.decode(ids[start : start + size]))
        if start + size >= len(ids):
            break
    return chunks


def spans(doc: str, text: str, chunks: Sequence[str]) -> list[tuple[str, int, int]]:
    """Where the chunks stand: each at its first occurrence, a final full stop dropped before the search."""
    found = []
    for chunk in chunks:
        wanted = chunk.removesuffix(".")
        start = text.find(wanted)
        if start < 0:  # a window may cut a character in two; what is whole of it is searched
            wanted = wanted.strip("\ufffd")
            start = text.find(wanted)
        if start < 0:
            raise ValueError(f"a chunk of {doc} is not in its text: {chunk[:80]!r}")
        found.append((doc, start, start + len(wanted)))
    return found


def cl100k_length(text: str) -> int:
    """Tokens in cl100k_base."""
    return len(_cl100k().encode(text, disallowed_special=()))


def word_piece_length() -> Length:
    """Word pieces of all-MiniLM-L6-v2 with [CLS] and [SEP]: what the published MiniLM rows count in."""
    from index.minilm import shipped

    tokenizer = shipped()._tokenizer

    @cache
    def length(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids) + 2

    return length


@cache
def _cl100k():
    from index.tokens import _encoding

    return _encoding()


def _recursive(text: str, separators: Sequence[str], size: int, overlap: int, length: Length) -> list[str]:
    at = next(place for place, separator in enumerate(separators) if not separator or separator in text)
    rest = separators[at + 1 :]
    chunks: list[str] = []
    short: list[str] = []
    for piece in _split(text, separators[at]):
        if length(piece) < size:
            short.append(piece)
            continue
        chunks += _merged(short, size, overlap, length)
        short = []
        chunks += _recursive(piece, rest, size, overlap, length) if rest else [piece]
    return chunks + _merged(short, size, overlap, length)


def _split(text: str, separator: str) -> list[str]:
    """Parts that begin with the separator, the first apart; characters for none."""
    if not separator:
        return list(text)
    first, *others = text.split(separator)
    return [part for part in (first, *(separator + other for other in others)) if part]


def _merged(pieces: Sequence[str], size: int, overlap: int, length: Length) -> list[str]:
    glue = length("")  # 2 with word pieces: the special tokens are counted once a piece
    chunks: list[str] = []
    current: list[str] = []
    total = 0
    for piece in pieces:
        cost = length(piece)
        if total + cost + (glue if current else 0) > size and current:
            chunks.append("".join(current).strip())
            while total > overlap or (total + cost + (glue if current else 0) > size and total > 0):
                total -= length(current[0]) + (glue if len(current) > 1 else 0)
                current = current[1:]
        current.append(piece)
        total += cost + (glue if len(current) > 1 else 0)
    chunks.append("".join(current).strip())
    return [chunk for chunk in chunks if chunk]
