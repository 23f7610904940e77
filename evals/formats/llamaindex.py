"""LlamaIndex's LabelledRagDataset: one JSON file with `examples` of query, reference_answer and reference_contexts."""

from __future__ import annotations

from pathlib import Path

from evals.formats import Bundle, remarks, text_row
from evals.formats.contexts import Contexts
from evals.formats.lines import json_file, wanted, write_json
from evals.gold import SuiteError
from evals.suite import Suite

_BY = {"model_name": "", "type": "human"}


def read(source: Path) -> Bundle:
    """Examples in order; one without answer and contexts is unanswerable. Ids are numbers: the format has none."""
    contexts, rows, drafted = Contexts(), [], 0
    for number, example in enumerate(wanted(json_file(source), "examples", list, str(source)), 1):
        where = f"{source}: example {number}"
        question = wanted(example, "query", str, where)
        answer = wanted(example, "reference_answer", str, where)
        given = example.get("reference_contexts") or []
        if not all(isinstance(text, str) for text in given):
            raise SuiteError(f"{where}: 'reference_contexts' is no list of texts")
        written_by_model = any(
            (example.get(key) or {}).get("type") == "ai" for key in ("query_by", "reference_answer_by")
        )
        drafted += written_by_model
        evidence = contexts.evidence(given)
        answers = [answer] if answer.strip() else []
        source_row = {"source": "llm"} if written_by_model else {}
        rows.append(text_row(f"llamaindex-{number:04d}", question, answers, answerable=bool(answers or evidence),
                             evidence=evidence, **source_row))  # fmt: skip
    lost = [f"written by a model, review them before they judge anything: {drafted} examples"] if drafted else []
    return Bundle(rows, contexts.texts(), lost)


def write(suite: Suite, target: Path) -> list[str]:
    """One JSON file that `LabelledRagDataset.from_json` reads."""
    examples = [
        {
            "query": case.question,
            "query_by": _BY,
            "reference_contexts": [row.quote for row in case.evidence],
            "reference_answer": case.answers[0] if case.answers and case.answerable else "",
            "reference_answer_by": _BY,
        }
        for case in suite.cases
    ]
    write_json(target, {"examples": examples})
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
