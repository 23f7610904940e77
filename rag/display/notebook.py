"""Answers, passages and an index as HTML for a notebook's output: no script, nothing from elsewhere, light and dark.

Colours are mixes of the page's own text colour, so that they fit any theme. Where a viewer takes the style away (an
untrusted notebook does), what is left still reads: numbers, signs with words, sources that fold out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from rag.display.cited import cited_text, where, without_notice
from rag.display.prose import attributes, escape, excerpt, names, shortened
from rag.values import Answer, Citation, Conflict, Passage

if TYPE_CHECKING:
    from rag.answer import Rag

_AROUND = 240
"""Characters of a passage shown before and after a quote."""


def answer_html(answer: Answer) -> str:
    """An answer with hover citations, verdict signs, disagreement, and its sources folded away."""
    titles = {passage.doc: passage.title for passage in answer.passages}
    body = cited_text(without_notice(answer), answer.citations, answer.sentences, lambda c: _reference(c, titles))
    if answer.abstained:
        body = f'<p class="fn-label">Not in these documents</p>{body}'
    body += "".join(_conflict(conflict, titles) for conflict in answer.conflicts)
    sources = [_source(answer, citation, titles) for citation in answer.citations]
    shown = [p for p in answer.passages[:3] if answer.abstained]
    sources += [_passage(number, passage) for number, passage in enumerate(shown, 1)]
    count = "source" if len(sources) == 1 else "sources"
    named = "The nearest passages" if answer.abstained else f"{len(sources)} {count}"
    fold = f"<details><summary>{named}</summary><ol>{''.join(sources)}</ol></details>" if sources else ""
    total = answer.timings.get("total", 0.0)
    about = f"confidence {answer.confidence:.2f} · {answer.model.partition('@')[0]} · {total:.1f} s"
    return framed(
        f'<p class="fn-question">{escape(answer.question)}</p>{body}{fold}<p class="fn-about">{escape(about)}</p>'
    )


def passages_html(passages: Sequence[Passage]) -> str:
    """Passages, best first, each folded to its beginning."""
    if not passages:
        return framed("<p>No passage.</p>")
    rows = "".join(_passage(number, passage) for number, passage in enumerate(passages, 1))
    tokens = sum(passage.tokens for passage in passages)
    return framed(f'<p class="fn-about">{len(passages)} passages, {tokens} tokens</p><ol>{rows}</ol>')


def index_html(kb: Rag) -> str:
    """What an index holds, its largest documents first."""
    documents = kb.documents()
    chunks = sum(info.chunks for info in documents)
    rows = [
        (names(info.doc, info.title)[0], info.doc, str(info.pages or ""), f"{info.characters:,}", str(info.chunks))
        for info in sorted(documents, key=lambda info: -info.chunks)
    ]
    head = f"<p><strong>{len(documents)} documents</strong>, {chunks} chunks · {escape(kb.index.folder)}</p>"
    table = table_html(("title", "document", "pages", "characters", "chunks"), rows) if rows else ""
    return framed(head + table if rows else f'{head}<p>Add some: kb.sync("folder")</p>')


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]], most: int = 20) -> str:
    """The first rows of a table, `most` of them; everything in it is escaped."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:most])
    more = f'<p class="fn-about">and {len(rows) - most} more</p>' if len(rows) > most else ""
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>{more}"


def framed(inner: str) -> str:
    """HTML in the frame that carries its style."""
    style = files("rag.display").joinpath("notebook.css").read_text("utf-8")
    return f'<div class="footnote"><style>{style}</style>{inner}</div>'


def _reference(citation: Citation, titles: dict[str, str]) -> str:
    hover = f"“{shortened(citation.quote, 400)}” — {where(citation, titles)}"
    named = {"class": "fn-cite", "title": hover, "aria-label": f"Source {citation.number}: {where(citation, titles)}"}
    return f"<a{attributes(named)}>[{citation.number}]</a>"


def _source(answer: Answer, citation: Citation, titles: dict[str, str]) -> str:
    """A citation's quote, marked within the passage that it was read in."""
    place = f'<span class="fn-where">{escape(where(citation, titles))} · {citation.start}–{citation.end}</span>'
    before, after = _around(answer.passages, citation)
    marked = f"{escape(before)}<mark>{escape(citation.quote)}</mark>{escape(after)}"
    return f'<li value="{citation.number}">{place}<blockquote>{marked}</blockquote></li>'


def _around(passages: Iterable[Passage], citation: Citation) -> tuple[str, str]:
    for passage in passages:
        if passage.doc == citation.doc and passage.start <= citation.start and citation.end <= passage.end:
            before = passage.text[: citation.start - passage.start]
            after = passage.text[citation.end - passage.start :]
            if len(before) > _AROUND:
                before = "… " + before[-_AROUND:].partition(" ")[2]
            if len(after) > _AROUND:
                after = after[:_AROUND].rpartition(" ")[0] + " …"
            return before, after
    return "", ""


def _conflict(conflict: Conflict, titles: dict[str, str]) -> str:
    rows = "".join(
        f"<li><strong>{escape(value)}</strong> {' '.join(_reference(c, titles) for c in citations)} "
        f'<span class="fn-where">{escape("; ".join(dict.fromkeys(where(c, titles) for c in citations)))}</span></li>'
        for value, citations in conflict.positions
    )
    return f'<p class="fn-label">The sources disagree</p><ul>{rows}</ul>'


def _passage(number: int, passage: Passage) -> str:
    name, _ = names(passage.doc, passage.title)
    page = f", page {passage.page}" if passage.page else ""
    about = f"{name}{page} · {passage.start}–{passage.end} · score {passage.score:.2f}, cosine {passage.dense:.2f}"
    return (
        f'<li value="{number}"><span class="fn-where">{escape(about)}</span>'
        f"<details><summary>{escape(excerpt(passage.text, 160))}</summary>"
        f"<blockquote>{escape(passage.text)}</blockquote></details></li>"
    )


# While it comes


def streaming_html(text: str, citations: Sequence[Citation]) -> str:
    """An answer that is not complete yet."""
    body = cited_text(text, citations, (), lambda citation: _reference(citation, {}))
    return framed(body or '<p class="fn-about">Searching …</p>')


def progress_html(what: str, done: int, total: int, seconds: float) -> str:
    """A bar with rate and time left."""
    rate = done / seconds if seconds > 0 and done else 0.0
    left = f", {(total - done) / rate:.0f} s left" if rate else ""
    about = f"{what} {done} of {total}" + (f", {rate:.1f}/s{left}" if rate else "")
    bar = f"<progress{attributes({'value': done, 'max': max(total, 1), 'aria-label': what})}></progress>"
    return framed(f'<p class="fn-about">{bar} {escape(about)}</p>')
