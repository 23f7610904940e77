"""The border to entailment models: does this text say that? A CrossEncoder trained on NLI judges sentence and source.

None is shipped; `--verifier NAME_OR_PATH` or `Settings.verifier` names one. Numbers, dates and names are still checked
by rule (`rag.support`), since such models overlook a changed digit.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from index.errors import RagError
from rag.rerank import load_cross_encoder
from rag.values import Verdict

ENTAILED = 0.5
"""Probability of entailment from which a sentence is supported."""


class Verifier(Protocol):
    """What the check of sentences needs; `verdict` may raise `RagError`."""

    def verdict(self, source: str, sentence: str) -> tuple[Verdict, float]:
        """Whether `source` says what `sentence` says, and how surely, in [0, 1]."""


def open_verifier(spec: object) -> Verifier:
    """The verifier that `spec` names: folder or cached name of a CrossEncoder; anything with `verdict` as it is.

    Cheap: weights are read at first use. Raises RagError.
    """
    if isinstance(spec, str | Path) and str(spec):
        return NliVerifier(str(spec))
    if inspect.getattr_static(spec, "verdict", None) is not None:
        return cast(Verifier, spec)
    raise RagError(
        f"{spec!r} is no verifier. Give the folder or name of a CrossEncoder trained for entailment, or an object with "
        "a method verdict(source, sentence)."
    )


class NliVerifier:
    """A CrossEncoder with labels such as entailment, neutral, contradiction, or with one output that means entailed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: Any = None
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def verdict(self, source: str, sentence: str) -> tuple[Verdict, float]:
        """Supported when entailed, unsupported when contradicted or hardly entailed, else partial."""
        with self._lock:
            if self._model is None:
                self._model = load_cross_encoder(self.name, "verifier")
                self._places = _places(self._model.config, self.name)
        logits = np.asarray(self._model.predict([(source, sentence)], activation_fn=_raw(), show_progress_bar=False))
        chances = _chances(np.atleast_1d(logits.reshape(-1)).astype(np.float64))
        if not np.isfinite(chances).all():
            raise RagError(f"The verifier {self.name} gave numbers that are not finite.")
        entailed = float(chances[self._places["entailment"]])
        if entailed >= ENTAILED:
            return "supported", round(entailed, 3)
        place = self._places.get("contradiction")
        against = float(chances[place]) if place is not None else 1.0 - entailed
        return ("unsupported" if against >= ENTAILED else "partial"), round(entailed, 3)


def _raw() -> Any:
    import torch

    return torch.nn.Identity()


def _chances(logits: np.ndarray) -> np.ndarray:
    if len(logits) == 1:
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))
    grown = np.exp(logits - logits.max())
    return np.asarray(grown / grown.sum())


def _places(config: Any, name: str) -> dict[str, int]:
    """Which output means what, by the labels that the model's own configuration gives."""
    labels: Mapping[int, str] = dict(config.id2label)
    if len(labels) == 1:
        return {"entailment": 0}
    found: dict[str, int] = {}
    for place, label in labels.items():
        said = str(label).lower()
        for wanted in ("entailment", "contradiction", "neutral"):
            if said.startswith(wanted[:6]):
                found[wanted] = int(place)
        if said in ("not_entailment", "non_entailment", "not entailment"):
            found["contradiction"] = int(place)
    if "entailment" not in found:
        raise RagError(
            f"The verifier {name} has the labels {', '.join(map(str, labels.values()))}; expected one that is called "
            "entailment, as models trained for natural language inference have."
        )
    return found
