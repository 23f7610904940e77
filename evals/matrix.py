"""One suite under every combination of some settings: one run each, compared with the first. Prints nothing."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.comparison import Comparison, compare
from evals.record import MANIFEST, Record, code_digest, load_run
from evals.runs import run, settings_of
from evals.suite import Suite
from index.errors import RagError


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: what was set, its run, and its comparison with the first combination (None for that itself)."""

    settings: Mapping[str, Any]
    record: Record
    against_first: Comparison | None

    @property
    def label(self) -> str:
        """The settings as typed."""
        return label(self.settings)


def label(settings: Mapping[str, Any]) -> str:
    """`chunk_tokens=96 rerank=off`; "as set" without any."""
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "as set"


def vary(
    suite: Suite,
    axes: Mapping[str, Sequence[Any]],
    *,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    on_cell: Callable[[str], None] | None = None,
    **options: Any,
) -> list[Cell]:
    """Run the suite once a combination of the axes' values, each into its own folder below `out`.

    Runs that finished before with the same settings, documents and program are taken as they are, so that a broken
    matrix goes on where it stopped. `options` are those of `run`. Raises RagError for a folder with something else.
    """
    cells: list[Cell] = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        if on_cell:
            on_cell(label(chosen))
        settings = settings_of(suite, {**(overrides or {}), **chosen})
        folder = Path(out) / re.sub(r"[^\w=.,-]+", "_", label(chosen).replace(" ", ","))
        record = None if overwrite else _finished(folder, suite, dataclasses.asdict(settings), options)
        if record is None:
            record = run(suite, out=folder, settings=settings, overwrite=overwrite, **options)
        cells.append(Cell(chosen, record, compare(cells[0].record, record) if cells else None))
    return cells


def _finished(folder: Path, suite: Suite, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Record | None:
    if not (folder / MANIFEST).is_file():
        return None
    record = load_run(folder)
    wanted = {
        "settings": settings,
        "documents": suite.digest(),
        "program": code_digest(),
        "questions": len(suite.cases[: options.get("limit") or len(suite.cases)]),
        "budgets": sorted(options.get("budgets") or suite.budgets),
    }
    other = [key for key, value in wanted.items() if record.manifest.get(key) != value]
    gold = {case.id: case.digest for case in suite.cases}
    if any(gold.get(row.id) != row.gold for row in record.rows):
        other.append("gold")
    if other:
        raise RagError(f"{folder} holds a finished run of other {', '.join(other)}. Replace it with --overwrite.")
    return record
