"""The border to whatever turns texts into vectors: the `Embedder` protocol and `open_embedder`. It stores no vectors.

The shipped model is in `index.minilm`; here are the adapters for sentence-transformers and for objects of your own.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from index.errors import RagError
from index.minilm import shipped, token_starts

UNLIMITED = 10**6
"""Window of an embedder that names none: longer than any chunk."""


class Embedder(Protocol):
    """What the index needs of an embedder. All of it may load the model and may raise `RagError` if that fails."""

    @property
    def fingerprint(self) -> str:
        """Names the vector space: weights, pooling and scaling. Vectors of equal fingerprint may be compared."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def window(self) -> int:
        """Largest number of its own tokens that a text may have to be read whole, special tokens not counted."""

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Code-point offset of the start of each token of `text`: (tokens,) int64, ascending, nothing cut off."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of the texts, in their order: (n, dim) float32, each of length 1; no texts give (0, dim)."""


def open_embedder(spec: object) -> Embedder:
    """The embedder that `spec` names. Cheap: weights are read at first use.

    `"minilm"` is the shipped model; another string the folder or name of a sentence-transformers model that is on this
    machine. An `Embedder` is taken as it is, a SentenceTransformer is adapted, and so is any object with
    `encode(texts)` or, as LlamaIndex has it, `get_text_embedding_batch(texts)`. Raises `RagError` for anything else.
    """
    if spec == "minilm":
        return shipped()
    if isinstance(spec, str) and spec:
        return SentenceTransformerEmbedder(spec)
    if any(c.__name__ == "SentenceTransformer" for c in type(spec).__mro__):
        return SentenceTransformerEmbedder(spec)
    if all(_has(spec, name) for name in ("fingerprint", "dim", "window", "token_starts", "encode")):
        return cast(Embedder, spec)
    encodes = _has(spec, "encode") or _has(spec, "get_text_embedding_batch")
    if encodes and not isinstance(spec, str):  # a string has a method encode, too
        return PlainEmbedder(spec)
    raise RagError(
        f"{spec!r} is no embedder. Give 'minilm', the folder or name of a sentence-transformers model, or an object "
        "with a method encode(texts) that returns one vector a text."
    )


def _has(spec: object, name: str) -> bool:
    # hasattr would run properties, and a property may load a model
    return inspect.getattr_static(spec, name, None) is not None


