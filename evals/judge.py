"""A language model as judge of a finished run, and how far it agrees with people. An extra: no other score needs it.

Its scores are only kept together with its agreement on a calibration set; without one nothing is graded. A reply that
holds no verdict is unscored, never wrong.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.formats.lines import json_lines, wanted
from evals.gold import SuiteError, parse_case
from evals.record import Record, Row, load_run, write_manifest, write_rows
from evals.replies import JsonModel
from evals.scores import plain_text
from evals.stats import SEED
from index.errors import RagError
from rag.values import Answer

FEWEST = 30
"""Rows of a calibration set below which its kappa tells nothing."""
_RESAMPLES = 2000

CORRECT = (
    "You grade answers. You get a question, accepted answers and an answer. Say whether the answer states what an "
    "accepted answer states, without contradicting it. Reply with JSON only: "
    '{"correct": true or false, "reason": "one sentence"}'
)
SUPPORTED = (
    "You check citations. You get a sentence and the texts that it cites. Say whether the texts alone state everything "
    'that the sentence states. Reply with JSON only: {"supported": true or false, "reason": "one sentence"}'
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Cohen's kappa of a judge with people over n answers, with a 95 % bootstrap interval; `unread` gave no verdict."""

    model: str
    kappa: float
    low: float
    high: float
    n: int
    unread: int

    def __str__(self) -> str:
        interval = f"[{self.low:.2f}, {self.high:.2f}]"
        unread = f", {self.unread} without a verdict" if self.unread else ""
        return f"judge {self.model}: kappa {self.kappa:.2f} {interval} with people on {self.n} answers{unread}"


def judge_run(folder: Record | str | Path, model: JsonModel, calibration: Path) -> Record:
    """Grade every answer given in a run, into its rows; the judge's agreement with people goes into the manifest.

    calibration: JSON lines of {"question", "answers": [..], "answer", "correct": bool}, graded by people. Raises
    SuiteError for a set that is too small or one-sided, RagError for a run without answers, ModelError.
    """
    record = folder if isinstance(folder, Record) else load_run(folder)
    if not any(row.answer for row in record.rows):
        raise RagError(f"{record.folder} holds no answers to grade.")
    agreement = calibrate(model, calibration)
    rows = [_judged(row, model) for row in record.rows]
    write_rows(record.folder, rows)
    write_manifest(record.folder, {**record.manifest, "judge": dataclasses.asdict(agreement)})
    return load_run(record.folder)


def calibrate(model: JsonModel, file: Path) -> Agreement:
    """Grade answers that people graded. Raises SuiteError."""
    ours, people, unread = [], [], 0
    for number, row in json_lines(file):
        where = f"{file}:{number}"
        golds = wanted(row, "answers", list, where)
        said, label = wanted(row, "answer", str, where), wanted(row, "correct", bool, where)
        verdict = _verdict(model, CORRECT, _answer_prompt(str(row.get("question", "")), golds, said), "correct")
        if verdict is None:
            unread += 1
            continue
        ours.append(verdict)
        people.append(label)
    if len(people) < FEWEST or len(set(people)) < 2:
        raise SuiteError(
            f"{file}: {len(people)} graded answers, {sum(people)} right; expected {FEWEST} or more of both kinds."
        )
    low, high = _interval(ours, people)
    return Agreement(model.name, kappa(ours, people), low, high, len(people), unread)


def kappa(one: Sequence[bool], two: Sequence[bool]) -> float:
    """Cohen's kappa of two columns of verdicts; 0 where one of them never varies."""
    n = len(one)
    observed = sum(a == b for a, b in zip(one, two, strict=True)) / n
    share, other = sum(one) / n, sum(two) / n
    chance = share * other + (1 - share) * (1 - other)
    return (observed - chance) / (1 - chance) if chance < 1 else 0.0


def _judged(row: Row, model: JsonModel) -> Row:
    fresh = dataclasses.replace(row, scores=dict(row.scores), unscored=dict(row.unscored))
    if row.answer is None or row.answer["abstained"]:
        return fresh
    answer, case = Answer.from_dict(row.answer), parse_case(row.case)
    if case.answerable and case.answers:
        prompt = _answer_prompt(case.question, case.answers, plain_text(answer))
        _keep(fresh, "judged_correct", [_verdict(model, CORRECT, prompt, "correct")])
    if answer.sentences:
        verdicts: list[bool | None] = []
        for sentence in answer.sentences:
            texts = "\n".join(f"- {citation.quote}" for citation in sentence.citations)
            prompt = f"Sentence: {sentence.text}\n\nTexts:\n{texts}"
            verdicts.append(_verdict(model, SUPPORTED, prompt, "supported") if sentence.citations else False)
        _keep(fresh, "judged_supported", verdicts)
    return fresh


def _keep(row: Row, name: str, verdicts: Sequence[bool | None]) -> None:
    given = [verdict for verdict in verdicts if verdict is not None]
    row.scores.pop(name, None)
    row.unscored.pop(name, None)
    if len(given) < len(verdicts):
        row.unscored[name] = "the judge's reply holds no verdict"
    else:
        row.scores[name] = sum(given) / len(given)


def _verdict(model: JsonModel, system: str, prompt: str, key: str) -> bool | None:
    found = model.ask(system, prompt)
    verdict: Any = None if found is None else found.get(key)
    return verdict if isinstance(verdict, bool) else None


def _answer_prompt(question: str, golds: Sequence[str], answer: str) -> str:
    accepted = "\n".join(f"- {gold}" for gold in golds)
    return f"Question: {question}\n\nAccepted answers:\n{accepted}\n\nAnswer: {answer}"


def _interval(ours: Sequence[bool], people: Sequence[bool]) -> tuple[float, float]:
    chance, n = random.Random(SEED), len(people)
    drawn = []
    for _ in range(_RESAMPLES):
        rows = [chance.randrange(n) for _ in range(n)]
        drawn.append(kappa([ours[row] for row in rows], [people[row] for row in rows]))
    drawn.sort()
    return drawn[int(0.025 * _RESAMPLES)], drawn[int(0.975 * _RESAMPLES) - 1]
