"""What is known of a document beside its text: front matter, a sidecar file, the language. Flat, so that it filters."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import cache
from typing import Any

from index.errors import DocumentError
from index.readers import Meta

RESERVED = {"doc", "start", "end", "heading", "page", "pages", "kind", "folder"}
"""Names that filters and Chroma's records use for what we know ourselves."""

_MOST_KEYS = 64
_LONGEST_VALUE = 1000
_FRONT = re.compile(
    r"\ufeff?(?:---[ \t]*\r?\n(?P<yaml>.{0,65536}?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)"
    r"|\+\+\+[ \t]*\r?\n(?P<toml>.{0,65536}?)\r?\n\+\+\+[ \t]*(?:\r?\n|\Z))",
    re.DOTALL,
)


def front_matter(text: str) -> tuple[Meta, int]:
    """The YAML or TOML block at the head of a Markdown file, and where the text begins after it ({}, 0: none).

    What does not parse into keys and values is no front matter but text.
    """
    found = _FRONT.match(text)
    if found is None:
        return {}, 0
    try:
        values = tomllib.loads(found["toml"]) if found["yaml"] is None else _yaml(found["yaml"])
    except ValueError:
        return {}, 0
    if not isinstance(values, Mapping) or not values:
        return {}, 0
    return flat({key: value for key, value in values.items() if str(key).lower() not in RESERVED}), found.end()


def _yaml(source: str) -> Any:
    import yaml

    # An alias lets a hundred bytes stand for gigabytes; nobody's title needs one.
    if re.search(r"(?:^|[\s\[{,:-])[&*]\w", source):
        raise ValueError("anchors and aliases")
    try:
        return yaml.safe_load(source)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


def read_sidecar(data: bytes, name: str) -> Meta:
    """The keys of a `*.meta.toml`. Raises DocumentError where it is not TOML or sets what is not its to set."""
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{name} is not valid TOML: {error}") from error
    taken = sorted(RESERVED & {key.lower() for key in values})
    if taken:
        raise DocumentError(f"{name} sets {', '.join(taken)}; these names are taken, choose others")
    return flat(values)


def flat(values: Mapping[Any, Any]) -> Meta:
    """Nested keys joined by dots; dates as ISO 8601; lists of texts, numbers and truth values kept, nothing else."""
    out: dict[str, Any] = {}
    for key, value in _pairs(values, "", 0):
        if len(out) == _MOST_KEYS:
            break
        out[key] = value
    return out


def _pairs(values: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{str(key).strip()[:100]}"
        name = name.lower() if name.lower() in {"title", "author", "date", "language"} else name
        if isinstance(value, Mapping):
            if depth < 3:
                yield from _pairs(value, f"{name}.", depth + 1)
        elif isinstance(value, list | tuple):
            items = [_plain(item) for item in value[:100]]
            texts = [str(item) for item in items if item is not None]
            if texts:
                yield name, ", ".join(texts) if name == "author" else texts
        elif (plain := _plain(value)) is not None:
            yield name, plain


def _plain(value: Any) -> str | int | float | bool | None:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)  # what SQLite and Chroma can hold
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value.strip()[:_LONGEST_VALUE] or None if isinstance(value, str) else None


def language_of(text: str) -> str:
    """ISO 639-1 code of the language that a text is surely written in, else ""."""
    sample = " ".join(re.findall(r"[^\W\d_]+", text[:6000]))[:3000]
    if len(sample) < 40:
        return ""
    code, sure = _identifier().classify(sample)
    return str(code) if sure > 0.8 else ""


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
