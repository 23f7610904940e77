"""Example questions made from the documents' own sentences, by patterns and without a model; there may be none.

Only sentences that state a plain fact about a named thing are used, and only questions that are answered are shown.
English only; in other languages the page simply starts without examples.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from index.errors import RagError
from index.sentences import sentences
from rag.answer import Rag

_DOCUMENTS = 40
_CHARACTERS = 20_000  # of each document: facts of general interest stand near its beginning
_TRIED = 12
SECONDS = 1.5
"""For trying whether questions are answered: the page waits for it once for each version of the index."""

_NO_NAME = "After|Although|As|At|Before|But|For|From|Here|If|In|It|On|Since|That|There|These|This|Though|When|While"
_NAME = rf"(?!(?:{_NO_NAME})\b)[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){{1,3}}"
# "The siren", "Holm Hill Observatory": an article and at most three words, or capitals.
_NO_THING = "also|and|are|had|has|have|in|is|not|of|that|to|was|were|which|who|will|would"
_THING = rf"(?P<thing>(?:The|Our) (?:(?!(?:{_NO_THING}) )[\w’'-]+ ?){{1,3}}|{_NAME})"
_DATE = r"(?:in|on) (?:\d{1,2} )?(?:[A-Z][a-z]+ )?(?:\d{1,2}, )?\d{4}\b"
_BASE = {
    "acquired": "acquire", "announced": "announce", "approved": "approve", "built": "build", "closed": "close",
    "condemned": "condemn", "discovered": "discover", "founded": "found", "introduced": "introduce",
    "invented": "invent", "launched": "launch", "opened": "open", "ordered": "order", "published": "publish",
    "rejected": "reject", "released": "release", "reported": "report", "seized": "seize", "signed": "sign",
    "won": "win", "wrote": "write", "increased": "increase", "decreased": "decrease", "rose": "rise",
    "fell": "fall", "grew": "grow",
}  # fmt: skip
_MOVED = "increased|decreased|rose|fell|grew"
_DID = "|".join(verb for verb in _BASE if verb not in _MOVED.split("|"))
_PLAIN = (
    (re.compile(rf"{_THING} was (?P<done>(?:first |finally )?[a-z]+(?:ed|t|n)) {_DATE}"), "When was {thing} {done}?"),
    (re.compile(rf"{_THING} costs [£$€]\d"), "How much does {thing} cost?"),
    (re.compile(rf"{_THING} cost [£$€]\d"), "How much did {thing} cost?"),
    (re.compile(rf"{_THING} takes (?:about )?\d+ (?:minutes?|hours?|days?)"), "How long does {thing} take?"),
)
_GREW = rf"(?P<thing>{_NAME}|[A-Z][a-z]+ [a-z]+) (?P<verb>{_MOVED}) (?:by )?(?:approximately )?[$£€]?\d"
_DONE = rf"{_THING} ?(?:has |have |had )?(?P<verb>{_DID}) (?:the|a|an|its|their|plans|on|that)\b"
_ACTS = (
    (re.compile(_GREW), "By how much did {thing} {base}?"),
    (re.compile(_DONE), "What did {thing} {base}?"),
)
_LAST_RESORT = ((re.compile(rf"(?P<thing>{_NAME}) (?:is|was) (?:a|an|the|one) "), "Who or what is {thing}?"),)


def examples(kb: Rag, count: int = 4) -> list[str]:
    """Up to `count` questions, each from another document, in the order of the documents."""
    texts = [kb.document(info.doc).text[:_CHARACTERS] for info in kb.documents()[:_DOCUMENTS]]
    found: list[str] = []
    until = time.monotonic() + SECONDS
    tried = 0
    for patterns in (_PLAIN, _ACTS, _LAST_RESORT):
        for text in texts:
            question = next((q for q in _questions(text, patterns) if q not in found), None)
            if question is None or len(found) >= count:
                continue
            if patterns is not _PLAIN:  # what was founded when is answered; the others are tried
                if tried >= _TRIED or time.monotonic() > until:
                    return found
                tried += 1
                if not _answered(kb, question):
                    continue
            found.append(question)
        if len(found) >= count:
            break
    return found


def _answered(kb: Rag, question: str) -> bool:
    try:
        return not kb.ask(question, model="extract").abstained
    except RagError:
        return False


def _questions(text: str, patterns: tuple[tuple[re.Pattern[str], str], ...]) -> Iterator[str]:
    for start, end in sentences(text):
        sentence = " ".join(text[start:end].split())
        for pattern, question in patterns:
            match = pattern.match(sentence)
            if match:
                words = match.groupdict()
                thing = re.sub(r"^(?:The|Our) ", "the ", words["thing"].strip())
                if not re.search(r" [A-Z0-9]", thing):  # "Net sales" is no name
                    thing = thing[0].lower() + thing[1:]
                base = _BASE.get(words.get("verb") or "", "")
                yield question.format(thing=thing, done=words.get("done", ""), base=base)
