"""How a whole answer looks: its text, footnotes, abstention, disagreement, steps. Asks nothing, judges nothing.

All functions give HTML in which nothing from documents, questions and models is markup (see `rag.display.prose`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat

from rag.display.cited import MARKERS_BEHIND, place, sign
from rag.display.prose import escape, excerpt, names, shortened
from rag.values import Answer, Citation, Conflict, Fate, Step
from ui.cited import cited_text, source_link

_STEPS = {
    "search": "Searched the documents",
    "read": "Read the passages found",
    "answer": "Chose the sentences that answer",
    "write": "Wrote the answer",
    "check": "Checked each sentence against its sources",
}


def titles_of(answer: Answer) -> dict[str, str]:
    """The titles of the documents that the answer was made from."""
    return {passage.doc: passage.title for passage in answer.passages}


def _place_line(doc: str, title: str, page: int | None) -> str:
    """Title, page and file as one quiet line."""
    name, file = names(doc, title)
    parts = [f'<span class="title">{escape(name)}</span>']
    if page:
        parts.append(f"page {page}")
    if file:
        parts.append(f'<span class="file">{escape(file)}</span>')
    return " · ".join(parts)


def footnotes(answer: Answer) -> str:
    """The numbered sources. A quote that is itself a sentence of the answer is not said twice."""
    titles = titles_of(answer)
    said = {" ".join(sentence.text.split()) for sentence in answer.sentences}
    rows = []
    for citation in answer.citations:
        where = _place_line(citation.doc, titles.get(citation.doc, citation.doc), citation.page)
        quote = " ".join(citation.quote.split())
        words = "" if quote in said else f'<q class="quote">{escape(shortened(quote, 240))}</q>'
        inner = f'<span class="number">[{citation.number}]</span><span class="where">{where}{words}</span>'
        hover = f"“{shortened(quote, 400)}”"
        link = source_link(inner, citation.doc, citation.start, citation.end, class_="note", title=hover)
        rows.append(f"<li>{link}</li>")
    return f'<ul class="notes" aria-label="Sources">{"".join(rows)}</ul>' if rows else ""


# The forms of an answer


def answer_html(answer: Answer) -> str:
    """A finished answer in the form that it calls for, with its footnotes and steps."""
    titles = titles_of(answer)
    if answer.abstained:
        body = abstention(answer)
    else:
        text = _without_notice(answer) if answer.conflicts else answer.text
        lead, text = _headline(answer, text)
        body = lead + cited_text(text, answer.citations, answer.sentences, titles) + _doubts(answer)
        body += "".join(disagreement(conflict, titles) for conflict in answer.conflicts)
    return body + footnotes(answer) + steps(answer) + trace(answer)


def _headline(answer: Answer, text: str) -> tuple[str, str]:
    """The short answer that stands on a line of its own before the sentences, and the rest of the text."""
    first, _, rest = text.partition("\n\n")
    if not answer.headline or not first.startswith(f"**{answer.headline}**"):
        return "", text
    drawn = cited_text(first.replace("**", "", 2), answer.citations, (), titles_of(answer))
    return f'<div class="headline">{drawn}</div>', rest


def _doubts(answer: Answer) -> str:
    """The sentences whose place in the text was not found, unless there is nothing to warn of."""
    shown = {id(sentence) for _, _, sentence in place(answer.text, answer.sentences)[0]}
    lost = [s for s in answer.sentences if id(s) not in shown and s.verdict != "supported"]
    rows = "".join(f"<li>{sign(s)} {escape(shortened(s.text, 160))}</li>" for s in lost)
    return f'<ul class="doubts">{rows}</ul>' if rows else ""


def _without_notice(answer: Answer) -> str:
    """What follows the last judged sentence says in a line what the form of a disagreement says better."""
    placed, _ = place(answer.text, answer.sentences)
    if not placed:
        return answer.text
    behind = MARKERS_BEHIND.match(answer.text, placed[-1][1])
    return answer.text[: behind.end()] if behind else answer.text


def abstention(answer: Answer) -> str:
    """Says that the documents do not hold the answer, and what came nearest."""
    words = cited_text(answer.text, answer.citations, (), titles_of(answer)) if answer.sentences else (
        "<p>Nothing in them answers this with enough certainty, so no answer is made up.</p>"
    )  # fmt: skip
    rows = "".join(
        "<li>"
        + source_link(
            f'<span class="where">{_place_line(p.doc, p.title, p.page)}'
            f'<span class="quote">{escape(excerpt(p.text, 200))}</span></span>',
            p.doc, p.start, p.end, class_="note",
        )
        + "</li>"
        for p in answer.passages[:3]
    )  # fmt: skip
    nearest = f'<p class="label">The nearest passages</p><ul class="notes nearest">{rows}</ul>' if rows else ""
    return f'<section class="form abstained"><h3>Not in these documents</h3>{words}{nearest}</section>'


def disagreement(conflict: Conflict, titles: Mapping[str, str] | None = None) -> str:
    """The positions side by side, each with its date and what backs it; none is preferred."""
    sides = "".join(
        f'<div class="position"><p class="value">{escape(value)}</p>{_dated(date)}{_backing(citations, titles)}</div>'
        for (value, citations), date in zip(conflict.positions, conflict.dates or repeat(""), strict=False)
    )
    return f'<section class="form conflict"><h3>The sources disagree</h3><div class="positions">{sides}</div></section>'


def _dated(date: str) -> str:
    return f'<p class="dated">dated {escape(date)}</p>' if date else ""


def _backing(citations: Sequence[Citation], titles: Mapping[str, str] | None) -> str:
    rows = []
    for citation in citations:
        title = (titles or {}).get(citation.doc) or citation.doc
        inner = (
            f'<span class="number">[{citation.number}]</span>'
            f'<span class="where"><q class="quote">{escape(shortened(citation.quote, 220))}</q>'
            f"{_place_line(citation.doc, title, citation.page)}</span>"
        )
        link = source_link(inner, citation.doc, citation.start, citation.end, class_="note")
        rows.append(f"<li>{link}</li>")
    return f'<ul class="notes">{"".join(rows)}</ul>'


def failure(reason: str) -> str:
    """Says what went wrong, in the place of an answer or below the part of it that had come."""
    return f'<section class="form failed" role="alert"><p>{escape(reason)}</p></section>'


# Steps


def steps(answer: Answer) -> str:
    """How the answer came about and how long each part took, folded."""
    total = answer.timings.get("total", 0.0)
    rows = [(_STEPS.get(name, name.capitalize()), s) for name, s in answer.timings.items() if name != "total"]
    documents = len({passage.doc for passage in answer.passages})
    facts = [
        f"{_count(len(answer.passages), 'passage')} from {_count(documents, 'document')} considered",
        f"confidence that the answer is there: {answer.confidence:.2f}",
    ]
    if answer.usage.input_tokens or answer.usage.output_tokens:
        facts.append(f"{answer.usage.input_tokens:,} tokens read, {answer.usage.output_tokens:,} written by the model")
    if answer.trace.dropped_labels:
        facts.append(f"{_count(len(answer.trace.dropped_labels), 'citation')} of the model's led nowhere, left out")
    facts += answer.trace.notes
    # "openai-like:NAME@URL": the address is of no interest here.
    who = f"written by {answer.model.partition('@')[0]}" if answer.model != "extract" else "no language model"
    head = f"{total:.1f} s · {escape(who)}{_tally(answer)}"
    timed = "".join(f'<li><span>{escape(name)}</span><span class="time">{s:.2f} s</span></li>' for name, s in rows)
    rest = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return f'<details class="steps"><summary>{head}</summary><ul>{timed}{rest}</ul></details>'


_FATES = {
    "packed": "read by the answerer",
    "merged": "read, joined with its neighbour",
    "duplicate": "left out: says the same as another",
    "over budget": "left out: no room in the token budget",
    "ranked too low": "left out: others fit better",
}


def trace(answer: Answer) -> str:
    """What became of each passage that the search considered, folded; each opens its source."""
    if not answer.trace.candidates:
        return ""
    cited = {citation.doc: [] for citation in answer.citations}  # type: dict[str, list[tuple[int, int, int]]]
    for c in answer.citations:
        cited[c.doc].append((c.start, c.end, c.number))
    rows = "".join(_fate_row(fate, cited.get(fate.doc, ())) for fate in answer.trace.candidates[:TRACED])
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Passage", "By meaning", "By words", "What became of it")
    )
    query = answer.trace.query
    searched = f"<p>Searched for: {escape(query)}</p>" if query and query != answer.question else ""
    return (
        f'<details class="steps trace"><summary>{_count(len(answer.trace.candidates), "passage")} considered</summary>'
        f'{searched}<div class="wide" tabindex="0" role="region" aria-label="Passages considered"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


TRACED = 60
"""Rows of the trace: what ranked lower than that never came near the answer."""


def _fate_row(fate: Fate, cited: Sequence[tuple[int, int, int]]) -> str:
    numbers = "".join(f"[{number}]" for start, end, number in cited if start < fate.end and fate.start < end)
    became = f"cited {numbers}" if numbers else _FATES.get(fate.fate, fate.fate)
    where = escape(shortened(fate.doc, 40)) + (f", page {fate.page}" if fate.page else "")
    opens = source_link(where, fate.doc, fate.start, fate.end)
    ranks = "".join(f"<td>{rank or '–'}</td>" for rank in (fate.dense_rank, fate.lexical_rank))
    return (
        f'<tr class="{"read" if numbers or fate.fate in ("packed", "merged") else "left"}">'
        f'<th scope="row">{opens}</th>{ranks}<td>{escape(became)}</td></tr>'
    )


def _tally(answer: Answer) -> str:
    """The verdicts in numbers; an answer that abstains claims nothing."""
    if answer.abstained or not answer.sentences:
        return ""
    good = sum(sentence.verdict == "supported" for sentence in answer.sentences)
    return f" · {good} of {_count(len(answer.sentences), 'sentence')} supported"


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def progress(done: Sequence[Step], writing: bool) -> str:
    """What is going on right now, in a few words."""
    now = "Answering …" if writing or len(done) > 1 else "Reading …" if done else "Searching the documents …"
    return in_line(now)


def in_line(words: str) -> str:
    """A line that says what one waits for."""
    return f'<p class="status" role="status">{words}</p>'
