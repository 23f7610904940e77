"""Links that open a source beside the chat, alone and in the text of an answer. Draws no forms, knows no Gradio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rag.display import cited
from rag.display.cited import where
from rag.display.prose import attributes, shortened
from rag.values import Citation, Sentence


def cited_text(
    text: str,
    citations: Iterable[Citation],
    sentences: Sequence[Sentence] = (),
    titles: Mapping[str, str] | None = None,
) -> str:
    """The text of an answer in which each footnote number opens its source (see `rag.display.cited`)."""
    return cited.cited_text(text, citations, sentences, lambda citation: reference(citation, titles))


def source_link(inner: str, doc: str, start: int, end: int, **more: str | None) -> str:
    """A link that opens the source beside the chat; `inner` is HTML."""
    to = {"href": "#source", "data-doc": doc, "data-start": start, "data-end": end}
    named = {key.rstrip("_").replace("_", "-"): value for key, value in more.items()}  # class_, aria_label
    return f"<a{attributes({**named, **to})}>{inner}</a>"


def reference(citation: Citation, titles: Mapping[str, str] | None = None) -> str:
    """The number of a footnote in the text; hovering shows the quoted words and where they stand."""
    place = where(citation, titles)
    return source_link(
        f"[{citation.number}]", citation.doc, citation.start, citation.end,
        class_="cite", data_card=f"“{shortened(citation.quote, 400)}”", data_place=place,
        aria_label=f"Source {citation.number}: {place}",
    )  # fmt: skip
