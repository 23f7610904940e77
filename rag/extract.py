"""The answerer that needs no model: scores every sentence of the passages and quotes the one to three that answer.

A quote is never altered, so each is supported by construction; whether it answers is what `rag.abstain` judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from index.chunks import header_row
from index.embed import Embedder
from index.sentences import sentences
from index.terms import STOP_WORDS, words_and_terms
from rag.clues import Asked, meaning, shared_words, values
from rag.question import TYPED, Question
from rag.values import Passage
from rag.windows import Span, states_in, windows


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that might answer: its span, passage `place` and sentence `number` therein, the terms of its
    document's title, what speaks for it.

    `clues` are the parts of its score by name (`rag.clues`; `passage` is the scaled score of its passage, `cosine` that
    of question and sentence). `vector` is its embedding; `states` and `pieces` are those of its word pieces, read in
    their paragraph, None with an embedder that gives none.
    """

    doc: str
    start: int
    end: int
    page: int | None
    text: str
    place: int
    number: int
    title: frozenset[str]
    clues: Mapping[str, float]
    score: float = 0.0
    vector: np.ndarray | None = field(default=None, compare=False, repr=False)
    states: np.ndarray | None = field(default=None, compare=False, repr=False)
    pieces: Sequence[tuple[int, int]] = field(default=(), compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Document, start, end."""
        return self.doc, self.start, self.end

    @property
    def cosine(self) -> float:
        """Cosine of question and sentence."""
        return self.clues["cosine"]


# Fitted by benchmarks/answers.py: the sentence that holds the gold answer against the others of its question, by
# multinomial logistic regression on XQuAD. Their sizes follow the ranges of the clues, not their worth.
WEIGHTS = {
    "coverage": 1.3, "context": 2.05, "before": 1.8, "passage": 0.85, "fits": 0.6, "near": 0.55, "cosine": 3.85,
    "meets": 3.15, "rest": 5.6, "whole": 3.25, "asks": 5.6,
}  # fmt: skip
# The same for an embedder that gives vectors alone.
PLAIN_WEIGHTS = {"coverage": 4.2, "context": 3.7, "passage": 2.05, "fits": 0.4, "cosine": 3.95}
# Sentences read for one question; the others' words speak too little for them.
READ = 32
# A further sentence is quoted unless it is this many times less likely than the best one.
FAR = 100.0
# How many sentences after the best one are looked at for a value that it lacks.
FOLLOWING = 4
_MIN_WORDS = 3
_LEANS = re.compile(
    r"[\"'“‘(]*(?:[^,.;]{0,60}, )?(?:he|she|it|they|his|her|its|their|this|these|those)\b|(?:after|before) [^,]{1,60} "
    r"(?:he|she|it|they)\b",
    re.IGNORECASE,
)


def rank_sentences(
    question: Question,
    asked: Asked,
    passages: Sequence[Passage],
    embedder: Embedder,
    text_of: Callable[[str], str],
) -> list[Candidate]:
    """The sentences of the passages, best first: those of which words alone promise most, READ of them.

    `text_of` gives a document's text.
    """
    found = _candidates(question, passages, asked.idf, text_of)
    found.sort(key=lambda c: -_rough(c.clues))
    head = found[:READ]
    if not head:
        return []
    if len(asked.states):
        scored = _read(head, asked, embedder, text_of)
    else:
        rows = embedder.encode([candidate.text for candidate in head])
        scored = [
            _scored(replace(candidate, vector=row), {"cosine": float(row @ asked.vector)}, PLAIN_WEIGHTS)
            for candidate, row in zip(head, rows, strict=True)
        ]
    return sorted(scored, key=lambda c: -c.score)


def choose_sentences(
    question: Question, ranked: Sequence[Candidate], limit: int, sides: Sequence[Candidate] = ()
) -> list[Candidate]:
    """The best sentence, then up to `limit` - 1 more in reading order: what the best one leans on, and what comes near
    it and says something else, or instead the `sides` of a disagreement.

    Those of its document come as they stand there, then those of others as they rank.
    """
    chosen = list(ranked[:1])
    near = [c for c in ranked if c.score >= ranked[0].score - np.log(FAR)]
    for candidate in [*sides, *_companions(question, ranked), *([] if sides else near)]:
        if len(chosen) < limit and not any(_says_the_same(candidate.text, other.text) for other in chosen):
            chosen.append(candidate)
    docs = list(dict.fromkeys(candidate.doc for candidate in chosen))
    return chosen[:1] + sorted(chosen[1:], key=lambda c: (docs.index(c.doc), c.start))


def _companions(question: Question, ranked: Sequence[Candidate]) -> list[Candidate]:
    """Neighbours without which the best sentence does not answer: the one before it, when it opens with a pronoun or
    carries on ("they moved"), and when it lacks the value asked for, the next that has one."""
    best = ranked[0] if ranked else None
    if best is None:
        return []
    beside = {c.number - best.number: c for c in ranked if c.doc == best.doc and c.place == best.place}
    found = [beside[-1]] if -1 in beside and _LEANS.match(best.text) else []
    if question.expected in TYPED and not best.clues["fits"]:
        found += [beside[step] for step in range(1, FOLLOWING + 1) if step in beside and beside[step].clues["fits"]][:1]
    return found


def _candidates(
    question: Question, passages: Sequence[Passage], idf: Mapping[str, float], text_of: Callable[[str], str]
) -> list[Candidate]:
    low, high = _range([passage.score for passage in passages])
    out: list[Candidate] = []
    for place, passage in enumerate(passages):
        spans = [span for span in sentences(passage.text) if _says_something(passage.text[slice(*span)])]
        held = [_terms(passage.text[slice(*span)]) for span in spans]
        title = _terms(passage.title)
        ranked = {"passage": (passage.score - low) / (high - low)}
        for number, (start, end) in enumerate(spans):
            text = passage.text[start:end]
            # A row of a table says what its header says, too.
            header = _terms(header_row(text_of(passage.doc), passage.start + start)) if text.startswith("|") else title
            clues = shared_words(question, held, number, title | header, idf) | ranked | values(question, text)
            at = (passage.doc, passage.start + start, passage.start + end, passage.page)
            out.append(Candidate(*at, text, place, number, title, clues))
    return out


def _terms(text: str) -> frozenset[str]:
    return frozenset(term for _, term in words_and_terms(text))


def _rough(clues: Mapping[str, float]) -> float:
    """What the words alone say, for which sentences are worth reading."""
    return 2 * clues["coverage"] + clues["context"] + clues["passage"] + 0.3 * clues["fits"]


def _read(
    head: Sequence[Candidate], asked: Asked, embedder: Embedder, text_of: Callable[[str], str]
) -> list[Candidate]:
    """Score sentences as they read in their paragraphs; those that no window had room for are left out."""
    stretches = windows([candidate.span for candidate in head], text_of)
    readings = embedder.readings([text_of(doc)[start:end] for (doc, start, end), _ in stretches])  # type: ignore[attr-defined]
    out: list[Candidate] = []
    for ((_, first, _), numbers), reading in zip(stretches, readings, strict=True):
        for candidate in (head[number] for number in numbers):
            states, pieces = states_in(reading, candidate.start - first, candidate.end - first)
            if not len(states):
                continue
            mean = states.mean(axis=0)
            own = mean / (float(np.linalg.norm(mean)) or 1.0)
            full = replace(candidate, vector=own, states=states, pieces=pieces)
            out.append(
                _scored(full, meaning(asked, states, candidate.title) | {"cosine": float(own @ asked.vector)}, WEIGHTS)
            )
    return out


def _scored(candidate: Candidate, more: Mapping[str, float], weights: Mapping[str, float]) -> Candidate:
    clues = {**candidate.clues, **more}
    return replace(candidate, clues=clues, score=sum(weight * clues[name] for name, weight in weights.items()))


def _says_something(text: str) -> bool:
    """Headings, headlines, labels and dividers answer nothing; a script without spaces counts by characters."""
    if re.match(r"#{1,6} |```|\|[\s|:-]*$", text):
        return False
    words = re.findall(r"[^\W_]+", text)
    long = [word for word in words if len(word) > 3]
    if not re.search(r"[.!?:;…。！？|\d]", text) and len(long) > 1 and all(word[0].isupper() for word in long):
        return False
    return len(words) >= _MIN_WORDS or sum(map(len, words)) >= 8


def _says_the_same(one: str, two: str) -> bool:
    a, b = ({term for word, term in words_and_terms(text) if word not in STOP_WORDS} for text in (one, two))
    return len(a & b) >= 0.9 * max(len(a), len(b), 1)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if high > low else (high - 1.0, high)
