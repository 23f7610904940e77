"""A suite: documents, gold questions about them, and how to score. Finds every gold quote again; asks nothing.

A suite is a folder with `gold.jsonl` and `docs/`, or one whose `suite.toml` says otherwise:

    name = "handbook"
    documents = "docs"            # relative to this file
    gold = "gold.jsonl"
    licence = "CC-BY-4.0"
    [settings]                    # of the Rag under test; the command line overrides
    tokens = 1500
    [metrics]
    budgets = [500, 1000, 2000]   # tokens of passages at which recall is measured
    gate = ["recall", "token_f1"] # what `compare --fail-if-worse` looks at
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from evals.gold import Case, Evidence, SuiteError, raise_faults, read_gold
from evals.metrics import METRICS
from evals.quotes import locate, locate_body
from index.documents import Document, read_document
from index.errors import DocumentError
from index.readers import READERS

BUNDLED = Path(__file__).parent / "suites"
BUDGETS = (500, 1000, 2000)
_KEYS = ("name", "title", "description", "documents", "gold", "licence", "license", "source", "version", "settings",
         "metrics")  # fmt: skip
_UNLIMITED = 1 << 40


@dataclass(frozen=True, slots=True)
class Suite:
    """Gold cases and the folder of documents they are about (None: the suite asks an index that exists already)."""

    name: str
    gold: Path
    documents: Path | None
    cases: tuple[Case, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    budgets: tuple[int, ...] = BUDGETS
    gate: tuple[str, ...] = tuple(metric.name for metric in METRICS if metric.gates)
    description: str = ""
    licence: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, Path]:
        """The files of the documents' folder by the name that the index gives them."""
        if self.documents is None:
            return {}
        found = sorted(path for path in self.documents.rglob("*") if path.is_file())
        return {path.relative_to(self.documents).as_posix(): path for path in found}

    def digest(self) -> str:
        """A fingerprint of the documents' names and bytes."""
        total = hashlib.sha256()
        for doc, path in self.files.items():
            total.update(f"{doc}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()[:16]


def load_suite(source: str | Path, extract: bool = False) -> Suite:
    """The suite in a folder, or the bundled one of that name, every quote found again in its document.

    Quotes in .html and .pdf, whose text must be extracted first, are looked for when the suite runs, or now with
    `extract`. Drifted offsets are mended and reported in `Suite.warnings`. Raises SuiteError with file and line of
    every row that cannot be used: a faulty row, a document that is not there, a quote that its document does not hold.
    """
    folder = _folder(source)
    head = _head(folder / "suite.toml")
    metrics = head.get("metrics", {})
    documents = folder / str(head.get("documents", "docs"))
    if "documents" in head and not documents.is_dir():
        raise SuiteError(f"{folder / 'suite.toml'} names the documents {documents}, which is no folder.")
    gold = folder / str(head.get("gold", "gold.jsonl"))
    cases, warnings = read_gold(gold)
    suite = Suite(
        name=str(head.get("name", folder.resolve().name)),
        gold=gold,
        documents=documents if documents.is_dir() else None,
        cases=tuple(cases),
        settings=head.get("settings", {}),
        budgets=tuple(sorted(metrics.get("budgets", BUDGETS))),
        gate=tuple(metrics.get("gate", Suite.__dataclass_fields__["gate"].default)),
        description=str(head.get("description", head.get("title", ""))),
        licence=str(head.get("licence", head.get("license", ""))),
        warnings=tuple(warnings),
    )
    return place(suite, _reader(suite, extract)) if suite.documents else suite


def place(suite: Suite, document_of: Callable[[str], Document | None]) -> Suite:
    """The suite with its evidence placed in the documents' text, as far as `document_of` has it (None: cannot say).

    The quote decides. Offsets that do not point to it are mended with a warning; a quote that is not found is a fault
    (SuiteError), except where the gold names a page: there it may lack the outer lines that page headers and footers
    are, and else the page stands and a warning says that the span is unknown.
    """
    faults: list[str] = []
    warnings: list[str] = []

    def settle(case: Case, row: Evidence) -> Evidence:
        document = document_of(row.doc)
        if document is None:
            return row
        where = f"{suite.gold.name}:{case.line}: the quote {_short(row.quote)}"
        found = _placed(row, document)
        if found.span is None and row.page is not None:
            warnings.append(f"{where} is not on page {row.page} of {row.doc} as extracted; only its page is scored")
        elif found.span is None:
            faults.append(f"{where} is not in {row.doc}")
        elif locate(row.quote, document.text[found.start : found.end]) is None:
            warnings.append(f"{where} stands on page {row.page} of {row.doc} without some of its outer lines")
        elif row.start is not None and (found.start, found.end) != (row.start, row.end):
            warnings.append(f"{where} stands at {found.start}-{found.end} of {row.doc}, not at {row.start}-{row.end}")
        return found

    cases = tuple(
        dataclasses.replace(
            case,
            evidence=tuple(settle(case, row) for row in case.evidence),
            conflicts=tuple(
                dataclasses.replace(side, evidence=tuple(settle(case, row) for row in side.evidence))
                for side in case.conflicts
            ),
        )
        for case in suite.cases
    )
    raise_faults(suite.gold, faults)
    fresh = [warning for warning in warnings if warning not in suite.warnings]
    return dataclasses.replace(suite, cases=cases, warnings=(*suite.warnings, *fresh))


def _placed(row: Evidence, document: Document) -> Evidence:
    if row.start is not None and document.text[row.start : row.end] == row.quote:
        return row
    begin, end = 0, len(document.text)
    if row.page is not None and document.pages:
        begin, end = document.pages[row.page - 1] if row.page <= len(document.pages) else (0, 0)
    near = row.start - begin if row.start is not None else None
    found = locate(row.quote, document.text[begin:end], near)
    if found is None and row.page is not None:
        found = locate_body(row.quote, document.text[begin:end])
    start, stop = (begin + found[0], begin + found[1]) if found else (None, None)
    return dataclasses.replace(row, start=start, end=stop)


def _reader(suite: Suite, extract: bool) -> Callable[[str], Document | None]:
    files = suite.files
    rows = [
        (case, row)
        for case in suite.cases
        for row in [*case.evidence, *(r for s in case.conflicts for r in s.evidence)]
    ]
    faults = []
    for case, row in rows:
        if row.doc not in files:
            close = difflib.get_close_matches(row.doc, files, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            faults.append(f"{suite.gold.name}:{case.line}: there is no document {row.doc!r} in {suite.documents}{hint}")
    raise_faults(suite.gold, faults)

    @cache
    def read(doc: str) -> Document | None:
        path = files[doc]
        if not extract and READERS.get(path.suffix.lower()) is not READERS[".txt"]:
            return None
        try:
            return read_document(path, doc, _UNLIMITED)
        except DocumentError as error:
            raise SuiteError(f"The document {path} cannot be read: {error}.") from error

    return read


def _folder(source: str | Path) -> Path:
    path = Path(source)
    if (path / "suite.toml").is_file() or (path / "gold.jsonl").is_file():
        return path
    bundled = sorted(entry.parent.name for entry in BUNDLED.glob("*/suite.toml"))
    if str(source) in bundled:
        return BUNDLED / str(source)
    found = "holds neither suite.toml nor gold.jsonl" if path.is_dir() else "is no folder"
    raise SuiteError(f"{source} {found}, and the bundled suites are: {', '.join(bundled) or 'none'}.")


def _head(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        head = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"{file} is not valid TOML: {error}") from error
    _known(file, head, _KEYS)
    metrics = head.get("metrics", {})
    _known(file, metrics, ("budgets", "gate"))
    budgets, gate = metrics.get("budgets", BUDGETS), metrics.get("gate", ())
    if not budgets or not all(isinstance(budget, int) and budget > 0 for budget in budgets):
        raise SuiteError(f"{file}: 'budgets' is {budgets!r}; expected token counts such as [500, 1000].")
    names = [metric.name for metric in METRICS]
    for name in gate:
        if str(name).partition("@")[0] not in names:
            raise SuiteError(f"{file}: there is no metric {name!r}; known: {', '.join(names)}.")
    return head


def _known(file: Path, table: Any, keys: Sequence[str]) -> None:
    if not isinstance(table, dict):
        raise SuiteError(f"{file}: expected a table, found {table!r}.")
    for key in table:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, 1)
            raise SuiteError(
                f"{file}: there is no key {key!r}; "
                + (f"did you mean {close[0]!r}?" if close else f"known: {', '.join(keys)}.")
            )


def _short(quote: str) -> str:
    words = " ".join(quote.split())
    return f'"{words}"' if len(words) <= 60 else f'"{words[:57]}…"'
