"""Gold as written: JSON lines to `Case`s, checked row by row. Reads no documents and scores nothing.

One question a line; needed are `id`, `question` and one of `answers`, `evidence`, `answerable`. Every complaint names
file and line.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.metrics.retrieval import Page, Span
from index.errors import RagError

DRAFT = "draft"
"""The split of rows that nobody has reviewed; runs leave them out."""


class SuiteError(RagError):
    """A suite cannot be scored as it is written; the message names file and line of each fault."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Words of a document that carry an answer.

    `start` and `end` (code points of the extracted text) are None until the quote was found there. Rows of one `group`
    are needed together, groups are alternatives. `grade` says how relevant the document is, for graded judgements.
    """

    doc: str
    quote: str
    start: int | None = None
    end: int | None = None
    page: int | None = None
    group: int | str | None = None
    grade: float = 1.0

    @property
    def span(self) -> Span | None:
        """(doc, start, end), or None when the quote has no known place."""
        return None if self.start is None or self.end is None else (self.doc, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Side:
    """Another value that some documents give for what was asked, and the words that give it."""

    answers: tuple[str, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its gold. `answers` are variants, any will do; `line` is its place in the gold file.

    `history` holds the (question, answer) pairs that came before it in a conversation; where the answer is None, the
    system under test gives its own. `digest` is that of the row.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    answerable: bool = True
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[Side, ...] = ()
    claims: tuple[str, ...] = ()
    answer_spec: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    cluster: str = ""
    history: tuple[tuple[str, str | None], ...] = ()
    split: str | None = None
    line: int = 0
    digest: str = ""

    @property
    def pages(self) -> frozenset[Page]:
        """The (doc, page) pairs of the evidence that names a page."""
        return frozenset((row.doc, row.page) for row in self.evidence if row.page is not None)

    @property
    def groups(self) -> list[list[Evidence]]:
        """The evidence by group; one group when none is named."""
        grouped: dict[int | str | None, list[Evidence]] = {}
        for row in self.evidence:
            grouped.setdefault(row.group, []).append(row)
        return list(grouped.values())

    @property
    def rel_tol(self) -> float | None:
        """The relative tolerance of an answer that is declared a number, else None."""
        if self.answer_spec.get("type") != "number":
            return None
        return float(self.answer_spec.get("rel_tol", 0.01))


_KEYS = {*Case.__dataclass_fields__, "distractors", "filters", "source", "weight", "meta"} - {"line", "digest"}


def gold_row(case: Case) -> dict[str, Any]:
    """The case as a row of a gold file, without what stands at its default; `parse_case` gives an equal case back."""
    row: dict[str, Any] = {
        "id": case.id,
        "question": case.question,
        "answers": list(case.answers),
        "answerable": case.answerable,
        "evidence": [_evidence_row(row) for row in case.evidence],
    }
    optional = {
        "conflicts": [
            {"answer": list(side.answers), "evidence": [_evidence_row(row) for row in side.evidence]}
            for side in case.conflicts
        ],
        "claims": list(case.claims),
        "answer_spec": dict(case.answer_spec),
        "tags": list(case.tags),
        "cluster": case.cluster if case.cluster != _own_cluster(case.id, case.evidence) else "",
        "history": [question if said is None else [question, said] for question, said in case.history],
        "split": case.split,
    }
    return {**row, **{key: value for key, value in optional.items() if value}}


def parse_case(row: Mapping[str, Any], line: int = 0, digest: str = "") -> Case:
    """A case from a row of gold. Raises ValueError, which says what is wrong with it."""
    return dataclasses.replace(_case(row, line, ""), digest=digest)


def write_gold(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of gold, one a line, in one step: the file is whole or as it was."""
    temporary = path.with_name(path.name + ".tmp")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def read_gold(path: Path) -> tuple[list[Case], list[str]]:
    """The cases of a gold file and the warnings about it. Raises SuiteError naming every faulty line."""
    cases: list[Case] = []
    faults: list[str] = []
    warnings: list[str] = []
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        where = f"{path.name}:{number}"
        try:
            row = json.loads(line)
            case = _case(row, number, line)
        except (json.JSONDecodeError, _RowError) as fault:
            faults.append(f"{where}: {fault}")
            continue
        if case.id in seen:
            faults.append(f"{where}: id {case.id!r} stands in line {seen[case.id]} too")
        seen.setdefault(case.id, number)
        for key in row.keys() - _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            warnings.append(f"{where}: {key!r} is not read" + (f"; did you mean {close[0]!r}?" if close else ""))
        cases.append(case)
    raise_faults(path, faults)
    if not cases:
        raise SuiteError(f"{path} holds no questions; expected one JSON object a line.")
    return cases, warnings


