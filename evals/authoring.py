"""New gold: rows typed by hand and rows from people's verdicts on answers, appended to a suite. Asks no system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.formats import quote_at
from evals.formats.lines import json_lines, wanted
from evals.gold import DRAFT, SuiteError, parse_case, read_gold, write_gold
from evals.metrics.answers import normalise
from evals.quotes import locate
from evals.suite import load_suite
from index.documents import read_document


def typed_row(
    question: str,
    answers: Sequence[str],
    doc: str | None,
    quote: str | None,
    answerable: bool = True,
    tags: Sequence[str] = (),
) -> dict[str, Any]:
    """A row of gold from what a person typed. Raises SuiteError for a quote without its document or the reverse."""
    if bool(doc) != bool(quote):
        raise SuiteError("Evidence needs both a document and its words: --doc NAME --quote '…'")
    evidence = [{"doc": doc, "quote": quote, "start": None, "end": None, "page": None}] if doc else []
    row = {"id": new_id(question), "question": question, "answers": list(answers), "answerable": answerable}
    return {**row, "evidence": evidence, **({"tags": list(tags)} if tags else {}), "source": "human"}


def feedback_rows(file: Path) -> list[dict[str, Any]]:
    """Drafts from saved answers: JSON lines of {"answer": Answer.to_dict(), "good": bool, "correction"?: text}.

    An answer called good gives its cited sentences as evidence, and its short form or else its words as the answer. One
    called bad tells nothing of what is right and needs a correction (SuiteError). A line that is an answer itself
    counts as good.
    """
    rows = []
    for number, line in json_lines(file):
        where = f"{file}:{number}"
        answer = line.get("answer", line)
        question = wanted(answer, "question", str, where)
        good, correction = bool(line.get("good", True)), str(line.get("correction") or "")
        if not good and not correction:
            raise SuiteError(f"{where}: an answer called bad needs a 'correction' to become gold")
        cited = [] if correction else wanted(answer, "citations", list, where)
        evidence = [
            {"doc": c["doc"], "quote": c["quote"], "start": c["start"], "end": c["end"], "page": c["page"], "group": n}
            for n, c in enumerate(cited)
        ]
        withheld = bool(answer.get("abstained")) and not correction
        short = str(answer.get("headline") or "")
        said = [correction or short or " ".join(s["text"] for s in answer.get("sentences", []))]
        rows.append(
            {
                "id": new_id(question),
                "question": question,
                "answers": [] if withheld else [text for text in said if text.strip()],
                "answerable": not withheld,
                "evidence": [] if withheld else evidence,
                "split": DRAFT,
                "source": "feedback",
            }
        )
    return rows


def add_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Append rows to a suite's gold; returns how many were new and how many are asked there already.

    Every quote is looked for in the suite's documents and gets its place. Raises SuiteError, and writes nothing, when
    one is not found or a row is not valid.
    """
    file = folder / "gold.jsonl"
    known: set[str] = set()
    old: list[str] = []
    if file.is_file():
        known = {normalise(case.question) for case in read_gold(file)[0]}
        old = [line for line in file.read_text("utf-8-sig").split("\n") if line.strip()]
    fresh, texts = [], _Texts(folder)
    for row in rows:
        key = normalise(row["question"])
        if key in known:
            continue
        known.add(key)
        try:
            parse_case(row)
        except ValueError as fault:
            raise SuiteError(f"The question {row['question']!r:.80} cannot be added: {fault}") from fault
        fresh.append({**row, "evidence": [texts.placed(entry) for entry in row["evidence"]]})
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
        write_gold(file, [*map(json.loads, old), *fresh])
    return len(fresh), len(rows) - len(fresh)


def new_id(question: str) -> str:
    """An id that the same question always gets."""
    return f"q-{hashlib.sha256(normalise(question).encode()).hexdigest()[:8]}"


class _Texts:
    """The documents of a suite's folder, and where quotes stand in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        has_gold = (folder / "gold.jsonl").is_file()
        self._files = load_suite(folder).files if has_gold else self._listed(folder / "docs")

    @staticmethod
    def _listed(docs: Path) -> dict[str, Path]:
        return {path.relative_to(docs).as_posix(): path for path in sorted(docs.rglob("*")) if path.is_file()}

    def placed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The evidence with its place in the document's text."""
        doc, quote = str(entry["doc"]), str(entry["quote"])
        if doc not in self._files:
            known = ", ".join(list(self._files)[:8])
            raise SuiteError(f"There is no document {doc!r} in {self._folder / 'docs'}; it holds: {known}")
        document = read_document(self._files[doc], doc, 1 << 40)
        found = locate(quote, document.text, entry.get("start"))
        if found is None:
            raise SuiteError(f"The document {doc} does not hold the words {quote!r:.100}")
        page = next((n for n, (a, b) in enumerate(document.pages, 1) if a <= found[0] < b), None)
        group = {"group": entry["group"]} if "group" in entry else {}
        return {**quote_at(doc, document.text, *found), "page": page, **group}
