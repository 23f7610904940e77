"""New gold: rows typed by hand and from people's verdicts on answers, drafts and their review. Asks no system."""

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
    """Drafts from answers that people judged, as the page gives them out or as written by hand; JSON lines of

        {"answer": Answer.to_dict(), "good": bool, "correction"?: text, "evidence"?: [{"doc", "quote", ...}],
         "wrong_citations"?: [number], "should_abstain"?: bool, "history"?: [[question, answer]]}

    An answer called good gives its short form, or else its words, as the answer and its cited sentences, but for those
    called wrong, as evidence; `evidence` names the right passages instead. `should_abstain` means that the documents
    hold no answer. An answer called bad tells nothing of what is right and needs one of the three (SuiteError). A line
    that is an answer itself counts as good.
    """
    rows = []
    for number, line in json_lines(file):
        where = f"{file}:{number}"
        answer = line.get("answer", line)
        question = wanted(answer, "question", str, where)
        history = line.get("history") or []
        rows.append(
            {
                "id": new_id(question, history),
                "question": question,
                **_learnt(line, answer, where),
                **({"history": history} if history else {}),
                "split": DRAFT,
                "source": "feedback",
            }
        )
    return rows


def _learnt(line: dict[str, Any], answer: dict[str, Any], where: str) -> dict[str, Any]:
    """What a judged answer tells: `answers`, `answerable`, `evidence`."""
    nothing: dict[str, Any] = {"answers": [], "answerable": False, "evidence": []}
    if line.get("should_abstain"):
        return nothing
    good, correction = bool(line.get("good", True)), str(line.get("correction") or "")
    given = wanted(line, "evidence", list, where) if "evidence" in line else []
    if not (good or correction or given):
        raise SuiteError(
            f"{where}: an answer called bad needs a 'correction', 'evidence' or 'should_abstain' to become gold"
        )
    if answer.get("abstained") and not correction and not given:
        return nothing
    if not given and not correction:
        wrong = line.get("wrong_citations") or ()
        given = [c for c in wanted(answer, "citations", list, where) if c["number"] not in wrong]
    short = str(answer.get("headline") or "")
    said = correction or (short or " ".join(s["text"] for s in answer.get("sentences", [])) if good else "")
    return {
        "answers": [said] if said.strip() else [],
        "answerable": True,
        "evidence": [_shown(row, where) | {"group": n} for n, row in enumerate(given)],
    }


def _shown(row: Any, where: str) -> dict[str, Any]:
    return {
        "doc": wanted(row, "doc", str, where),
        "quote": wanted(row, "quote", str, where),
        **{key: row.get(key) for key in ("start", "end", "page")},
    }


def add_rows(folder: Path, rows: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Append rows to a suite's gold; returns how many were new and how many are asked there already.

    Every quote is looked for in the suite's documents and gets its place. Raises SuiteError, and writes nothing, when
    one is not found or a row is not valid.
    """
    file = folder / "gold.jsonl"
    known: set[str] = set()
    old: list[dict[str, Any]] = []
    if file.is_file():
        known = {_asked(case.question, case.history) for case in read_gold(file)[0]}
        old = _rows(file)
    fresh, texts = [], _Texts(folder)
    for row in rows:
        key = _asked(row["question"], row.get("history") or ())
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
        write_gold(file, [*old, *fresh])
    return len(fresh), len(rows) - len(fresh)


def drafts(folder: Path) -> list[dict[str, Any]]:
    """The rows of a suite's gold that wait for a person, in their order. Raises SuiteError."""
    waiting = {case.id for case in read_gold(folder / "gold.jsonl")[0] if case.split == DRAFT}
    return [row for row in _rows(folder / "gold.jsonl") if row["id"] in waiting]


def settle(folder: Path, id: str, row: dict[str, Any] | None) -> None:
    """Put a reviewed row in the place of the draft of that id, no draft any more; None drops it. Raises SuiteError."""
    file = folder / "gold.jsonl"
    kept: list[dict[str, Any]] = []
    for old in _rows(file):
        if old["id"] != id:
            kept.append(old)
        elif row is not None:
            kept.append({key: value for key, value in row.items() if key != "split"})
    for reviewed in [each for each in kept if each["id"] == id]:
        try:
            parse_case(reviewed)
        except ValueError as fault:
            raise SuiteError(f"The question {reviewed['question']!r:.80} cannot be kept: {fault}") from fault
    write_gold(file, kept)


def new_id(question: str, history: Sequence[Any] = ()) -> str:
    """An id that the same question, after the same questions, always gets."""
    return f"q-{hashlib.sha256(_asked(question, history).encode()).hexdigest()[:8]}"


def _asked(question: str, history: Sequence[Any]) -> str:
    """What is asked: "And in 2019?" after another question is another question."""
    before = [turn if isinstance(turn, str) else turn[0] for turn in history]
    return "\n".join(map(normalise, [question, *before]))


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8-sig").split("\n") if line.strip()]


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