class PlainEmbedder:
    """Adds to an object that only encodes what the index needs besides: words as tokens, unit rows, a fingerprint.

    The object may state `fingerprint` and `window` itself. Without, the fingerprint is its class (and `model_name`).
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        kind = type(inner)
        parts = [f"{kind.__module__}.{kind.__qualname__}"]
        parts += [str(getattr(inner, name)) for name in ("model_name", "fingerprint") if _has(inner, name)]
        self.fingerprint = "-".join(parts)
        self.window = int(inner.window) if _has(inner, "window") else UNLIMITED

    @cached_property
    def dim(self) -> int:
        """Length of a vector, found by encoding a word."""
        return int(self._rows(["word"]).shape[1])

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Starts of words and of punctuation marks."""
        return np.array([found.start() for found in re.finditer(r"\w+|[^\w\s]", text)], np.int64)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32; rows scaled to length 1, an all-zero row stays zero. `RagError` for rows that cannot be."""
        return self._rows(list(texts)) if len(texts) else np.zeros((0, self.dim), np.float32)

    def _rows(self, texts: list[str]) -> NDArray[np.float32]:
        inner = self._inner
        found = inner.encode(texts) if _has(inner, "encode") else inner.get_text_embedding_batch(texts)
        try:
            rows = np.asarray(found, np.float32)
        except (TypeError, ValueError) as error:  # not numbers, or vectors of different lengths
            raise RagError(f"{self.fingerprint} returned no array of numbers: {error}") from error
        if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1]:
            raise RagError(f"{self.fingerprint} returned an array of shape {rows.shape} for {len(texts)} texts.")
        if not np.isfinite(rows).all():
            text = texts[int(np.isfinite(rows).all(axis=1).argmin())]
            raise RagError(f"{self.fingerprint} returned a vector with NaN or infinity, for the text {text[:80]!r}.")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return cast(NDArray[np.float32], rows / np.where(lengths > 0, lengths, np.float32(1)))


class SentenceTransformerEmbedder:
    """A sentence-transformers model: a folder, a name, or one that is already loaded.

    A name is looked up in this machine's Hugging Face cache. Nothing is downloaded: the error names the command that
    does, where the client's own retries would take over a minute to find out that there is no network.
    """

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    @cached_property
    def fingerprint(self) -> str:
        """`st-` and 16 digits of a SHA-256 over weights and configuration. Loads no model that is given by name."""
        digest = _folder_digest(self._folder) if isinstance(self._spec, str) else _model_digest(self._model)
        return f"st-{digest[:16]}"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        found = self._model.get_embedding_dimension()
        return int(found) if found else int(self._encoded(["word"]).shape[1])

    @property
    def window(self) -> int:
        """`max_seq_length` less the special tokens."""
        longest = self._model.max_seq_length
        if longest is None or longest > UNLIMITED:  # static models, and tokenizers that name no limit
            return UNLIMITED
        return int(longest) - int(self._tokenizer.num_special_tokens_to_add(is_pair=False))

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Code-point offset of the start of each token of `text`, nothing cut off."""
        return token_starts(self._tokenizer, text)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, rows of length 1."""
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        return self._encoded(list(texts))

    def _encoded(self, texts: list[str]) -> NDArray[np.float32]:
        rows = self._model.encode(texts, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(rows, np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = self._model.tokenizer
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)  # static models hold the bare one
        if not isinstance(tokenizer, Tokenizer):
            raise RagError(
                f"The tokenizer of {self._spec!r} cannot tell where its tokens start (it has no tokenizer.json), so "
                "chunks cannot be measured. Choose a model with a fast tokenizer."
            )
        tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy: encoding sets truncation on the model's own
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _folder(self) -> Path:
        spec = str(self._spec)
        if Path(spec).expanduser().is_dir():
            return Path(spec).expanduser()
        from huggingface_hub import snapshot_download

        for name in (spec, f"sentence-transformers/{spec}"):  # sentence-transformers lets its own prefix be left out
            try:
                return Path(snapshot_download(name, local_files_only=True))
            except (OSError, ValueError):  # not in the cache; not a name that the hub would allow
                continue
        raise RagError(f"There is no embedding model {spec!r} on this machine.\n{_expected(spec)}")

    @cached_property
    def _model(self) -> Any:
        if not isinstance(self._spec, str):
            return self._spec
        folder = self._folder  # before the import, which takes seconds
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(str(folder), local_files_only=True)
        except Exception as error:  # whatever transformers, the hub client or a damaged file may raise
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            raise RagError(
                f"The embedding model in {folder} cannot be loaded ({reason}).\n{_expected(self._spec)}"
            ) from error


def _expected(spec: str) -> str:
    name = spec if "/" in spec else f"sentence-transformers/{spec}"
    return (
        "Expected 'minilm', a folder that holds a sentence-transformers model, or the name of one in the Hugging Face "
        f"cache.\nType, with a network: hf download {name} --exclude 'onnx/*' --exclude 'openvino/*'"
    )


def _folder_digest(folder: Path) -> str:
    """SHA-256 of the weights and of the configuration in a model folder; read-me files and other formats stay out."""
    digest = hashlib.sha256()
    for path in _model_files(folder):
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _model_digest(model: Any) -> str:
    """The same of a model of which there are no files."""
    digest = hashlib.sha256(repr(model).encode())  # lists the modules: pooling, normalisation
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def _model_files(folder: Path) -> Iterator[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if not {"onnx", "openvino"} & set(path.relative_to(folder).parts)]
    weights = [path for path in files if path.suffix == ".safetensors"] or [p for p in files if p.suffix == ".bin"]
    yield from weights
    yield from (path for path in files if path.suffix in {".json", ".txt", ".model"})
