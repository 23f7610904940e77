"""The border to cross-encoders: the `Reranker` protocol, `open_reranker`, and scoring within a time budget.

A reranker reads question and passage together, which orders better than two separate searches and costs a forward pass
a passage. It sees the best candidates of the fused order only, and is stopped when its time is up.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from index.errors import RagError

# Candidates that are scored: beyond them little is found that the fused order had not.
RERANKED = 50
# Passages scored between two looks at the clock.
_BATCH = 8


class Reranker(Protocol):
    """What a search needs of a reranker; `score` may raise `RagError`."""

    def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """How well each text answers the question, (n,) in any unit, higher is better."""


def open_reranker(spec: object) -> Reranker:
    """The reranker that `spec` names: a folder or name of a sentence-transformers CrossEncoder that is on this machine.

    Anything with `score(question, texts)` is taken as it is. Cheap: weights are read at first use. Raises RagError.
    """
    if isinstance(spec, str | Path) and str(spec):
        return CrossEncoderReranker(str(spec))
    if inspect.getattr_static(spec, "score", None) is not None:
        return cast(Reranker, spec)
    raise RagError(
        f"{spec!r} is no reranker. Give the folder or name of a sentence-transformers CrossEncoder, or an object with a"
        " method score(question, texts) that returns one number a text."
    )


class CrossEncoderReranker:
    """A CrossEncoder in a folder, or by the name it has in this machine's Hugging Face cache. Downloads nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: Any = None

    def score(self, question: str, texts: Sequence[str]) -> np.ndarray:
        """The model's scores, (n,). Raises RagError when the model cannot be loaded or gives several labels."""
        if self._model is None:
            self._model = load_cross_encoder(self.name, "reranker")
        pairs = [(question, text) for text in texts]
        return np.asarray(self._model.predict(pairs, show_progress_bar=False), np.float32)


def score_in_time(reranker: Reranker, question: str, texts: Sequence[str], budget_ms: int) -> tuple[np.ndarray, str]:
    """Scores of the first texts, as many as the budget allows, and a note if those are not all.

    Texts come best first. Time is looked at between batches; a batch that would end too late, judged by the slowest
    one before, is not begun. The first batch warms the model up and is always scored.
    """
    began = time.perf_counter()
    found: list[np.ndarray] = []
    slowest = spent = 0.0
    for at in range(0, len(texts), _BATCH):
        if at and (spent + slowest) * 1000 > budget_ms:
            note = f"Reranking stopped after {at} of {len(texts)} passages (budget {budget_ms} ms)."
            return np.concatenate(found), note
        found.append(_checked(reranker, question, texts[at : at + _BATCH]))
        now = time.perf_counter() - began
        # Loading the model is no measure of the batches to come.
        slowest, spent = max(slowest, now - spent) if at else 0.0, now
    return np.concatenate(found), ""


def _checked(reranker: Reranker, question: str, texts: Sequence[str]) -> np.ndarray:
    scores = np.asarray(reranker.score(question, texts), np.float32)
    if scores.shape != (len(texts),) or not np.isfinite(scores).all():
        raise RagError(
            f"The reranker gave {'numbers that are not finite' if scores.shape == (len(texts),) else scores.shape}"
            f" for {len(texts)} passages; expected one number each. A model with one label gives that."
        )
    return scores


def load_cross_encoder(name: str, what: str) -> Any:
    """The CrossEncoder in a folder, or of that name in this machine's Hugging Face cache; `what` names it in errors.

    Raises RagError.
    """
    folder = _folder(name, what)  # before the import, which takes seconds
    from sentence_transformers import CrossEncoder

    try:
        return CrossEncoder(str(folder), local_files_only=True)
    except Exception as error:  # whatever transformers, the hub client or a damaged file may raise
        reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        raise RagError(f"The {what} in {folder} cannot be loaded ({reason}).\n{_expected(name)}") from error


def _folder(name: str, what: str) -> Path:
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):  # not in the cache; not a name that the hub would allow
        raise RagError(f"There is no {what} {name!r} on this machine.\n{_expected(name)}") from None


def _expected(name: str) -> str:
    return (
        "Expected a folder that holds a sentence-transformers CrossEncoder, or the name of one in the Hugging Face "
        f"cache.\nType, with a network: hf download {name} --exclude 'onnx/*' --exclude 'openvino/*'"
    )
