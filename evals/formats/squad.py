"""SQuAD 1.1 and 2.0, and what keeps their shape (XQuAD, MLQA): articles with paragraphs, answers by their start.

An article is a document: its paragraphs with a blank line between. Answer starts are moved by the paragraph's place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evals.formats import Bundle, remarks, text_row
from evals.formats.lines import json_file, safe_name, wanted, write_json
from evals.gold import Case, SuiteError
from evals.suite import Suite
from index.documents import read_document

_GAP = "\n\n"
_UNLIMITED = 1 << 40


def read(source: Path) -> Bundle:
    """A SQuAD file. `is_impossible` is an unanswerable question; answers at one place are variants of each other."""
    articles = wanted(json_file(source), "data", list, str(source))
    rows: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for number, article in enumerate(articles):
        where = f"{source}: article {number}"
        doc = safe_name(str(article.get("title") or f"article {number}"))
        if doc in texts:
            doc = safe_name(f"{number} {doc.removesuffix('.txt')}")
        text = ""
        for paragraph in wanted(article, "paragraphs", list, where):
            context = wanted(paragraph, "context", str, where)
            text += _GAP * bool(text)
            rows += [
                _question(entry, doc, context, len(text), where) for entry in wanted(paragraph, "qas", list, where)
            ]
            text += context
        texts[doc] = text
    return Bundle(rows, texts)


def write(suite: Suite, target: Path) -> list[str]:
    """One SQuAD 2.0 file, a document an article of one paragraph; a question without evidence goes with the first."""
    asked: dict[str, list[dict[str, Any]]] = {doc: [] for doc in suite.files}
    texts = {doc: read_document(path, doc, _UNLIMITED).text for doc, path in suite.files.items()}
    lost = 0
    for case in suite.cases:
        doc = case.evidence[0].doc if case.evidence else next(iter(asked))
        entry = _entry(case, doc, texts[doc])
        lost += entry is None
        asked[doc] += [entry] if entry else []
    data = [
        {
            "title": doc.removesuffix(".txt"),
            "paragraphs": [{"context": texts[doc], "qas": entries}],
        }
        for doc, entries in asked.items()
    ]
    write_json(target, {"version": "v2.0", "data": data})
    dropped = [f"{lost} questions have no answer that stands in their evidence and were left out"] if lost else []
    return dropped + remarks(
        suite,
        further_evidence=lambda row: len({e["doc"] for e in row["evidence"]}) > 1,
        conflicts=lambda row: row.get("conflicts"),
        history=lambda row: row.get("history"),
        tags=lambda row: row.get("tags"),
    )


def _question(entry: Any, doc: str, context: str, begin: int, where: str) -> dict[str, Any]:
    id, question = wanted(entry, "id", str, where), wanted(entry, "question", str, where)
    where = f"{where}, question {id}"
    if entry.get("is_impossible"):
        return text_row(id, question, [], answerable=False, evidence=[], cluster=doc)
    answers: list[str] = []
    places: dict[tuple[int, int], str] = {}
    for answer in wanted(entry, "answers", list, where):
        said, start = wanted(answer, "text", str, where), wanted(answer, "answer_start", int, where)
        if context[start : start + len(said)] != said:
            raise SuiteError(f"{where}: the answer {said!r} does not stand at {start} of its paragraph")
        answers.append(said)
        places.setdefault((begin + start, begin + start + len(said)), said)
    if not answers:
        raise SuiteError(f"{where}: it is not marked impossible and has no answer")
    # Annotators mark the same answer at several places or lengths: each alone is enough.
    evidence = [
        {
            "doc": doc,
            "quote": said,
            "start": start,
            "end": end,
            "page": None,
            **({"group": n} if len(places) > 1 else {}),
        }
        for n, ((start, end), said) in enumerate(places.items())
    ]
    return text_row(id, question, list(dict.fromkeys(answers)), answerable=True, evidence=evidence)


def _entry(case: Case, doc: str, text: str) -> dict[str, Any] | None:
    """A case as SQuAD has it; None where no answer stands in the evidence, which SQuAD cannot express."""
    entry = {"id": case.id, "question": case.question, "answers": [], "is_impossible": not case.answerable}
    if not case.answerable:
        return entry
    answers = []
    for row in case.evidence:
        if row.doc != doc or row.start is None or row.end is None:
            continue
        held = text[row.start : row.end]
        said = next((answer for answer in case.answers if answer in held), None)
        if said is not None:
            answers.append({"text": said, "answer_start": row.start + held.index(said)})
    return {**entry, "answers": answers} if answers else None
