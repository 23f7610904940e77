"""Two finished runs, question by question: what got better, what got worse, what cannot be told. Asks nothing anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evals.metrics import metric_of, shown_order, title_of
from evals.record import Record, Row, load_run
from evals.stats import Difference, difference, holm
from evals.whole import whole_differences
from index.errors import RagError
from index.frames import frame

Finding = Literal["better", "worse", "no difference shown"]
_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """One metric in both runs, over the questions that both scored.

    `p` is Holm-adjusted, over the gating metrics when `gates`, else over the others. `unpaired` counts the questions
    that only one of the runs scored.
    """

    name: str
    title: str
    gates: bool
    base: float
    new: float
    difference: Difference
    p: float
    finding: Finding
    unpaired: int


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Every metric that both runs scored on some shared question, and what the runs do not share."""

    base: Path
    new: Path
    questions: int
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def worse(self) -> list[Change]:
        """The gating metrics that are worse beyond chance."""
        return [change for change in self.changes if change.gates and change.finding == "worse"]

    def __repr__(self) -> str:
        moved = [f"{change.name} {change.finding}" for change in self.changes if change.finding in ("better", "worse")]
        said = ", ".join(moved) or "no difference shown"
        return f"<Comparison of {self.new} with {self.base}, {self.questions} questions: {said}>"

    def _repr_html_(self) -> str:
        from evals.shown import comparison_html

        return comparison_html(self)

    def to_pandas(self) -> Any:
        """The changes as a pandas frame, one a row: name, base, new, difference, low, high, p, mde, n, finding."""
        return frame(
            {
                "name": change.name, "title": change.title, "gates": change.gates, "base": change.base,
                "new": change.new, "difference": change.difference.mean, "low": change.difference.low,
                "high": change.difference.high, "p": change.p, "mde": change.difference.mde,
                "n": change.difference.n, "finding": change.finding,
            }
            for change in self.changes
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "base": str(self.base), "new": str(self.new), "worse": [c.name for c in self.worse]}


def compare(base: Record | str | Path, new: Record | str | Path) -> Comparison:
    """Compare two runs on the questions whose gold is the same in both.

    What gates is the new run's `gate`, and `completed` always: a question that failed or could not be scored is left
    out of the other metrics, so it must count against the run here. Raises RagError when the runs share no question.
    """
    base = base if isinstance(base, Record) else load_run(base)
    new = new if isinstance(new, Record) else load_run(new)
    olds, news = {row.id: row for row in base.rows}, {row.id: row for row in new.rows}
    shared = [id for id in news if id in olds and olds[id].gold == news[id].gold]
    if not shared:
        raise RagError(
            f"{base.folder} and {new.folder} share no question with the same gold; compare runs of one suite."
        )
    pairs = {id: (_scores(olds[id]), _scores(news[id])) for id in shared}
    names = sorted({name for one, two in pairs.values() for name in one.keys() & two.keys()}, key=shown_order)
    gate = {*new.manifest["gate"], "completed"}
    found = {name: _paired(name, pairs, {id: news[id].cluster for id in shared}) for name in names}
    found |= _wholes([olds[id] for id in shared], [news[id] for id in shared])
    names = sorted(found, key=shown_order)
    gating = [name for name in names if name in gate or metric_of(name).name in gate]
    # The gate's power does not suffer from scores that nobody gates on, and those are no free lottery either.
    adjusted = _adjusted(gating, found) | _adjusted([name for name in names if name not in gating], found)
    changes = []
    for name in names:
        (gap, old_mean, new_mean), p = found[name], adjusted.get(name, found[name][0].p)
        unpaired = sum((name in one) != (name in two) for one, two in pairs.values())
        finding = _finding(gap, p, metric_of(name).falling)
        changes.append(Change(name, title_of(name), name in gating, old_mean, new_mean, gap, p, finding, unpaired))
    return Comparison(base.folder, new.folder, len(shared), tuple(changes), tuple(_notes(base, new, len(shared))))


def _adjusted(family: Sequence[str], found: Mapping[str, tuple[Difference, float, float]]) -> dict[str, float]:
    """Holm's p of a family of metrics.

    Those that too few clusters moved to ever be significant are no chance of a false alarm and stay out (Tarone 1990).
    """
    return holm({name: found[name][0].p for name in family if found[name][0].least_p < _ALPHA})


def _scores(row: Row) -> Mapping[str, float]:
    return row.scores if row.error is None else {"completed": 0.0}


def _paired(
    name: str, pairs: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], clusters: Mapping[str, str]
) -> tuple[Difference, float, float]:
    """The difference and both means, over the questions that both runs scored."""
    ids = [id for id, (one, two) in pairs.items() if name in one and name in two]
    old, new = [pairs[id][0][name] for id in ids], [pairs[id][1][name] for id in ids]
    return difference(old, new, [clusters[id] for id in ids]), sum(old) / len(ids), sum(new) / len(ids)


def _wholes(base: Sequence[Row], new: Sequence[Row]) -> dict[str, tuple[Difference, float, float]]:
    """The scores that belong to a run as a whole, over the questions whose outcome both runs know."""
    both = [(one, two) for a, b in zip(base, new, strict=True) if (one := a.outcome) and (two := b.outcome)]
    found = whole_differences([one for one, _ in both], [two for _, two in both]) if both else {}
    return {name: (gap, before, after) for name, (before, after, gap) in found.items()}


def _finding(gap: Difference, p: float, falling: bool) -> Finding:
    if p >= _ALPHA or gap.mean == 0.0:
        return "no difference shown"
    return "better" if (gap.mean > 0) != falling else "worse"


def _notes(base: Record, new: Record, shared: int) -> list[str]:
    notes = []
    for record in (base, new):
        if len(record.rows) > shared:
            notes.append(f"{len(record.rows) - shared} questions of {record.folder} have no partner with the same gold")
        if record.errors:
            notes.append(f"{len(record.errors)} questions of {record.folder} ended in an error")
    if base.manifest["documents"] != new.manifest["documents"]:
        notes.append("the two runs saw different documents")
    if base.manifest["version"] != new.manifest["version"]:
        notes.append(f"the two runs were made by versions {base.manifest['version']} and {new.manifest['version']}")
    if base.manifest.get("program") != new.manifest.get("program"):
        notes.append("the source of the program under test differs between the two runs")
    old, now = base.manifest.get("versions", {}), new.manifest.get("versions", {})
    notes += [f"{name} {old[name]} → {now[name]}" for name in old.keys() & now.keys() if old[name] != now[name]]
    judges = [record.manifest.get("judge", {}).get("model") for record in (base, new)]
    if None not in judges and judges[0] != judges[1]:
        notes.append(f"the two runs were graded by different judges: {judges[0]} and {judges[1]}")
    one, two = base.manifest["settings"], new.manifest["settings"]
    notes += [f"{key}: {one.get(key)} → {two.get(key)}" for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
    return notes