def raise_faults(path: Path, faults: list[str]) -> None:
    """Raise SuiteError with the faults, at most twenty written out; nothing happens when there is none."""
    if faults:
        shown = "\n  ".join(faults[:20])
        more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise SuiteError(f"{path} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n  {shown}{more}")


class _RowError(ValueError):
    """What is wrong with one row."""


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise SuiteError(f"There is no gold file {path}; expected one JSON object a line.") from None
    except UnicodeDecodeError as error:
        raise SuiteError(f"{path} is not UTF-8: {error.reason} at byte {error.start}.") from error
    # Not splitlines(): it would also split at U+2028, which JSON strings may hold as it is.
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _case(row: Any, number: int, line: str) -> Case:
    if not isinstance(row, dict):
        raise _RowError(f"expected a JSON object, found {type(row).__name__}")
    for key in ("id", "question"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise _RowError(f"{key!r} is {row.get(key)!r}; expected a text")
    answers = _texts(row, "answers")
    evidence = _evidence(row)
    answerable = row.get("answerable", True if answers or evidence else None)
    if not isinstance(answerable, bool):
        raise _RowError("one of 'answers', 'evidence' or 'answerable' (true or false) is needed")
    spec = row.get("answer_spec") or {}
    if not isinstance(spec, dict) or not isinstance(spec.get("rel_tol", 0.01), int | float):
        raise _RowError(f"'answer_spec' is {spec!r}; expected one such as {{'type': 'number', 'rel_tol': 0.01}}")
    return Case(
        id=row["id"],
        question=row["question"],
        answers=answers,
        answerable=answerable,
        evidence=evidence,
        conflicts=tuple(Side(_texts(side, "answer"), _evidence(side)) for side in _objects(row, "conflicts")),
        claims=_texts(row, "claims"),
        answer_spec=spec,
        tags=_texts(row, "tags"),
        cluster=str(row.get("cluster") or _own_cluster(row["id"], evidence)),
        history=_history(row),
        split=row.get("split"),
        line=number,
        digest=hashlib.sha256(line.strip().encode()).hexdigest()[:16],
    )


def _evidence(row: Mapping[str, Any]) -> tuple[Evidence, ...]:
    found = []
    for entry in _objects(row, "evidence"):
        if (
            not isinstance(entry.get("doc"), str)
            or not isinstance(entry.get("quote"), str)
            or not entry["quote"].strip()
        ):
            raise _RowError("each row of 'evidence' needs a 'doc' and a 'quote'")
        places = {key: entry.get(key) for key in ("start", "end", "page")}
        for key, value in places.items():
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < (key == "page")):
                raise _RowError(f"{key!r} is {value!r}; expected a whole number{' from 1' * (key == 'page')} or null")
        grade = entry.get("grade", 1.0)
        if not isinstance(grade, int | float) or isinstance(grade, bool) or grade <= 0:
            raise _RowError(f"'grade' is {grade!r}; expected a number above 0")
        found.append(Evidence(entry["doc"], entry["quote"], **places, group=entry.get("group"), grade=float(grade)))
    return tuple(found)


def _evidence_row(row: Evidence) -> dict[str, Any]:
    found = {"doc": row.doc, "quote": row.quote, "start": row.start, "end": row.end, "page": row.page}
    found |= {"group": row.group} if row.group is not None else {}
    return found | ({"grade": row.grade} if row.grade != 1.0 else {})


def _own_cluster(id: str, evidence: Sequence[Evidence]) -> str:
    # Questions on one document share its luck; a question without evidence stands for itself.
    return evidence[0].doc if evidence else f"question {id}"


def _history(row: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    turns = row.get("history") or []
    wrong = _RowError(f"'history' is {turns!r}; expected a list of questions or of [question, answer] pairs")
    if not isinstance(turns, list):
        raise wrong
    history: list[tuple[str, str | None]] = []
    for turn in turns:
        match turn:
            case str() as question:
                history.append((question, None))
            case [str() as question, str() as answer]:
                history.append((question, answer))
            case _:
                raise wrong
    return tuple(history)


def _objects(row: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _RowError(f"{key!r} is {value!r}; expected a list of objects")
    return value


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = row.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _RowError(f"{key!r} is {value!r}; expected a list of texts")
    return tuple(value)
