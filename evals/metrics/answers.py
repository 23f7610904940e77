"""Scores of an answer's words against gold answers: exact, token F1 and recall, ROUGE-L, contained. Not numbers.

Normalisation is SQuAD's (Rajpurkar et al. 2016: lower case, no punctuation, no articles, single spaces) with the
Unicode punctuation of MLQA (Lewis et al. 2020) and its mixed segmentation: one token a Han or Kana character.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

_ARTICLES = frozenset(("a", "an", "the"))
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_PARTED = re.compile(
    rf"(?:(?<![\w)])-)?\d+(?:,\d{{3}})+(?:\.\d+)?|(?:(?<![\w)])-)?\d+(?:\.\d+)?|%|[{_CJK}]|[^\W\d_{_CJK}]+"
)


def tokens(text: str) -> list[str]:
    """The normalised tokens of a text; articles are dropped."""
    return [token for token in _TOKEN.findall(_bare(text)) if token not in _ARTICLES]


def normalise(text: str) -> str:
    """The tokens joined by single spaces."""
    return " ".join(tokens(text))


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1.0 when the normalised answer equals a normalised gold. ValueError without golds."""
    return _best(float(tokens(answer) == tokens(gold)) for gold in golds)


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """Harmonic mean of token precision and recall as bags, the best over the golds; both empty is 1.0 (SQuAD)."""
    return _best(_overlap(answer, gold)[1] for gold in golds)


def token_recall(answer: str, golds: Sequence[str]) -> float:
    """Share of a gold's tokens, as a bag, that the answer holds; the best over the golds."""
    return _best(_overlap(answer, gold)[0] for gold in golds)


def rouge_l(answer: str, golds: Sequence[str]) -> float:
    """ROUGE-L F1 (Lin 2004, beta = 1): longest common subsequence of the tokens; the best over the golds.

    Tokens are those above, unstemmed: the stock tokenizer keeps only a-z and 0-9, and scores equal Chinese texts 0.
    """
    return _best(_rouge_l(tokens(answer), tokens(gold)) for gold in golds)


def contains(text: str, golds: Sequence[str]) -> bool:
    """Whether the words of some gold stand in a row in the text, whole: `5` is in `5 of them`, not in `1577` or `3.5`.

    Here punctuation parts words instead of vanishing ("Norway's" holds "Norway", "10-day" holds "10"), while numbers
    stay whole. On the 612 answers of XQuAD and the sentences they were cut from, this finds all but one; SQuAD's
    tokens miss ten, and bare substrings would also find 308 in 1308.
    """
    body = f" {_parted(text)} "
    return any(f" {words} " in body for words in map(_parted, golds) if words)


def scorable(golds: Sequence[str]) -> tuple[str, ...]:
    """The golds of which normalisation leaves something; "the" or "—" can be neither contained nor overlapped."""
    return tuple(gold for gold in golds if tokens(gold) and _parted(gold))


def _bare(text: str) -> str:
    # Long dashes part words, unlike in SQuAD, whose data has none; other punctuation vanishes.
    text = re.sub("[–—]", " ", unicodedata.normalize("NFKC", text).lower())
    return "".join(char for char in text if not _is_punctuation(char))


def _parted(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower().replace("−", "-")
    text = re.sub(r"\b(?:[a-z]\.){2,}", lambda dotted: dotted[0].replace(".", ""), text)  # U.S. is us
    text = re.sub(r"(?<=\d) ?per\s?cent\b", "%", text)
    return " ".join(word.replace(",", "") for word in _PARTED.findall(text) if word not in _ARTICLES)


@lru_cache(maxsize=4096)
def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def _overlap(answer: str, gold: str) -> tuple[float, float]:
    """Token recall and F1."""
    ours, theirs = tokens(answer), tokens(gold)
    if not ours or not theirs:
        same = float(ours == theirs)
        return same, same
    common = sum((Counter(ours) & Counter(theirs)).values())
    return common / len(theirs), 2 * common / (len(ours) + len(theirs))


def _rouge_l(ours: Sequence[str], theirs: Sequence[str]) -> float:
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * _common_subsequence(ours, theirs) / (len(ours) + len(theirs))


def _common_subsequence(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time in the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for token in two:
        shared = row & places.get(token, 0)
        row = (row + shared | row - shared) & full
    return len(one) - row.bit_count()


def _best(scores: Iterable[float]) -> float:
    found = list(scores)
    if not found:
        raise ValueError("a score needs at least one gold answer")
    return max(found)
