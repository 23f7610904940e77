"""The content words of a text as stems, for comparing answers. Apart from the index's terms, so that tuning a search
does not move the scores that judge it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\d+(?:[.,]\d+)*|[{_CJK}]|[^\W\d_{_CJK}]+(?:['’][^\W\d_]+)?")
_MARKER = re.compile(r"\[\d+\]")
_STOP = frozenset(
    """a about above after again all also am an and any are aren't as at be because been before being below between both
    but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each etc few for from
    further had hadn't has hasn't have haven't having he her here hers him his how i if in into is isn't it it's its
    itself just may me might more most much must my no nor not now of off on once one only or other our ours out over
    own same shall she should so some such than that that's the their theirs them then there these they this those
    through to too under until up upon us very was wasn't we were weren't what when where which while who whom whose why
    will with within without would you your yours""".split()
)


def content_words(text: str) -> list[str]:
    """Stems (Snowball English) in order, repeats kept, without stop words and citation markers such as [3].

    Numbers lose their thousands commas and keep their decimals; each Han or Kana character is a word.
    """
    plain = unicodedata.normalize("NFKC", _MARKER.sub(" ", text)).lower().replace("’", "'")
    words = [word for word in _WORD.findall(plain) if word not in _STOP]
    return [_stem(word) for word in words]


def content_f1(answer: str, golds: Sequence[str], question: str = "") -> float:
    """F1 of the sets of content words, the best over the golds, leaving out the words of the question.

    Whoever answers may repeat the question; its words in an answer tell nothing. Leaving them out is what makes this
    rank answers of several sentences as people do (benchmarks/eval_reproduce.py: Spearman 57 on RAGChecker's pairs,
    SQuAD's token F1 54). Nothing in it is fitted.
    """
    asked = set(content_words(question))
    ours = set(content_words(answer)) - asked
    return max(_overlap(ours, set(content_words(gold)) - asked) for gold in golds)


def _overlap(ours: set[str], theirs: set[str]) -> float:
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


@cache
def _stem(word: str) -> str:
    if word[0].isdigit():
        return re.sub(r",(?=\d{3}(?:\D|$))", "", word)
    return str(_stemmer().stemWord(word.removesuffix("'s")))


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
