"""Whether a new run may be released: checks over a comparison, as JUnit and Markdown for a CI. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from evals.comparison import Change, Comparison
from evals.metrics import METRICS, metric_of, title_of
from evals.record import Record
from evals.stats import shown_p
from index.errors import RagError

Outcome = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the gate, and what was found."""

    kind: Literal["not worse", "minimum"]
    name: str
    outcome: Outcome
    found: str


def checks(found: Comparison, new: Record, minimums: Mapping[str, float], worse: bool) -> list[Check]:
    """A check for every gating metric (with `worse`) and for every minimum of a mean.

    A metric whose lower is better must not exceed its bound. A score that the new run does not have fails its minimum:
    what was not measured is not shown to be good enough.
    """
    judged = [_not_worse(change) for change in found.changes if change.gates] if worse else []
    scores = {score.name: score.estimate for score in new.scores()}
    for name, bound in minimums.items():
        estimate = scores.get(name)
        if estimate is None:
            have = ", ".join(name for name, value in scores.items() if value is not None)
            judged.append(Check("minimum", name, "failed", f"the new run has no such score; it has {have}"))
            continue
        falling = metric_of(name).falling
        holds = estimate.mean <= bound if falling else estimate.mean >= bound
        wanted = f"{'at most' if falling else 'at least'} {bound:g} is wanted"
        said = f"{estimate.mean:.4f} (n = {estimate.n}); {wanted}"
        judged.append(Check("minimum", name, "passed" if holds else "failed", said))
    return judged


def read_minimums(typed: Sequence[str]) -> dict[str, float]:
    """`recall@1000=.9` as a name and a bound. Raises RagError for what is no metric or no number."""
    found = {}
    for condition in typed:
        name, equals, bound = condition.partition("=")
        try:
            metric_of(name)
            found[name] = float(bound) if equals else float("nan")
        except KeyError:
            known = ", ".join(metric.name for metric in METRICS)
            raise RagError(f"--min {condition}: there is no metric {name!r}; known: {known}.") from None
        except ValueError:
            raise RagError(f"--min {condition}: {bound!r} is no number.") from None
        if found[name] != found[name]:
            raise RagError(f"--min {condition}: expected NAME=NUMBER, such as --min recall@1000=.9")
    return found


def write_junit(file: Path, judged: Sequence[Check], new: Record) -> None:
    """A JUnit file: one test case a check, and one a question of the new run that ended in an error."""
    failures = sum(check.outcome == "failed" for check in judged)
    suite = ElementTree.Element(
        "testsuite", name=f"rag eval {new.manifest['suite']}", tests=str(len(judged) + len(new.errors)),
        failures=str(failures), errors=str(len(new.errors)), skipped="0",
    )  # fmt: skip
    for check in judged:
        case = ElementTree.SubElement(suite, "testcase", classname=check.kind, name=check.name)
        if check.outcome == "failed":
            ElementTree.SubElement(case, "failure", message=_printable(check.found)).text = _printable(check.found)
    for row in new.errors:
        case = ElementTree.SubElement(suite, "testcase", classname="question", name=_printable(row.id))
        ElementTree.SubElement(case, "error", message=_printable(str(row.error)))
    tree = ElementTree.ElementTree(ElementTree.Element("testsuites"))
    root = tree.getroot()
    assert root is not None
    root.append(suite)
    ElementTree.indent(tree)
    file.parent.mkdir(parents=True, exist_ok=True)
    root.tail = "\n"
    tree.write(file, encoding="utf-8", xml_declaration=True)


def markdown(found: Comparison, judged: Sequence[Check]) -> str:
    """A summary for a pull request: the checks that failed, the scores that gate or moved, and the others folded."""
    failed = [check for check in judged if check.outcome == "failed"]
    verdict = f"**{len(failed)} of {len(judged)} checks failed.**" if failed else f"All {len(judged)} checks passed."
    shown = [change for change in found.changes if change.gates or change.finding != "no difference shown"]
    others = [change for change in found.changes if change not in shown]
    lines = [f"### rag eval: `{found.base}` → `{found.new}`", "", verdict if judged else "Nothing was gated.", ""]
    lines += [f"- {check.kind}: `{check.name}`: {_cell(check.found)}" for check in failed] + [""] * bool(failed)
    lines += [f"{found.questions} questions with the same gold in both runs.", "", *_table(shown), ""]
    if others:
        summary = f"<details><summary>{len(others)} other scores, no difference shown</summary>"
        lines += [summary, "", *_table(others), "", "</details>", ""]
    lines += [
        "p: sign-flip permutation, Holm-adjusted over the gating metrics (bold) and over the others. Could have seen: "
        "the smallest true difference that would be found four times in five.",
    ]
    lines += ["", *(f"- {_cell(note)}" for note in found.notes)] if found.notes else []
    return "\n".join(lines) + "\n"


def _table(changes: Sequence[Change]) -> list[str]:
    return [
        "| score | base | new | difference | 95 % | p | could have seen | n | finding |",
        "|---|--:|--:|--:|:-:|--:|--:|--:|---|",
        *map(_line, changes),
    ]


def _not_worse(change: Change) -> Check:
    gap = change.difference
    interval = "" if gap.low is None else f", 95 % {gap.low:+.4f} to {gap.high:+.4f}"
    said = f"{change.base:.4f} → {change.new:.4f} ({gap.mean:+.4f}{interval}, p = {change.p:.4f}, n = {gap.n})"
    failed = change.finding == "worse"
    return Check("not worse", change.name, "failed" if failed else "passed", f"{change.finding}: {said}")


def _line(change: Change) -> str:
    gap = change.difference
    interval = "–" if gap.low is None else f"{gap.low:+.3f} to {gap.high:+.3f}"
    title = f"**{title_of(change.name)}**" if change.gates else title_of(change.name)
    seen = "–" if gap.mde is None else f"{gap.mde:.3f}"
    return (
        f"| {title} | {change.base:.3f} | {change.new:.3f} | {gap.mean:+.3f} | {interval} "
        f"| {shown_p(change.p)} | {seen} | {gap.n} | {change.finding} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(char for char in text if char in "\t\n" or (char >= " " and not "\ud800" <= char <= "\udfff"))
