"""JSON and JSON lines to Markdown: a record a line or a section, nested objects under headings. Not a schema.

A short record is one line that says the names of its values, as a table row is. A record with long texts becomes a
section, whose heading then goes with every part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from index.errors import DocumentError
from index.readers import Extract, Meta, ReadOptions
from index.readers.tables import bounded, record_lines
from index.readers.text import decode

# A value takes a hundred bytes in memory and perhaps two in the file.
_MOST_VALUES = 5_000_000
_DEEPEST_HEADING, _DEEPEST_KEY = 3, 6
_LONG, _SHORT_RECORD = 200, 600  # characters of a text that is a paragraph, of a record that is a line
_NAMES = ("title", "name", "headline", "subject", "question", "label", "id", "_id", "key")
_META = {
    "author": ("author", "authors", "creator", "by"),
    "date": ("date", "published", "published_at", "publication_date", "created", "created_at", "updated", "timestamp"),
    "language": ("language", "lang"),
}


def read_json(data: bytes, options: ReadOptions) -> Extract:
    """A list as records, an object as sections. Raises DocumentError with the place of the first mistake."""
    text = decode(data).lstrip("\ufeff")
    value = _parsed(text, "")
    title, meta = _about(value) if isinstance(value, Mapping) else ("", {})
    return Extract(_written(_value(value, "", 1)), title=title, meta=meta)


def read_jsonl(data: bytes, options: ReadOptions) -> Extract:
    """One record a line. Raises DocumentError with the number of the first line that is no JSON."""
    lines = decode(data).lstrip("\ufeff").split("\n")
    _bound(sum(map(_values, lines)))
    records = [_parsed(line, f"line {number}: ") for number, line in enumerate(lines, start=1) if line.strip()]
    return Extract(_written(_records(records, 1)))


def _parsed(text: str, place: str) -> Any:
    """Numbers stay as they are written: 1.10 is not 1.1."""
    _bound(_values(text))
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        where = f"{place}column {error.colno}" if place else f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"no valid JSON in {where}: {error.msg}") from error
    except RecursionError:
        raise DocumentError(f"{place}JSON nested too deeply to be read") from None


def _values(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _bound(values: int) -> None:
    if values > _MOST_VALUES:
        raise DocumentError(f"holds about {values:,} values; at most {_MOST_VALUES:,} are read. Split the file")


def _written(blocks: Iterator[str]) -> str:
    try:
        return "\n\n".join(bounded(blocks))
    except RecursionError:
        raise DocumentError("JSON nested too deeply to be read") from None


def _about(value: Mapping[str, Any]) -> tuple[str, Meta]:
    """Title and metadata that a top-level object says of itself."""
    known = {key.lower(): item for key, item in value.items()}
    meta: dict[str, str] = {}
    for name, keys in _META.items():
        found = next((known[key] for key in keys if known.get(key)), None)
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            found = ", ".join(found[:20])
        if not isinstance(found, str) or len(found) > _LONG:
            continue
        if name == "date":
            date = re.match(r"\d{4}(?:-\d\d(?:-\d\d)?)?(?![\d.])", found)
            found = date.group() if date else ""
        if found:
            meta[name] = found
    title = next((known[key] for key in ("title", "name", "headline") if isinstance(known.get(key), str)), "")
    return (title if len(title) <= _LONG else ""), meta


def _value(value: Any, key: str, depth: int) -> Iterator[str]:
    """The blocks of one value; `depth` is the level that its headings have."""
    if isinstance(value, Mapping):
        yield from _object(value, depth)
    elif isinstance(value, list):
        yield from _records(value, depth, key)
    else:
        yield from _fields([(key, value)])


def _records(values: Sequence[Any], depth: int, key: str = "") -> Iterator[str]:
    """Short records on a line each, those below each other as one block; the others in sections."""
    lines: list[str] = []
    for number, value in enumerate(values, start=1):
        pairs = _short(value)
        if pairs is not None:
            lines += record_lines(pairs)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        if isinstance(value, Mapping):
            name = _name(value)
            yield f"{'#' * min(depth, _DEEPEST_HEADING + 1)} {name or f'{key} {number}'.strip()}"
            yield from _object({key: item for key, item in value.items() if not name or item != name}, depth + 1)
        elif depth > _DEEPEST_HEADING:
            yield from _fields(_flat(value, key))
        else:
            yield from _value(value, key, depth + 1)
    if lines:
        yield "\n".join(lines)


def _short(value: Any) -> list[tuple[str, str]] | None:
    """The values of a record that fits a line, else None; a large one is not walked to its end."""
    pairs: list[tuple[str, str]] = []
    size = 0
    for name, text in _flat(value, ""):
        size += len(name) + len(text)
        if size > _SHORT_RECORD or len(text) > _LONG or "\n" in text.strip():
            return None
        pairs.append((name, " ".join(text.split())))
    return pairs


def _name(record: Mapping[str, Any]) -> str:
    known = {key.lower(): item for key, item in record.items()}
    found = next((known[name] for name in _NAMES if isinstance(known.get(name), str) and known[name].strip()), "")
    return " ".join(found.split())[:_LONG]


def _object(record: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Plain values first, then what is nested under a heading each; below the third level under dotted keys."""
    nested = {key: item for key, item in record.items() if _is_nested(item)} if depth <= _DEEPEST_HEADING else {}
    yield from _fields(pair for key, item in record.items() if key not in nested for pair in _flat(item, key))
    for key, item in nested.items():
        yield f"{'#' * (depth + 1)} {' '.join(key.split())[:_LONG]}"
        yield from _value(item, key, depth + 1)


def _is_nested(value: Any) -> bool:
    return (isinstance(value, Mapping | list) and any(isinstance(item, Mapping | list) for item in _items(value))) or (
        isinstance(value, Mapping) and len(value) > 3
    )


def _items(value: Mapping[str, Any] | list[Any]) -> Any:
    return value.values() if isinstance(value, Mapping) else value


def _fields(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Short values as `- key: value` below each other, long texts as paragraphs."""
    lines: list[str] = []
    for key, value in pairs:
        text = _plain(value).strip()
        if not text:
            continue
        if len(text) <= _LONG and "\n" not in text:
            lines.append(f"- {key}: {text}" if key else text)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        yield f"{key}: {text}" if key else text
    if lines:
        yield "\n".join(lines)


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """The plain values in a value under dotted keys, which grow no longer than a few parts; short ones of a list
    together, with commas."""
    todo: list[Iterator[tuple[str, Any]]] = [iter([(key, value)])]
    while todo:
        found = next(todo[-1], None)
        if found is None:
            todo.pop()
            continue
        key, value = found
        if isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value):
            texts = [text for item in value if (text := _plain(item))]
            joined = ", ".join(texts)
            yield from [(key, joined)] if len(joined) <= _LONG else ((key, text) for text in texts)
        elif isinstance(value, Mapping | list):
            todo.append(_named(value, key, len(todo) <= _DEEPEST_KEY and len(key) < _LONG))
        else:
            yield key, _plain(value)


def _named(value: Mapping[str, Any] | list[Any], key: str, further: bool) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, Mapping) else ((str(n), item) for n, item in enumerate(value, start=1))
    for name, item in items:
        short = " ".join(name.split())[:_LONG]
        yield (f"{key}.{short}" if key else short) if further else key, item


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
