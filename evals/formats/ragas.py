"""ragas: JSON lines (or a JSON list) with user_input, reference and reference_contexts. What a system said is not gold.

A row without reference and contexts is read as unanswerable, and unanswerable questions are written so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.formats import Bundle, remarks, text_row
from evals.formats.contexts import Contexts
from evals.formats.lines import json_file, json_lines, wanted, write_lines
from evals.gold import SuiteError
from evals.suite import Suite


def read(source: Path) -> Bundle:
    """Samples of one turn; ids are made of the line's number, since ragas has none."""
    contexts, rows = Contexts(), []
    for number, sample in _samples(source):
        where = f"{source}:{number}"
        if isinstance(sample.get("user_input"), list):
            raise SuiteError(f"{where}: this sample is a conversation; only samples of one turn are read")
        question = wanted(sample, "user_input", str, where)
        reference = sample.get("reference") or ""
        given = sample.get("reference_contexts") or []
        if not isinstance(reference, str) or not all(isinstance(text, str) for text in given):
            raise SuiteError(f"{where}: 'reference' must be a text and 'reference_contexts' a list of texts")
        evidence = contexts.evidence(given)
        answers = [reference] if reference.strip() else []
        rows.append(text_row(f"ragas-{number:04d}", question, answers, answerable=bool(answers or evidence),
                             evidence=evidence))  # fmt: skip
    return Bundle(rows, contexts.texts())


def write(suite: Suite, target: Path) -> list[str]:
    """JSON lines; the first answer is the reference."""
    write_lines(
        target,
        [
            {
                "user_input": case.question,
                "reference_contexts": [row.quote for row in case.evidence],
                "reference": case.answers[0] if case.answers and case.answerable else "",
            }
            for case in suite.cases
        ],
    )
    return remarks(
        suite,
        ids=lambda row: row["id"],
        further_answers=lambda row: len(row["answers"]) > 1,
        documents_and_offsets=lambda row: row["evidence"],
        conflicts=lambda row: row.get("conflicts"),
        tolerance=lambda row: row.get("answer_spec"),
        history=lambda row: row.get("history"),
        tags=lambda row: row.get("tags"),
    )


def _samples(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if source.suffix != ".json":
        yield from json_lines(source)
        return
    found = json_file(source)
    if not isinstance(found, list):
        raise SuiteError(f"{source}: expected a list of samples, found {type(found).__name__}")
    yield from enumerate(found, 1)
