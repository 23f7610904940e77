"""What is doubtful in gold that can be scored: duplicates, leaks, answers to the unanswerable. Computes no score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evals.gold import Case
from evals.metrics.answers import contains, normalise, scorable
from evals.metrics.words import content_words
from evals.suite import Suite
from index.sentences import sentences

TextOf = Callable[[str], str | None]

LEAK = 0.8
"""Share of an answer's content words in its own question from which the question gives the answer away."""
ANSWERED = 0.85
"""Share of an unanswerable question's content words in one sentence from which it may be answered there."""
_FEWEST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Doubt:
    """One finding: where it stands, of what kind, and what a person should look at."""

    where: str
    kind: str
    said: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.said}"


def doubts(suite: Suite, text_of: TextOf) -> list[Doubt]:
    """All findings in the order of the gold file. `text_of` gives a document's text, None where it has none."""
    found = [*_duplicates(suite), *_leaks(suite), *_answers_apart(suite), *_answered(suite, text_of)]
    lines = {f"{suite.gold.name}:{case.line}": case.line for case in suite.cases}
    return sorted(found, key=lambda doubt: lines[doubt.where])


def _at(suite: Suite, case: Case) -> str:
    return f"{suite.gold.name}:{case.line}"


def _duplicates(suite: Suite) -> Iterator[Doubt]:
    """Questions of the same words: they count one piece of luck twice, and leak where they stand in two splits."""
    asked: dict[tuple[str, object], Case] = {}
    for case in suite.cases:
        first = asked.setdefault((normalise(case.question), case.history), case)
        if first is case:
            continue
        kind = "leakage" if first.split != case.split else "duplicate"
        other = f"{first.id} (line {first.line}"
        yield Doubt(_at(suite, case), kind, f"{case.id} asks what {other}, split {first.split or 'none'}) asks")


def _leaks(suite: Suite) -> Iterator[Doubt]:
    """Questions that hold their own answer: every system finds it there."""
    for case in suite.cases:
        words = set(content_words(case.question))
        for answer in scorable(case.answers):
            wanted = content_words(answer)
            if len(wanted) >= 2 and sum(word in words for word in wanted) >= LEAK * len(wanted):
                yield Doubt(_at(suite, case), "leakage", f"the question of {case.id} holds its answer {answer!r:.60}")
                break


def _answers_apart(suite: Suite) -> Iterator[Doubt]:
    """Short answers that no piece of evidence states: either the answer or the evidence is off."""
    for case in suite.cases:
        golds = [answer for answer in scorable(case.answers) if len(answer.split()) <= 3]
        if not golds or not case.evidence or not case.answerable or len(golds) < len(case.answers):
            continue
        if not contains(" ".join(row.quote for row in case.evidence), golds):
            yield Doubt(_at(suite, case), "answer not in evidence", f"{case.id}: no quote states {golds[0]!r}")


def _answered(suite: Suite, text_of: TextOf) -> Iterator[Doubt]:
    """Unanswerable questions of which one sentence of the documents holds nearly every content word."""
    asked = {case.id: set(content_words(case.question)) for case in suite.cases if not case.answerable}
    asked = {id: words for id, words in asked.items() if len(words) >= _FEWEST_WORDS}
    best = dict.fromkeys(asked, (0.0, "", ""))
    for doc in suite.files if asked else ():
        text = text_of(doc) or ""
        for start, end in sentences(text):
            held = set(content_words(text[start:end]))
            for id, words in asked.items():
                share = len(words & held) / len(words)
                if share > best[id][0]:
                    best[id] = (share, doc, " ".join(text[start:end].split()))
    for case in suite.cases:
        share, doc, sentence = best.get(case.id, (0.0, "", ""))
        if share >= ANSWERED:
            said = f"{case.id} is marked unanswerable, but {doc} says: {sentence:.160}"
            yield Doubt(_at(suite, case), "answerable?", said)
