"""A run on disk: rows, manifest, and the means they give. Written by `evals.runs`, read by everything after it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.metrics import shown_order, title_of
from evals.stats import Estimate, estimate
from index.errors import RagError

if TYPE_CHECKING:
    from evals.suite import Suite

ROWS, MANIFEST = "rows.jsonl", "manifest.json"


@dataclass(slots=True)
class Row:
    """One question's outcome. `gold` is the digest of its gold, `run` the identity of the run that made the row.

    `scores` are in [0, 1]; `unscored` gives reasons. `found` holds [doc, start, end, page, tokens] a passage, by token
    budget; `answer` is `Answer.to_dict()`, None where none was asked for; `seconds` by stage. After an `error` all of
    them are empty.
    """

    id: str
    gold: str
    run: str
    cluster: str
    tags: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    found: dict[str, list[list[Any]]] = field(default_factory=dict)
    answer: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A metric over a run: its estimate (None when nothing could be scored) and how many questions were not."""

    name: str
    title: str
    estimate: Estimate | None
    unscored: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """A finished run."""

    folder: Path
    manifest: Mapping[str, Any]
    rows: tuple[Row, ...]

    @property
    def errors(self) -> list[Row]:
        """The rows of questions that failed; no score counts them."""
        return [row for row in self.rows if row.error is not None]

    def scores(self) -> list[Score]:
        """Every metric that applied to some question, in the order in which they are shown."""
        names = {name for row in self.rows for name in (*row.scores, *row.unscored)} - {"completed"}
        return [self._score(name) for name in sorted(names, key=shown_order)]

    def _score(self, name: str) -> Score:
        scored = [row for row in self.rows if name in row.scores]
        reasons = Counter(row.unscored[name] for row in self.rows if name in row.unscored)
        mean = estimate([row.scores[name] for row in scored], [row.cluster for row in scored]) if scored else None
        return Score(name, title_of(name), mean, reasons.total(), dict(reasons))

    def to_dict(self) -> dict[str, Any]:
        """The manifest, the scores and the counts, as plain values."""
        return {
            "folder": str(self.folder),
            **self.manifest,
            "scores": [asdict(score) for score in self.scores()],
            "errors": {row.id: row.error for row in self.errors},
        }


def load_run(folder: str | Path) -> Record:
    """A finished run from its folder. Raises RagError when there is none or it was broken off."""
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        state = "was broken off" if (folder / ROWS).is_file() else "is no run"
        raise RagError(f"{folder} {state}: it has no {MANIFEST}. Type: rag eval run SUITE --out {folder}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        rows = tuple(Row(**row) for row in _json_lines(folder / ROWS))
    except (OSError, ValueError, TypeError) as error:
        raise RagError(f"The run in {folder} cannot be read: {error}") from error
    return Record(folder, manifest, rows)


def kept_rows(folder: Path, identity: str, suite: Suite, overwrite: bool) -> list[Row]:
    """The rows of a broken run that the next one need not ask again: same run, same gold, no error.

    Raises RagError for a finished run, unless it is to be overwritten: a baseline is not lost by a slip.
    """
    if (folder / MANIFEST).is_file():
        if not overwrite:
            raise RagError(f"{folder} holds a finished run. Name another folder, or replace it with --overwrite.")
        (folder / MANIFEST).unlink()
        return []
    if overwrite or not (folder / ROWS).is_file():
        return []
    wanted = {case.id: case.digest for case in suite.cases}
    rows = [Row(**row) for row in _json_lines(folder / ROWS, torn=True) if row.keys() <= set(Row.__dataclass_fields__)]
    return [row for row in rows if row.run == identity and row.error is None and wanted.get(row.id) == row.gold]


def write_rows(folder: Path, rows: Iterable[Row], append: bool = False) -> None:
    """Write or append rows. A fresh file replaces the old one in one step; an appended row is on disk on return."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ROWS
    target = file if append else file.with_suffix(".tmp")
    with target.open("a" if append else "w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n")
        lines.flush()
        os.fsync(lines.fileno())
    if not append:
        target.replace(file)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest in one step; its being there means that the run is whole."""
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST)


def code_version() -> str:
    """The installed version of this program; `unknown` when it runs from a bare source tree."""
    try:
        return version("footnote-rag")
    except PackageNotFoundError:
        return "unknown"


def _json_lines(file: Path, torn: bool = False) -> list[dict[str, Any]]:
    """The objects of a JSONL file. With `torn`, lines that a killed process left unfinished are passed over."""
    found = []
    # Not splitlines(): U+2028 stands unescaped inside our own strings.
    for line in file.read_text("utf-8", errors="replace" if torn else "strict").split("\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            if not torn:
                raise
            continue
        found.append(row)
    return found
