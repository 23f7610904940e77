"""BEIR: a folder with corpus.jsonl, queries.jsonl and qrels (a .tsv, or qrels/*.tsv). Documents, no spans, no answers.

A judged document is evidence as a whole; its grade is kept. Judgements of 0 and below are read as not relevant.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from evals.formats import Bundle, quote_at, remarks, text_row
from evals.formats.lines import json_lines, safe_name, wanted, write_lines
from evals.gold import SuiteError
from evals.suite import Suite
from index.documents import read_document

_HEADER = ("query-id", "corpus-id", "score")
_UNLIMITED = 1 << 40


def read(source: Path) -> Bundle:
    """A BEIR folder. A query without a relevant document is a question that the corpus does not answer."""
    names, texts = _corpus(source / "corpus.jsonl")
    judged: dict[str, dict[str, float]] = defaultdict(dict)
    for file in _qrels(source):
        for query, doc, grade, where in _judgements(file):
            if doc not in names:
                raise SuiteError(f"{where}: there is no document {doc!r} in the corpus")
            judged[query][doc] = grade
    rows, seen = [], set()
    for number, row in json_lines(source / "queries.jsonl"):
        where = f"{source / 'queries.jsonl'}:{number}"
        id, question = wanted(row, "_id", str, where), wanted(row, "text", str, where)
        seen.add(id)
        if id not in judged:
            continue  # other splits' queries stand in the same file, unjudged
        relevant = {names[doc]: grade for doc, grade in judged[id].items() if grade > 0}
        evidence = [
            quote_at(doc, texts[doc], 0, len(texts[doc]), **({} if grade == 1 else {"grade": grade}))
            for doc, grade in relevant.items()
        ]
        rows.append(text_row(id, question, [], answerable=bool(relevant), evidence=evidence))
    unknown = judged.keys() - seen
    if unknown:
        raise SuiteError(f"{source}: the qrels judge queries that queries.jsonl does not hold: {sorted(unknown)[:3]}")
    return Bundle(rows, texts)


def write(suite: Suite, target: Path) -> list[str]:
    """corpus.jsonl, queries.jsonl, qrels/test.tsv; returns what is lost."""
    # BEIR ids are the files' names without .txt where that is how they were read.
    ids = {doc: doc.removesuffix(".txt") for doc in suite.files}
    corpus: list[dict[str, Any]] = []
    for doc, path in suite.files.items():
        corpus.append({"_id": ids[doc], "title": "", "text": read_document(path, doc, _UNLIMITED).text})
    write_lines(target / "corpus.jsonl", corpus)
    write_lines(target / "queries.jsonl", [{"_id": case.id, "text": case.question} for case in suite.cases])
    lines = ["\t".join(_HEADER)]
    for case in suite.cases:
        grades: dict[str, float] = {}
        for row in case.evidence:
            grades[row.doc] = max(grades.get(row.doc, 0), row.grade)
        lines += [f"{case.id}\t{ids[doc]}\t{grade:g}" for doc, grade in grades.items()]
        if not grades and corpus:  # a judgement of 0 keeps the unanswerable question in the set
            lines.append(f"{case.id}\t{corpus[0]['_id']}\t0")
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    (target / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole = {doc: len(row["text"]) for doc, row in zip(ids, corpus, strict=True)}
    return remarks(
        suite,
        answers=lambda row: row["answers"],
        spans=lambda row: any((e["start"], e["end"]) != (0, whole.get(e["doc"])) for e in row["evidence"]),
        conflicts=lambda row: row.get("conflicts"),
        history=lambda row: row.get("history"),
        tags=lambda row: row.get("tags"),
    )


def _corpus(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """File names by id, and texts by file name; a title is the text's first line."""
    names: dict[str, str] = {}
    texts: dict[str, str] = {}
    for number, row in json_lines(file):
        where = f"{file}:{number}"
        id, text = wanted(row, "_id", str, where), wanted(row, "text", str, where)
        names[id] = safe_name(id)
        if names[id] in texts:
            raise SuiteError(f"{where}: the document {names[id]!r} stands here twice")
        title = str(row.get("title") or "")
        texts[names[id]] = f"{title}\n\n{text}" if title else text
    return names, texts


def _qrels(source: Path) -> list[Path]:
    files = sorted((source / "qrels").glob("*.tsv")) or sorted(source.glob("*.tsv"))
    if not files:
        raise SuiteError(f"{source} holds no judgements; expected qrels/test.tsv with {', '.join(_HEADER)}.")
    test = [file for file in files if file.stem == "test"]
    return test or files


def _judgements(file: Path) -> list[tuple[str, str, float, str]]:
    found = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or tuple(cells) == _HEADER:
            continue
        where = f"{file}:{number}"
        try:
            query, doc, grade = cells
            found.append((query, doc, float(grade), where))
        except ValueError:
            raise SuiteError(f"{where}: expected query, document and score, found {json.dumps(line)[:80]}") from None
    return found
