"""A kept answer against the documents as they are now: its citations open the quoted words, or nothing at all.

A link that marked other words than those quoted would be worse than none. Changes nothing that is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.answer import Rag
from rag.chat import FORMAT, VERSION, Chat, Standing
from rag.values import Answer, Citation
from ui.conversations import Saved

_TOLD = {
    "changed": "{doc} has changed since, and no longer holds the words of [{number}].",
    "gone": "{doc}, the source of [{number}], is no longer among the documents.",
}


@dataclass(frozen=True, slots=True)
class Reopened:
    """The answer with its citations as they point now, and a sentence for each whose words are not there any more."""

    answer: Answer
    notes: tuple[str, ...] = ()


def chat_of(kb: Rag, saved: Saved) -> Chat:
    """A conversation as `rag.chat` has it, to export it or to go on; turns that cannot be read are left out."""
    return _chat(kb, [(turn.question, turn.answer) for turn in saved.turns if turn.answer])


def at_present(kb: Rag, answer: Answer) -> Reopened:
    """The answer with every citation and passage where its words stand now.

    One whose words are gone points at an empty place, 0 to 0, of its document.
    """
    # Passages are looked up as citations, under numbers that no citation has.
    first = max((citation.number for citation in answer.citations), default=0) + 1
    passages = [Citation(first + n, p.doc, p.start, p.end, p.page, p.text) for n, p in enumerate(answer.passages)]
    asked = replace(answer, citations=(*answer.citations, *passages))
    standings = {standing.citation.number: standing for standing in _chat(kb, [("", asked)]).check()}
    if all(standing.state == "same" for standing in standings.values()):
        return Reopened(answer)
    notes = [
        _TOLD[standing.state].format(doc=citation.doc, number=citation.number)
        for citation in answer.citations
        if (standing := standings[citation.number]).state in _TOLD
    ]
    return Reopened(_pointing(answer, standings, first), tuple(notes))


def _chat(kb: Rag, turns: Sequence[tuple[str, Answer]]) -> Chat:
    rows = [{"question": question, "answer": answer.to_dict()} for question, answer in turns]
    return Chat.from_json(kb, json.dumps({"format": FORMAT, "version": VERSION, "turns": rows}))


def _pointing(answer: Answer, standings: Mapping[int, Standing], first: int) -> Answer:
    def now(citation: Citation) -> Citation:
        return _now(standings[citation.number], citation) if citation.number in standings else citation

    def all_now(citations: Sequence[Citation]) -> tuple[Citation, ...]:
        return tuple(now(citation) for citation in citations)

    passages = []
    for number, passage in enumerate(answer.passages, first):
        place = _now(standings[number], standings[number].citation)
        passages.append(replace(passage, start=place.start, end=place.end, page=place.page))
    return replace(
        answer,
        citations=all_now(answer.citations),
        sentences=tuple(replace(sentence, citations=all_now(sentence.citations)) for sentence in answer.sentences),
        conflicts=tuple(
            replace(c, positions=tuple((value, all_now(cited)) for value, cited in c.positions))
            for c in answer.conflicts
        ),
        passages=tuple(passages),
    )


def _now(standing: Standing, citation: Citation) -> Citation:
    return standing.now or replace(citation, start=0, end=0, page=None)
