"""Every default of asking and answering, with its reason. The command line and the page override, never repeat."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from index.errors import SettingsError
from index.settings import IndexSettings


@dataclass(frozen=True, kw_only=True)
class Settings(IndexSettings):
    """Settings of a `Rag`; those of its index come first."""

    model: str = "extract"
    """Who answers: `extract` needs no model and no network; see `rag.models` for the other specs."""

    tokens: int = 1500
    """Passages handed to the answerer, in cl100k tokens: about fifteen spans, and small enough for a 4k window."""

    history_tokens: int = 600
    """Turns before that a chat shows its model, in cl100k tokens: three or four answers, and the sources still fit."""

    max_sentences: int = 3
    """Sentences of an extractive answer: more dilute it, fewer miss answers that the second sentence holds."""

    min_confidence: float | None = None
    """Below it the answer abstains; None takes the threshold fitted in `rag.abstain`."""

    rerank: str | None = None
    """Folder or name of a CrossEncoder that orders the best passages anew; none is shipped, and it costs time."""

    rerank_ms: int = 500
    """Milliseconds that reranking may take, then the fused order stands: what a reader waits without noticing."""

    verifier: str | None = None
    """Folder or name of a CrossEncoder trained for entailment that judges what a model wrote; None judges by rule."""

    timeout: float = 120.0
    """Seconds to wait for a model's next piece of text; local models on a CPU can take long over a prompt."""

    max_output_tokens: int = 700
    """Longest reply asked of a model: room for a dozen cited sentences."""

    context_window: int | None = None
    """Tokens the model can read; None asks the server, else assumes 4,096, the smallest that is common."""

    @classmethod
    def load(cls, folder: Path | None = None, **overrides: Any) -> Settings:
        """Settings from `rag.toml`, else `[tool.rag]` of pyproject.toml, in `folder` or the nearest one above it.

        Overrides that are None are ignored. Raises SettingsError on an unknown key or a wrong type.
        """
        found = _find(folder or Path.cwd())
        typed = {k: v for k, v in overrides.items() if v is not None}
        return cls.from_dict({**found, **typed})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Checked construction from plain values."""
        hints = get_type_hints(cls)
        for key, value in values.items():
            if key not in hints:
                close = difflib.get_close_matches(key, hints, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(hints))}."
                raise SettingsError(f"There is no setting {key!r}; {hint}")
            kinds = get_args(hints[key]) or (hints[key],)
            fits = isinstance(value, (*kinds, int) if float in kinds else kinds)
            fits = fits and isinstance(value, bool) == (bool in kinds)
            if not fits:
                names = " or ".join(getattr(k, "__name__", str(k)) for k in kinds)
                raise SettingsError(f"Setting {key!r} is {value!r}; expected {names}.")
        return cls(**values)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float) and value < (0 if field.name == "min_confidence" else 1):
                raise SettingsError(f"Setting {field.name!r} is {value}; expected a positive number.")


def _find(start: Path) -> Mapping[str, Any]:
    for folder in (start, *start.parents):
        for name, path in (("rag.toml", ()), ("pyproject.toml", ("tool", "rag"))):
            file = folder / name
            if not file.is_file():
                continue
            try:
                table: Any = tomllib.loads(file.read_text("utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise SettingsError(f"{file} is not valid TOML: {error}") from error
            for key in path:
                table = table.get(key, {})
            if table:
                return dict(table)
    return {}
