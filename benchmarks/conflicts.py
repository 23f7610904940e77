"""Disagreement between sources: flagged with both sides cited where they differ, silent where they do not.

usage: python benchmarks/conflicts.py --data DIR [--set rgb-conflict-en] [--misses]
Every question of the set is asked twice: of an index that holds all documents its gold and conflicts cite, and of one
that holds only the gold's documents, where any flag is a false alarm.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sets import arguments, load, opened

from evals.gold import Case
from evals.stats import estimate
from evals.suite import Suite
from rag import Answer, Rag, Settings


def part(suite: Suite, work: Path, name: str, docs: set[str]) -> Rag:
    folder = work / f"{suite.name}-{name}-docs"
    folder.mkdir(parents=True, exist_ok=True)
    for doc in docs:
        shutil.copyfile(suite.files[doc], folder / doc)
    return opened(work, f"{suite.name}-{name}", folder, Settings(min_confidence=0.0))


def both_sides(case: Case, answer: Answer) -> bool:
    """Whether a conflict is shown whose positions cite a document of each side."""
    sides = [{row.doc for row in case.evidence}, *({row.doc for row in side.evidence} for side in case.conflicts)]
    cited = [
        {citation.doc for _, citations in conflict.positions for citation in citations} for conflict in answer.conflicts
    ]
    return any(all(docs & side for side in sides) for docs in cited)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--set", default="rgb-conflict-en")
    parser.add_argument("--misses", action="store_true", help="also print what was missed and what was a false alarm")
    given = parser.parse_args()
    suite = load(given.data, given.set)
    if suite is None:
        return
    cases = [case for case in suite.cases if case.conflicts]
    true = {row.doc for case in cases for row in case.evidence}
    false = {row.doc for case in cases for side in case.conflicts for row in side.evidence}
    both, alone = part(suite, given.work, "both", true | false), part(suite, given.work, "true", true)
    found = [(case, both.ask(case.question), alone.ask(case.question)) for case in cases]
    for name, values in (
        ("flagged, both sides cited", [both_sides(case, answer) for case, answer, _ in found]),
        ("flagged at all", [bool(answer.conflicts) for _, answer, _ in found]),
        ("false alarms on true alone", [bool(answer.conflicts) for _, _, answer in found]),
    ):
        scored = estimate([float(value) for value in values], [case.cluster for case in cases])
        print(f"{name:28} {scored.mean:.3f} [{scored.low:.3f}, {scored.high:.3f}] n {scored.n}")
    for case, answer, quiet in found if given.misses else ():
        if not both_sides(case, answer):
            shown = [sentence.text[:90] for sentence in answer.sentences]
            print(f"missed  {case.question} {case.answers} | {[s.answers for s in case.conflicts]}\n        {shown}")
        for conflict in quiet.conflicts:
            print(f"alarm   {case.question} {[value for value, _ in conflict.positions]}")


if __name__ == "__main__":
    main()
