"""Whether an answer says what a gold answer says: one verdict from numbers, words and yes or no. No language model.

A gold that is a number needs that number, a short one its words in a row; a longer one is judged by a logistic model of
four readings of the answer. Fitted on people's verdicts on one half of FinanceBench's questions (Islam et al. 2023) by
benchmarks/eval_reproduce.py; on the other half it agrees with people at kappa .75 and calls as many answers right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from evals.metrics.answers import contains, scorable, tokens
from evals.metrics.quantities import is_quantity, number_match, number_share
from evals.metrics.words import content_words

WEIGHTS = {
    "bias": -0.58,
    "words": 3.05,
    "same_polarity": 1.5,
    "numbers": 1.87,
    "has_numbers": -1.47,
    "refused": -3.26,
}
SHORT = 3
"""Most tokens of a gold that must stand in the answer as it is."""

_POLARITY = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_REFUSAL = re.compile(
    r"""(?ix)
    \b(?:can(?:no|')t | cannot | can\ not | could(?:n't|\ not) | (?:un|not\ )able\ to | do(?:es)?(?:n't|\ not)
       | did(?:n't|\ not) | is(?:n't|\ not) | are(?:n't|\ not) | was(?:n't|\ not) | without)\b
    [^.]{0,80}\b(?:provid | answer | determin | find | found | contain | access | calculat | have | includ | mention
       | disclos | specif | available | information | data | know)
    | \bi(?:\ am|'m)\ sorry | \bi\ apologi | \bno\ (?:information|data|mention)\b
    | \bnot\ (?:available|provided|possible|mentioned|specified)\b | \binsufficient\b | \bunknown\b
    """
)
_OPENING = 160
"""Characters in which a refusal stands; further on the words more often limit an answer than withhold it."""


def right(answer: str, golds: Sequence[str], rel_tol: float | None = None, refused: bool = False) -> bool:
    """Whether the answer says what one of the golds says; an empty answer and one that `refused` does not.

    `rel_tol` declares the gold to be a number, within that tolerance. ValueError without golds.
    """
    if not golds:
        raise ValueError("a verdict needs at least one gold answer")
    return bool(answer.strip()) and any(chance(answer, gold, rel_tol, refused) >= 0.5 for gold in golds)


def chance(answer: str, gold: str, rel_tol: float | None = None, refused: bool = False) -> float:
    """Probability that people call the answer right: fitted for a gold of some length, else 0 or 1."""
    if rel_tol is not None or is_quantity(gold):
        return float(not refused and bool(number_match(answer, gold, 0.01 if rel_tol is None else rel_tol)))
    if len(tokens(gold)) <= SHORT and not _POLARITY.match(gold):
        return float(not refused and contains(answer, [gold]))
    readings = {**features(answer, gold), "refused": float(refused), "bias": 1.0}
    return 1 / (1 + math.exp(-sum(WEIGHTS[name] * value for name, value in readings.items())))


def features(answer: str, gold: str) -> dict[str, float]:
    """What the model reads.

    `words`: share of the gold's content words (stems) in the answer; `same_polarity`: 1 when both begin with the same
    of yes and no, -1 when with different ones, else 0; `numbers`: share of the gold's numbers that the answer gives, 0
    without any; `has_numbers`: whether the gold has any.
    """
    wanted = content_words(gold)
    held = set(content_words(answer))
    ours, theirs = _POLARITY.match(answer), _POLARITY.match(gold)
    both = ours and theirs
    share = number_share(answer, gold)
    return {
        "words": sum(term in held for term in wanted) / len(wanted) if wanted else 0.0,
        "same_polarity": 0.0 if not both else 1.0 if ours[1].lower() == theirs[1].lower() else -1.0,  # type: ignore[index]
        "numbers": share or 0.0,
        "has_numbers": float(share is not None),
    }


def refuses(text: str) -> bool:
    """Whether a foreign system's answer withholds one, by its words; ours says so itself (`Answer.abstained`)."""
    return bool(_REFUSAL.search(text[:_OPENING])) or not scorable([text])
