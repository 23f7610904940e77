"""JSON and JSON lines of foreign files, with complaints that name file and line. Knows no format by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.gold import SuiteError


def json_file(file: Path) -> Any:
    """The value in a JSON file. Raises SuiteError."""
    try:
        return json.loads(_text(file))
    except json.JSONDecodeError as fault:
        raise SuiteError(f"{file}:{fault.lineno}: not JSON: {fault.msg}") from fault


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank. Raises SuiteError for one that is no JSON object."""
    for number, line in enumerate(_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as fault:
            raise SuiteError(f"{file}:{number}: not JSON: {fault.msg}") from fault
        if not isinstance(row, dict):
            raise SuiteError(f"{file}:{number}: expected a JSON object, found {type(row).__name__}")
        yield number, row


def wanted(row: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """row[key], which must be there and of that kind. Raises SuiteError that says where it is not."""
    if not isinstance(row, dict) or not isinstance(row.get(key), kind):
        found = row.get(key) if isinstance(row, dict) else row
        names = kind.__name__ if isinstance(kind, type) else " or ".join(each.__name__ for each in kind)
        raise SuiteError(f"{where}: {key!r} is {found!r:.80}; expected {names}")
    return row[key]


def safe_name(name: str, suffix: str = ".txt") -> str:
    """A document's file name from a foreign id or title: what no file name may hold becomes a hyphen."""
    kept = "".join(char if char.isalnum() or char in "._- " else "-" for char in name).strip(" .")
    return (kept or "document") + ("" if kept.endswith(suffix) else suffix)


def write_json(file: Path, value: Any) -> None:
    """Write one JSON value."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8", newline="\n")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except FileNotFoundError:
        raise SuiteError(f"There is no file {file}.") from None
    except (UnicodeDecodeError, OSError) as error:
        raise SuiteError(f"{file} cannot be read: {error}") from error
