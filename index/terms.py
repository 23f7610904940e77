"""Text becomes the terms that lexical search matches: folded, stemmed words, plain numbers, pairs of CJK characters.

Used for documents and questions alike, so both meet. Not a tokenizer of any model.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise
from typing import Any

_TOKEN = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)*)(?![^\W\d_])"
    r"|(?P<cjk>[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]+)"
    r"|(?P<word>[^\W_]+(?:['’][^\W\d_]+)?)"
)
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}")  # U.S. is US
_MIXED = re.compile(r"\d+|[^\W\d_]+")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")

# Words that carry no topic. Left out of questions only: in documents their frequency already weighs them down.
STOP_WORDS = frozenset(
    """a about above after again against all also am an and any are aren as at be because been before being below
    between both but by can cannot could did do does doing don down during each few for from further had has have having
    he her here hers herself him himself his how i if in into is it its itself just ll me more most my myself no nor not
    now of off on once only or other our ours ourselves out over own re s same she should so some such t than that the
    their theirs them themselves then there these they this those through to too under until up upon ve very was we were
    what when where which while who whom whose why will with would you your yours yourself
    tell please give according say said describe explain""".split()
)


def terms(text: str) -> list[str]:
    """The terms of `text` in order, with repetitions. Each matches [a-z0-9.] or non-ASCII letters, none is empty."""
    return [term for _, term in words_and_terms(text)]


def query_terms(text: str) -> list[str]:
    """The distinct terms of a question without its stop words; all terms when nothing else is left."""
    pairs = words_and_terms(text)
    content = [term for word, term in pairs if word not in STOP_WORDS]
    return list(dict.fromkeys(content or [term for _, term in pairs]))


def words_and_terms(text: str) -> list[tuple[str, str]]:
    """Each folded word of `text` beside its term."""
    out: list[tuple[str, str]] = []
    folded = _DOTTED.sub(lambda found: found.group().replace(".", ""), fold(text))
    for found in _TOKEN.finditer(folded):
        token = found.group()
        if found.lastgroup == "number":
            plain = token.replace(",", "") if _THOUSANDS.fullmatch(token) else token.replace(",", ".")
            out.append((plain, plain))
        elif found.lastgroup == "cjk":
            out += [(pair, pair) for pair in ([token] if len(token) == 1 else map("".join, pairwise(token)))]
        else:
            word = token
            if "'" in token or "’" in token:
                word = re.sub(r"['’]s?$", "", token).replace("'", "").replace("’", "")
            if word:
                out.append((word, _stem(word)))
                # FY2018 is also 2018, 10K also 10, F16 also 16.
                parts = _MIXED.findall(word) if not word.isalpha() else []
                out += [(part, part) for part in parts if len(parts) > 1]
    return out


def fold(text: str) -> str:
    """Lower case without accents or compatibility forms, so that Bogotá meets Bogota."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


@functools.cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@functools.lru_cache(100_000)
def _stem(word: str) -> str:
    stem: str = _stemmer().stemWord(word)
    return stem
