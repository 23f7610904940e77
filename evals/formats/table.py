"""Gold as a CSV table, for people with a spreadsheet: id, question, answers, answerable, doc, quote, page, tags.

Several answers or tags stand in one cell, a line each. A row that repeats an id adds evidence to that question; other
cells of it may stay empty. Only `question` is needed.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from evals.formats import Bundle, remarks, text_row
from evals.gold import SuiteError
from evals.suite import Suite

COLUMNS = ("id", "question", "answers", "answerable", "doc", "quote", "page", "tags")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read(source: Path) -> Bundle:
    """Rows in order; commas or, if the head has them, semicolons between the cells."""
    rows: dict[str, dict[str, Any]] = {}
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            table = csv.DictReader(file, delimiter=";" if head.count(";") > head.count(",") else ",", strict=True)
            unknown = set(table.fieldnames or ()) - set(COLUMNS)
            if unknown or "question" not in (table.fieldnames or ()):
                raise SuiteError(
                    f"{source}:1: the columns are {table.fieldnames}; expected some of {', '.join(COLUMNS)}"
                )
            for cells in table:
                _add(rows, cells, f"{source}:{table.line_num}")
    except FileNotFoundError:
        raise SuiteError(f"There is no file {source}.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise SuiteError(f"{source} is no CSV in UTF-8: {error}") from error
    return Bundle(list(rows.values()))


def write(suite: Suite, target: Path) -> list[str]:
    """One row a question, and one more for each further piece of evidence."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for case in suite.cases:
            first = {"id": case.id, "question": case.question, "answers": "\n".join(case.answers),
                     "answerable": str(case.answerable).lower(), "tags": "\n".join(case.tags)}  # fmt: skip
            for number, row in enumerate(case.evidence or (None,)):
                place = {"doc": row.doc, "quote": row.quote, "page": row.page} if row else {}
                table.writerow({**(first if number == 0 else {"id": case.id}), **place})
    return remarks(
        suite,
        offsets=lambda row: any(e["start"] is not None for e in row["evidence"]),
        groups=lambda row: any("group" in e for e in row["evidence"]),
        conflicts=lambda row: row.get("conflicts"),
        tolerance=lambda row: row.get("answer_spec"),
        history=lambda row: row.get("history"),
    )


def _add(rows: dict[str, dict[str, Any]], cells: dict[str, str | None], where: str) -> None:
    cell = {key: (value or "").strip() for key, value in cells.items() if key in COLUMNS}
    if None in cells:
        raise SuiteError(f"{where}: this row has more cells than the head")
    evidence = _evidence(cell, where)
    id = cell.get("id") or f"row-{len(rows) + 1:04d}"
    if id in rows:
        if cell.get("question") and cell["question"] != rows[id]["question"]:
            raise SuiteError(f"{where}: id {id!r} asks another question above")
        rows[id]["evidence"] += evidence
        return
    if not cell.get("question"):
        raise SuiteError(f"{where}: the question is empty")
    answers = _lines(cell.get("answers", ""))
    said = cell.get("answerable", "").lower()
    if said and said not in _TRUTH:
        raise SuiteError(f"{where}: 'answerable' is {said!r}; expected true or false")
    if not said and not answers and not evidence:
        raise SuiteError(f"{where}: one of answers, quote or answerable is needed")
    answerable = _TRUTH[said] if said else True
    tags = {"tags": _lines(cell["tags"])} if cell.get("tags") else {}
    rows[id] = text_row(id, cell["question"], answers, answerable=answerable, evidence=evidence, **tags)


def _evidence(cell: dict[str, str], where: str) -> list[dict[str, Any]]:
    if not cell.get("doc") and not cell.get("quote"):
        return []
    if not cell.get("doc") or not cell.get("quote"):
        raise SuiteError(f"{where}: evidence needs both 'doc' and 'quote'")
    page = cell.get("page", "")
    if page and not page.isdigit():
        raise SuiteError(f"{where}: 'page' is {page!r}; expected a whole number")
    return [
        {"doc": cell["doc"], "quote": cell["quote"], "start": None, "end": None, "page": int(page) if page else None}
    ]


def _lines(cell: str) -> list[str]:
    return [line.strip() for line in cell.splitlines() if line.strip()]
