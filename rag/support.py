"""How well cited spans carry a sentence: score and verdict, by rules that need no model. Draws the badge, scores evals.

Numbers, dates and names of the sentence must occur in the cited text, in any format; what it denies must be denied
there, and what is denied there must not be asserted. Then the share of its content words that the cited text holds
counts and, where that is small and an embedder is at hand, how near its meaning is. A cross-encoder trained for
entailment may judge words and negations instead (`rag.verifier`).

benchmarks/support.py measures all of it and fits `SUPPORTED`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from index.terms import STOP_WORDS, words_and_terms
from rag.facts import Date, Fact, Number, find_facts, same
from rag.values import Verdict

if TYPE_CHECKING:
    from rag.verifier import Verifier

SUPPORTED = 0.45
"""Share of a sentence's content words that the cited text must hold. The fit, which asks that 95 % of true sentences
keep it, gives .66; this keeps 97.5 %, more of them those in other words, and still catches 98 % of moved citations."""

NEAR = 0.75
"""Cosine from which a sentence in other words than its source is supported all the same."""

PARTIAL = 0.25
"""With a smaller share than this, sentence and source hardly speak of the same thing."""

MENDED = 0.6
"""Share of words from which a sentence without a citation is given the source that was found for it."""

LEAST_WORDS = 3
"""Content words that such a sentence must have."""

_HEDGES = re.compile(
    r"\b(?:about|around|nearly|almost|roughly|approximately|some|over|under|more than|less than|fewer than|up to|"
    r"at least|circa|c\.|~)\s*\W{0,2}$",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not(?!\s+only\b)|no(?!\s+(?:longer|less|fewer|more|later|one)\b)|never|none|neither|nor|nobody|nothing|without|"
    r"cannot|hardly|\w+n['’]t)\b|\bno (?:longer|one)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:.!?()]|\b(?:but|and|which|who|that|because|although|while)\b", re.IGNORECASE)
# Content words after a negation that it is taken to deny.
_DENIES = 2


def support(
    sentence: str, cited: Sequence[str], embedder: Any = None, verifier: Verifier | None = None
) -> tuple[Verdict, float]:
    """Verdict and score in [0, 1] of a sentence against the texts it cites; `uncited` and 0 without any.

    `embedder` is anything with `encode(texts)` that gives unit vectors.
    """
    if not cited:
        return "uncited", 0.0
    whole = "\n".join(cited)
    if sentence.strip() in whole or " ".join(sentence.split()) in " ".join(whole.split()):
        return "supported", 1.0
    missing = missing_facts(sentence, whole)
    if verifier is not None:
        verdict, score = verifier.verdict(whole, sentence)
        return ("partial" if missing and verdict == "supported" else verdict), score
    score = coverage(sentence, whole)
    denied = contradicts(sentence, whole)
    if missing or denied:
        score = coverage(sentence, whole, len(missing))
        cut = score * (0.5 if missing else 1.0) * (0.5 if denied else 1.0)
        # A sentence none of whose facts is there is not partly right: what it came to say is missing.
        partly = score >= SUPPORTED and not denied and len(missing) < len(find_facts(sentence))
        return ("partial" if partly else "unsupported"), round(cut, 3)
    if score < SUPPORTED and embedder is not None and (near := meaning(sentence, cited, embedder)) >= NEAR:
        return "supported", round(near, 3)
    return ("supported" if score >= SUPPORTED else "partial" if score >= PARTIAL else "unsupported"), round(score, 3)


def supporting(sentence: str, texts: Sequence[str]) -> int | None:
    """The place of the text that alone carries the sentence, with most of its words; None where none does.

    A sentence of hardly any content ("It is so.") fits everywhere and is given none.
    """
    if sum(word not in STOP_WORDS for word, _ in words_and_terms(sentence)) < LEAST_WORDS:
        return None
    shares = [coverage(sentence, text) for text in texts]
    for place in sorted(range(len(texts)), key=lambda place: (-shares[place], len(texts[place])))[:3]:
        if shares[place] >= MENDED and support(sentence, [texts[place]])[0] == "supported":
            return place
    return None


def coverage(sentence: str, cited: str, missing: int = 0) -> float:
    """Share of the sentence's content words that the cited text holds, numbers and dates aside; 1 without any.

    A sentence of nothing but numbers and dates, some of them `missing`, has no share at all.
    """
    held = {term for _, term in words_and_terms(cited)}
    words = sentence
    for fact in find_facts(sentence):
        if fact.kind != "name":
            words = words[: fact.start] + " " * (fact.end - fact.start) + words[fact.end :]
    wanted = [term for word, term in words_and_terms(words) if word not in STOP_WORDS and word != "percent"]
    total = len(wanted) or missing
    return sum(term in held for term in wanted) / total if total else 1.0


def meaning(sentence: str, cited: Sequence[str], embedder: Any) -> float:
    """Cosine of the sentence to the nearest of the cited texts or to all of them together, at least 0."""
    texts = [*cited, " ".join(cited)] if len(cited) > 1 else list(cited)
    vectors = np.asarray(embedder.encode([sentence, *texts]), np.float32)
    return float(max(0.0, (vectors[1:] @ vectors[0]).max()))


def missing_facts(sentence: str, cited: str) -> list[str]:
    """The numbers, dates and names of a sentence that the cited text does not give in any form."""
    there = find_facts(cited)
    words = {form for pair in words_and_terms(cited) for form in pair}  # as they stand, and their stems
    digits = set(re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", cited)))
    missing = []
    for fact in find_facts(sentence):
        if fact.kind == "name":
            found = _name_given(fact.text, words, cited)
        elif isinstance(fact.value, Number):
            if fact.value.value == 1 and not fact.text[0].isdigit():  # "one of them", "at first" count nothing
                continue
            hedged = bool(_HEDGES.search(sentence[: fact.start]))
            found = _number_given(fact.value, hedged, there) or fact.text.replace(",", "") in digits
            if not found and re.match(r"['’]?s\b", sentence[fact.end :]):  # "the 70s" of 1974
                found = any(len(year) == 4 and year[2] == fact.text[0] for year in digits)
        else:
            found = any(isinstance(fact.value, Date) and _date_given(fact.value, other) for other in there)
            found = found or (fact.text.isdigit() and fact.text in digits)
        if not found:
            missing.append(fact.text)
    return missing


def _name_given(name: str, words: set[str], cited: str) -> bool:
    """Every capitalised word of the name, or of what its initials stand for; "German" is given by "Germany"."""
    for part in re.findall(r"[^\s-]+", name):
        if part[0].islower() or part.replace(".", "").casefold() in words:
            continue
        if len(part) > 1 and part.isupper() and part.casefold() in _initials(cited):
            continue
        pairs = words_and_terms(part)
        if not all(w in STOP_WORDS or w in words or term in words or _kin(w, words) for w, term in pairs):
            return False
    return True


def _kin(word: str, words: set[str]) -> bool:
    return len(word) > 4 and any(len(w) > 4 and (w.startswith(word) or word.startswith(w)) for w in words)


def _initials(text: str) -> str:
    return "".join(found[0][0] for found in re.finditer(r"\b[A-Z]\w+", text)).casefold()


def _number_given(value: Number, hedged: bool, there: Sequence[Fact]) -> bool:
    """The same number, or one that the sentence rounds: 15,000 for 15,234; after "about" a little further off.

    A number that is more exact than the cited one is not given.
    """
    slack = min(_grain(value), (0.05 if hedged else 0.02) * abs(value.value)) + 1e-9 * abs(value.value)
    return any(
        abs(value.value - other.value) <= slack
        and _is_percent(value) == _is_percent(other)
        and (value.unit == "time") == (other.unit == "time")
        for other in (fact.value for fact in there)
        if isinstance(other, Number)
    )


def _is_percent(number: Number) -> bool:
    return number.unit in ("%", "percent")


def _grain(number: Number) -> float:
    """Half the place of the last digit that is not a zero: 500 for 15,000; half the last decimal of 1.5 million."""
    digits = f"{abs(number.value):.0f}"
    zeros = len(digits) - len(digits.rstrip("0"))
    return 0.5 * 10.0**zeros if zeros and number.value.is_integer() else number.grain


def _date_given(date: Date, fact: Fact) -> bool:
    """Whether the cited date says what the sentence says; a year or weekday that it leaves open may be added."""
    other = fact.value
    if not isinstance(other, Date) or not same(date, other):
        return False
    if date.month is None and date.day is None:
        return other.year is not None if date.year is not None else other.weekday is not None
    return all(getattr(date, part) is None or getattr(other, part) is not None for part in ("month", "day"))


def contradicts(sentence: str, cited: str) -> bool:
    """Whether one of the two denies what the other asserts, told by the words that follow each negation."""
    said, held = _polarity(sentence), _polarity(cited)
    for mine, theirs in ((said, held), (held, said)):
        for scope in mine.denied:
            shared = [term for term in scope if term in theirs.asserted or term in theirs.terms_denied]
            if shared and not any(term in theirs.terms_denied for term in shared):
                return True
    # Denied in words that the cited text lacks altogether, which itself denies nothing.
    return bool(said.denied) and not held.denied


class _Polarity:
    """The terms of a text that are asserted, and the scopes (first content terms) of its negations."""

    def __init__(self) -> None:
        self.asserted: set[str] = set()
        self.denied: list[tuple[str, ...]] = []

    @property
    def terms_denied(self) -> set[str]:
        return {term for scope in self.denied for term in scope}


def _polarity(text: str) -> _Polarity:
    out = _Polarity()
    at = 0
    folded = text
    for found in _NEGATION.finditer(folded):
        if found.start() < at:
            continue
        out.asserted |= _terms(folded[at : found.start()])
        end = _CLAUSE.search(folded, found.end() + 1)
        rest = folded[found.end() : end.start() if end else len(folded)]
        pairs = [(word, term) for word, term in words_and_terms(rest) if word not in STOP_WORDS]
        scope = tuple(term for _, term in pairs[:_DENIES])
        out.denied.append(scope)
        out.asserted |= {term for _, term in pairs[_DENIES:]}
        at = found.end() + len(rest)
    out.asserted |= _terms(folded[at:])
    return out


def _terms(text: str) -> set[str]:
    return {term for word, term in words_and_terms(text) if word not in STOP_WORDS}
