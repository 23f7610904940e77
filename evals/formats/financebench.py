"""FinanceBench's open-source JSON lines: filings by name, evidence by page, counted there from 0. Brings no documents.

Put the PDFs into the suite's docs/ folder under their `doc_name`. Evidence keeps its page; the quote's place in the
extracted text is found when the suite is loaded, and where it is not, the page alone is scored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evals.formats import Bundle, remarks, text_row
from evals.formats.lines import json_lines, wanted, write_lines
from evals.suite import Suite


def read(source: Path) -> Bundle:
    """Every question is answerable; the question's type becomes a tag and its filing the cluster."""
    rows = []
    for number, row in json_lines(source):
        where = f"{source}:{number}"
        id, filing = wanted(row, "financebench_id", str, where), wanted(row, "doc_name", str, where)
        evidence = []
        for entry in wanted(row, "evidence", list, where):
            doc = entry.get("doc_name") or entry.get("evidence_doc_name") or filing
            page = wanted(entry, "evidence_page_num", int, where)
            quote = wanted(entry, "evidence_text", str, where)
            evidence.append({"doc": f"{doc}.pdf", "quote": quote, "start": None, "end": None, "page": page + 1})
        tags = [str(row[key]) for key in ("question_type", "question_reasoning") if row.get(key)]
        answer = wanted(row, "answer", (str, int, float), where)
        rows.append(text_row(id, wanted(row, "question", str, where), [str(answer)], answerable=True,
                             evidence=evidence, tags=tags, cluster=f"{filing}.pdf"))  # fmt: skip
    return Bundle(rows, {}, ["the filings are not in the file; put their PDFs into docs/"], "CC-BY-NC-4.0")


def write(suite: Suite, target: Path) -> list[str]:
    """JSON lines; a question without a paged piece of evidence cannot be written and is named."""
    rows: list[dict[str, Any]] = []
    for case in suite.cases:
        if not case.answerable or not case.answers or not case.evidence or any(e.page is None for e in case.evidence):
            continue
        rows.append(
            {
                "financebench_id": case.id,
                "doc_name": _filing(case.evidence[0].doc),
                "question_type": case.tags[0] if case.tags else "",
                "question_reasoning": case.tags[1] if len(case.tags) > 1 else "",
                "question": case.question,
                "answer": case.answers[0],
                "evidence": [
                    {"evidence_text": e.quote, "doc_name": _filing(e.doc), "evidence_page_num": (e.page or 1) - 1}
                    for e in case.evidence
                ],
            }
        )
    write_lines(target, rows)
    left = len(suite.cases) - len(rows)
    lost = [f"{left} questions have no answer or no page and were left out"] if left else []
    return lost + remarks(
        suite,
        further_answers=lambda row: len(row["answers"]) > 1,
        conflicts=lambda row: row.get("conflicts"),
        tolerance=lambda row: row.get("answer_spec"),
        history=lambda row: row.get("history"),
        further_tags=lambda row: len(row.get("tags", [])) > 2,
    )


def _filing(doc: str) -> str:
    return doc.removesuffix(".pdf")
