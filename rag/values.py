"""The values that travel between the parts: passages, citations, sentences, answers, events.

No behaviour beyond JSON and how they show themselves, which `rag.display` draws.

Spans are half-open code-point ranges into the extracted text of `doc`; pages count from 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from index.frames import frame

Verdict = Literal["supported", "partial", "unsupported", "uncited"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved span. `score` orders passages; `dense` is a cosine, `lexical` a BM25 score, both unscaled."""

    doc: str
    start: int
    end: int
    page: int | None
    text: str
    tokens: int
    score: float
    dense: float
    lexical: float
    title: str

    def __str__(self) -> str:
        from rag.display.plain import passage_line

        return passage_line(self)

    def _repr_html_(self) -> str:
        return Passages([self])._repr_html_()


class Passages(list[Passage]):
    """Passages best first: a list that shows itself in a notebook and becomes a table."""

    def __str__(self) -> str:
        from rag.display.plain import passages_text

        return passages_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from rag.display.notebook import passages_html

        return passages_html(self)

    def _repr_markdown_(self) -> str:
        from rag.display.plain import passages_markdown

        return passages_markdown(self)

    def to_pandas(self) -> Any:
        """A pandas frame, a row a passage, with the fields of `Passage` as columns."""
        return frame([asdict(passage) for passage in self], [field.name for field in fields(Passage)])


@dataclass(frozen=True, slots=True)
class Citation:
    """A pointer that is right by construction: `document(doc).text[start:end] == quote`."""

    number: int
    doc: str
    start: int
    end: int
    page: int | None
    quote: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, its citations, and how well they carry it (`support` in [0, 1])."""

    text: str
    citations: tuple[Citation, ...]
    verdict: Verdict
    support: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """Sources that give different values for `aspect`: each position is (value, its citations).

    `dates` says of each position when its documents are from, as far as they tell ("2019", "2019-05-03, 2021"); empty
    where none does.
    """

    aspect: str
    positions: tuple[tuple[str, tuple[Citation, ...]], ...]
    dates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one candidate chunk: its ranks (from 1; None: not among the hits), its score, where it ended."""

    doc: str
    start: int
    end: int
    page: int | None
    dense_rank: int | None
    lexical_rank: int | None
    score: float
    fate: str


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about: the query that was searched, the candidates, what was dropped, remarks."""

    query: str = ""
    candidates: tuple[Fate, ...] = ()
    dropped_labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent on the model; `cost` in US dollars, None when no price is known. All zero without a model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        known = self.cost is not None and other.cost is not None
        cost = (self.cost or 0.0) + (other.cost or 0.0) if known else None
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens, cost)


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A cited answer. `text` carries the markers `[1]` `[2]`; `confidence` in [0, 1]; `timings` in seconds a stage.

    `headline` is the short answer lifted from the first cited sentence, empty where none can be lifted; `text` then
    opens with it, in bold, on a line of its own.
    """

    question: str
    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    abstained: bool
    confidence: float
    conflicts: tuple[Conflict, ...] = ()
    model: str = "extract"
    usage: Usage = field(default_factory=Usage)
    timings: Mapping[str, float] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    headline: str = ""

    def __str__(self) -> str:
        from rag.display.plain import answer_text

        return answer_text(self)

    def __repr__(self) -> str:
        state = "abstained" if self.abstained else f"{len(self.sentences)} sentences, {len(self.citations)} citations"
        return f"<Answer to {self.question!r}: {state}, confidence {self.confidence:.2f}, {self.model}>"

    def _repr_html_(self) -> str:
        from rag.display.notebook import answer_html

        return answer_html(self)

    def _repr_markdown_(self) -> str:
        from rag.display.plain import answer_markdown

        return answer_markdown(self)

    def to_pandas(self) -> Any:
        """A pandas frame, a row a sentence: text, verdict, support, the numbers of its citations, their documents."""
        columns = ("text", "verdict", "support", "citations", "docs")
        rows = [
            (s.text, s.verdict, s.support, [c.number for c in s.citations], [c.doc for c in s.citations])
            for s in self.sentences
        ]
        return frame([dict(zip(columns, row, strict=True)) for row in rows], columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers; `from_dict` restores an equal answer."""
        return asdict(self)

    def to_json(self, indent: int | None = None) -> str:
        """The dict as JSON, non-ASCII text kept readable."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """Restore what `to_dict` (or parsed JSON of it) gave."""
        rest = {k: v for k, v in data.items() if k not in _NESTED}
        return cls(
            **rest,
            sentences=tuple(Sentence(**{**s, "citations": _citations(s["citations"])}) for s in data["sentences"]),
            citations=_citations(data["citations"]),
            passages=tuple(Passage(**p) for p in data["passages"]),
            conflicts=tuple(
                Conflict(
                    c["aspect"],
                    tuple((value, _citations(cited)) for value, cited in c["positions"]),
                    tuple(c.get("dates", ())),
                )
                for c in data["conflicts"]
            ),
            usage=Usage(**data["usage"]),
            trace=Trace(
                data["trace"]["query"],
                tuple(Fate(**f) for f in data["trace"]["candidates"]),
                tuple(data["trace"]["dropped_labels"]),
                tuple(data["trace"]["notes"]),
            ),
        )


_NESTED = {"sentences", "citations", "passages", "conflicts", "usage", "trace"}


def _citations(rows: Any) -> tuple[Citation, ...]:
    return tuple(Citation(**row) for row in rows)


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of answering has ended."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text, markers included, in order; joined they give `Answer.text`."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationEvent:
    """A citation seen for the first time; sent before the text that carries its marker."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Final:
    """The last event of a stream, with the same answer that `ask` returns."""

    answer: Answer


Event = Step | TextDelta | CitationEvent | Final
