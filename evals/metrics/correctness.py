"""Whether an answer says what a gold answer says: one verdict from numbers, words and yes or no. No language model.

A gold that is a number needs that number, a short one its words in a row; a longer one is judged by a logistic model of
nine readings of the answer, fitted on people's verdicts on FinanceBench's answers (Islam et al. 2023) by
benchmarks/eval_reproduce.py. On questions that it was not fitted on, the verdict agrees with people at kappa .80.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from evals.metrics.answers import contains, rouge_l, scorable, tokens
from evals.metrics.quantities import is_quantity, number_match, number_share
from evals.metrics.words import content_words

WEIGHTS = {
    "bias": -1.65,
    "words": 2.68,
    "first_words": 0.59,
    "order": 2.2,
    "same_polarity": 1.25,
    "same_negation": 0.84,
    "first_numbers": 2.68,
    "has_numbers": -1.27,
    "refused": -1.94,
    "withholding": -2.94,
}
SHORT = 3
"""Most tokens of a gold that must stand in the answer as it is."""

_POLARITY = re.compile(r"\W*(?:(?P<yes>yes)|no|none|there (?:is|are|was|were) (?:no|none))\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:no|not|none|never|neither|nor|without)\b|n['’]t\b", re.IGNORECASE)
_FIRST = re.compile(r"\s*(.*?(?:[.!?](?=\s+[^a-z\s])|[。！？]|\n\s*\n|$))", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]|\n")
_WITHHOLDS = re.compile(
    r"""(?ix)
    \b(?:do(?:es)?|did|is|are|was|were|has|have|ca|can|could|would)(?:n['’]t|\ not|not)\b [^.]{0,60}
      \b(?:provid|explicitly|specif|includ|contain|mention|disclos|directly|available|determin|answer|access|state|find
         |found|calculat|given|detail|know)
    | \bno\ (?:(?:explicit|specific|direct|clear|further|additional|relevant)\ )?
      (?:information|data|mention|details?|figures?|reference|breakdown)\b
    | \b(?:not\ (?:possible|enough|available|provided|specified|mentioned)|unable|impossible|insufficient|unknown|sorry
         |apologi\w+|without\ (?:access|specific|more|additional|further|the))\b
    | \b(?:would|will)\ need\b | \bneed\ (?:more|additional|access)\b
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
    if not fitted(gold):
        # "$400 million increase": the number is what was asked for; its words come in any order.
        stated = contains(answer, [gold]) or (number_share(gold, gold) and number_match(answer, gold))
        return float(not refused and bool(stated))
    readings = {**features(answer, gold, refused), "bias": 1.0}
    return 1 / (1 + math.exp(-sum(WEIGHTS[name] * value for name, value in readings.items())))


def fitted(gold: str) -> bool:
    """Whether the model judges answers to this gold: it is no number, and either long or begins with yes or no."""
    return not is_quantity(gold) and (len(tokens(gold)) > SHORT or _POLARITY.match(gold) is not None)


def features(answer: str, gold: str, refused: bool = False) -> dict[str, float]:
    """What the model reads. A gold's first sentence carries the answer, what follows explains it.

    `words`, `first_words`: share of the content words (stems) of the gold, of its first sentence, in the answer;
    `order`: ROUGE-L; `same_polarity`: 1 when both begin with the same of yes and no, -1 with different ones, else 0;
    `same_negation`: whether both first sentences negate, or neither; `first_numbers`: whether the answer gives every
    number of the gold's first sentence, 0 without any; `has_numbers`: whether the gold has any; `refused`: that it was
    said to, or opens like a refusal; `withholding`: phrases that withhold, a sentence, at most 1.
    """
    held = set(content_words(answer))
    first = _first(gold)
    withheld = list(_WITHHOLDS.finditer(answer))
    return {
        "words": _share(gold, held),
        "first_words": _share(first, held),
        "order": rouge_l(answer, [gold]),
        "same_polarity": float(_polarity(answer) * _polarity(gold)),
        "same_negation": float(_negates(answer) == _negates(gold)),
        "first_numbers": float(number_share(answer, first) == 1.0),
        "has_numbers": float(number_share(answer, gold) is not None),
        "refused": float(refused or any(phrase.start() < _OPENING for phrase in withheld)),
        "withholding": min(1.0, len(withheld) / (1 + len(_SENTENCE_END.findall(answer.strip()[:-1])))),
    }


def refuses(text: str) -> bool:
    """Whether a foreign system's answer withholds one, by its words; ours says so itself (`Answer.abstained`)."""
    return bool(_WITHHOLDS.search(text[:_OPENING])) or not scorable([text])


def _share(gold: str, held: set[str]) -> float:
    wanted = [word for word in content_words(gold) if word not in ("yes", "no")]
    return sum(word in held for word in wanted) / len(wanted) if wanted else 0.0


def _polarity(text: str) -> int:
    """1 for a text that begins with yes, -1 with no or none, 0 with neither."""
    begins = _POLARITY.match(text)
    return 0 if begins is None else 1 if begins["yes"] else -1


def _negates(text: str) -> bool:
    return _polarity(text) < 0 or _NEGATION.search(_first(text)) is not None


def _first(text: str) -> str:
    """The first sentence, be it only a yes or no."""
    found = _FIRST.match(text)
    return found[1] if found else text
