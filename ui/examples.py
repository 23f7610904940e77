"""Example questions made from the documents' own sentences, by patterns. No model, and no promise: there may be none.

Only sentences that state a plain fact about a named thing are used, so that the documents hold the answer.
English only; in other languages the page simply starts without examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from index.sentences import sentences
from rag.answer import Rag

_DOCUMENTS = 40
_CHARACTERS = 6000  # of each document: facts of general interest stand near its beginning

_NAME = r"[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){1,3}"
# "The siren", "Holm Hill Observatory": an article and at most three words, or capitals.
_THING = rf"(?P<thing>(?:The|Our) (?:(?!that |which |who |of )[\w’'-]+ ?){{1,3}}|{_NAME})"
_DATE = r"(?:in|on) (?:\d{1,2} )?(?:[A-Z][a-z]+ )?(?:\d{1,2}, )?\d{4}\b"
_PLAIN = (
    (re.compile(rf"{_THING} was (?P<done>(?:first |finally )?[a-z]+(?:ed|t|n)) {_DATE}"), "When was {thing} {done}?"),
    (re.compile(rf"{_THING} costs [£$€]\d"), "How much does {thing} cost?"),
    (re.compile(rf"{_THING} cost [£$€]\d"), "How much did {thing} cost?"),
    (re.compile(rf"{_THING} takes (?:about )?\d+ (?:minutes?|hours?|days?)"), "How long does {thing} take?"),
)
_LAST_RESORT = ((re.compile(rf"(?P<thing>{_NAME}) (?:is|was) (?:a|an|the|one) "), "Who or what is {thing}?"),)


def examples(kb: Rag, count: int = 4) -> list[str]:
    """Up to `count` questions, each from another document, in the order of the documents."""
    texts = [kb.document(info.doc).text[:_CHARACTERS] for info in kb.documents()[:_DOCUMENTS]]
    found: list[str] = []
    for patterns in (_PLAIN, _LAST_RESORT):
        for text in texts:
            question = next((q for q in _questions(text, patterns) if q not in found), None)
            if question and len(found) < count:
                found.append(question)
        if found:
            break
    return found


def _questions(text: str, patterns: tuple[tuple[re.Pattern[str], str], ...]) -> Iterator[str]:
    for start, end in sentences(text):
        sentence = " ".join(text[start:end].split())
        for pattern, question in patterns:
            match = pattern.match(sentence)
            if match:
                thing = re.sub(r"^(?:The|Our) ", "the ", match["thing"].strip())
                yield question.format(thing=thing, done=match.groupdict().get("done", ""))
