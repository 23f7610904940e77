"""Text becomes the terms that lexical search matches: folded, stemmed words, plain numbers, pairs of CJK characters.

Used for documents and questions alike, so both meet. Not a tokenizer of any model.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

_TOKEN = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)*)(?![^\W\d_])"
    r"|(?P<cjk>[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]+)"
    r"|(?P<word>[^\W_]+(?:['’][^\W\d_]+)?)"
)
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}")  # U.S. is US
_VERSION = re.compile(r"(?<![^\W_])v(\d+(?:\.\d+)+)")
_MIXED = re.compile(r"\d+|[^\W\d_]+")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")

# Words that carry no topic. Left out of questions only: in documents their frequency already weighs them down.
STOP_WORDS = frozenset(
    """a about above after again against all also am an and any are aren as at be because been before being below
    between both but by can cannot could did do does doing don down during each few for from further had has have
    having he her here hers herself him himself his how i if in into is it its itself just ll many me more most much
    my myself no nor not now of off on once only or other our ours ourselves out over own re s same she should so
    some such t than that the their theirs them themselves then there these they this those through to too under
    until up upon ve very was we were what when where which while who whom whose why will with would you your yours
    yourself
    tell please give according say said describe explain""".split()
)


STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian",
    "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""Snowball's stemmers by the language of a document."""


def terms(text: str, language: str = "en") -> list[str]:
    """The terms of `text` in order, with repetitions. Each matches [a-z0-9.] or non-ASCII letters, none is empty.

    Words are stemmed as `language` (ISO 639-1) has it, as English where its stemmer is not known.
    """
    return [term for _, term in words_and_terms(text, language)]


def query_terms(text: str) -> list[str]:
    """The distinct terms of a question without its stop words; all terms when nothing else is left."""
    pairs = words_and_terms(text)
    content = [term for word, term in pairs if word not in STOP_WORDS]
    return list(dict.fromkeys(content or [term for _, term in pairs]))


def language_code(meta: Mapping[str, object]) -> str:
    """ISO 639-1 code out of a document's metadata, which may say de, de-AT or nothing."""
    return str(meta.get("language") or "en")[:2].lower()


def in_languages(text: str, languages: Iterable[str]) -> list[str]:
    """Terms by which documents in other languages than English know the words of a question, stop words left out."""
    pairs = [pair for language in languages for pair in words_and_terms(text, language)]
    return list(dict.fromkeys(term for word, term in pairs if word not in STOP_WORDS))


def words_and_terms(text: str, language: str = "en") -> list[tuple[str, str]]:
    """Each folded word of `text` beside its term."""
    stemmer = STEMMERS.get(language, "english")
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
                out.append((word, _stem(word, stemmer)))
                # FY2018 is also 2018, 10K also 10, F16 also 16.
                parts = _MIXED.findall(word) if not word.isalpha() else []
                out += [(part, part) for part in parts if len(parts) > 1]
    # v2.3.1 is also 2.3.1.
    return out + [(found.group(1), found.group(1)) for found in _VERSION.finditer(folded)]


def fold(text: str) -> str:
    """Lower case without accents or compatibility forms, so that Bogotá meets Bogota."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()


@functools.cache
def _stemmer(name: str) -> Any:
    import Stemmer

    return Stemmer.Stemmer(name)


@functools.lru_cache(100_000)
def _stem(word: str, stemmer: str) -> str:
    stem: str = _stemmer(stemmer).stemWord(word)
    return stem
