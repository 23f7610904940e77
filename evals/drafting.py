"""Questions drafted from documents by a language model, kept only where their quote carries them. Nobody has read them.

A draft is a row of split "draft": runs leave it out until a person reviews it and sets another split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.authoring import add_rows, new_id
from evals.gold import DRAFT, SuiteError
from evals.metrics.answers import contains, scorable
from evals.quotes import locate
from evals.replies import JsonModel
from index.documents import read_document
from index.errors import DocumentError
from index.readers import READERS

WINDOW = 6000
"""Characters of a document that the model reads at once: about 1,500 tokens, which fit a small model's window."""

SYSTEM = (
    "You write test questions about a text for people who have not seen it. Each question can be answered from the "
    "text alone, names what it is about, and does not mention the text. The answer is short and stands in the quote. "
    "The quote is copied from the text character by character, one or two sentences. Reply with JSON only: "
    '{"questions": [{"question": "…", "answer": "…", "quote": "…"}]}'
)


@dataclass(frozen=True, slots=True)
class Drafted:
    """How many drafts were added, were asked already, or were thrown away."""

    added: int
    known: int
    refused: int


def draft(folder: Path, model: JsonModel, each: int = 3) -> Drafted:
    """Draft `each` questions a document in `folder`/docs and append the good ones to its gold. Raises SuiteError."""
    files = [path for path in sorted((folder / "docs").rglob("*")) if path.suffix.lower() in READERS]
    if not files:
        raise SuiteError(f"{folder / 'docs'} holds no document to ask about.")
    rows: list[dict[str, Any]] = []
    refused = 0
    for path in files:
        doc = path.relative_to(folder / "docs").as_posix()
        try:
            text = read_document(path, doc, 1 << 40).text
        except DocumentError:
            continue
        for window, wanted in _windows(text, each):
            reply = model.ask(SYSTEM, f"Write {wanted} questions about this text:\n\n{window}")
            offered = (reply or {}).get("questions")
            for entry in (offered if isinstance(offered, list) else [])[:wanted]:
                row = _row(entry, doc, text)
                rows += [row] if row else []
                refused += row is None
    added, known = add_rows(folder, rows)
    return Drafted(added, known, refused)


def _windows(text: str, each: int) -> list[tuple[str, int]]:
    """Parts of a document evenly over its length, and how many questions to ask about each."""
    starts = list(range(0, max(1, len(text)), WINDOW))[: max(1, len(text))]
    chosen = starts if len(starts) <= each else [starts[n * len(starts) // each] for n in range(each)]
    shares = [each // len(chosen) + (n < each % len(chosen)) for n in range(len(chosen))]
    return [(text[start : start + WINDOW], share) for start, share in zip(chosen, shares, strict=True)]


def _row(entry: Any, doc: str, text: str) -> dict[str, Any] | None:
    """A draft as a row of gold; None when it is not what was asked for."""
    if not isinstance(entry, dict):
        return None
    question, answer, quote = (str(entry.get(key) or "").strip() for key in ("question", "answer", "quote"))
    golds = scorable([answer])
    if not question or not golds or not contains(quote, golds) or locate(quote, text) is None:
        return None
    evidence = [{"doc": doc, "quote": quote, "start": None, "end": None, "page": None}]
    row = {"id": new_id(question), "question": question, "answers": [answer], "answerable": True, "evidence": evidence}
    return {**row, "split": DRAFT, "source": "llm"}
