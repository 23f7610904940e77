"""A finished run as one HTML page that opens from disk: scores, plots, what changed, every question. Computes no score.

Nothing is loaded from anywhere: style, script and drawings stand in the file, and its policy forbids the rest. All text
of documents and answers is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from evals import plots
from evals.cards import card
from evals.comparison import Change, Comparison, compare
from evals.fates import FATES, MEANING, Fate, fate_of
from evals.judge import Agreement
from evals.listings import changes_table, scores_table
from evals.record import Record, Score, load_run

_PAGE = Path(__file__).parent / "page"
_TILES = (
    "correct",
    "recall",
    "token_f1",
    "answer_in_citation@all",
    "abstention_accuracy",
    "coverage@5%",
)
_PASSAGES = 1500
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(run: Record | str | Path, base: Record | str | Path | None = None, out: Path | None = None) -> Path:
    """Write the page of a run, compared with `base` if given, to `out` or report.html in its folder; returns its path.

    Raises RagError when a folder holds no finished run, or when the two share no question.
    """
    record = run if isinstance(run, Record) else load_run(run)
    other = None if base is None else base if isinstance(base, Record) else load_run(base)
    file = out or record.folder / "report.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(page(record, other), encoding="utf-8")
    temporary.replace(file)
    return file


def page(record: Record, base: Record | None = None) -> str:
    """The whole page."""
    found = compare(base, record) if base else None
    scores = record.scores()
    suite = escape(str(record.manifest["suite"]))
    parts = [
        _head(record, base),
        _tiles(scores, found),
        changes_table(found) if found else "",
        _fates(record, base),
        _plots(record, base),
        scores_table(scores, record.manifest["gate"]),
        _operations(record),
        _questions(record, base),
    ]
    style, script = ((_PAGE / f"report.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{suite}: eval report</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body>{''.join(parts)}<script>{script}</script></body></html>\n"
    )


def _head(record: Record, base: Record | None) -> str:
    manifest = record.manifest
    settings = manifest["settings"]
    facts = {
        "questions": len(record.rows),
        "errors": len(record.errors),
        "answered by": settings.get("model") if manifest["asked"] else "nobody: retrieval only",
        "embedder": settings.get("embedder"),
        "chunks": f"{settings.get('chunk_tokens')} tokens",
        "passages": f"{settings.get('tokens')} tokens",
        "finished": str(manifest.get("finished", ""))[:16].replace("T", " "),
        "run": manifest["run"],
        "compared with": base.folder if base else None,
    }
    if "judge" in manifest:
        facts["judge"] = str(Agreement(**manifest["judge"])).removeprefix("judge ")
    shown = "".join(
        f"<span>{key} <b>{escape(str(value))}</b></span>" for key, value in facts.items() if value is not None
    )
    warnings = "".join(f"<p class=soft>Warning: {escape(str(each))}</p>" for each in manifest["warnings"])
    return f"<h1>{escape(str(manifest['suite']))}</h1><div class=facts>{shown}</div>{warnings}"


def _tiles(scores: Sequence[Score], found: Comparison | None) -> str:
    moved = {change.name: change for change in found.changes} if found else {}
    tiles = []
    for wanted in _TILES:
        matching = [
            score for score in scores if wanted in (score.name, score.name.partition("@")[0]) and score.estimate
        ]
        if not matching:
            continue
        score = matching[len(matching) // 2]  # of several budgets the middle one
        assert score.estimate is not None
        low, high = score.estimate.low, score.estimate.high
        interval = "" if low is None else f"{low:.2f} to {high:.2f}, "
        tiles.append(
            f"<div class=tile><b>{score.estimate.mean:.3f}{_since(moved.get(score.name))}</b>"
            f"<span>{escape(score.title)}<br>{interval}n = {score.estimate.n}</span></div>"
        )
    return f"<div class=tiles>{''.join(tiles)}</div>"


def _since(change: Change | None) -> str:
    """How far a score is from that of the base; in colour only where the difference is beyond chance."""
    if change is None or not change.difference.mean:
        return ""
    kind = change.finding if change.finding in ("better", "worse") else "soft"
    return f" <small class={kind}>{change.difference.mean:+.3f}</small>"


def _plots(record: Record, base: Record | None) -> str:
    steps = record.risk_coverage()
    if not steps:
        return ""
    other = base.risk_coverage() if base else []
    legend = " Dashed: the run it is compared with." if other else ""
    return (
        "<h2>What its confidence is worth</h2><div class=plots>"
        "<figure><figcaption><b>Risk and coverage.</b> Answering only above a confidence: how many questions that "
        f"leaves, and how many of those answers are wrong.{legend}</figcaption>"
        f"{plots.risk_coverage(steps, other)}</figure>"
        "<figure><figcaption><b>Calibration.</b> Answers by confidence in ten bins, against the share that was right. "
        f"On the diagonal, confidence is honest.</figcaption>{plots.calibration(record.calibration())}</figure></div>"
    )


def _fates(record: Record, base: Record | None) -> str:
    bars = [(name, _counts(run)) for name, run in (("", record), ("base", base)) if run is not None]
    if not bars[0][1]:
        return ""
    drawn = "".join(_bar(name if len(bars) > 1 else "", counts) for name, counts in bars)
    total = bars[0][1].total()
    legend = "".join(
        f"<div><i class=f{number}></i><b>{fate}</b> {bars[0][1][fate]} of {total}: {MEANING[fate]}</div>"
        for number, fate in enumerate(FATES)
        if any(counts[fate] for _, counts in bars)
    )
    return f"<h2>Where the evidence went</h2>{drawn}<div class=legend>{legend}</div>"


def _counts(record: Record) -> Counter[Fate]:
    return Counter(fate for fate in _fates_of(record).values() if fate is not None)


def _fates_of(record: Record) -> dict[str, Fate | None]:
    tokens = int(record.manifest["settings"].get("tokens", _PASSAGES))
    return {row.id: fate_of(row, tokens) for row in record.rows}


def _bar(name: str, counts: Counter[Fate]) -> str:
    total = counts.total()
    pieces = "".join(
        f'<span class=f{number} style="width:{100 * counts[fate] / total:.2f}%" title="{fate}: {counts[fate]}">'
        f"{counts[fate] if counts[fate] / total > 0.04 else ''}</span>"
        for number, fate in enumerate(FATES)
        if counts[fate]
    )
    label = f"<small>{name}</small>" if name else ""
    return f'<div class="fates {name}">{pieces}</div>{label}' if total else ""


def _operations(record: Record) -> str:
    found = record.operations()
    rows = "".join(
        f"<tr><td>{escape(stage)}<td>{timing.p50 * 1000:.0f} ms<td>{timing.p95 * 1000:.0f} ms<td>{timing.n}</tr>"
        for stage, timing in found.timings.items()
    )
    facts = []
    if found.input_tokens or found.output_tokens:
        cost = "unknown" if found.cost is None else f"${found.cost:.4f}"
        facts.append(f"{found.input_tokens} tokens in, {found.output_tokens} out, cost {cost}")
    if found.cache_hits:
        facts.append(f"{found.cache_hits} answers came from an earlier run and are in no time and no cost")
    said = f"<p class=soft>{'; '.join(facts) or 'No model was asked: no tokens, no cost'}.</p>"
    head = "<tr><th>stage<th>p50<th>p95<th>questions</tr>"
    return f"<h2>Time and cost</h2><table class=narrow>{head}{rows}</table>{said}"


def _questions(record: Record, base: Record | None) -> str:
    fates = _fates_of(record)
    others = {row.id: row for row in base.rows} if base else {}
    cards = [card(row, fates[row.id], others.get(row.id)) for row in record.rows]
    tags = sorted({tag for row in record.rows for tag in row.tags})
    outcomes = ["right", "wrong", "withheld", "error"] if record.manifest["asked"] else ["error"]
    selects = _select("tag", "all tags", tags) + _select("outcome", "all outcomes", outcomes)
    selects += _select("fate", "all fates of evidence", [fate for fate in FATES if fate in fates.values()])
    if base:
        selects += _select("change", "all changes", ["better", "worse", "same"])
    return (
        f"<h2>Questions</h2><div class=bar><input type=search placeholder='Search questions and answers' "
        f"aria-label='Search'>{selects}<output></output></div>{''.join(cards)}"
    )


def _select(by: str, every: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
    return f'<select data-by="{by}" aria-label="{every}"><option value="">{every}</option>{options}</select>'
