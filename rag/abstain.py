"""Evidence -> confidence that the answer is right, and the threshold below which to say "not in these documents"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from index.terms import STOP_WORDS, words_and_terms
from rag.extract import Candidate
from rag.question import Question
from rag.values import Passage

# Fitted by benchmarks/answers.py: logistic regression of "the quoted sentences hold the answer" on XQuAD with all, half
# and two thirds of its text indexed.
WEIGHTS = {
    "bias": -9.07, "whole": 4.25, "meets": 3.16, "settled": 3.98, "context": 1.57, "passage": 4.03, "unknown": -0.81,
}  # fmt: skip
# The same for an embedder that gives vectors alone.
PLAIN_WEIGHTS = {"bias": -7.46, "cosine": 5.52, "passage": 3.57, "context": 3.55, "unknown": -0.64, "margin": 0.79}
# From this confidence on one in twenty of the answers given was wrong over those three, each half of the articles
# judged by weights fitted on the other (benchmarks/RESULTS.md).
THRESHOLD = 0.7
# Words of the question that an abstention lists.
LISTED = 12


def evidence(
    question: Question, ranked: Sequence[Candidate], passages: Sequence[Passage], frequencies: Mapping[str, int]
) -> dict[str, float]:
    """What speaks for an answer.

    `whole` and `meets` say how well the best sentence meets the question's words (`rag.clues`), `context` which share
    of their idf weight stands in and around it; `settled` is the probability of the three best sentences among all;
    `passage` is the best cosine of a passage; `unknown` is 1 when a name or number of the question occurs in no
    document. With an embedder that gives vectors alone `cosine`, the best of a sentence, and `margin`, how far the best
    sentence's score lies above the fourth's, stand for `whole`, `meets` and `settled`.
    """
    best = ranked[0].clues if ranked else {}
    found = {
        "context": best.get("context", 0.0),
        "passage": max((passage.dense for passage in passages), default=0.0),
        "unknown": float(any(frequencies.get(term, 0) == 0 for term in question.names)),
    }
    if "whole" in best:
        odds = [math.exp(candidate.score - ranked[0].score) for candidate in ranked]
        return found | {"whole": best["whole"], "meets": best["meets"], "settled": sum(odds[:3]) / sum(odds)}
    scores = [candidate.score for candidate in ranked[:4]]
    return found | {
        "cosine": max((candidate.cosine for candidate in ranked[:5]), default=0.0),
        "margin": scores[0] - scores[-1] if scores else 0.0,
    }


def confidence(found: Mapping[str, float]) -> float:
    """Probability that the answer is right, by the fitted logistic model; 0 where nothing was found."""
    weights = WEIGHTS if "whole" in found else PLAIN_WEIGHTS
    z = weights["bias"] + sum(weights[name] * value for name, value in found.items())
    return round(1 / (1 + math.exp(-z)), 4)


def not_found(question: Question, frequencies: Mapping[str, int], docs: Sequence[str]) -> str:
    """The abstention in words: what was looked for, which of it no document mentions, where the nearest passages are.

    `frequencies` says in how many chunks each term of the question occurs, `docs` names the documents of the passages,
    best first.
    """
    words: dict[str, str] = {}
    for word in re.findall(r"\w+(?:['’-]\w+)*", question.text):
        terms = [term for bare, term in words_and_terms(word) if term in question.terms and bare not in STOP_WORDS]
        if terms:
            words.setdefault(word.casefold(), word if any(map(frequencies.get, terms)) else f"\0{word}")
    looked = [word.lstrip("\0") for word in words.values()]
    nowhere = [word.lstrip("\0") for word in words.values() if word.startswith("\0")]
    text = "These documents do not seem to hold the answer."
    if looked:
        text += f" Looked for: {', '.join(looked[:LISTED])}{', ...' if len(looked) > LISTED else ''}."
    if nowhere:
        text += f" No document mentions {_listed(nowhere)}."
    elif len(looked) > 1:
        text += " Each of these words occurs, but no passage says what was asked."
    if docs:
        text += f" The nearest passages are in {_listed(list(dict.fromkeys(docs))[:3], 'and')}."
    return text


def _listed(words: Sequence[str], joint: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"
