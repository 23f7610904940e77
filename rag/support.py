"""How well cited spans carry a sentence: score and verdict, by rules that need no model. Draws the badge, scores evals.

Numbers, dates and names of the sentence must occur in the cited text, in any format; so must a negation; then the share
of its content words that the cited text holds counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.terms import STOP_WORDS, words_and_terms
from rag.facts import find_facts, same
from rag.values import Verdict

# Share of a sentence's content words that the cited text must hold.
SUPPORTED = 0.7
PARTIAL = 0.4

_NEGATION = re.compile(r"\b(?:not|no|never|none|neither|nor|nobody|nothing|without|cannot|\w+n['’]t)\b", re.IGNORECASE)


def support(sentence: str, cited: Sequence[str]) -> tuple[Verdict, float]:
    """Verdict and score in [0, 1] of a sentence against the texts it cites; `uncited` and 0 without any."""
    if not cited:
        return "uncited", 0.0
    whole = "\n".join(cited)
    if sentence.strip() in whole:
        return "supported", 1.0
    held = {term for _, term in words_and_terms(whole)}
    wanted = [term for word, term in words_and_terms(sentence) if word not in STOP_WORDS]
    coverage = sum(term in held for term in wanted) / len(wanted) if wanted else 1.0
    missing = missing_facts(sentence, whole)
    denied = bool(_NEGATION.search(sentence)) != bool(_NEGATION.search(whole)) and len(cited) == 1
    score = coverage * (0.5 if missing else 1.0) * (0.6 if denied else 1.0)
    if missing or denied:
        return ("partial" if coverage >= SUPPORTED and not denied else "unsupported"), round(score, 3)
    verdict: Verdict = "supported" if coverage >= SUPPORTED else "partial" if coverage >= PARTIAL else "unsupported"
    return verdict, round(score, 3)


def missing_facts(sentence: str, cited: str) -> list[str]:
    """The numbers, dates and names of a sentence that the cited text does not give in any form."""
    there = find_facts(cited)
    words = {word for word, _ in words_and_terms(cited)}
    missing = []
    for fact in find_facts(sentence):
        if fact.kind == "name":
            found = all(word in words for word, _ in words_and_terms(fact.text) if word not in STOP_WORDS)
        else:
            found = any(same(other.value, fact.value) for other in there if other.kind == fact.kind)
        if not found:
            missing.append(fact.text)
    return missing
