"""Gold of other projects, in and out: each format is a module that reads into a `Bundle` or writes one. Scores nothing.

A bundle is a suite before it is on disk: rows of gold and, where the format brings them, the documents' texts. What a
format cannot hold is named in `lost` and never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from evals.gold import SuiteError, gold_row, write_gold
from evals.suite import Suite

READERS = ("beir", "squad", "ragas", "llamaindex", "financebench", "csv")
_MODULES = {"csv": "table"}


@dataclass(slots=True)
class Bundle:
    """Rows of gold in file order, texts by document name, and what could not be carried over."""

    rows: list[dict[str, Any]]
    texts: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    licence: str = ""


def read(format: str, source: Path) -> Bundle:
    """Gold in a foreign format. Raises SuiteError with file and line of what cannot be read."""
    bundle: Bundle = _function(format, "read")(source)
    return bundle


def write(format: str, suite: Suite, target: Path) -> list[str]:
    """Write a suite in a foreign format; returns what that format cannot hold, one remark each."""
    lost: list[str] = _function(format, "write")(suite, target)
    return lost


def save(bundle: Bundle, folder: Path, name: str = "") -> None:
    """Write a bundle as a suite: gold.jsonl, docs/ and a head. Raises SuiteError where one is already."""
    if (folder / "gold.jsonl").exists():
        raise SuiteError(f"{folder / 'gold.jsonl'} exists already; name another folder.")
    if not bundle.rows:
        raise SuiteError("There is no question in it; nothing was written.")
    for doc, text in bundle.texts.items():
        file = folder / "docs" / doc
        if not file.resolve().is_relative_to((folder / "docs").resolve()):
            raise SuiteError(f"The document name {doc!r} leads out of the suite's folder.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")
    folder.mkdir(parents=True, exist_ok=True)
    head = [f"name = {_toml(name or folder.resolve().name)}"] + [f"licence = {_toml(bundle.licence)}"] * bool(
        bundle.licence
    )
    (folder / "suite.toml").write_text("\n".join(head) + "\n", encoding="utf-8")
    write_gold(folder / "gold.jsonl", bundle.rows)


def rows_of(suite: Suite) -> list[dict[str, Any]]:
    """The suite's cases as rows of gold, every quote placed."""
    return [gold_row(case) for case in suite.cases]


def text_row(id: str, question: str, answers: list[str], **rest: Any) -> dict[str, Any]:
    """A row of gold with its needed keys first."""
    return {"id": id, "question": question, "answers": answers, **rest}


def quote_at(doc: str, text: str, start: int, end: int, **rest: Any) -> dict[str, Any]:
    """A piece of evidence that is text[start:end]."""
    return {"doc": doc, "quote": text[start:end], "start": start, "end": end, "page": None, **rest}


def remarks(suite: Suite, **dropped: Callable[[Mapping[str, Any]], Any]) -> list[str]:
    """One remark for each feature of the gold that some row has and the format has no place for."""
    rows = rows_of(suite)
    counts = {what.replace("_", " "): sum(bool(has(row)) for row in rows) for what, has in dropped.items()}
    return [f"{what}: not held by this format, {count} questions have it" for what, count in counts.items() if count]


def _function(format: str, verb: str) -> Any:
    if format not in READERS:
        raise SuiteError(f"There is no format {format!r}; known: {', '.join(READERS)}.")
    return getattr(import_module(f"evals.formats.{_MODULES.get(format, format)}"), verb)


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
