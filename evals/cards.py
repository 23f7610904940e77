"""One question as a foldable piece of the report: gold, answer, verdicts, passages with the gold marked. No page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from evals.fates import FATES, MEANING, Fate
from evals.metrics import metric_of, shown_order, title_of
from evals.metrics.retrieval import Span
from evals.record import Row

_COMPARED = ("correct", "recall")
_CONTEXT = 220
"""Characters shown around what is marked in a long passage."""


def card(row: Row, fate: Fate | None, base: Row | None) -> str:
    """The question's line and, folded below it, everything known of it; beside `base`'s answer if that is given."""
    outcome, change = _outcome(row), _change(row, base)
    chips = [_chip(change, change) if change in ("better", "worse") else ""]
    chips += [_chip(fate, f" f{FATES.index(fate)}", MEANING[fate])] if fate else []
    if row.answer is not None:
        chips.append(_chip(f"{row.answer['confidence']:.2f}", "", "confidence"))
    question = str(row.case.get("question", row.id))
    said = str(row.answer["text"]) if row.answer else ""
    data = {
        "tag": "\n".join(row.tags),
        "outcome": outcome,
        "fate": fate or "",
        "change": change,
        "text": f"{row.id} {question} {said} {' '.join(row.case.get('answers', []))}".lower(),
    }
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    return (
        f"<details class=q {attributes}><summary><span>{_chip(outcome, outcome)}</span>"
        f"<span class=ask>{escape(question)}</span><span class=side>{''.join(chips)}</span></summary>"
        f"<div class=body>{_body(row, fate, base)}</div></details>"
    )


def _outcome(row: Row) -> str:
    if row.error is not None:
        return "error"
    if row.answer is None or "correct" not in row.scores:
        return "scored" if row.scores else "unscored"
    if row.scores["correct"] == 1.0:
        return "right"
    return "withheld" if row.answer["abstained"] else "wrong"


def _change(row: Row, base: Row | None) -> str:
    """Better or worse by whether the answer is right; where that does not differ, by the evidence found."""
    if base is None or base.gold != row.gold:
        return ""
    shared = sorted(row.scores.keys() & base.scores.keys(), key=shown_order)
    for wanted in _COMPARED:
        for name in shared:
            if metric_of(name).name == wanted and row.scores[name] != base.scores[name]:
                return "better" if row.scores[name] > base.scores[name] else "worse"
    return "same"


def _body(row: Row, fate: Fate | None, base: Row | None) -> str:
    gold = [span for span in map(_span, row.case.get("evidence", [])) if span]
    parts = [_history(row), _gold(row), _fate(fate), _scores(row, base)]
    if row.error is not None:
        return "".join([*parts, f"<h3>Error</h3><p class=worse>{escape(row.error)}</p>"])
    if row.answer is not None:
        answer = _answer(row.answer, "Answer")
        if base is not None and base.answer is not None and base.answer["text"] != row.answer["text"]:
            answer = f"<div class=two><div>{answer}</div><div>{_answer(base.answer, 'Answer of the base')}</div></div>"
        parts += [answer, _citations(row.answer, gold), _passages(row.answer, gold)]
    elif row.found:
        parts.append(_found(row.found, gold))
    return "".join(parts)


def _history(row: Row) -> str:
    """What was asked before, which a follow-up cannot be read without."""
    turns = [turn if isinstance(turn, str) else " → ".join(turn) for turn in row.case.get("history", [])]
    return f"<h3>Asked before</h3>{''.join(map(_plain, turns))}" if turns else ""


def _fate(fate: Fate | None) -> str:
    """The line that tells whether to mend the retrieval or the answering."""
    return "" if fate is None else f"<p class=soft>Evidence {_chip(fate, f'f{FATES.index(fate)}')} {MEANING[fate]}</p>"


def _gold(row: Row) -> str:
    case = row.case
    tags = " ".join(_chip(tag, "") for tag in row.tags)
    if not case.get("answerable", True):
        wanted = "<p>The documents do not hold the answer; the system should say so.</p>"
    else:
        wanted = "".join(f"<p>{escape(answer)}</p>" for answer in case.get("answers", []))
    evidence = "".join(_evidence(entry) for entry in case.get("evidence", []))
    other = "".join(
        f"<p>Other sources say: {escape(' / '.join(side['answer']))}</p>{''.join(map(_evidence, side['evidence']))}"
        for side in case.get("conflicts", [])
    )
    return f"<h3>Gold <small>{escape(row.id)}</small> {tags}</h3>{wanted}{evidence}{other}"


def _evidence(entry: Mapping[str, Any]) -> str:
    where = _where(entry) + ("" if entry["start"] is not None else ": not found in the extracted text")
    quote = entry["quote"] if len(entry["quote"]) <= 1500 else entry["quote"][:1500] + " …"
    return f"<div class=quote><span class=where>{where}</span><mark>{escape(quote)}</mark></div>"


def _scores(row: Row, base: Row | None) -> str:
    shown = []
    for name in sorted(row.scores, key=shown_order):
        value = row.scores[name]
        moved = ""
        if base is not None and name in base.scores and base.scores[name] != value:
            gap = value - base.scores[name]
            kind = "better" if (gap > 0) != metric_of(name).falling else "worse"
            moved = f" <span class={kind}>{gap:+.2f}</span>"
        shown.append(f"<span>{escape(title_of(name))} <b>{value:.2f}</b>{moved}</span>")
    shown += [f"<span>{escape(title_of(name))}: {escape(why)}</span>" for name, why in row.unscored.items()]
    return (
        f"<details class=more><summary>Scores</summary><div class=scores>{''.join(shown)}</div></details>"
        if shown
        else ""
    )


def _answer(answer: Mapping[str, Any], title: str) -> str:
    if answer["abstained"]:
        return f"<h3>{title} {_chip('withheld', 'withheld')}</h3><p class=answer>{escape(answer['text'])}</p>"
    sentences = "".join(
        f"<p class=answer>{escape(sentence['text'])} "
        f"{_markers(sentence['citations'])} {_chip(sentence['verdict'], sentence['verdict'])}</p>"
        for sentence in answer["sentences"]
    )
    conflicts = "".join(
        "<p class=answer>The sources disagree: "
        + "; ".join(f"{escape(value)} {_markers(cited)}" for value, cited in conflict["positions"])
        + f" {_chip('disagreement', 'partial')}</p>"
        for conflict in answer["conflicts"]
    )
    short = str(answer.get("headline") or "")
    above = f"<p class=answer><b>{escape(short)}</b></p>" if short else ""
    return f"<h3>{title}</h3>{above}{sentences or _plain(answer['text'])}{conflicts}"


def _markers(citations: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"[{citation['number']}]" for citation in citations)


def _plain(text: str) -> str:
    return f"<p class=answer>{escape(text)}</p>"


def _citations(answer: Mapping[str, Any], gold: Sequence[Span]) -> str:
    """Every cited passage once: what is cited in it, and the gold."""
    listed = {(c["doc"], c["start"], c["end"]): c for c in _cited(answer)}
    if not listed:
        return ""
    shown, done = [], set()
    for citation in listed.values():
        passage = next((p for p in answer["passages"] if _holds(p, citation)), None)
        if passage is None:
            text, start = citation["quote"], citation["start"]
            numbers, cited = [citation["number"]], [citation]
        else:
            text, start = passage["text"], passage["start"]
            cited = [other for other in listed.values() if _holds(passage, other)]
            numbers = sorted(other["number"] for other in cited)
        key = (citation["doc"], start)
        if key in done:
            continue
        done.add(key)
        spans = [(c["doc"], c["start"], c["end"]) for c in cited]
        where = "".join(f"[{number}]" for number in numbers) + " " + _where(passage or citation)
        body = marked(text, citation["doc"], start, spans, gold, brief=True)
        shown.append(f"<div class=quote><span class=where>{where}</span>{body}</div>")
    legend = "<small><span class=cited>cited</span> <span class=gold>gold</span></small>"
    return f"<h3>Cited passages {legend}</h3>{''.join(shown)}"


def _cited(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    positions = [c for conflict in answer["conflicts"] for _, cited in conflict["positions"] for c in cited]
    return [*answer["citations"], *positions]


def _passages(answer: Mapping[str, Any], gold: Sequence[Span]) -> str:
    shown = "".join(
        f"<div class=quote><span class=where>{place}. {_where(passage)}, {passage['tokens']} tokens, "
        f"score {passage['score']:.3f}, cosine {passage['dense']:.3f}</span>"
        f"{marked(passage['text'], passage['doc'], passage['start'], (), gold)}</div>"
        for place, passage in enumerate(answer["passages"], 1)
    )
    count = len(answer["passages"])
    return f"<details class=more><summary>All {count} passages it was given</summary>{shown}</details>" if count else ""


def _found(found: Mapping[str, Sequence[Sequence[Any]]], gold: Sequence[Span]) -> str:
    """Retrieval alone: the passages of the largest budget, those that hold gold marked. Their text is not kept."""
    budget = max(found, key=int)
    rows = []
    for place, (doc, start, end, page, tokens) in enumerate(found[budget], 1):
        holds = any(doc == held and start < stop and begin < end for held, begin, stop in gold)
        where = _where({"doc": doc, "start": start, "end": end, "page": page})
        rows.append(f"<tr><td>{place}. {where}<td>{tokens} tokens<td>{'<mark>gold</mark>' if holds else ''}</tr>")
    return f"<h3>Passages within {budget} tokens</h3><table>{''.join(rows)}</table>"


def marked(text: str, doc: str, start: int, cited: Sequence[Span], gold: Sequence[Span], brief: bool = False) -> str:
    """The text of doc[start:] as HTML, white space squeezed, cited spans and gold marked, also where they overlap.

    `brief` leaves out what stands far from any mark.
    """
    inside = [
        (max(0, begin - start), min(len(text), end - start), kind)
        for kind, spans in (("cited", cited), ("gold", gold))
        for held, begin, end in spans
        if held == doc and begin < start + len(text) and end > start
    ]
    cuts = sorted({0, len(text), *(cut for begin, end, _ in inside for cut in (begin, end))})
    pieces = []
    for begin, end in pairwise(cuts):
        kinds = [kind for kind in ("cited", "gold") if any(b <= begin and end <= e and kind == k for b, e, k in inside)]
        piece = re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text[begin:end]))
        if brief and not kinds and len(piece) > 2 * _CONTEXT + 40:
            before = piece[:_CONTEXT].rpartition(" ")[0] if begin else ""
            after = piece[-_CONTEXT:].partition(" ")[2] if end < len(text) else ""
            piece = f"{before} […] {after}"
        plain = escape(piece)
        pieces.append(f'<span class="{" ".join(kinds)}">{plain}</span>' if kinds else plain)
    return "".join(pieces)


def _holds(passage: Mapping[str, Any], citation: Mapping[str, Any]) -> bool:
    same = passage["doc"] == citation["doc"]
    return bool(same and passage["start"] <= citation["start"] and citation["end"] <= passage["end"])


def _span(entry: Mapping[str, Any]) -> Span | None:
    return None if entry["start"] is None or entry["end"] is None else (entry["doc"], entry["start"], entry["end"])


def _where(place: Mapping[str, Any]) -> str:
    page = f", page {place['page']}" if place.get("page") else ""
    span = "" if place["start"] is None else f" ({place['start']}–{place['end']})"
    return escape(f"{place['doc']}{page}{span}")


def _chip(text: str, kind: str, title: str = "") -> str:
    hint = f' title="{escape(title)}"' if title else ""
    return f'<span class="chip {kind}"{hint}>{escape(text)}</span>'
